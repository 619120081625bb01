"""One breaker with what is counted for it: the part that functions and places share."""

import asyncio

from core.failover.breaker import Breaker, Phase
from core.failover.settings import FailoverSettings
from core.failover.window import Streak, Window
from core.ports.link import Key

LETS_THROUGH = frozenset({Phase.CLOSED, Phase.SUSPECT, Phase.RAMPING})
"""The phases in which ordinary calls reach a key."""

Sums = tuple[int, int, int]
"""Calls, failures by their provider's fault, failures by their function's."""


class Probing:
    """Where the probing of one half open key stands. `next_at` (Unix epoch, milliseconds) is when the next
    probe may start, `busy` says that one is under way.

    `offered` says that one real call may be the probe now, `taken` that one was decided as it. `coming` is
    set then, `done` when it is over; `conclusive` says whether it proved anything.
    """

    __slots__ = ("busy", "coming", "conclusive", "done", "lasts", "next_at", "offered", "taken")

    def __init__(self) -> None:
        self.next_at = 0
        self.lasts = 0.0
        self.busy = False
        self.offer()
        self.offered = False

    def offer(self) -> None:
        """A real call may be the probe."""
        self.offered, self.taken, self.conclusive = True, False, False
        self.coming, self.done = asyncio.Event(), asyncio.Event()

    def take(self, lasts: float) -> None:
        """One is, which lasts so many seconds at most."""
        self.lasts = lasts
        self.offered, self.taken = False, True
        self.coming.set()

    def settled(self, *, conclusive: bool) -> None:
        """It is over."""
        self.conclusive = conclusive
        self.done.set()


class Watched:
    """A breaker, its version among the replicas, and its window. `overdue` counts the calls under way that
    are overdue, by when they were sent; `others` is what other replicas counted, by second.
    """

    __slots__ = (
        "breaker",
        "forgotten",
        "key",
        "opened_here",
        "others",
        "overdue",
        "probing",
        "streak",
        "version",
        "window",
    )

    def __init__(self, key: Key, settings: FailoverSettings) -> None:
        self.key = key
        self.breaker = Breaker()
        self.version = 0
        self.window = Window(settings.window_seconds)
        self.overdue = Window(settings.window_seconds)
        self.streak = Streak()
        self.others: dict[int, Sums] = {}
        self.forgotten = 0
        self.opened_here: int | None = None
        """When this replica opened it (Unix epoch, milliseconds), as long as that is what holds."""
        self.probing = Probing()

    def others_sum(self, now: int, seconds: int) -> Sums:
        """What the other replicas counted of the window, since this key was last forgotten."""
        if not self.others:
            return (0, 0, 0)
        # A second counts whole: the one in which the breaker changed may hold calls of before.
        oldest = max(now // 1000 - seconds + 1, self.forgotten // 1000 + 1 if self.forgotten else 0)
        calls = failures = faults = 0
        for second, sums in self.others.items():
            if second >= oldest:
                calls += sums[0]
                failures += sums[1]
                faults += sums[2]
        return (calls, failures, faults)

    def recount(self, now: int) -> None:
        """Count calls anew for the next stage of a ramp. Failures in a row go on: at a target that is called
        rarely they may need more than one stage to add up.
        """
        self.window.forget(now)
        self.overdue.forget(now)

    def forget(self, now: int) -> None:
        """Start to count anew: what is under way counts no longer, either."""
        self.forgotten = now
        self.window.forget(now)
        self.overdue.forget(now)
        self.streak.forget(now)
