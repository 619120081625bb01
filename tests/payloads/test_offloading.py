import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.payloads.folder import FolderPayloads
from adapters.payloads.s3 import S3Payloads
from adapters.stores import stubs
from adapters.stores.memory import MemoryStore
from adapters.stores.offload import OLD_MS, TERM_SECONDS, OffloadingStore
from adapters.stores.sqlite import SqliteStore
from core.errors import (
    ExecutionNotFound,
    IdempotencyConflict,
    JournalUnreadable,
    NotOwner,
    StoreMismatch,
    StoreUnavailable,
)
from core.ports.payloads import Payloads
from core.ports.store import Commit, Committed, Idempotency, Snapshot, Store
from core.testing.clock import ManualClock
from core.testing.contracts.payloads import keys_of
from core.testing.contracts.store_base import new, step

LARGE = b"x" * 100
OTHER = b"y" * 100
THRESHOLD = 64


class Fragile(MemoryStore):
    """A store whose next commit does not happen, or happens without an answer."""

    before: bool = False
    after: bool = False

    async def commit(self, commit: Commit) -> Committed:
        if self.before:
            self.before = False
            raise StoreUnavailable("cut off before the commit")
        committed = await super().commit(commit)
        if self.after:
            self.after = False
            raise StoreUnavailable("cut off after the commit")
        return committed


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def inner(clock: ManualClock) -> Fragile:
    return Fragile(clock)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "payloads"


@pytest_asyncio.fixture
async def store(inner: Fragile, folder: Path, clock: ManualClock) -> AsyncIterator[OffloadingStore]:
    store = OffloadingStore(inner, FolderPayloads(folder), clock, THRESHOLD)
    await store.open()
    yield store
    await store.close()


def payloads_of(store: OffloadingStore) -> Payloads:
    assert store._payloads is not None
    return store._payloads


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def unmount(folder: Path) -> None:
    folder.rename(folder.with_name("unmounted"))
    folder.mkdir()


def mount(folder: Path) -> None:
    folder.rmdir()
    folder.with_name("unmounted").rename(folder)


async def keys(store: OffloadingStore) -> list[str]:
    """The payloads of executions."""
    return [key for key in await keys_of(payloads_of(store)) if not key.startswith("_")]


async def collect(store: OffloadingStore, older_than_ms: int = 0, limit: int = 1) -> int:
    """All of it, in the smallest steps."""
    deleted, cursor = 0, None
    while True:
        done = await store.collect(cursor, limit, older_than_ms)
        deleted, cursor = deleted + done.deleted, done.cursor
        if cursor is None:
            return deleted


async def test_what_is_small_stays_in_the_journal(store: OffloadingStore, inner: Store) -> None:
    await store.create(new("x", data=b"s" * THRESHOLD))
    assert await keys(store) == []
    assert (await inner.load("x")).batches == (b"s" * THRESHOLD,)


async def test_what_is_large_leaves_a_small_stub_in_the_journal(store: OffloadingStore, inner: Store) -> None:
    await store.create(new("x", data=LARGE * 1_000))
    (stub,) = (await inner.load("x")).batches
    assert stubs.is_stub(stub)
    assert len(stub) < 250
    assert (await store.load("x")).batches == await store.history("x", 0, 10) == (LARGE * 1_000,)


async def test_bytes_that_look_like_a_stub_are_given_back_as_they_were(
    store: OffloadingStore, inner: Store
) -> None:
    await store.create(new("x", data=LARGE))
    (stub,) = (await inner.load("x")).batches
    claim = (await store.claim("owner", 1, 10)).claims[0]
    for number, data in enumerate((stub, stubs.MAGIC), start=1):
        await store.commit(step(claim, number, data=data))
    assert (await store.load("x")).batches == (LARGE, stub, stubs.MAGIC)


async def test_a_crash_between_payload_and_commit_leaves_what_is_collected_later(
    store: OffloadingStore, inner: Fragile
) -> None:
    await store.create(new("x"))
    claim = (await store.claim("owner", 1, 10)).claims[0]
    inner.before = True
    with pytest.raises(StoreUnavailable):
        await store.commit(step(claim, 1, data=LARGE))
    assert (await store.load("x")).batches == (b"created",)
    assert len(await keys(store)) == 1
    assert await collect(store, OLD_MS) == 0, "it may be on its way still"
    assert await collect(store) == 1
    assert await keys(store) == []


async def test_a_repeated_commit_writes_the_same_key_and_is_a_success(
    store: OffloadingStore, inner: Fragile
) -> None:
    await store.create(new("x"))
    claim = (await store.claim("owner", 1, 10)).claims[0]
    commit = step(claim, 1, data=LARGE)
    inner.before = True
    with pytest.raises(StoreUnavailable):
        await store.commit(commit)
    inner.after = True
    with pytest.raises(StoreUnavailable):
        await store.commit(commit)
    await store.commit(commit)
    assert len(await keys(store)) == 1
    assert (await store.load("x")).batches == (b"created", LARGE)


async def test_a_commit_that_is_repeated_much_later_writes_a_key_that_no_collector_can_have_seen(
    store: OffloadingStore, inner: Fragile, clock: ManualClock
) -> None:
    await store.create(new("x"))
    claim = (await store.claim("owner", 1, 100_000)).claims[0]
    commit = step(claim, 1, data=LARGE)
    inner.before = True
    with pytest.raises(StoreUnavailable):
        await store.commit(commit)
    (first,) = await keys(store)
    clock.advance(TERM_SECONDS)
    await store.commit(commit)
    await payloads_of(store).delete(first)
    assert (await store.load("x")).batches == (b"created", LARGE)


async def test_a_stale_owner_cannot_harm_the_winners_payload(
    store: OffloadingStore, clock: ManualClock
) -> None:
    await store.create(new("x"))
    stale = (await store.claim("stale", 1, 10)).claims[0]
    clock.advance(11)
    winner = (await store.claim("winner", 1, 10)).claims[0]
    # Even with one commit id, which owners of different epochs never share.
    await store.commit(step(winner, 1, data=LARGE, commit_id="same"))
    await store.commit(step(winner, 2, data=b"end"))
    with pytest.raises(NotOwner):
        await store.commit(step(stale, 1, data=OTHER, commit_id="same"))
    assert (await store.load("x")).batches == (b"created", LARGE, b"end")
    assert await collect(store) == 1
    assert (await store.load("x")).batches == (b"created", LARGE, b"end")


async def test_the_collector_never_deletes_what_a_journal_refers_to(store: OffloadingStore) -> None:
    await store.create(new("x", data=LARGE, events=3))
    claim = (await store.claim("owner", 1, 10)).claims[0]
    version = 3
    for number in range(5):
        await store.commit(step(claim, version, data=LARGE + b"%d" % number, events=number + 1))
        version += number + 1
    await store.save_snapshot("x", Snapshot(version=5, format=1, data=OTHER))
    await store.save_snapshot("x", Snapshot(version=10, format=1, data=OTHER))
    assert len(await keys(store)) == 8
    assert await collect(store) == 1, "the older snapshot"
    assert await collect(store) == 0
    assert await store.history("x", 0, 100) == (LARGE, *(LARGE + b"%d" % number for number in range(5)))
    loaded = await store.load("x")
    assert loaded.snapshot == Snapshot(version=10, format=1, data=OTHER)


async def test_a_payload_that_is_put_again_while_it_is_looked_at_is_kept(
    store: OffloadingStore, inner: Fragile
) -> None:
    await store.create(new("x"))
    claim = (await store.claim("owner", 1, 10)).claims[0]
    commit = step(claim, 1, data=LARGE)
    inner.before = True
    with pytest.raises(StoreUnavailable):
        await store.commit(commit)
    (key,) = await keys(store)
    before = await payloads_of(store).stamp(key)
    while await payloads_of(store).stamp(key) == before:
        await payloads_of(store).put(key, LARGE)
    assert not await store._delete_if_old(key, before)
    assert await keys(store) == [key]


async def test_removal_takes_the_payloads_along(store: OffloadingStore) -> None:
    for name in ("x", "y"):
        await store.create(new(name, data=LARGE))
    for claim in (await store.claim("owner", 2, 10)).claims:
        await store.commit(step(claim, 1, data=LARGE, status="COMPLETED", release=True))
    assert await store.remove("x")
    assert {key.partition("/")[0] for key in await keys(store)} == {"y"}
    assert not await store.remove("x")
    assert len((await store.load("y")).batches) == 2


async def test_a_crash_during_removal_is_made_good_by_the_collector(
    store: OffloadingStore, inner: Store
) -> None:
    await store.create(new("x", data=LARGE))
    (claim,) = (await store.claim("owner", 1, 10)).claims
    await store.commit(step(claim, 1, data=LARGE, status="COMPLETED", release=True))
    assert await inner.remove("x")
    assert await collect(store, OLD_MS) == 0
    assert await collect(store) == 2
    assert await keys(store) == []


async def test_creations_that_do_not_happen_leave_nothing(store: OffloadingStore) -> None:
    def keyed(name: str, fingerprint: str) -> Any:
        key = Idempotency(caller="c", key="k", fingerprint=fingerprint, expires_at_ms=1 << 50)
        return new(name, data=LARGE, idempotency=key)

    assert (await store.create(keyed("x", "f"))).fresh
    assert not (await store.create(keyed("x", "f"))).fresh
    assert (await store.create(keyed("y", "f"))).execution_id == "x"
    with pytest.raises(IdempotencyConflict):
        await store.create(keyed("z", "g"))
    assert [key.partition("/")[0] for key in await keys(store)] == ["x"]
    assert (await store.load("x")).batches == (LARGE,)


async def test_a_payload_that_was_tampered_with_is_no_journal(store: OffloadingStore, folder: Path) -> None:
    await store.create(new("x", data=LARGE))
    (file,) = files(folder, "*/*/x/j*")
    for damaged in (LARGE[:-1] + b"!", LARGE + b"x", b""):
        file.write_bytes(damaged)
        with pytest.raises(JournalUnreadable, match="damaged"):
            await store.load("x")
        with pytest.raises(JournalUnreadable, match="damaged"):
            await store.history("x", 0, 1)
    file.unlink()
    with pytest.raises(JournalUnreadable, match="gone"):
        await store.load("x")


async def test_a_journal_cannot_refer_to_another_executions_payload(
    store: OffloadingStore, inner: Store
) -> None:
    await store.create(new("x", data=LARGE))
    (stub,) = (await inner.load("x")).batches
    await inner.create(new("y", data=stub))
    with pytest.raises(JournalUnreadable, match="not its own"):
        await store.load("y")


async def test_a_reference_in_a_newer_version_is_left_to_a_newer_program(
    store: OffloadingStore, inner: Store
) -> None:
    await inner.create(new("x", data=stubs.MAGIC + json.dumps({"v": 2, "where": "elsewhere"}).encode()))
    with pytest.raises(JournalUnreadable, match="version 2"):
        await store.load("x")


async def test_a_lost_snapshot_is_one_that_cannot_be_read(store: OffloadingStore, folder: Path) -> None:
    await store.create(new("x", data=LARGE))
    await store.save_snapshot("x", Snapshot(version=1, format=2, data=OTHER))
    (file,) = files(folder, "*/*/x/s*")
    file.unlink()
    assert (await store.load("x")).snapshot == Snapshot(version=1, format=2, data=b"")


async def test_an_execution_that_is_removed_while_it_is_read_is_not_found(
    store: OffloadingStore, inner: Store
) -> None:
    await store.create(new("x", data=LARGE))
    (stub,) = (await inner.load("x")).batches
    (claim,) = (await store.claim("owner", 1, 10)).claims
    await store.commit(step(claim, 1, status="COMPLETED", release=True))
    assert await store.remove("x")
    with pytest.raises(ExecutionNotFound):
        await store._get("x", stubs.parse(stub))


async def test_a_place_that_is_away_is_a_store_that_is_away(store: OffloadingStore, folder: Path) -> None:
    await store.create(new("x", data=LARGE))
    claim = (await store.claim("owner", 1, 10)).claims[0]
    commit = step(claim, 1, data=LARGE)
    unmount(folder)
    for act in (store.commit(commit), store.create(new("y", data=LARGE)), store.load("x")):
        with pytest.raises(StoreUnavailable):
            await act
    mount(folder)
    await store.commit(commit)
    assert (await store.load("x")).batches == (LARGE, LARGE)


async def test_a_place_that_was_emptied_is_away(store: OffloadingStore, folder: Path) -> None:
    await store.create(new("x", data=LARGE))
    for file in files(folder, "*/*/*/*"):
        file.unlink()
    with pytest.raises(StoreUnavailable, match="mark"):
        await store.load("x")


async def test_a_folder_that_another_machine_does_not_have_is_refused_there(
    store: OffloadingStore, inner: Fragile, tmp_path: Path, clock: ManualClock
) -> None:
    await store.create(new("x"))
    for place in (tmp_path / "other", tmp_path / "payloads" / "deeper"):
        with pytest.raises(StoreMismatch, match="set SIDESTEP_PAYLOADS"):
            await OffloadingStore(Kept(inner), FolderPayloads(place), clock).open()
    with pytest.raises(StoreMismatch, match="set SIDESTEP_PAYLOADS"):
        await OffloadingStore(Kept(inner), None, clock).open()
    again = OffloadingStore(Kept(inner), FolderPayloads(tmp_path / "payloads"), clock)
    await again.open()
    await again.close()
    await inner.open()


class Kept(OffloadingStore):
    """A second process's way to a store that the first has open."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, None, ManualClock())

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return


async def test_processes_that_open_a_new_store_together_agree_on_one_area(
    inner: Fragile, folder: Path, clock: ManualClock
) -> None:
    await inner.open()
    stores = [OffloadingStore(Kept(inner), FolderPayloads(folder), clock) for _ in range(5)]
    opening = [asyncio.create_task(store.open()) for store in stores]
    async with asyncio.timeout(20):
        while not all(task.done() for task in opening):
            clock.advance(0.2)
            await asyncio.sleep(0.01)
    await asyncio.gather(*opening)
    assert len({payloads_of(store).place for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_stores_that_share_a_place_do_not_collect_each_others_payloads(
    store: OffloadingStore, folder: Path, clock: ManualClock
) -> None:
    await store.create(new("x", data=LARGE))
    other = OffloadingStore(MemoryStore(clock), FolderPayloads(folder), clock, THRESHOLD)
    await other.open()
    assert await collect(other) == 0
    await other.close()
    assert (await store.load("x")).batches == (LARGE,)


async def test_strangers_files_and_newer_names_are_left_alone(store: OffloadingStore) -> None:
    await store.create(new("x"))
    payloads = payloads_of(store)
    for key in ("x/z1~a~1~b", "==/j1~a~1~b", "x=00=/name"):
        await payloads.put(key, b"?")
    assert await collect(store) == 0


async def test_a_claim_leaves_large_journals_to_be_loaded(store: OffloadingStore, inner: Fragile) -> None:
    class Generous(MemoryStore):
        async def claim(self, *wanted: Any) -> Any:
            claims = await inner.claim(*wanted)
            journals = {one.execution_id: await inner.load(one.execution_id) for one in claims.claims}
            return replace(claims, journals=journals)

    store._store = Generous(ManualClock())
    await inner.create(new("small"))
    store._store, generous = inner, store._store
    await store.create(new("large", data=LARGE))
    store._store = generous
    claims = await store.claim("owner", 2, 10)
    assert {one.execution_id for one in claims.claims} == {"small", "large"}
    assert set(claims.journals) == {"small"}
    store._store = inner


async def test_a_sweep_takes_turns_and_says_what_it_did(store: OffloadingStore) -> None:
    turns = 0

    async def turn() -> bool:
        nonlocal turns
        turns += 1
        return turns < 2

    area = payloads_of(store)
    for number in range(450):
        await area.put(f"x{number}/j0~create~0~{'0' * 32}", b"")
    long_ago = 1_000_000
    root = Path(area.place.removeprefix("the folder "))
    for file in files(root, "*/x*/j*"):
        os.utime(file, (long_ago, long_ago))
    said = [await store.sweep(turn)]
    assert turns == 2
    turns = -10
    said += [await store.sweep(turn), await store.sweep(turn)]
    found = [re.fullmatch(r"deleted (\d+) payloads that nothing refers to", one or "") for one in said]
    counts = [int(one[1]) if one else None for one in found]
    assert counts[2] is None
    # Two pages in the first, which may hold the area's own two entries as well.
    assert counts[0] in (398, 399, 400)
    assert sum(filter(None, counts)) == 450


async def test_s3_and_sqlite_go_together(bucket: str, tmp_path: Path, clock: ManualClock) -> None:
    store = OffloadingStore(SqliteStore(tmp_path / "s.db", clock), S3Payloads(bucket, "p/"), clock, THRESHOLD)
    await store.open()
    await store.create(new("x", data=LARGE))
    await store.close()
    await store.open()
    assert (await store.load("x")).batches == (LARGE,)
    assert await collect(store) == 0
    await store.close()
