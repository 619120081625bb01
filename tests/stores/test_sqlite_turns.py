"""The SQLite store between the event loop and its thread: who waits for what, and what is not read at all."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from adapters.clock import SystemClock
from adapters.stores import sqlite_newborn
from adapters.stores.sqlite import LARGE, SqliteStore
from adapters.stores.sqlite_worker import Worker
from core.errors import StoreUnavailable
from core.ports.store import Filter, Snapshot
from core.testing.contracts.store_base import message, new, step
from tests.stores.power_loss import LossyDisk

SHELL = (
    "import sqlite3, sys\n"
    "shell = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "shell.execute('BEGIN IMMEDIATE')\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
    "shell.close()\n"
)


class HangingDisk(LossyDisk):
    """Waits in the next sync for `go`, and says that it does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.hangs = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def synced(self, path: str) -> None:
        if not self.go.is_set():
            self.hangs.set()
            self.go.wait(30)
        super().synced(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def disk(path: Path) -> Iterator[HangingDisk]:
    disk = HangingDisk(f"hanging-{path.parent.name}")
    yield disk
    disk.unregister()


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, SystemClock())
    await store.open()
    yield store
    await store.close()


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_while_the_disk_hangs_in_a_sync_the_loop_goes_on_and_what_comes_in_shares_the_next(
    path: Path, disk: HangingDisk
) -> None:
    store = SqliteStore(path, SystemClock(), vfs=disk.name)
    await store.open()
    await asyncio.gather(*(store.create(new(f"x{i}")) for i in range(20)))
    first, *others = (await store.claim("o", 20, 60.0)).claims
    disk.go.clear()
    hanging = asyncio.ensure_future(store.commit(step(first, 1)))
    await happens(disk.hangs)
    syncs = disk.syncs
    waiting = [asyncio.ensure_future(store.commit(step(claim, 1))) for claim in others]
    assert (await store.get("x0")).version == 1, "reads have a connection of their own"
    assert (await store.claim("o", 1, 60.0)).claims == ()
    assert not hanging.done()
    assert not any(one.done() for one in waiting)
    disk.go.set()
    await asyncio.gather(hanging, *waiting)
    assert disk.syncs - syncs == 2, "the one that hung, and one for all that waited"
    await store.close()


async def test_what_is_large_is_written_by_the_thread(store: SqliteStore) -> None:
    """A megabyte takes milliseconds, and many of them at once would hold up the loop for long."""
    assert store._writer is not None
    assert store._writer._connection is not None
    here, tables = threading.get_ident(), ("journal", "messages", "snapshots")
    threads: dict[str, set[tuple[str, bool]]] = {"large": set(), "small": set()}

    def note(_: apsw.Cursor, sql: str, bindings: object) -> bool:
        table = sql.removeprefix("INSERT INTO ").partition(" ")[0]
        if table in tables and isinstance(bindings, tuple):
            size = "large" if len(bytes(bindings[-1])) > LARGE else "small"
            threads[size].add((table, threading.get_ident() == here))
        return True

    store._writer._connection.exec_trace = note
    large = b"x" * (LARGE + 1)
    await asyncio.gather(store.create(new("x1", data=large)), store.create(new("x2")))
    for claim in (await store.claim("o", 2, 60.0)).claims:
        await store.commit(step(claim, 1, data=large))
        await store.commit(step(claim, 2))
    for data in (b"small", large):
        await store.save_snapshot("x1", Snapshot(version=1, format=1, data=data))
        await store.deliver("x1", message(f"m{len(data)}", body=data.decode()))
    assert threads == {
        "large": {(table, False) for table in tables},
        "small": {(table, True) for table in tables},
    }


async def test_after_a_full_disk_the_loop_waits_for_no_lock(path: Path) -> None:
    """The thread is patient with a shell that has the lock; the loop, which is next, must not be."""

    def find_no_room(_: apsw.Cursor) -> None:
        raise apsw.FullError

    worker = Worker("worker", lambda: apsw.Connection(str(path)), "BEGIN IMMEDIATE", lambda: None)
    worker.start(apsw.Connection(str(path)))
    with pytest.raises(StoreUnavailable):
        await worker.do(find_no_room, heavy=True)
    assert await worker.do(lambda cursor: cursor.connection.pragma("busy_timeout")) == 0
    await worker.stop()


async def test_a_connection_that_fails_for_an_unforeseen_reason_keeps_nobody_waiting(path: Path) -> None:
    connections = 0

    def connect() -> apsw.Connection:
        nonlocal connections
        connections += 1
        if connections == 2:
            raise LookupError("nobody thought of it")
        return apsw.Connection(str(path))

    def breaks(_: apsw.Cursor) -> None:
        raise apsw.IOError("the disk is away")

    worker = Worker("unforeseen", connect, "BEGIN", lambda: None)
    worker.start(connect())
    for run in (breaks, lambda _: None):
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(worker.do(run), 10)
    assert await asyncio.wait_for(worker.do(lambda _: 7), 10) == 7
    await asyncio.wait_for(worker.stop(), 10)


async def test_while_a_shell_has_the_lock_the_loop_goes_on_and_commits_wait_for_it(
    store: SqliteStore, path: Path
) -> None:
    await store.create(new("x1"))
    (claim,) = (await store.claim("o", 1, 60.0)).claims
    shell = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SHELL, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert shell.stdout is not None
    assert await asyncio.wait_for(shell.stdout.readline(), 10) == b"locked\n"
    committing = asyncio.ensure_future(store.commit(step(claim, 1)))
    for _ in range(20):  # the loop turns, and others are served
        assert (await store.get("x1")).version == 1
    assert not committing.done()
    await shell.communicate(b"")  # its input ends, and with it the lock
    await committing
    assert (await store.get("x1")).version == 2


async def test_acts_of_both_kinds_happen_in_the_order_in_which_they_were_asked_for(
    store: SqliteStore,
) -> None:
    for round_ in range(5):
        await store.create(new("x1"))
        (claim,) = (await store.claim("o", 1, 60.0)).claims
        answers = await asyncio.gather(
            store.put_fact("k", b"before"),
            store.commit(step(claim, 1, release=True, status="COMPLETED")),
            store.remove("x1"),
            store.put_fact("k", b"between"),
            store.reconcile(None, 10),
            store.create(new("x2")),
            store.put_fact("k", b"after"),
        )
        assert answers[2] is True, round_
        assert await store.get_fact("k") == b"after"
        (left,) = (await store.find(Filter(), None, 10)).records
        assert left.execution_id == "x2"
        (claim,) = (await store.claim("o", 1, 60.0)).claims
        await store.commit(step(claim, 1, release=True, status="COMPLETED"))
        assert await store.remove("x2")


async def test_the_first_owner_is_given_the_journal_and_later_ones_read_it(store: SqliteStore) -> None:
    await store.create(new("x1"))
    taken = await store.claim("o", 1, 60.0)
    assert taken.journals["x1"] == await store.load("x1")
    await store.commit(step(taken.claims[0], 1))
    await store.give_back(taken.claims[0])
    again = await store.claim("o", 1, 60.0)
    assert len(again.claims) == 1
    assert again.journals == {}


async def test_a_journal_is_not_given_where_a_message_came_before_its_owner(store: SqliteStore) -> None:
    await store.create(new("x1"))
    await store.deliver("x1", message("m1"))
    assert (await store.claim("o", 1, 60.0)).journals == {}
    assert len((await store.load("x1")).inbox) == 1


async def test_journals_that_nobody_claims_are_kept_up_to_a_bound(store: SqliteStore) -> None:
    big = b"x" * (sqlite_newborn.KEPT_BYTES // 4)
    for round_ in range(2):
        ids = [f"x{round_}{i}" for i in range(6)]
        for execution_id in ids:
            await store.create(new(execution_id, data=big))
        taken = await store.claim("o", 10, 60.0)
        assert sorted(claim.execution_id for claim in taken.claims) == ids
        assert sorted(taken.journals) == ids[:4], "room comes back with each that is claimed"


async def test_a_store_that_is_opened_again_gives_no_journal_of_before(store: SqliteStore) -> None:
    await store.create(new("x1"))
    await store.close()
    await store.open()
    taken = await store.claim("o", 1, 60.0)
    assert len(taken.claims) == 1
    assert taken.journals == {}
