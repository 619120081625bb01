"""Whose turn it is: keys take turns, and those whose expressions had to be killed take a part at most."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BLAMED: Final = 60.0
"""Seconds for which a key is remembered for an expression that had to be killed."""

MOST_BLAMED: Final = 10_000
"""How many such keys are remembered, at most."""


class Turns(Generic[T]):
    """What waits, by key. One loop's, and never waits itself.

    `take` serves keys in turn, and each key's things in their order. Things of blamed keys have at most
    `workers - 1` of the workers at a time (one, if there is but one), and wait for one another, so that
    others always find a worker that is free or soon will be.
    """

    def __init__(self, workers: int, monotonic: Callable[[], float]) -> None:
        self._room = max(1, workers - 1)
        self._monotonic = monotonic
        self._rings: tuple[Ring[T], Ring[T]] = (OrderedDict(), OrderedDict())
        self._blamed: OrderedDict[str, float] = OrderedDict()
        self._under_way = 0
        self._last = 1
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, key: str, thing: T) -> None:
        """Let `thing` wait for its turn."""
        ring = self._rings[self._is_blamed(key)]
        ring.setdefault(key, deque()).append(thing)
        self._waiting += 1

    def take(self) -> tuple[T, bool] | None:
        """What is next, and whether it counts as a blamed key's: tell `done`. None where nothing may go."""
        order = (1, 0) if self._last == 0 else (0, 1)
        for kind in order:
            if self._rings[kind] and (kind == 0 or self._under_way < self._room):
                self._last = kind
                self._under_way += kind
                self._waiting -= 1
                return _next(self._rings[kind]), bool(kind)
        return None

    def done(self, *, blamed: bool) -> None:
        """A thing that was taken has had its turn."""
        self._under_way -= blamed

    def blame(self, key: str) -> None:
        """Remember that an expression of this key had to be killed; what it has waiting counts as such."""
        self._blamed[key] = self._monotonic() + BLAMED
        self._blamed.move_to_end(key)
        while len(self._blamed) > MOST_BLAMED:
            self._blamed.popitem(last=False)
        waiting = self._rings[0].pop(key, None)
        if waiting:
            self._rings[1].setdefault(key, deque()).extend(waiting)

    def drain(self) -> list[T]:
        """All that waits; nothing does after."""
        left = [thing for ring in self._rings for things in ring.values() for thing in things]
        for ring in self._rings:
            ring.clear()
        self._waiting = 0
        return left

    def _is_blamed(self, key: str) -> bool:
        until = self._blamed.get(key)
        if until is None:
            return False
        if until > self._monotonic():
            return True
        del self._blamed[key]
        return False


Ring = OrderedDict[str, deque[T]]


def _next(ring: Ring[T]) -> T:
    """The first key's first; the key goes to the back."""
    key, things = ring.popitem(last=False)
    thing = things.popleft()
    if things:
        ring[key] = things
    return thing
