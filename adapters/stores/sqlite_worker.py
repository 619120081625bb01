"""A thread that owns one SQLite connection and runs what is queued, many jobs a transaction.

Group commit: a thread takes all that is queued, runs it in one transaction, and reports the batch to the
event loop in one call. While it waits for the disk the next batch gathers, so that the number of commits
that share an fsync grows with the load, and a lone commit waits for nobody.

A job makes its checks before its writes, so that one that is refused has written nothing. A job that fails
otherwise (an argument that cannot be stored) is taken out and the rest of its batch runs again: jobs depend
on nothing but the database and their arguments.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import apsw

from adapters.stores import rules
from core.errors import SidestepError, StoreError, StoreUnavailable

_log = logging.getLogger("sidestep.stores.sqlite")

MAX_BATCH = 512
_CHECKPOINT_PAGES = 2_000

_BLAMES_THE_JOB = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.TooBigError,
)

T = TypeVar("T")
Run = Callable[[apsw.Cursor], T]
Settled = Callable[[T | None], None]


class Job(Generic[T]):
    """What a thread does inside a transaction, and what the event loop does with the answer.

    `settled(answer)` is called on the event loop once the transaction was decided, whoever still waits. The
    answer is None where the job failed or was refused; its caller is told why.
    """

    __slots__ = ("answer", "error", "future", "run", "settled")

    def __init__(
        self,
        run: Run[T],
        settled: Settled[T] | None,
        future: asyncio.Future[T],
    ) -> None:
        self.run = run
        self.settled = settled
        self.future = future
        self.answer: T | None = None
        self.error: Exception | None = None


class Worker:
    """One thread, one connection. `begin` opens a batch's transaction; `last` runs when the thread ends."""

    def __init__(
        self, name: str, connect: Callable[[], apsw.Connection], begin: str, last: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._cursor: apsw.Cursor
        self._begin = begin
        self._last = last
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._ended = self._loop.create_future()
        self._away = False
        self._log_pages = 0
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self, connection: apsw.Connection) -> None:
        """Begin to work on an open connection, which is the thread's from now on."""
        self._adopt(connection)
        self._thread.start()

    async def do(self, run: Run[T], settled: Settled[T] | None = None) -> T:
        """Have `run` done in the next transaction, and return its answer once that is decided."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(run, settled, future))
        return await future

    async def stop(self) -> None:
        """Finish what was queued, close the connection and end the thread."""
        self._queue.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()  # it has nothing left to do

    def join(self) -> None:
        """Wait, in another thread, until this one has closed its connection."""
        self._thread.join()

    def _main(self) -> None:
        more = True
        while more:
            batch, more = self._take()
            if batch:
                self._transact(batch)
                if not self._report(self._settle, batch):
                    more = False
                del batch
                self._checkpoint()
        self._disconnect()
        self._last()
        self._report(self._end)

    def _take(self) -> tuple[list[Job[Any]], bool]:
        job = self._queue.get()
        batch: list[Job[Any]] = []
        try:
            while job is not None:
                batch.append(job)
                if len(batch) == MAX_BATCH:
                    return batch, True
                job = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _transact(self, jobs: list[Job[Any]]) -> None:
        while jobs:
            try:
                culprit = self._attempt(jobs)
            except (apsw.Error, OSError, MemoryError) as error:
                self._fail(jobs, error)
                return
            if culprit is None:
                if self._away:
                    self._away = False
                    _log.warning("the store's file can be used again")
                return
            jobs = [job for job in jobs if job is not culprit]

    def _attempt(self, jobs: list[Job[Any]]) -> Job[Any] | None:
        """Run all jobs in one transaction; or run none, and return the one that must not be among them."""
        if self._connection is None:
            self._adopt(self._connect())
        cursor = self._cursor
        cursor.execute(self._begin)
        for job in jobs:
            try:
                job.answer = job.run(cursor)
                job.error = None
            except SidestepError as refusal:
                job.error = refusal
            except _BLAMES_THE_JOB as error:
                self._roll_back()
                job.error = _named(error)
                return job
            except (apsw.Error, OSError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - it reaches the job's caller
                self._roll_back()
                job.error = _named(error)
                return job
        cursor.execute("COMMIT")
        return None

    def _fail(self, jobs: list[Job[Any]], error: Exception) -> None:
        if not self._away:
            self._away = True
            _log.error("the store's file cannot be used for now: %s", error)
        for job in jobs:
            job.error = StoreUnavailable(f"the store's file cannot be used for now: {error}")
            job.error.__cause__ = error
        try:
            self._roll_back()
        except apsw.Error:
            self._disconnect()
        if not isinstance(error, apsw.FullError):
            self._disconnect()  # whatever state it was in, the next batch finds another

    def _roll_back(self) -> None:
        # An error may have rolled back already.
        if self._connection is not None and self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _adopt(self, connection: apsw.Connection) -> None:
        # Checkpoints are ours to time: after the batch was reported, and not within its commit.
        connection.set_wal_hook(self._committed)
        self._connection = connection
        self._cursor = connection.cursor()

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return 0

    def _checkpoint(self) -> None:
        if self._log_pages < _CHECKPOINT_PAGES or self._connection is None:
            return
        self._log_pages = 0
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            # The log keeps what it has, and grows until the disk is well again.
            _log.warning("the log could not be copied into the store's file: %s", error)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _report(self, call: Callable[..., None], *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop was closed before the store: nobody waits any more
            return False
        return True

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    @staticmethod
    def _settle(batch: list[Job[Any]]) -> None:
        for job in batch:
            if job.settled is not None:
                try:
                    job.settled(None if job.error is not None else job.answer)
                except Exception as error:  # noqa: BLE001 - logged, and raised in the caller
                    _log.exception("a store could not follow its own write")
                    job.error = job.error or error
            future = job.future
            if future.done():
                continue  # its caller was cancelled; what happened has happened
            if job.error is None:
                future.set_result(job.answer)
            else:
                future.set_exception(job.error)


def _named(error: Exception) -> SidestepError:
    if isinstance(error, (UnicodeEncodeError, OverflowError, TypeError, apsw.TooBigError)):
        named: SidestepError = rules.unusable(error)
    else:
        named = StoreError(f"the store failed on one act: {type(error).__name__}: {error}")
    named.__cause__ = error
    return named
