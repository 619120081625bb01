"""An event loop on which waiting takes no time.

Time moves when nothing can run: then it jumps to the next timer. What takes real time (an expression in a
child process) holds it still. So a trial of a workflow that waits for a year ends at once, and the same
answers give the same times.
"""

import asyncio
import contextlib
import heapq
import math
import selectors
import time
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, Final

from core.ports.clock import Clock

FOR_EVER: Final = 1e12
"""Seconds from which on a sleep never ends: the engine's own rhythm is set to that, so that only what the
workflow waits for moves time."""

_UNWINDING: Final = 5.0
"""Seconds that a trial which was ended has for its own end."""


class CannotEnd(RuntimeError):
    """A trial that was ended goes on; its thread is given up with this."""


class MovedLoop(asyncio.SelectorEventLoop):
    """Runs one trial, in a thread of its own, for `seconds` of real time at most.

    `settled` is asked before time moves; what it returns True to has made something ready. `stuck` is called
    when nothing is left to wait for, `late` when the real time is up.
    """

    def __init__(self, seconds: float) -> None:
        self._virtual = 0.0
        self._times: list[float] = []
        self._outside = 0
        self._ends = time.monotonic() + seconds
        self.settled: Callable[[], bool] = lambda: False
        self.stuck: Callable[[], None] = lambda: None
        self.late: Callable[[], None] = lambda: None
        super().__init__(_Selector(self._idle))

    def time(self) -> float:
        """Seconds since the trial began, as the workflow sees them."""
        return self._virtual

    def call_at(  # type: ignore[override]  # any callback: what is passed on is not looked at
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; the time is kept, to jump there."""
        heapq.heappush(self._times, when)
        return super().call_at(when, callback, *args, context=context)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Time does not move inside: something outside the loop is awaited."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def _idle(self, timeout: float | None) -> float:
        """The loop has nothing to do for `timeout` seconds (None: no timer is set); returns for how long it
        shall wait in real time.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            if left < -_UNWINDING:
                raise CannotEnd("a trial did not end when it was told to")
            self.late()
            return 0
        if timeout is not None and timeout <= 0:
            return 0
        if self._outside:
            return left
        if self.settled():
            return 0
        if timeout is None:
            self.stuck()
            return 0
        while self._times and self._times[0] <= self._virtual:
            heapq.heappop(self._times)
        # A timer is due once its time is over, be it by the least that a float can tell.
        until = self._times[0] if self._times else self._virtual + timeout
        self._virtual = math.nextafter(until, math.inf)
        return 0


class _Selector(selectors.DefaultSelector):
    def __init__(self, idle: Callable[[float | None], float]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(self._idle(timeout))
        return found


class MovedClock(Clock):
    """The clock port over a MovedLoop; it begins at `start_ms` (Unix epoch, milliseconds)."""

    def __init__(self, loop: MovedLoop, start_ms: int) -> None:
        self._loop = loop
        self._start_ms = start_ms

    def now_ms(self) -> int:
        """As the port says."""
        return self._start_ms + round(self._loop.time() * 1e6) // 1000

    def monotonic(self) -> float:
        """As the port says."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """As the port says; from FOR_EVER on it has no timer."""
        if seconds >= FOR_EVER:
            await self._loop.create_future()
        elif seconds > 0:
            await asyncio.sleep(seconds)

    def call_later(self, seconds: float, ring: Callable[[], object]) -> Callable[[], None]:
        """As the port says; from FOR_EVER on it has no timer."""
        if seconds >= FOR_EVER:
            return lambda: None
        return self._loop.call_later(max(0.0, seconds), ring).cancel
