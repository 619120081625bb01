"""Puts together what a board shows of the providers, to people and to whatever scrapes metrics."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from core.engine.health.calls import Calls
from core.engine.health.functions import FunctionWatch
from core.engine.health.isolation import Isolation
from core.engine.health.overrides import Overrides
from core.engine.health.places import PlaceWatch
from core.engine.health.queues import Queue
from core.engine.health.register import Register
from core.engine.health.report import BreakerReport, FunctionReport, PlaceReport, ProviderReport
from core.engine.health.standings import Standings
from core.engine.health.stats import Stats
from core.engine.health.watched import Watched
from core.failover.breaker import Counts, Phase, ramp_at, share
from core.failover.settings import FailoverSettings
from core.graph.model import PROVIDERS

MOST_SHOWN = 100
"""Functions of one place that are shown."""

_WORST = {
    phase.value: rank
    for rank, phase in enumerate((Phase.CLOSED, Phase.SUSPECT, Phase.RAMPING, Phase.HALF_OPEN, Phase.OPEN))
}


class Reporting:
    """Reads what the other parts keep; changes nothing."""

    def __init__(
        self,
        refused: Mapping[str, str],
        settings: FailoverSettings,
        register: Register,
        overrides: Overrides,
        isolation: Isolation,
        standings: Standings,
        calls: Calls,
        queue: Queue,
    ) -> None:
        self._refused = refused
        self._settings = settings
        self._register = register
        self._overrides = overrides
        self._isolation = isolation
        self._standings = standings
        self._calls = calls
        self._queue = queue

    def providers(self, now: int) -> tuple[ProviderReport, ...]:
        """Every provider, in the order of their names in definitions."""
        places: defaultdict[str, list[PlaceWatch]] = defaultdict(list)
        for place in self._register.places.values():
            places[place.provider].append(place)
        came: Counter[str] = Counter()
        left: Counter[str] = Counter()
        for (one, other), count in self._calls.sidesteps.items():
            left[one] += count
            came[other] += count
        return tuple(
            self._provider(name, places[name], came[name], left[name], now)
            for name in dict.fromkeys((*PROVIDERS, *sorted(places)))
        )

    def _provider(
        self, name: str, places: list[PlaceWatch], came: int, left: int, now: int
    ) -> ProviderReport:
        stats = self._calls.stats.get(name) or Stats()
        state, why = self._state(name, places, now)
        return ProviderReport(
            name=name,
            configured=name not in self._refused,
            why_not=self._refused.get(name),
            state=state,
            why=why,
            overrides=self._overrides.of_provider(name),
            places=tuple(
                self._place(place, now) for place in sorted(places, key=lambda one: one.region or "")
            ),
            in_flight=stats.sent - stats.ended,
            calls=stats.sent,
            failures=stats.failed,
            signals=dict(stats.signals),
            recent=stats.recent(),
            p50_ms=stats.latency.quantile(0.5),
            p95_ms=stats.latency.quantile(0.95),
            sidesteps_in=came,
            sidesteps_out=left,
            hedges=stats.hedges,
            rehearsals=stats.rehearsals,
            probes=stats.all_probes,
            parked=stats.parked,
            queued=self._queue.waiting(name),
        )

    def _state(self, name: str, places: list[PlaceWatch], now: int) -> tuple[str, str]:
        override = self._overrides.of_all(name)
        if override is not None:
            return override.state, override.reason
        told = [self._standings.of_place(place) for place in places]
        worst = max(told, key=lambda one: _WORST.get(one.state, len(_WORST)), default=None)
        if worst is not None and worst.state != Phase.CLOSED.value:
            return worst.state, worst.why
        failed = next((place.probe_why for place in places if place.probe_failed(now)), None)
        return Phase.CLOSED.value, "" if failed is None else f"the last probe failed: {failed}"

    def _place(self, place: PlaceWatch, now: int) -> PlaceReport:
        busiest = sorted(
            place.functions.values(),
            key=lambda one: (
                one.breaker.phase is Phase.CLOSED,
                -one.window.counts(now).calls,
                str(one.target),
            ),
        )
        return PlaceReport(
            region=place.region,
            breaker=self._breaker(place, place.cheap_counts(now)),
            functions=tuple(self._function(one, now) for one in busiest[:MOST_SHOWN]),
        )

    def _function(self, function: FunctionWatch, now: int) -> FunctionReport:
        return FunctionReport(
            target=function.target,
            breaker=self._breaker(function, function.counts(now)),
            in_flight=function.in_flight,
            p50_ms=function.p50_ms,
            p95_ms=function.p95_ms,
            p99_ms=function.p99_ms,
            room=None if function.limit is None else function.room(),
        )

    def _breaker(self, watched: Watched, counts: Counts) -> BreakerReport:
        breaker = watched.breaker
        probe = None
        if breaker.phase is Phase.OPEN:
            probe = breaker.until
        elif breaker.phase is Phase.HALF_OPEN:
            probe = max(watched.probing.next_at, breaker.since)
        ramps = breaker.phase in (Phase.OPEN, Phase.HALF_OPEN)
        return BreakerReport(
            state=breaker.phase.value,
            why=breaker.why,
            since_ms=breaker.since,
            next_probe_ms=probe,
            ramp_ms=ramp_at(breaker, self._settings) if ramps else None,
            share=share(breaker, self._settings),
            openings=len(breaker.openings),
            window_seconds=self._settings.window_seconds,
            calls=counts.calls,
            failures=counts.failures,
            overdue=counts.overdue,
        )
