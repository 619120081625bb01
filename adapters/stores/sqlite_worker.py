"""One SQLite connection, the acts that wait for it, and the thread that waits for the disk.

Group commit: the acts that came in while others were being decided are one transaction with one sync, so the
number that share a sync grows with the load, and a lone commit waits for nobody.

Who does what. A statement takes microseconds, and SQLite lets go of the interpreter's lock at each: in a
thread beside a busy event loop every one of them waits to get the lock back. So the event loop itself runs
the statements of ordinary acts, which touch a few pages that are mostly in memory, and the thread does what
waits for the disk: COMMIT, the copying of the log, connecting, waiting for somebody's lock. The connection
belongs to one side at a time, and changes hands twice a transaction. Acts that write or read much, or read
what nobody read lately, are `heavy`: the thread runs all of them.

A job makes its checks before its writes, so that one that is refused has written nothing. A job that fails
otherwise (an argument that cannot be stored) is taken out and the rest of its batch runs again: jobs depend
on nothing but the database and their arguments.
"""

import asyncio
import contextlib
import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import apsw

from adapters.stores import rules
from core.errors import SidestepError, StoreError, StoreUnavailable

_log = logging.getLogger("sidestep.stores.sqlite")

MAX_BATCH = 256
"""At some 15 us each, the event loop is held for 4 ms at most."""

PATIENCE_MS = 5_000
"""How long the thread waits for a lock of somebody's shell. The event loop does not wait at all."""

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
    """What is done inside a transaction, and what the event loop does with the answer.

    `settled(answer)` is called on the event loop once the transaction was decided, whoever still waits. The
    answer is None where the job failed or was refused; its caller is told why.
    """

    __slots__ = ("answer", "error", "future", "heavy", "run", "settled")

    def __init__(
        self,
        run: Run[T],
        settled: Settled[T] | None,
        future: asyncio.Future[T],
        *,
        heavy: bool,
    ) -> None:
        self.run = run
        self.settled = settled
        self.future = future
        self.heavy = heavy
        self.answer: T | None = None
        self.error: Exception | None = None


class _Batch:
    """Jobs of one transaction: those that are in it (`jobs`), and those that had to be taken out.

    `ran` says that the event loop has run them and only COMMIT is left; `broken` is what went wrong there.
    """

    __slots__ = ("broken", "jobs", "out", "ran")

    def __init__(self, jobs: list[Job[Any]]) -> None:
        self.jobs = jobs
        self.out: list[Job[Any]] = []
        self.ran = False
        self.broken: Exception | None = None


class Worker:
    """One connection, one thread. `begin` opens a batch's transaction; `last` runs when the thread ends."""

    def __init__(
        self, name: str, connect: Callable[[], apsw.Connection], begin: str, last: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._connection: apsw.Connection | None = None
        self._cursor: apsw.Cursor
        self._begin = begin
        self._last = last
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._away = False
        self._log_pages = 0
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        # What waits, whether the thread has the connection, and whether a look at what waits is coming.
        self._waiting: deque[Job[Any]] = deque()
        self._lent = False
        self._coming = False
        self._stopping = False
        self._handed: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()  # None ends the thread

    def start(self, connection: apsw.Connection) -> None:
        """Begin to work on an open connection, which is this worker's from now on."""
        self._adopt(connection)
        self._thread.start()

    def do(self, run: Run[T], settled: Settled[T] | None = None, *, heavy: bool = False) -> asyncio.Future[T]:
        """Have `run` done in the next transaction; the answer comes once that is decided."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Job(run, settled, future, heavy=heavy))
        self._look_soon()
        return future

    async def stop(self) -> None:
        """Finish what was queued, close the connection and end the thread."""
        self._stopping = True
        self._look_soon()
        await asyncio.shield(self._ended)
        self._thread.join()  # it has nothing left to do

    def join(self) -> None:
        """Wait, in another thread, until this one has closed its connection."""
        self._thread.join()

    # On the event loop.

    def _look_soon(self) -> None:
        """Begin a transaction once this turn of the loop is over: what comes in until then goes along."""
        if not self._lent and not self._coming:
            self._coming = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._coming = False
        waiting = self._waiting
        if waiting:
            heavy = waiting[0].heavy
            jobs: list[Job[Any]] = []
            while waiting and waiting[0].heavy is heavy and len(jobs) < MAX_BATCH:
                jobs.append(waiting.popleft())
            batch = _Batch(jobs)
            if not heavy and self._connection is not None:
                self._run_here(batch)
            self._lent = True
            self._handed.put(batch)
        elif self._stopping:
            self._lent = True
            self._handed.put(None)

    def _run_here(self, batch: _Batch) -> None:
        try:
            self._run(batch)
        except apsw.BusyError:
            return  # somebody's shell has the lock: the thread waits for it
        except Exception as error:  # noqa: BLE001 - the thread tells everybody in the batch
            batch.broken = error
        batch.ran = True

    def _settle(self, batch: _Batch) -> None:
        for job in itertools.chain(batch.jobs, batch.out):
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

    def _settle_and_go_on(self, batch: _Batch) -> None:
        self._settle(batch)
        self._go_on()

    def _go_on(self) -> None:
        """The connection came back."""
        self._lent = False
        if self._waiting or self._stopping:
            self._look_soon()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # In the thread.

    def _main(self) -> None:
        while (batch := self._handed.get()) is not None:
            self._decide(batch)
            if self._log_pages < _CHECKPOINT_PAGES:
                open_loop = self._report(self._settle_and_go_on, batch)
            else:
                open_loop = self._report(self._settle, batch)
                self._checkpoint()
                open_loop = self._report(self._go_on) and open_loop
            if not open_loop:
                break
            del batch
        self._disconnect()
        self._last()
        self._report(self._end)

    def _decide(self, batch: _Batch) -> None:
        """Bring a batch to its end: run it, where the event loop has not, and commit it."""
        if batch.broken is not None:
            self._fail(batch.jobs, batch.broken)
            return
        try:
            if self._connection is None:
                self._adopt(self._connect())
            if not batch.ran:
                self._roll_back()
                self._be_patient(PATIENCE_MS)
                try:
                    self._run(batch)
                finally:
                    self._be_patient(0)
            if batch.jobs:
                self._cursor.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a thread that died of it would leave all waiting for ever
            self._fail(batch.jobs, error)
            return
        if self._away:
            self._away = False
            _log.warning("the store's file can be used again")

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

    def _checkpoint(self) -> None:
        self._log_pages = 0
        if self._connection is None:
            return
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

    # On whichever side has the connection.

    def _run(self, batch: _Batch) -> None:
        """Begin a transaction with all of the batch's jobs, but for those that must not be among them."""
        while batch.jobs:
            culprit = self._attempt(batch.jobs)
            if culprit is None:
                return
            batch.jobs.remove(culprit)
            batch.out.append(culprit)

    def _attempt(self, jobs: list[Job[Any]]) -> Job[Any] | None:
        """Run all jobs in one transaction; or run none, and return the one that must not be among them."""
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
        return None

    def _roll_back(self) -> None:
        # An error may have rolled back already.
        if self._connection is not None and self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _adopt(self, connection: apsw.Connection) -> None:
        # Checkpoints are ours to time: after the batch was reported, and not within its commit.
        connection.set_wal_hook(self._committed)
        self._connection = connection
        self._cursor = connection.cursor()
        self._be_patient(0)

    def _be_patient(self, milliseconds: int) -> None:
        if self._connection is not None:
            self._connection.set_busy_timeout(milliseconds)

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return 0


def _named(error: Exception) -> SidestepError:
    if isinstance(error, (UnicodeEncodeError, OverflowError, TypeError, apsw.TooBigError)):
        named: SidestepError = rules.unusable(error)
    else:
        named = StoreError(f"the store failed on one act: {type(error).__name__}: {error}")
    named.__cause__ = error
    return named
