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

    __slots__ = ("_grace", "_limit", "_seconds", "_timer")

    def __init__(self, seconds: float, grace: float = GRACE_SECONDS) -> None:
        self._seconds = seconds
        self._grace = grace
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
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
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _end(self, loop: asyncio.AbstractEventLoop, end: float) -> None:
        now = loop.time()
        self._limit.reschedule(now + self._grace if now - end > LATE_SECONDS else now)
