"""The clock of a running process."""

import asyncio
import time

from core.ports.clock import Clock

_DAY = 86_400.0


class SystemClock(Clock):
    """Host time is the wall clock at construction plus the monotonic time since.

    A wall clock that jumps afterwards moves nothing; a new process starts from the wall clock it finds.
    """

    def __init__(self) -> None:
        self._started_wall_ns = time.time_ns()
        self._started_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """Unix epoch, milliseconds."""
        return (self._started_wall_ns + time.monotonic_ns() - self._started_ns) // 1_000_000

    def monotonic(self) -> float:
        """Seconds since an arbitrary instant of this machine."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once where that is not positive."""
        until = time.monotonic() + seconds
        # A day at a time: event loops refuse timers that lie very far ahead.
        while (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - the clock is what is waited for
            await asyncio.sleep(min(left, _DAY))
