"""The embedded store: one SQLite file, one process.

What was acknowledged survives the death of the process and the loss of power: the file is written ahead
(WAL) and every commit is synced (`synchronous=FULL`) before anybody hears of it. Many acts share one sync
(`sqlite_worker`). Reads come from a second connection and see one instant.

The process has the file to itself, by a lock that the operating system drops with the process. So tickets,
owners, leases and epochs are kept in memory (`desk`) and every ticket is free at open: no lease is waited
for after a crash. Use the store from the event loop that opened it.
"""

import asyncio
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from adapters.stores import rules, sqlite_file, sqlite_reads, sqlite_writes
from adapters.stores.desk import Desk, Ticket
from adapters.stores.doorbell import InProcessDoorbell
from adapters.stores.sqlite_newborn import Newborn
from adapters.stores.sqlite_worker import Run, Settled, Worker
from adapters.stores.timers import NOWHERE, Due, Key, Timers
from core.errors import StoreUnavailable
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import (
    Claim,
    Claims,
    Commit,
    Committed,
    Created,
    Filter,
    Hold,
    Loaded,
    Message,
    NewExecution,
    Page,
    Reconciled,
    Record,
    Renewed,
    Snapshot,
    Store,
    WorkflowVersion,
)

TIMER_WINDOW = 8_192
"""About 2 MB; 4,096 of them are read in some 5 ms."""

LARGE = 131_072
"""Bytes of a journal's batch, a message or a snapshot above which the writer's thread runs the act, and not
the event loop: a megabyte takes some 5 ms, and several hundred acts may come in one turn.
"""

_SWEEP_EVERY = 32  # keyed creations; each sweep takes away up to sqlite_writes.SWEPT records

T = TypeVar("T")


class _Opened(msgspec.Struct):
    lock: int
    writer: apsw.Connection
    reader: apsw.Connection
    tickets: list[tuple[str, int]]
    counts: Counter[str]
    timers: tuple[list[Due], bool]

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        os.close(self.lock)


class SqliteStore(Store):
    """`path` is made with mode 0600 where it is missing, its folder is not.

    `vfs` names a virtual file system of SQLite to go through, for tests. `timer_window` bounds how many of
    the nearest timers are kept in memory; the others stay in the file's index.
    """

    def __init__(
        self, path: str | Path, clock: Clock, *, vfs: str | None = None, timer_window: int = TIMER_WINDOW
    ) -> None:
        self.doorbell: InProcessDoorbell = InProcessDoorbell()
        # One file has one lock, by whatever name it is reached.
        self._path = Path(path).resolve()
        self._clock = clock
        self._vfs = vfs
        self._timer_window = timer_window
        self._desk = Desk(clock, Timers())
        self._counts: Counter[str] = Counter()
        self._newborn = Newborn()
        self._keyed = 0
        self._writer: Worker | None = None
        self._reader: Worker | None = None
        self._opening = asyncio.Lock()

    @property
    def shards(self) -> int:
        """One."""
        return 1

    async def open(self) -> None:
        """Lock the file, make or check its schema, and free every ticket.

        Raises StoreInUse, StoreMismatch, and ConfigurationError for a path that cannot be a file.
        """
        async with self._opening:
            if self._writer is not None:
                return
            opening = asyncio.ensure_future(asyncio.to_thread(self._open_file))
            try:
                opened = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_undo)
                raise
            self._begin(opened)

    async def close(self) -> None:
        """Finish what was queued, close the file and let go of its lock."""
        async with self._opening:
            writer, reader = self._writer, self._reader
            self._writer = self._reader = None
            if writer is not None and reader is not None:
                await asyncio.gather(reader.stop(), writer.stop())

    async def create(self, new: NewExecution) -> Created:
        """As the port says."""
        self._keyed += new.idempotency is not None
        run = partial(
            sqlite_writes.create,
            new=new,
            now_ms=self._clock.now_ms(),
            sweep=self._keyed % _SWEEP_EVERY == 0,
        )
        heavy = len(new.batch.data) > LARGE
        return await self._write(run, partial(self._created, new), heavy=heavy)

    async def claim(
        self,
        owner: str,
        limit: int,
        lease_seconds: float,
        wait_seconds: float = 0.0,  # noqa: ARG002 - the doorbell rings for every ticket, so nobody waits here
    ) -> Claims:
        """As the port says, at once. Nothing is written; the disk is read only when the nearest timers are
        used up.
        """
        self._check_open()
        desk = self._desk
        claims: tuple[Claim, ...] = ()
        while True:
            desk.ring_timers()
            claims += desk.claim(owner, limit - len(claims), lease_seconds)
            horizon = desk.timers.horizon
            if horizon is None or not desk.timers.exhausted:
                return Claims(claims, desk.timers.next_ms(), self._journals(claims))
            if len(claims) >= limit:
                # More may be due: ask again.
                return Claims(claims, self._clock.now_ms(), self._journals(claims))
            run = partial(sqlite_writes.timers_after, horizon=horizon, limit=self._timer_window // 2)
            try:
                await self._write(run, partial(self._refilled, horizon), heavy=True)
            except BaseException:
                for claim in claims:  # nobody is going to drive them
                    desk.give_back(claim)
                raise

    async def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> Renewed:
        """As the port says; a lapsed claim that nobody took is renewed."""
        self._check_open()
        return Renewed(self._desk.renew(claims, lease_seconds))

    async def give_back(self, claim: Claim) -> None:
        """As the port says."""
        self._check_open()
        if self._desk.give_back(claim):
            self.doorbell.ring(Topic.WORK, claim.execution_id)

    async def load(self, execution_id: str) -> Loaded:
        """As the port says."""
        return await self._read(partial(sqlite_reads.load, execution_id=execution_id))

    async def commit(self, commit: Commit) -> Committed:
        """As the port says. An owner whose lease lapsed is still the owner until another is made."""
        self._check_open()
        ticket = self._desk.begin_commit(commit.execution_id, commit.epoch)
        run = partial(sqlite_writes.commit, wanted=commit, owned=ticket is not None)
        heavy = len(commit.batch.data) > LARGE
        done = await self._write(run, partial(self._committed, commit, ticket), heavy=heavy)
        return Committed(inbox=done.inbox, released=done.released)

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        """As the port says; a message that was had before is no error, even where the execution ended."""
        self._check_open()
        data = rules.encode_message(message)
        run = partial(
            sqlite_writes.deliver,
            execution_id=execution_id,
            message_id=message.message_id,
            data=data,
            revive=revive,
        )
        settled, heavy = partial(self._delivered, execution_id), len(data) > LARGE
        delivered: sqlite_writes.Delivered = await self._write(run, settled, heavy=heavy)
        return delivered.fresh

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        """As the port says."""
        return await self._read(partial(sqlite_reads.inbox, execution_id=execution_id))

    async def save_snapshot(self, execution_id: str, snapshot: Snapshot) -> None:
        """As the port says."""
        run = partial(sqlite_writes.save_snapshot, execution_id=execution_id, snapshot=snapshot)
        self._newborn.take(execution_id)
        await self._write(run, heavy=len(snapshot.data) > LARGE)

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        """As the port says. Raises InvalidInput for numbers out of bounds."""
        rules.check_history(after, limit)
        run = partial(sqlite_reads.history, execution_id=execution_id, after=after, limit=limit)
        return await self._read(run)

    async def get(self, execution_id: str) -> Record:
        """As the port says."""
        return self._held(await self._read(partial(sqlite_reads.get, execution_id=execution_id)))

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """As the port says. Raises InvalidInput for a limit out of bounds."""
        rules.check_limit(limit)
        run = partial(sqlite_reads.find, wanted=wanted, before=cursor, limit=limit + 1)
        records = await self._read(run)
        shown = tuple(self._held(record) for record in records[:limit])
        return Page(shown, shown[-1].execution_id if len(records) > limit else None)

    async def counts(self) -> dict[str, int]:
        """As the port says."""
        self._check_open()
        return {status: count for status, count in self._counts.items() if count}

    async def remove(self, execution_id: str) -> bool:
        """As the port says."""
        run = partial(sqlite_writes.remove, execution_id=execution_id)
        return await self._write(run, partial(self._removed, execution_id), heavy=True) is not None

    async def definition(
        self,
        digest: str,
        execution_id: str | None = None,  # noqa: ARG002 - there is one place to look
    ) -> bytes:
        """As the port says."""
        return await self._read(partial(sqlite_reads.definition, digest=digest))

    async def put_workflow(
        self, workflow_id: str, digest: str, definition: bytes, at_ms: int
    ) -> WorkflowVersion:
        """As the port says."""
        run = partial(
            sqlite_writes.put_workflow,
            workflow_id=workflow_id,
            digest=digest,
            definition=definition,
            at_ms=at_ms,
        )
        return await self._write(run)

    async def get_workflow(self, workflow_id: str, version: int | None = None) -> WorkflowVersion:
        """As the port says."""
        return await self._read(partial(sqlite_reads.get_workflow, workflow_id=workflow_id, version=version))

    async def workflow_versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """As the port says."""
        return await self._read(partial(sqlite_reads.workflow_versions, workflow_id=workflow_id))

    async def workflows(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """As the port says. Raises InvalidInput for a limit out of bounds."""
        rules.check_limit(limit)
        return await self._read(partial(sqlite_reads.workflows, after=cursor, limit=limit))

    async def put_fact(self, key: str, value: bytes) -> None:
        """As the port says."""
        await self._write(partial(sqlite_writes.put_fact, key=key, value=value))

    async def keep_fact(self, key: str, value: bytes) -> bytes:
        """As the port says."""
        return await self._write(partial(sqlite_writes.keep_fact, key=key, value=value))

    async def get_fact(self, key: str) -> bytes | None:
        """As the port says."""
        return await self._read(partial(sqlite_reads.get_fact, key=key))

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:
        """As the port says. Timers are read from their index, so they cannot be missing."""
        mended: list[str] = []
        run = partial(sqlite_writes.reconcile, after=cursor or "", limit=limit)
        _, onward = await self._write(run, partial(self._reconciled, mended), heavy=True)
        return Reconciled(onward, tuple(mended))

    async def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """As the port says."""
        self._check_open()
        return self._desk.lead(duty, owner, seconds)

    def full(self) -> str | None:
        """Never known ahead: a full disk shows at the write."""
        return None

    # What the event loop does once an act was decided, in the order of the acts.

    def _created(self, new: NewExecution, created: Created | None) -> None:
        if created is not None and created.fresh:
            self._counts[new.summary.status] += 1
            self._newborn.put(new)
            self._desk.issue(new.execution_id, 0)
            self.doorbell.ring(Topic.WORK, new.execution_id)

    def _committed(self, commit: Commit, ticket: Ticket | None, done: sqlite_writes.Done | None) -> None:
        execution_id = commit.execution_id
        happened = done is not None and not done.repeated
        sooner = False
        if done is not None and happened:
            self._counts[done.before] -= 1
            self._counts[done.after] += 1
            if done.released:
                sooner = self._desk.release(execution_id, commit.epoch, commit.wake_at_ms)
        if (ticket is not None and self._desk.end_commit(ticket)) or sooner:
            self.doorbell.ring(Topic.WORK, execution_id)
        if happened and commit.batch.count:
            self.doorbell.ring(Topic.JOURNAL, execution_id)

    def _delivered(self, execution_id: str, delivered: sqlite_writes.Delivered | None) -> None:
        if delivered is not None and delivered.fresh:
            self._newborn.take(execution_id)
            if self._desk.issue(execution_id, delivered.epoch):
                self.doorbell.ring(Topic.WORK, execution_id)
            self.doorbell.ring(Topic.INBOX, execution_id)

    def _removed(self, execution_id: str, status: str | None) -> None:
        if status is not None:
            self._counts[status] -= 1
            self._newborn.take(execution_id)
            self._desk.forget(execution_id)

    def _reconciled(self, mended: list[str], answer: tuple[list[tuple[str, int]], str | None] | None) -> None:
        for execution_id, epoch in answer[0] if answer is not None else ():
            if self._desk.issue(execution_id, epoch):
                mended.append(execution_id)
                self.doorbell.ring(Topic.WORK, execution_id)

    def _refilled(self, horizon: Key, answer: tuple[list[Due], bool] | None) -> None:
        if answer is not None:
            self._desk.refill(answer[0], horizon, complete=answer[1])

    def _held(self, record: Record) -> Record:
        """The record with what memory knows better: a timer that became a ticket, a newer epoch."""
        ticket = self._desk.ticket(record.execution_id)
        if ticket is None:
            return record
        return msgspec.structs.replace(
            record, hold=Hold.TICKET, wake_at_ms=None, epoch=max(record.epoch, ticket.epoch)
        )

    # The file and its two threads.

    def _check_open(self) -> None:
        if self._writer is None:
            raise rules.closed()

    def _journals(self, claims: tuple[Claim, ...]) -> dict[str, Loaded]:
        kept = ((claim.execution_id, self._newborn.take(claim.execution_id)) for claim in claims)
        return {execution_id: journal for execution_id, journal in kept if journal is not None}

    def _write(
        self, run: Run[T], settled: Settled[T] | None = None, *, heavy: bool = False
    ) -> asyncio.Future[T]:
        if self._writer is None:
            raise rules.closed()
        return self._writer.do(run, settled, heavy=heavy)

    def _read(self, run: Run[T]) -> asyncio.Future[T]:
        if self._reader is None:
            raise rules.closed()
        return self._reader.do(run, heavy=True)

    def _connect_writer(self) -> apsw.Connection:
        return sqlite_file.connect(self._path, self._vfs, cache_mib=16)

    def _connect_reader(self) -> apsw.Connection:
        connection = sqlite_file.connect(self._path, self._vfs, cache_mib=8)
        connection.pragma("query_only", True)
        return connection

    def _open_file(self) -> _Opened:
        lock = sqlite_file.lock(self._path)
        connections: list[apsw.Connection] = []
        try:
            sqlite_file.check_size(self._path)
            writer = self._connect_writer()
            connections.append(writer)
            sqlite_file.prepare(writer, self._path)
            reader = self._connect_reader()
            connections.append(reader)
            cursor = writer.cursor()
            return _Opened(
                lock,
                writer,
                reader,
                sqlite_reads.tickets(cursor),
                sqlite_reads.counts(cursor),
                sqlite_writes.timers_after(cursor, NOWHERE, self._timer_window // 2),
            )
        except BaseException as error:
            for connection in reversed(connections):
                connection.close()
            os.close(lock)
            if isinstance(error, (apsw.NotADBError, apsw.CorruptError)):
                raise sqlite_file.no_database(self._path) from error
            if isinstance(error, (apsw.Error, OSError)):
                raise StoreUnavailable(f"{self._path} cannot be used for now: {error}") from error
            raise

    def _begin(self, opened: _Opened) -> None:
        self._counts = opened.counts
        self._newborn = Newborn()
        self._desk = Desk(self._clock, Timers(self._timer_window))
        for execution_id, epoch in opened.tickets:
            self._desk.issue(execution_id, epoch)
        rows, complete = opened.timers
        self._desk.refill(rows, NOWHERE, complete=complete)
        reader = Worker("sidestep-sqlite-reader", self._connect_reader, "BEGIN", lambda: None)

        def let_go() -> None:
            reader.join()
            os.close(opened.lock)

        writer = Worker("sidestep-sqlite-writer", self._connect_writer, "BEGIN IMMEDIATE", let_go)
        reader.start(opened.reader)
        writer.start(opened.writer)
        self._reader, self._writer = reader, writer


def _undo(opening: "asyncio.Future[_Opened]") -> None:
    """The caller of `open` was cancelled: close what was opened after all."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
