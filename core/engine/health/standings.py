"""What decisions are shown: one value, made anew only when something that it shows has changed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from core.engine.health.functions import FunctionWatch
from core.engine.health.overrides import Overrides
from core.engine.health.places import PlaceWatch
from core.engine.health.register import Register
from core.engine.health.watched import LETS_THROUGH
from core.failover.breaker import Breaker, Phase, share
from core.failover.hanging import overdue_at_open_ms
from core.failover.health import Health, Place, Standing
from core.failover.settings import FailoverSettings
from core.graph.model import PROVIDERS, Target
from core.ports.link import Override

if TYPE_CHECKING:
    from core.engine.health.budgets import Budgets
    from core.engine.health.isolation import Isolation

_WORSE = {Phase.CLOSED: 0, Phase.SUSPECT: 1, Phase.RAMPING: 2, Phase.HALF_OPEN: 3, Phase.OPEN: 4}


class Standings:
    """Keeps a Health. Whoever changes what it shows says of what: a function, a place, or all."""

    def __init__(
        self,
        refused: Mapping[str, str],
        settings: FailoverSettings,
        register: Register,
        overrides: Overrides,
        budgets: "Budgets",
        isolation: "Isolation",
    ) -> None:
        self._refused = dict(refused)
        self._settings = settings
        self._register = register
        self._overrides = overrides
        self._budgets = budgets
        self._isolation = isolation
        self._functions: dict[FunctionWatch, None] = {}
        self._places: dict[PlaceWatch, None] = {}
        self._dirty = False
        self._wide = False
        """Whether more than single functions have changed."""
        self._health = Health(
            self._refused,
            hedges=budgets.hedges,
            rehearse=settings.rehearse,
            reserve_share=settings.reserve_share,
            reserve_factor=settings.reserve_factor,
        )

    def function(self, function: FunctionWatch) -> None:
        """Something of this function has changed."""
        self._functions[function] = None
        self._dirty = True

    def place(self, place: PlaceWatch) -> None:
        """Something of this place, and so of its functions, has changed."""
        self._places[place] = None
        self._dirty = self._wide = True

    def provider(self, name: str) -> None:
        """Something of this provider has changed."""
        self._dirty = self._wide = True
        for place in self._register.places.values():
            if place.provider == name:
                self.place(place)

    def changed(self) -> None:
        """Something has changed that is of no place."""
        self._dirty = True

    def all(self) -> None:
        """Anything may have changed."""
        self._places.update(dict.fromkeys(self._register.places.values()))
        self._dirty = self._wide = True

    def gone(self, functions: Iterable[FunctionWatch]) -> None:
        """These are forgotten."""
        targets = {function.target for function in functions}
        if targets:
            kept = {target: one for target, one in self._health.functions.items() if target not in targets}
            self._health = msgspec.structs.replace(self._health, functions=kept)
            for function in [function for function in self._functions if function.target in targets]:
                del self._functions[function]

    def gone_places(self, places: Iterable[PlaceWatch]) -> None:
        """These are forgotten."""
        keys = {place.place for place in places}
        if keys:
            kept = {key: one for key, one in self._health.places.items() if key not in keys}
            self._health = msgspec.structs.replace(self._health, places=kept)
            for place in [place for place in self._places if place.place in keys]:
                del self._places[place]

    def view(self) -> Health:
        """What is known now."""
        if self._dirty:
            self._renew()
        return self._health

    def _renew(self) -> None:
        before = self._health
        functions: dict[Target, Standing] = dict(before.functions)
        places, providers = before.places, before.providers
        if self._wide:
            places = dict(places)
            for place in self._places:
                places[place.place] = self.of_place(place)
                for function in place.functions.values():
                    functions[function.target] = self.of(function)
            providers = self._of_providers()
        for function in self._functions:
            if function.place not in self._places:
                functions[function.target] = self.of(function)
        self._places.clear()
        self._functions.clear()
        self._dirty = self._wide = False
        self._health = Health(
            refused=self._refused,
            functions=functions,
            places=places,
            hedges=self._budgets.hedges,
            rehearse=before.rehearse,
            reserve_share=before.reserve_share,
            reserve_factor=before.reserve_factor,
            providers=providers,
        )

    def _of_providers(self) -> dict[str, Standing]:
        """How places stand of which nothing is known; those that stand well are left out."""
        found: dict[str, Standing] = {}
        for name in PROVIDERS:
            said = self._said((name, None), self._overrides.of_all(name))
            if said is not None:
                room = self._static_room(name, Standing().static_room)
                found[name] = Standing(state=said[0], why=said[1], share=0.0, static_room=room)
        return found

    def of_place(self, place: PlaceWatch) -> Standing:
        """How a function stands of which nothing is known but its place."""
        state, why, part = self._state(place, None)
        return Standing(
            state=state,
            why=why,
            share=part,
            probe=state == Phase.HALF_OPEN.value and place.probing.offered,
            overdue_ms=self._overdue_ms(place, None),
            room=self._settings.fallback_room,
            static_room=self._static_room(place.provider, self._settings.static_room),
            retry=self._budgets.may_retry(place.provider),
        )

    def of(self, function: FunctionWatch) -> Standing:
        """How a function stands."""
        place = function.place
        state, why, part = self._state(place, function)
        half_open = place if place.breaker.phase is Phase.HALF_OPEN else function
        return Standing(
            state=state,
            why=why,
            share=part,
            probe=state == Phase.HALF_OPEN.value and half_open.probing.offered,
            p95_ms=function.p95_ms,
            p99_ms=function.p99_ms,
            overdue_ms=self._overdue_ms(place, function),
            room=function.room(),
            static_room=self._static_room(place.provider, function.static_room()),
            retry=self._budgets.may_retry(place.provider),
        )

    def _overdue_ms(self, place: PlaceWatch, function: FunctionWatch | None) -> float | None:
        """After how long a call is overdue. At a place that is open little need be known of the function:
        that the place is dark says enough.
        """
        if function is not None and function.overdue_ms is not None:
            return function.overdue_ms
        if place.breaker.phase in LETS_THROUGH:
            return None
        return overdue_at_open_ms(None if function is None else function.p99_ms, self._settings)

    def _static_room(self, provider: str, room: int) -> int:
        """None where other replicas can do better: no user's call is spent to find out what probes can."""
        isolation = self._isolation
        return 0 if isolation.cut_off and provider in isolation.providers else room

    def _state(self, place: PlaceWatch, function: FunctionWatch | None) -> tuple[str, str, float]:
        said = self._said(place.place, self._overrides.of(place.place))
        if said is not None:
            return *said, 1.0
        at, own = place.breaker, Breaker() if function is None else function.breaker
        part = share(at, self._settings) * share(own, self._settings)
        if function is not None and _WORSE[own.phase] > _WORSE[at.phase]:
            return own.phase.value, f"{function.target} is {_told(own)}", part
        if at.phase is Phase.CLOSED:
            return at.phase.value, "", part
        return at.phase.value, f"{_name(place.place)} is {_told(at)}", part

    def _said(self, place: Place, override: Override | None) -> tuple[str, str] | None:
        """The state and why, where something goes before all breakers of a place."""
        if override is not None:
            by = f" by {override.actor}" if override.actor else ""
            return override.state, f"{_name(place)} is {override.state}{by}: {override.reason}"
        isolated = self._isolation.why(place[0])
        return None if isolated is None else (Phase.OPEN.value, isolated)


def _told(breaker: Breaker) -> str:
    return f"{breaker.phase.value} ({breaker.why})"


def _name(place: Place) -> str:
    return " ".join(part for part in place if part)
