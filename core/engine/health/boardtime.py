"""Board time: milliseconds that pass only while this process looks.

A process that was stopped, or an event loop that stalled, comes back to calls that seem to have hung all the
while, although their answers lie unread in its sockets. So ages are measured in a time in which a gap between
two looks counts for little.
"""

from core.ports.clock import Clock

LONGEST_GAP_MS = 200.0
"""What a gap between two looks counts at most; the board looks every 50 ms and at every call."""


class BoardTime:
    """`now_ms` is the board time of the last look, `lost_ms` what its gaps left out since the beginning."""

    __slots__ = ("_last", "_monotonic", "lost_ms", "now_ms")

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._last = clock.monotonic()
        self.now_ms = 0.0
        self.lost_ms = 0.0

    def look(self) -> float:
        """The board time now, in milliseconds."""
        at = self._monotonic()
        gap = (at - self._last) * 1000
        self._last = at
        if gap > LONGEST_GAP_MS:
            self.lost_ms += gap - LONGEST_GAP_MS
            gap = LONGEST_GAP_MS
        self.now_ms += gap
        return self.now_ms
