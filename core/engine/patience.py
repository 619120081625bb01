"""A time limit that a pause of this process does not use up.

After a pause (SIGSTOP, a virtual machine that stood still, a loop that something blocked) a timer is found
due before the loop has looked at its sockets, or in the same turn. An answer that came during the pause would
count as none, though it proves what happened.
"""

import asyncio
from types import TracebackType
from typing import Self

LATE_SECONDS = 0.1
"""A timer that fires this long after its time shows that the loop stood still."""

GRACE_SECONDS = 0.25
"""What the loop gets then, once, to read what has come."""


class Patience:
    """As `asyncio.timeout(seconds)`: TimeoutError for what takes longer, and a caller's own cancellation
    stays one. But a limit that is noticed late is extended once, by `grace` seconds. Enter it once.
    """

    # Not on top of asyncio.timeout: that is a second timer and a second state to keep, at every call.
    __slots__ = ("_cancelling", "_expired", "_grace", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float, grace: float = GRACE_SECONDS) -> None:
        self._seconds = seconds
        self._grace = grace
        self._expired = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to stop")
        self._task = task
        self._cancelling = task.cancelling()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        self._timer = loop.call_at(end, self._end, loop, end)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if not self._expired:
            return
        # Where somebody else cancelled the task as well, theirs stands.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end(self, loop: asyncio.AbstractEventLoop, end: float) -> None:
        now = loop.time()
        if now - end > LATE_SECONDS and self._grace:
            self._timer = loop.call_at(now + self._grace, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self._expired = True
        self._task.cancel()
