"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable

from core.ports.clock import Clock

_NS = 1_000_000_000


class ManualClock(Clock):
    """Both kinds of time start where they are told and move by `advance` alone.

    Time is counted in whole nanoseconds, so that ten advances of 0.1 s are exactly one second.
    """

    def __init__(self, start_ms: int = 1_700_000_000_000, monotonic: float = 1_000.0) -> None:
        self._start_ms = start_ms
        self._start_monotonic = monotonic
        self._elapsed_ns = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Unix epoch, milliseconds."""
        return self._start_ms + self._elapsed_ns // 1_000_000

    def monotonic(self) -> float:
        """Seconds."""
        return self._start_monotonic + self._elapsed_ns / _NS

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by `seconds`; at once where that is not positive."""
        if seconds <= 0:
            return
        await self._after(seconds)

    def call_later(self, seconds: float, ring: Callable[[], object]) -> Callable[[], None]:
        """Call `ring` once the clock was advanced by `seconds`; in the loop's next turn where that is not
        positive.
        """
        if seconds <= 0:
            return asyncio.get_running_loop().call_soon(ring).cancel
        after = self._after(seconds)
        wanted = True

        def fire(_: asyncio.Future[None]) -> None:
            if wanted:
                ring()

        def take_back() -> None:
            nonlocal wanted
            wanted = False
            after.cancel()

        after.add_done_callback(fire)
        return take_back

    def _after(self, seconds: float) -> "asyncio.Future[None]":
        """A future that is done once the clock was advanced by `seconds`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nanoseconds = seconds * _NS
        if math.isfinite(nanoseconds):
            wake_ns = self._elapsed_ns + math.ceil(nanoseconds)
            heapq.heappush(self._sleepers, (wake_ns, next(self._order), future))
        return future

    def advance(self, seconds: float) -> None:
        """Move time forward and wake every sleeper whose time has come, earliest first.

        They run when the event loop next gets its turn. Raises ValueError for a negative step.
        """
        if seconds < 0:
            raise ValueError("a clock does not go backwards")
        self._elapsed_ns += round(seconds * _NS)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_ns:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock; a test waits for them before it advances."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def next_wake_in(self) -> float | None:
        """Seconds until the earliest sleeper's time, or None where nobody sleeps."""
        pending = [wake_ns for wake_ns, _, future in self._sleepers if not future.done()]
        return (min(pending) - self._elapsed_ns) / _NS if pending else None
