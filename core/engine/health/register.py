"""Everything that the board watches, by its key, within bounds."""

from collections.abc import Iterator

from core.engine.health.functions import FunctionWatch
from core.engine.health.places import PlaceWatch
from core.engine.health.watched import Watched
from core.failover.breaker import Phase
from core.failover.health import Place, place_of
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.ports.link import Key

MOST_FUNCTIONS = 10_000
"""Functions beyond these stand for their place only."""

MOST_PLACES = 1_000
"""Places beyond these are not watched: their calls are made, and prove nothing."""

FEW_PLACES = 50
"""So many places are kept, with traffic or without: they are probed, so that it is known how they stand."""

REMEMBERED_MS = 600_000
"""A function that was not called for so long, and has nothing against it, is forgotten."""


class Register:
    """Functions and places. Looking one up makes it, where there is room."""

    def __init__(self, settings: FailoverSettings, most: int = MOST_FUNCTIONS) -> None:
        self.functions: dict[Target, FunctionWatch] = {}
        self.places: dict[Place, PlaceWatch] = {}
        self._settings = settings
        self._most = most

    def function(self, target: Target, now: int) -> FunctionWatch | None:
        """The entry of a function; None where there are too many already."""
        found = self.functions.get(target)
        if found is not None:
            return found
        place = self.place(place_of(target), now)
        if place is None or len(self.functions) >= self._most:
            return None
        found = self.functions[target] = FunctionWatch(target, place, self._settings, now)
        place.functions[target] = found
        return found

    def place(self, key: Place, now: int) -> PlaceWatch | None:
        """The entry of a place; None where there are too many already."""
        found = self.places.get(key)
        if found is None and len(self.places) < MOST_PLACES:
            found = self.places[key] = PlaceWatch(key, self._settings, now)
        return found

    def watched(self, key: Key, now: int) -> Watched | None:
        """The entry of either."""
        return self.function(key, now) if isinstance(key, Target) else self.place(key, now)

    def every(self) -> Iterator[Watched]:
        """Places first."""
        yield from self.places.values()
        yield from self.functions.values()

    def of(self, watched: Watched) -> PlaceWatch:
        """The place of an entry, or itself."""
        return watched.place if isinstance(watched, FunctionWatch) else watched  # type: ignore[return-value]  # there are only these two kinds

    def sweep_places(self, now: int) -> list[PlaceWatch]:
        """Forget, and return, places of many that nothing has been heard of for long: definitions can name
        regions that there are not.
        """
        if len(self.places) <= FEW_PLACES:
            return []
        gone = [
            place
            for place in self.places.values()
            if now - place.called_at >= REMEMBERED_MS
            and place.breaker.phase is Phase.CLOSED
            and not (place.functions or place.breaker.times)
        ]
        for place in gone:
            del self.places[place.place]
        return gone

    def sweep(self, now: int) -> list[FunctionWatch]:
        """Forget, and return, functions that nothing has been heard of for long."""
        gone = [
            function
            for function in self.functions.values()
            if now - function.called_at >= REMEMBERED_MS
            and function.breaker.phase is Phase.CLOSED
            and not function.breaker.times
            and not (function.in_flight or function.in_room or function.in_static)
        ]
        for function in gone:
            del self.functions[function.target]
            del function.place.functions[function.target]
            function.place.late.pop(function, None)
        return gone
