"""A pool of daemon threads for functions, which may block for as long as they like.

The standard pool joins its threads when the interpreter ends, so one sleeping function would keep
a stopped program alive; and it cannot say whether a job has started, which the ledger must know.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Exited(Exception):
    """A function ended by what would end a program, a task or a generator: its own failure, not ours."""


def contained(error: BaseException) -> Exception:
    """An error that a caller can be handed.

    SystemExit and KeyboardInterrupt would end the event loop, CancelledError would pass for the caller's
    own, and a future refuses StopIteration.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    exited = Exited(f"{type(error).__name__}: {error}")
    exited.__cause__ = error
    return exited


class _Item(Generic[T]):
    """One job. `claim` and `cancel` exclude each other: a cancelled job never starts."""

    __slots__ = ("_lock", "_taken", "future", "job", "loop", "started")

    def __init__(self, job: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.started: float | None = None
        self._lock = threading.Lock()
        self._taken = False

    def claim(self) -> bool:
        with self._lock:
            if self._taken:
                return False
            self._taken = True
            self.started = time.monotonic()
            return True

    def cancel(self) -> None:
        with self._lock:
            self._taken = True

    def run(self, free: Callable[[], None]) -> None:
        """Do the job. `free` says that the thread is, before anybody can hear of the result."""
        try:
            result = self.job()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the job
            free()
            self._tell(self._fail, contained(error))
        else:
            free()
            self._tell(self._succeed, result)

    def _tell(self, callback: Callable[..., None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self.loop.call_soon_threadsafe(callback, value)

    def _succeed(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Workers:
    """At most `limit` threads, made when they are needed."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._queue: SimpleQueue[_Item[object] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    async def run(self, job: Callable[[], T], timeout: float) -> T:
        """Run a job in a thread and return its result.

        `timeout` (seconds) counts from the job's start; at its end TimeoutError rises and the
        thread runs on. What is no ordinary exception of the job (SystemExit) rises as Exited. A
        caller that is cancelled before the start prevents it.
        """
        item = _Item(job, asyncio.get_running_loop())
        self._queue.put(item)  # type: ignore[arg-type]  # the queue does not look at results
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._limit:
            self._spawn()
        try:
            left = timeout
            while left > 0:
                await asyncio.wait((item.future,), timeout=left)
                if item.future.done():
                    return item.future.result()
                started = item.started
                left = timeout if started is None else started + timeout - time.monotonic()
            raise TimeoutError
        finally:
            item.cancel()

    async def stop(self, grace: float) -> None:
        """End the threads. Those still busy after `grace` seconds are daemons and left to their function."""
        for _ in self._threads:
            self._queue.put(None)
        await asyncio.to_thread(self._join, time.monotonic() + grace)
        self._threads.clear()

    def _join(self, end: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _spawn(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if item.claim():
                item.run(self._idle.release)
            else:
                self._idle.release()
            del item
