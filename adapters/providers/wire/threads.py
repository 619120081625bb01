"""Blocking vendor code off the event loop, in threads that never hold up the process's exit.

Every provider's lookups run in threads of their own: were they to share the loop's default executor, one
cloud whose name servers or metadata service hang would use up its few threads and stall the fallback.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, name: str) -> T:
    """What `work` returns or raises, computed in a daemon thread.

    Cancelling stops the waiting, not the thread: bound the work by timeouts of its own.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only beside an error, or when T has it

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as problem:  # noqa: BLE001  whatever it is belongs to the waiting task
            error = problem
        # The loop may have closed while the work ran; then nobody waits for the answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=run, name=f"sidestep-{name}", daemon=True).start()
    return await future
