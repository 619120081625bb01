"""The housekeeper collects payloads that nothing refers to."""

import os
from pathlib import Path

from adapters.stores.memory import MemoryStore
from adapters.stores.offload import OffloadingStore
from api.bootstrap import build, offloading, open_store, sweeps_of
from api.settings import Settings
from core.engine.housekeeping import Pace
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import new

LARGE = b"x" * 100_000


def age(folder: Path) -> None:
    for file in folder.glob("*/*/*/j*"):
        os.utime(file, (1_000_000, 1_000_000))


def left(folder: Path) -> set[str]:
    return {file.parent.name for file in folder.glob("*/*/*/j*")}


async def test_a_pass_deletes_what_nothing_refers_to_and_says_so(tmp_path: Path) -> None:
    settings, clock = Settings(store=f"sqlite:{tmp_path / 'a.db'}"), ManualClock()
    store = offloading(open_store(settings.store, clock), settings, clock)
    assert isinstance(store, OffloadingStore)
    await store.open()
    await store.create(new("kept", data=LARGE))
    assert store._payloads is not None
    await store._put("j", "lost", 0, "create", LARGE)
    age(tmp_path / "a.db.payloads")

    async def keep() -> bool:
        return True

    (sweep,) = sweeps_of(store)
    said = await sweep.run(Pace(clock, keep, sweep.rest))
    assert said == "deleted 1 payload that nothing refers to"
    assert left(tmp_path / "a.db.payloads") == {"kept"}
    assert await sweep.run(Pace(clock, keep, sweep.rest)) is None
    await store.close()


def test_a_server_collects_and_a_store_in_memory_has_nothing_to(tmp_path: Path) -> None:
    runtime = build(Settings(store=f"sqlite:{tmp_path / 'a.db'}"))
    assert "payloads" in {sweep.name for sweep in runtime.housekeeping._sweeps}
    assert sweeps_of(MemoryStore(ManualClock())) == ()
