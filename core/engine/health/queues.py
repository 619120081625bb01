"""Who waits for room, oldest first."""

import logging
from collections.abc import Callable, Iterable

from core.graph.model import Target

log = logging.getLogger("sidestep.health")

AGAIN_MS = 1_000.0
"""After so long every waiter is rung, whatever was or was not freed."""

JUST_FREED_MS = 100.0
"""Room that was freed so short before a wait began may have been missed by its decision."""


class Waiter:
    """One that waits. `since` is board time."""

    __slots__ = ("ring", "since", "targets")

    def __init__(self, targets: tuple[Target, ...], ring: Callable[[], None], since: float) -> None:
        self.targets = targets
        self.ring = ring
        self.since = since


class Queue:
    """Waiters by target. Each is rung once, and is gone then; one that still finds no room waits anew."""

    def __init__(self) -> None:
        self._all: dict[Waiter, None] = {}
        self._of: dict[Target, dict[Waiter, None]] = {}
        self._freed: dict[Target, float] = {}
        self._missed: list[Waiter] = []

    def __len__(self) -> int:
        return len(self._all)

    def waiting(self, provider: str) -> int:
        """How many wait for targets of this provider."""
        return sum(any(target.provider == provider for target in waiter.targets) for waiter in self._all)

    def wait(self, targets: tuple[Target, ...], ring: Callable[[], None], now: float) -> Callable[[], None]:
        """Wait for any of these; returns what ends the wait."""
        waiter = Waiter(tuple(dict.fromkeys(targets)), ring, now)
        self._all[waiter] = None
        for target in waiter.targets:
            self._of.setdefault(target, {})[waiter] = None
        if any(now - self._freed.get(target, -JUST_FREED_MS) < JUST_FREED_MS for target in targets):
            self._missed.append(waiter)
        return lambda: self._drop(waiter)

    def freed(self, target: Target, places: int, now: float) -> None:
        """So many places are free at `target`: ring as many of the oldest."""
        self._freed[target] = now
        for _ in range(places):
            waiters = self._of.get(target)
            if not waiters:
                return
            self._ring(next(iter(waiters)))

    def better(self, concerned: Callable[[Target], bool]) -> None:
        """Something stands better now: ring all that wait for a target that this concerns."""
        if self._all:
            self._ring_all([one for one in self._all if any(map(concerned, one.targets))])

    def all(self) -> None:
        """Everything may stand otherwise now: ring all, whatever they wait for."""
        self._ring_all([*self._all])

    def tick(self, now: float) -> None:
        """Ring whoever has waited long, and whoever began to wait just as room was freed."""
        missed, self._missed = self._missed, []
        self._ring_all(missed)
        due: list[Waiter] = []
        for waiter in self._all:
            if now - waiter.since < AGAIN_MS:
                break
            due.append(waiter)
        self._ring_all(due)
        for target in [target for target, at in self._freed.items() if now - at >= JUST_FREED_MS]:
            del self._freed[target]

    def _ring_all(self, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            if waiter in self._all:
                self._ring(waiter)

    def _ring(self, waiter: Waiter) -> None:
        self._drop(waiter)
        try:
            waiter.ring()
        except Exception:
            log.exception("somebody who waited for room could not be rung")

    def _drop(self, waiter: Waiter) -> None:
        self._all.pop(waiter, None)
        for target in waiter.targets:
            waiters = self._of.get(target)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del self._of[target]
