"""What only the SQLite store does: its file, its lock, its threads, a disk that fails."""

import asyncio
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from adapters.clock import SystemClock
from adapters.stores import sqlite_file
from adapters.stores.sqlite import SqliteStore
from core.errors import (
    ConfigurationError,
    InvalidInput,
    NotOwner,
    StoreInUse,
    StoreMismatch,
    StoreUnavailable,
)
from core.ports.doorbell import Topic
from core.ports.store import Filter, Hold
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import Rings, message, new, release, step
from tests.stores.power_loss import LossyDisk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, SystemClock())
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def disk(path: Path) -> Iterator[LossyDisk]:
    disk = LossyDisk(f"disk-{path.parent.name}")
    yield disk
    disk.unregister()


def read(path: Path) -> bytes:
    return path.read_bytes()


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def refusal(path: Path, kind: type[Exception]) -> str:
    with pytest.raises(kind) as raised:
        await SqliteStore(path, SystemClock()).open()
    return str(raised.value)


async def test_a_second_store_on_the_file_is_refused_until_the_first_closes(
    store: SqliteStore, path: Path
) -> None:
    said = await refusal(path, StoreInUse)
    assert str(path) in said
    assert "stop that one" in said
    link = path.with_name("link.db")
    link.symlink_to(path)
    await refusal(link, StoreInUse)
    await store.close()
    second = SqliteStore(path, SystemClock())
    await second.open()
    await second.close()


async def test_a_file_with_a_hard_link_is_refused_since_the_lock_goes_by_the_name(path: Path) -> None:
    store = SqliteStore(path, SystemClock())
    await store.open()
    other = path.with_name("other.db")
    other.hardlink_to(path)
    said = await refusal(other, ConfigurationError)
    assert str(other) in said
    assert "hard links" in said
    await store.create(new("x1"))
    await store.close()
    await refusal(path, ConfigurationError)
    other.unlink()
    await store.open()
    assert (await store.get("x1")).version == 1
    await store.close()


HOLD = """
import asyncio, sys
from adapters.clock import SystemClock
from adapters.stores.sqlite import SqliteStore
from core.testing.contracts.store_base import new, step

async def main():
    store = SqliteStore(sys.argv[1], SystemClock())
    await store.open()
    async def drive(i):
        await store.create(new(f"x{i:04d}"))
        print(f"x{i:04d} 1", flush=True)
        for claim in (await store.claim("me", 1, 1000.0)).claims:
            version = 1
            while True:
                await store.commit(step(claim, version))
                version += 1
                print(claim.execution_id, version, flush=True)
    await asyncio.gather(*(drive(i) for i in range(50)))

asyncio.run(main())
"""


async def test_after_kill_9_everything_acknowledged_is_there_and_can_be_claimed_at_once(path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(500)]
    said = await refusal(path, StoreInUse)
    assert str(path) in said
    child.send_signal(signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    acknowledged: dict[str, int] = {}
    for line in lines:
        if line.endswith(b"\n"):
            execution_id, events = line.decode().split()
            acknowledged[execution_id] = max(int(events), acknowledged.get(execution_id, 0))
    store = SqliteStore(path, ManualClock())  # a clock that stands: no lease is waited for
    await store.open()
    try:
        claims = (await store.claim("next", 500, 10.0)).claims
        assert {claim.execution_id for claim in claims} >= set(acknowledged)
        for execution_id, version in acknowledged.items():
            assert (await store.get(execution_id)).version >= version
    finally:
        await store.close()


async def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    said = await refusal(tmp_path / "no" / "store.db", ConfigurationError)
    assert str(tmp_path / "no") in said
    assert "make it first" in said
    (tmp_path / "folder.db").mkdir()
    assert "is a folder" in await refusal(tmp_path / "folder.db", ConfigurationError)


@pytest.mark.parametrize(
    "content", [b"x", b"not a database at all. " * 500, b"SQLite format 3\0" + b"\xff" * 5_000]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    written(path, content)
    assert str(path) in await refusal(path, StoreMismatch)
    assert read(path) == content


async def test_a_database_of_another_application_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = read(path)
    assert "another application" in await refusal(path, StoreMismatch)
    assert read(path) == before


async def test_a_store_of_a_newer_version_is_refused(store: SqliteStore, path: Path) -> None:
    await store.close()
    shell = apsw.Connection(str(path))
    shell.pragma("user_version", sqlite_file.SCHEMA_VERSION + 1)
    shell.close()
    assert "newer version" in await refusal(path, StoreMismatch)


async def test_its_files_are_private(store: SqliteStore, path: Path) -> None:
    await store.create(new())
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_opening_twice_is_opening_once_and_closing_ends_the_threads(path: Path) -> None:
    before = threading.active_count()
    store = SqliteStore(path, SystemClock())
    await asyncio.gather(store.open(), store.open())
    names = {thread.name for thread in threading.enumerate()}
    assert {"sidestep-sqlite-writer", "sidestep-sqlite-reader"} <= names
    await asyncio.gather(store.close(), store.close())
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith("sidestep-sqlite")}
    assert threading.active_count() <= before + 1  # the default executor keeps one
    assert sorted(file.name for file in path.parent.iterdir()) == ["store.db", "store.db.lock"]


async def test_closing_finishes_what_was_queued(path: Path) -> None:
    store = SqliteStore(path, SystemClock())
    await store.open()
    creating = [asyncio.ensure_future(store.create(new())) for _ in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert all(created.fresh for created in await asyncio.gather(*creating))
    await store.open()
    assert await store.counts() == {"PENDING": 300}
    await store.close()


async def test_a_cancelled_caller_breaks_nothing(store: SqliteStore) -> None:
    rings = Rings(store)
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 10.0)).claims
    committing = [
        asyncio.ensure_future(store.commit(step(claim, 1, events=0, current_step="one"))),
        asyncio.ensure_future(store.create(new("x2"))),
        asyncio.ensure_future(store.load("x1")),
    ]
    await asyncio.sleep(0)
    for task in committing:
        task.cancel()
    await asyncio.gather(*committing, return_exceptions=True)
    await store.put_fact("later", b"")
    assert (await store.get("x1")).summary.current_step == "one"
    assert rings.of(Topic.WORK) == ["x1", "x2"]
    assert len((await store.claim("o", 5, 10.0)).claims) == 1
    assert (await store.commit(step(claim, 1, release=True))).released


async def test_a_cancelled_open_lets_go_of_the_file(path: Path) -> None:
    opening = asyncio.ensure_future(SqliteStore(path, SystemClock()).open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(10):
        while True:
            store = SqliteStore(path, SystemClock())
            try:
                await store.open()
                break
            except StoreInUse:
                await asyncio.sleep(0)
    await store.close()


async def test_commits_at_once_share_syncs(path: Path, disk: LossyDisk) -> None:
    store = SqliteStore(path, SystemClock(), vfs=disk.name)
    await store.open()
    await asyncio.gather(*(store.create(new()) for _ in range(200)))
    claims = (await store.claim("o", 200, 60.0)).claims
    before = disk.syncs
    await asyncio.gather(*(store.commit(step(claim, 1)) for claim in claims))
    assert 1 <= disk.syncs - before < 50
    before = disk.syncs
    for i in range(10):
        await store.commit(step(claims[0], 2 + i))
    assert disk.syncs - before >= 10, "a commit was acknowledged without a sync"
    await store.close()


async def test_a_full_disk_is_unavailable_and_recovers_with_it(store: SqliteStore) -> None:
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 60.0)).claims

    async def set_limit(pages: int) -> None:
        assert store._writer is not None
        await store._writer.do(lambda cursor: cursor.execute(f"PRAGMA max_page_count = {pages}").fetchall())

    await set_limit(1)  # SQLite makes it the present size
    rings = Rings(store)
    big = step(claim, 1, data=b"x" * 200_000)
    made = await asyncio.gather(
        store.commit(big), store.create(new("x2", data=b"y" * 200_000)), return_exceptions=True
    )
    assert [type(answer) for answer in made] == [StoreUnavailable, StoreUnavailable]
    assert rings.heard == []
    assert (await store.get("x1")).version == 1
    assert await store.counts() == {"PENDING": 1}
    await set_limit(1_000_000)
    await store.commit(big)
    await store.create(new("x2"))
    assert (await store.get("x1")).version == 2
    assert await store.counts() == {"PENDING": 1, "RUNNING": 1}


async def test_a_disk_that_fails_is_unavailable_and_recovers_with_it(path: Path, disk: LossyDisk) -> None:
    store = SqliteStore(path, SystemClock(), vfs=disk.name)
    await store.open()
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 60.0)).claims
    wanted = step(claim, 1)
    assert store._writer is not None
    connection = store._writer._connection
    disk.cut()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await store.commit(wanted)
    disk.is_cut.clear()
    await store.commit(wanted)
    assert store._writer._connection is not connection, "an error's connection is not used again"
    assert (await store.load("x1")).version == 2
    await store.close()


async def test_an_argument_that_cannot_be_kept_fails_alone(store: SqliteStore) -> None:
    made = await asyncio.gather(
        *(store.create(new(f"x{i}", created_at_ms=2**70 if i == 7 else 1)) for i in range(20)),
        store.create(new("lone surrogate \ud800")),
        store.put_fact("\udfff", b""),
        return_exceptions=True,
    )
    wrong = [answer for answer in made if isinstance(answer, BaseException)]
    assert [type(answer) for answer in wrong] == [InvalidInput] * 3
    assert len((await store.find(Filter(), None, 100)).records) == 19
    assert len((await store.claim("o", 100, 10.0)).claims) == 19
    with pytest.raises(InvalidInput):
        await store.get("\ud800")


async def test_a_claim_waits_for_the_last_owners_commit_to_be_decided(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock)
    await store.open()
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 10.0)).claims
    committing = asyncio.ensure_future(store.commit(step(claim, 1)))
    await asyncio.sleep(0)
    clock.advance(11)
    rings = Rings(store)
    assert (await store.claim("other", 1, 10.0)).claims == ()
    await committing
    assert rings.of(Topic.WORK) == ["x1"]
    (taken,) = (await store.claim("other", 1, 10.0)).claims
    assert (await store.load("x1")).version == 2
    with pytest.raises(NotOwner):
        await store.commit(step(claim, 2))
    await store.commit(step(taken, 2))
    await store.close()


async def test_far_timers_stay_in_the_file_and_fire_all_the_same(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock, timer_window=8)
    await store.open()
    for i in range(100):
        await store.create(new(f"x{i:03d}"))
    claims = (await store.claim("o", 100, 10.0)).claims
    start = clock.now_ms()
    for i, claim in enumerate(claims):
        await release(store, claim, 1, start + 1_000 * ((i * 37) % 100 + 1))
    assert len(store._desk.timers) <= 8
    fired = []
    for second in range(1, 101):
        taken = await store.claim("o", 100, 1_000.0)
        assert taken.claims == ()
        assert taken.next_timer_ms == start + 1_000 * second
        clock.advance(1)
        fired += [claim.execution_id for claim in (await store.claim("o", 100, 1_000.0)).claims]
        assert len(fired) == second
        assert len(store._desk.timers) <= 8
    assert fired == [f"x{i:03d}" for i in sorted(range(100), key=lambda i: (i * 37) % 100)]
    await store.close()


async def test_many_due_timers_come_in_portions_that_ask_for_more(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock, timer_window=8)
    await store.open()
    for i in range(50):
        await store.create(new(f"x{i:03d}"))
    for claim in (await store.claim("o", 50, 10.0)).claims:
        await release(store, claim, 1, clock.now_ms() + 5_000)
    await store.close()
    await store.open()
    clock.advance(6)
    fired = 0
    while True:
        taken = await store.claim("o", 4, 1_000.0)
        fired += len(taken.claims)
        if taken.next_timer_ms is None and not taken.claims:
            break
        assert len(taken.claims) == 4 or fired == 50
    assert fired == 50
    assert (await store.get("x000")).hold is Hold.TICKET
    await store.close()


async def test_a_cancelled_claim_keeps_nothing(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock, timer_window=2)
    await store.open()
    for i in range(4):
        await store.create(new(f"x{i}"))
    for claim in (await store.claim("o", 3, 10.0)).claims:
        await release(store, claim, 1, clock.now_ms() + 5_000)
    clock.advance(6)
    claiming = asyncio.ensure_future(store.claim("o", 10, 1_000.0))
    await asyncio.sleep(0)  # it holds x3 and waits for the other timers
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    claims = (await store.claim("next", 10, 1_000.0)).claims
    assert {claim.execution_id for claim in claims} == {"x0", "x1", "x2", "x3"}
    await store.close()


async def test_a_store_left_open_by_a_dead_loop_does_not_hang_the_process(path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from adapters.clock import SystemClock\n"
        "from adapters.stores.sqlite import SqliteStore\n"
        "from core.testing.contracts.store_base import new\n"
        "async def main():\n"
        "    store = SqliteStore(sys.argv[1], SystemClock())\n"
        "    await store.open()\n"
        "    await store.create(new())\n"
        "asyncio.run(main())\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), cwd=Path(__file__).parents[2]
    )
    assert await asyncio.wait_for(child.wait(), 30) == 0
    store = SqliteStore(path, SystemClock())
    await store.open()
    assert await store.counts() == {"PENDING": 1}
    await store.close()


async def test_a_message_survives_with_its_ticket(path: Path) -> None:
    store = SqliteStore(path, SystemClock())
    await store.open()
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 10.0)).claims
    await release(store, claim, 1)
    await store.deliver("x1", message("m", body={"a": 1}))
    await store.close()
    await store.open()
    (claim,) = (await store.claim("o", 1, 10.0)).claims
    assert (await store.load("x1")).inbox == (message("m", body={"a": 1}),)
    await store.close()


async def test_an_operators_shell_can_read_while_the_store_works(store: SqliteStore, path: Path) -> None:
    await store.create(new("x1"))
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as shell:
        assert shell.execute("SELECT execution_id, status FROM executions").fetchall() == [("x1", "PENDING")]
    shell.close()
    await store.create(new("x2"))
