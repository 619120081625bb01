"""What one place's board entry holds: a provider and a region, and how many of its functions fail."""

from typing import TYPE_CHECKING

from core.engine.health.watched import Watched
from core.failover.breaker import Counts, Phase
from core.failover.hanging import Hang
from core.failover.health import Place
from core.failover.settings import FailoverSettings
from core.graph.model import Target

if TYPE_CHECKING:
    from core.engine.health.functions import FunctionWatch

PART_OF_STREAK = 2
"""Failures in a row that make a function one of the failing, where the whole place has had no success since:
half of a window's calls takes seconds to come together at a place that was well. Where as many functions as
must agree failed since then, one failure of each will do.
"""


class PlaceWatch(Watched):
    """One place. `functions` are those that the board tracks there, `late` those with overdue calls that
    count. `last_target` is a function that was called there, to be probed.
    """

    __slots__ = (
        "called_at",
        "checked_at",
        "failing_since",
        "functions",
        "hang",
        "idle_probed_at",
        "last_target",
        "late",
        "probe_failed_at",
        "probe_why",
        "settings",
    )

    def __init__(self, place: Place, settings: FailoverSettings, now: int) -> None:
        super().__init__(place, settings)
        self.settings = settings
        self.functions: dict[Target, FunctionWatch] = {}
        self.late: dict[FunctionWatch, None] = {}
        self.last_target: Target | None = None
        self.called_at = now
        self.idle_probed_at = now
        self.probe_failed_at: int | None = None
        self.probe_why = ""
        self.checked_at = 0
        self.hang = Hang()
        self.failing_since = 0
        """When the first call of what fails in a row now was sent."""

    def forget(self, now: int) -> None:
        """Start to count anew."""
        super().forget(now)
        self.hang = Hang(well_at=self.hang.well_at)

    @property
    def place(self) -> Place:
        """Its key."""
        return self.key  # type: ignore[return-value]  # made from one

    @property
    def provider(self) -> str:
        """Its provider's name."""
        return self.place[0]

    @property
    def region(self) -> str | None:
        """Its region; None is the one of the settings."""
        return self.place[1]

    def probe_failed(self, now: int) -> bool:
        """Whether a probe failed lately, and no call has been answered since."""
        at = self.probe_failed_at
        return at is not None and now - at < 2_000 * self.settings.idle_seconds

    def cheap_counts(self, now: int) -> Counts:
        """What is counted in constant time: it opens nothing, for no function is asked whether it fails."""
        own = self.window.counts(now)
        others = self.others_sum(now, self.settings.window_seconds)
        return Counts(
            calls=own.calls + others[0],
            failures=own.failures + others[1],
            overdue=self.overdue.counts(now).calls,
            streak=self.streak.length,
            failing=0,
            pending=self.pending() if self.breaker.phase is Phase.RAMPING else 0,
        )

    def counts(self, now: int, *, thorough: bool = False) -> Counts:
        """What its breaker is judged by. The functions are asked one by one only where enough calls fail for
        an opening (`thorough`: always).
        """
        cheap = self.cheap_counts(now)
        bad = cheap.failures + cheap.overdue
        settings = self.settings
        streak = cheap.streak + (self._late_in_a_row(settings.consecutive) if self.late else 0)
        enough = streak >= settings.consecutive or (
            cheap.calls >= settings.minimum_calls and bad >= settings.failing * cheap.calls
        )
        if not enough and not thorough:
            return cheap
        failing, failing_overdue, active = self._agreeing(now)
        return Counts(
            calls=cheap.calls,
            failures=cheap.failures,
            overdue=cheap.overdue,
            streak=streak,
            failing=failing,
            failing_overdue=failing_overdue,
            active=active,
            probe_failed=self.probe_failed(now),
            pending=cheap.pending,
        )

    def pending(self) -> int:
        """Calls under way that count and are not overdue."""
        return sum(
            flight.sent_ms >= self.forgotten
            for function in self.functions.values()
            for flight in function.flights
        )

    def _newest_success(self) -> int:
        newest = self.streak.newest_success
        return max(-1 if newest is None else newest, self.forgotten - 1)

    def _late_in_a_row(self, enough: int) -> int:
        """Overdue calls sent after the newest-sent success of the place; no more are counted than needed."""
        newest = self._newest_success()
        found = 0
        for function in self.late:
            for flight in reversed(function.late):
                if flight.sent_ms <= newest or found >= enough:
                    break
                found += 1
            if found >= enough:
                break
        return found

    def _agreeing(self, now: int) -> tuple[int, int, int]:
        """How many functions fail, how many of them by overdue calls alone, and how many are in use."""
        newest = self._newest_success()
        failing = failing_overdue = active = once = once_overdue = 0
        for function in self.functions.values():
            calls, failures, overdue = function.provider_counts(now)
            length, late = function.provider_streak.length, len(function.late)
            active += bool(calls or late)
            bad = failures + overdue
            mostly = bool(bad) and 2 * bad >= calls
            row = length + late
            last = function.failed_at if length else -1
            if late:
                last = max(last, next(reversed(function.late)).sent_ms)
            success = function.streak.newest_success
            fresh = success is None or success < now - 1000 * self.settings.window_seconds
            in_streak = row > 0 and last > newest
            by_overdue = not failures and not length
            if mostly or (in_streak and (fresh or row >= PART_OF_STREAK)):
                failing += 1
                failing_overdue += by_overdue
            elif in_streak:
                once += 1
                once_overdue += by_overdue
        if failing + once >= self.settings.agreeing:
            failing, failing_overdue = failing + once, failing_overdue + once_overdue
        return failing, failing_overdue, max(1, active, failing)
