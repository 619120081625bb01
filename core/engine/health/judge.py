"""Moves the breakers: asks core.failover at the right moments, and carries out what it says.

A change takes effect here at once and is told to the other replicas afterwards; a change of theirs takes
effect here when it is heard of. Either way the same things follow from it: what is forgotten, who is shown
something new, who is rung.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from core.engine.health.functions import FunctionWatch
from core.engine.health.isolation import AT_ONCE_MS, Isolation
from core.engine.health.places import PlaceWatch
from core.engine.health.queues import Queue
from core.engine.health.register import Register
from core.engine.health.standings import Standings
from core.engine.health.watched import LETS_THROUGH, Probing, Watched
from core.failover.breaker import Breaker, Counts, Phase, breach, judge, probed
from core.failover.hanging import hung
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.ports.link import HealthEvent

log = logging.getLogger("sidestep.health")

_NOTHING = Counts(failing=0)
_CALM = frozenset({Phase.CLOSED, Phase.SUSPECT})
_KINDS = {
    Phase.OPEN: "BREAKER_OPENED",
    Phase.HALF_OPEN: "BREAKER_HALF_OPEN",
    Phase.RAMPING: "BREAKER_RAMPING",
    Phase.CLOSED: "BREAKER_CLOSED",
}


class Telling(Protocol):
    """Who tells the other replicas."""

    def moved(self, watched: Watched, event: HealthEvent | None) -> None:
        """This breaker changed here."""
        ...

    def taken_back(self, watched: Watched) -> None:
        """The opening of this breaker is undone."""
        ...

    def noted(self, event: HealthEvent) -> None:
        """This happened."""
        ...


class Judge:
    """`unsettled` are the breakers that a tick has to look at; `openings` counts those of this replica, by
    provider; `doubtful` are places of which a probe would settle whether they fail.
    """

    def __init__(
        self,
        replica: str,
        settings: FailoverSettings,
        entropy: Callable[[], float],
        register: Register,
        isolation: Isolation,
        standings: Standings,
        queue: Queue,
        telling: Telling,
    ) -> None:
        self._replica = replica
        self._settings = settings
        self._entropy = entropy
        self._register = register
        self._isolation = isolation
        self._standings = standings
        self._queue = queue
        self._telling = telling
        self._fresh: deque[tuple[int, Watched, Breaker, HealthEvent | None]] = deque()
        self.unsettled: dict[Watched, None] = {}
        self.doubtful: dict[PlaceWatch, None] = {}
        self.openings: Counter[str] = Counter()
        self.watchers: dict[Callable[[], None], None] = {}

    def tick(self, now: int) -> None:
        """Judge what is unsettled."""
        self.tell_of_openings(now)
        for watched in [*self.unsettled]:
            if isinstance(watched, FunctionWatch):
                self.function(watched, now)
                settled = not watched.late
            else:
                self.place(self._register.of(watched), now)
                settled = not self._register.of(watched).late
            if settled and watched.breaker.phase is Phase.CLOSED:
                self.unsettled.pop(watched, None)

    def sweep(self) -> None:
        """Let openings be forgotten that are long ago."""
        for watched in self._register.every():
            if watched.breaker.times and watched.breaker.phase is Phase.CLOSED:
                self.unsettled[watched] = None

    def tell_of_openings(self, now: int | None) -> None:
        """Make events of the openings that are not taken back any more (None: of all)."""
        while self._fresh and (now is None or now - self._fresh[0][0] > AT_ONCE_MS):
            event = self._fresh.popleft()[3]
            if event is not None:
                self._telling.noted(event)

    def function(self, function: FunctionWatch, now: int) -> None:
        """Judge a function's breaker."""
        breaker, place = function.breaker, function.place
        if breaker.phase in LETS_THROUGH:
            if self._isolation.since is not None:
                return
            # What is refused or probed as a whole needs no second breaker for each of its parts.
            if breaker.phase in _CALM and place.breaker.phase not in LETS_THROUGH:
                return
            counts = function.counts(now)
        elif breaker.phase is Phase.OPEN and now < breaker.until:
            return
        else:
            counts = _NOTHING
        after = judge(breaker, counts, now, self._settings, self._entropy())
        if after is not breaker:
            self.change(function, after, now)

    def place(self, place: PlaceWatch, now: int) -> None:
        """Judge a place's breaker."""
        breaker = place.breaker
        if breaker.phase in LETS_THROUGH:
            counts = place.counts(now)
        elif breaker.phase is Phase.OPEN and now < breaker.until:
            return
        else:
            counts = _NOTHING
        after = judge(breaker, counts, now, self._settings, self._entropy())
        if after is breaker:
            self._doubt(place, counts)
        else:
            self._place_moves(place, after, now)

    def hung(self, place: PlaceWatch, *, hung_ms: float, silent: tuple[PlaceWatch, ...], now: int) -> None:
        """Probes of this place failed while a call hung there for so long. `silent` are places of all other
        providers that were asked, if none of them answered.
        """
        after = hung(place.breaker, place.hang, hung_ms, now, self._settings, self._entropy())
        if after is not place.breaker:
            self._place_moves(place, after, now, silent)

    def _place_moves(
        self, place: PlaceWatch, after: Breaker, now: int, silent: tuple[PlaceWatch, ...] = ()
    ) -> None:
        """Carry out what was decided of a place, unless it is this replica that is cut off."""
        if self._isolation.since is not None:
            if after.phase is Phase.OPEN and place.provider not in self._isolation.providers:
                self._isolation.add(place.provider)
                self._standings.all()
        elif after.phase is not Phase.OPEN:
            self.change(place, after, now)
        elif cut_off := self._isolation.with_others(place, now, silent):
            self._isolate(cut_off, now)
        else:
            self.change(place, after, now)

    def probed(self, watched: Watched, *, ok: bool, why: str, now: int) -> None:
        """A probe of this key ended so."""
        before = watched.breaker
        after = probed(before, ok=ok, why=why, now=now, settings=self._settings, draw=self._entropy())
        if after is not before:
            self.change(watched, after, now)

    def change(self, watched: Watched, after: Breaker, now: int) -> None:
        """Take on a breaker that was decided here, and have it told."""
        before = watched.breaker
        if after.phase is Phase.OPEN and before.phase is not Phase.HALF_OPEN:
            self.openings[self._register.of(watched).provider] += 1
            watched.opened_here = now
            log.warning("the breaker of %s opened: %s", _told(watched), after.why)
        self._turn(watched, after, now)
        if before.phase in _CALM and after.phase in _CALM and before.times == after.times:
            # Each replica sees by itself what is only suspicious.
            return
        watched.version += 1
        event = self._event(watched, before, now)
        if before.phase is Phase.OPEN:
            # The events of one breaker keep their order.
            self.tell_of_openings(None)
        if watched.opened_here == now:
            # It takes effect everywhere at once, and is an event once it is sure not to be taken back.
            self._fresh.append((now, watched, before, event))
            event = None
        self._telling.moved(watched, event)

    def adopt(self, watched: Watched, breaker: Breaker, version: int, now: int) -> None:
        """Take on what another replica decided."""
        watched.version = version
        watched.opened_here = None
        if breaker != watched.breaker:
            self._turn(watched, breaker, now)

    def answered(self, sent_ms: int, now: int, *, by_probe: bool = False) -> None:
        """A place answered a call, or a probe, that was sent then."""
        if not self._isolation.over(sent_ms):
            return
        self._isolation.end(now, by_probe=by_probe)
        why = f"{'probes' if by_probe else 'calls'} are answered again"
        log.warning("%s: this replica is not cut off any more", why)
        for watched in self._register.every():
            watched.forget(now)
        self.look_anew()
        self._telling.noted(HealthEvent(at=now, kind="REPLICA_REJOINED", why=why, replica=self._replica))

    def look_anew(self) -> None:
        """Whether this replica is cut off has changed: new standings, and whoever waits asks again."""
        self._standings.all()
        self._queue.all()

    def _isolate(self, providers: tuple[str, ...], now: int) -> None:
        """Take back what was opened a moment ago, and say that this replica is cut off."""
        self._isolation.begin(providers, now)
        told = self._isolation.told or ""
        log.error("%s; it opens nothing, and tells the other replicas nothing", told)
        fresh, self._fresh = self._fresh, deque()
        for at, watched, before, event in fresh:
            provider = self._register.of(watched).provider
            if now - at > AT_ONCE_MS or provider not in providers or watched.opened_here != at:
                self._fresh.append((at, watched, before, event))
            else:
                watched.opened_here = None
                self.openings[provider] -= 1
                self._turn(watched, before, now)
                self._telling.taken_back(watched)
        self.look_anew()
        self._telling.noted(HealthEvent(at=now, kind="REPLICA_ISOLATED", why=told, replica=self._replica))

    def _turn(self, watched: Watched, after: Breaker, now: int) -> None:
        """What follows from a change, whoever decided it."""
        before, watched.breaker = watched.breaker, after
        if after.phase is not Phase.CLOSED:
            self.unsettled[watched] = None
        moved = (before.phase, before.stage) != (after.phase, after.stage)
        place = self._register.of(watched)
        if moved:
            calm = before.phase in _CALM and after.phase in _CALM
            if before.phase is after.phase is Phase.RAMPING:
                watched.recount(now)
            elif after.phase is not Phase.OPEN and not calm:
                watched.forget(now)
                if isinstance(watched, PlaceWatch) and before.phase is Phase.OPEN:
                    for function in watched.functions.values():
                        function.forget(now)
            if after.phase is Phase.HALF_OPEN:
                watched.probing = Probing()
        if isinstance(watched, FunctionWatch):
            self._standings.function(watched)
        else:
            self._standings.place(place)
        if moved and after.phase in {Phase.OPEN, Phase.SUSPECT}:
            self.worse()
        if moved and after.phase is not Phase.OPEN:
            if isinstance(watched, FunctionWatch):
                self._queue.better(watched.target.__eq__)
            else:
                self._queue.better(lambda target: (target.provider, target.region) == watched.key)

    def worse(self) -> None:
        """Something stands worse: who watches looks after the calls under way."""
        for ring in [*self.watchers]:
            ring()

    def _doubt(self, place: PlaceWatch, counts: Counts) -> None:
        """Overdue calls of few functions: a probe that fails, too, would open the place."""
        if not counts.failing_overdue or counts.probe_failed or place.breaker.phase not in _CALM:
            return
        supposing = Counts(
            calls=counts.calls,
            failures=counts.failures,
            overdue=counts.overdue,
            streak=counts.streak,
            failing=counts.failing,
            failing_overdue=counts.failing_overdue,
            active=counts.active,
            probe_failed=True,
        )
        if breach(supposing, self._settings) is not None:
            self.doubtful[place] = None

    def _event(self, watched: Watched, before: Breaker, now: int) -> HealthEvent | None:
        """What people are told of a change; None where it is a detail."""
        after = watched.breaker
        if before.phase is after.phase or (before.phase in _CALM and after.phase in _CALM):
            return None
        place = self._register.of(watched)
        return HealthEvent(
            at=now,
            kind=_KINDS[after.phase],
            provider=place.provider,
            region=place.region,
            function_id=watched.target.function_id if isinstance(watched, FunctionWatch) else None,
            why=after.why,
            replica=self._replica,
        )


def _told(watched: Watched) -> str:
    key = watched.key
    return str(key) if isinstance(key, Target) else " ".join(part for part in key if part)
