"""The clock of a running process."""

import asyncio
import time
from collections.abc import Callable

from core.ports.clock import Clock

_DAY = 86_400.0

_SLEW = 0.01
"""The most by which a clock that follows a host runs fast or slow: 1 % corrects any crystal's drift, and time
still only runs forward.
"""


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

    monotonic = staticmethod(time.monotonic)
    """Seconds since an arbitrary instant of this machine."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once where that is not positive."""
        until = time.monotonic() + seconds
        # A day at a time: event loops refuse timers that lie very far ahead.
        while (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - the clock is what is waited for
            await asyncio.sleep(min(left, _DAY))

    def call_later(self, seconds: float, ring: Callable[[], object]) -> Callable[[], None]:
        """As the port says."""
        loop = asyncio.get_running_loop()
        if seconds <= _DAY:
            return loop.call_later(seconds, ring).cancel
        return _FarOff(loop, time.monotonic() + seconds, ring).cancel


class _FarOff:
    """A timer that lies further ahead than event loops take: it is set a day at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, until: float, ring: Callable[[], object]) -> None:
        self._loop = loop
        self._until = until
        self._ring = ring
        self._timer = loop.call_later(_DAY, self._go_on)

    def cancel(self) -> None:
        self._timer.cancel()

    def _go_on(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            self._ring()
        else:
            self._timer = self._loop.call_later(min(left, _DAY), self._go_on)


class HostClock(SystemClock):
    """The clock of a host that many machines share, as one of them keeps it.

    The first reading of the host's clock sets it; later ones only make it run a little faster or slower. So
    machines whose wall clocks differ agree, and a jump of the host's own clock moves nothing at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._followed_ns: int | None = None

    def follow(self, host_ms: int, asked: float) -> None:
        """The host said `host_ms` (Unix epoch) in answer to a question of the instant `asked` (monotonic)."""
        now_ns = time.monotonic_ns()
        # It was read between question and answer: half way, give or take half the time between.
        unsure_ns = (now_ns - int(asked * 1e9)) // 2
        off_ns = host_ms * 1_000_000 + unsure_ns - (self._started_wall_ns + now_ns - self._started_ns)
        if self._followed_ns is None:
            self._followed_ns = now_ns
            self._started_wall_ns += off_ns
            return
        if abs(off_ns) <= unsure_ns + 1_000_000:
            # Within what the reading can tell (the host says whole milliseconds).
            self._followed_ns = now_ns
            return
        most = int((now_ns - self._followed_ns) * _SLEW)
        self._followed_ns = now_ns
        self._started_wall_ns += max(-most, min(most, off_ns))
