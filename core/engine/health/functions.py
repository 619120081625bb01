"""What one function's board entry holds: its calls under way, its answers' durations, its limits."""

from typing import TYPE_CHECKING

from core.engine.health.watched import Watched
from core.failover.breaker import Counts, Phase
from core.failover.concurrency import MOST, Limit, cut, grown, room
from core.failover.evidence import Against
from core.failover.latency import Latency
from core.failover.settings import FailoverSettings
from core.failover.window import Streak
from core.graph.model import Target

if TYPE_CHECKING:
    from core.engine.health.flights import BoardFlight
    from core.engine.health.places import PlaceWatch

ENOUGH = 20
"""Answers from which on quantiles are told."""

PLACE_STREAK = 16
"""How many failures in a row a place needs to know of one of its functions, at most."""

CUT_FACTOR = 0.7
CUT_LEAST = 4
CUT_EVERY_MS = 1_000
"""How a limit of sidestepped calls gives way to throttling."""


class FunctionWatch(Watched):
    """One function. `flights` are its calls under way that are not overdue, oldest first; `late` those that
    are and count as bad. `in_room` and `in_static` count its sidestepped and its static calls, decided or
    under way.
    """

    __slots__ = (
        "called_at",
        "failed_at",
        "flights",
        "in_flight",
        "in_room",
        "in_static",
        "late",
        "latency",
        "limit",
        "overdue_ms",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "place",
        "provider_streak",
        "refreshed_at",
        "settings",
        "static",
        "target",
        "unrefreshed",
    )

    def __init__(self, target: Target, place: "PlaceWatch", settings: FailoverSettings, now: int) -> None:
        super().__init__(target, settings)
        self.target = target
        self.place = place
        self.settings = settings
        self.called_at = now
        self.flights: dict[BoardFlight, None] = {}
        self.late: dict[BoardFlight, None] = {}
        self.provider_streak = Streak(PLACE_STREAK)
        self.failed_at = -1
        """When the newest-sent call that failed by its provider's fault was sent."""
        self.in_flight = 0
        self.in_room = 0
        self.in_static = 0
        self.latency: Latency | None = None
        self.unrefreshed = False
        self.refreshed_at = 0
        self.p50_ms: float | None = None
        self.p95_ms: float | None = None
        self.p99_ms: float | None = None
        self.overdue_ms: float | None = None
        self.limit: Limit | None = None
        self.static = Limit(settings.static_room)

    def first_limit(self) -> Limit:
        """The limit of sidestepped calls before anything is known."""
        return Limit(self.settings.fallback_room)

    def room(self) -> int:
        """How many more sidestepped calls it may get at once."""
        return room(self.limit or self.first_limit(), self.in_room)

    def static_room(self) -> int:
        """How many more calls it may get although it is known to fail."""
        return room(self.static, self.in_static)

    def learn_room(self, against: Against, now: int, *, sidestepped: bool, static: bool) -> None:
        """Let the limits follow how a call ended; it is still counted among those under way."""
        if against is Against.SATURATION:
            self.limit = cut(self.limit or self.first_limit(), now, CUT_FACTOR, CUT_LEAST, CUT_EVERY_MS)
        elif sidestepped and against is Against.NOBODY and self.limit is not None:
            self.limit = grown(self.limit, self.in_room)
        if not static:
            return
        if against is Against.NOBODY:
            self.static = Limit(min(MOST, self.static.size + 1), self.static.cut_at)
        elif against is Against.PROVIDER or against is Against.FUNCTION:
            self.static = cut(self.static, now, 0.5, 1, 0)

    def answered(self, duration_ms: float, now: int) -> None:
        """Its code ran and answered after so long."""
        if self.latency is None:
            self.latency = Latency()
        self.latency.add(duration_ms, now)
        self.unrefreshed = True

    def refresh(self, now: int) -> bool:
        """Work out the quantiles anew; whether any has changed."""
        self.unrefreshed = False
        self.refreshed_at = now
        latency = self.latency
        if latency is None or latency.samples < ENOUGH:
            return False
        before = (self.p95_ms, self.p99_ms, self.overdue_ms)
        self.p50_ms = latency.quantile(0.5)
        self.p95_ms = latency.quantile(0.95)
        self.p99_ms = latency.quantile(0.99)
        longest = latency.quantile(0.999)
        if latency.samples >= self.settings.overdue_samples and longest is not None:
            self.overdue_ms = max(self.settings.overdue_floor_ms, self.settings.overdue_factor * longest)
        else:
            self.overdue_ms = None
        return before != (self.p95_ms, self.p99_ms, self.overdue_ms)

    def newly_overdue(self, board_ms: float) -> "list[BoardFlight]":
        """Take out and return the calls that are overdue now."""
        found: list[BoardFlight] = []
        limit = self.overdue_ms
        for flight in self.flights:
            due = flight.timeout_ms if limit is None or flight.timeout_ms < limit else limit
            # Oldest first: where this one is not overdue, none sent after it is.
            if board_ms - flight.sent_board_ms < due:
                break
            found.append(flight)
        for flight in found:
            del self.flights[flight]
        return found

    def forgive(self, newest: int) -> "list[BoardFlight]":
        """Take out and return the overdue calls that were sent up to `newest`, when one succeeded."""
        found: list[BoardFlight] = []
        for flight in self.late:
            if flight.sent_ms > newest:
                break
            found.append(flight)
        for flight in found:
            del self.late[flight]
        return found

    def forget(self, now: int) -> None:
        """Start to count anew."""
        super().forget(now)
        self.provider_streak.forget(now)
        for flight in self.late:
            self.place.overdue.uncount(flight.sent_ms)
        self.late.clear()
        self.place.late.pop(self, None)

    def provider_counts(self, now: int) -> tuple[int, int, int]:
        """Calls, failures by the provider's fault, and overdue ones in the window: what its place asks."""
        own = self.window.counts(now)
        others = self.others_sum(now, self.settings.window_seconds)
        return own.calls + others[0], own.failures + others[1], self.overdue.counts(now).calls

    def pending(self) -> int:
        """Calls under way that count and are not overdue."""
        return sum(flight.sent_ms >= self.forgotten for flight in self.flights)

    def counts(self, now: int) -> Counts:
        """What its breaker is judged by."""
        own = self.window.counts(now)
        others = self.others_sum(now, self.settings.window_seconds)
        return Counts(
            calls=own.calls + others[0],
            failures=own.failures + own.faults + others[1] + others[2],
            overdue=self.overdue.counts(now).calls,
            streak=self.streak.length + len(self.late),
            pending=self.pending() if self.breaker.phase is Phase.RAMPING else 0,
        )
