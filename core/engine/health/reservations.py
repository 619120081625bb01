"""What a decided attempt holds before and while it is sent: a place in a limit, a probe's permit.

An attempt that is decided and never sent (its owner lost the claim, the process stops) gives its place back
after a while.
"""

from core.engine.health.functions import FunctionWatch
from core.engine.health.places import PlaceWatch
from core.engine.health.watched import Probing
from core.failover.roles import HEDGE, PROBE, REHEARSAL, SIDESTEP, STATIC
from core.machine.events import AttemptStarted

HELD_SECONDS = 30.0
"""How long a decided attempt keeps its place unsent: longer than a store may take to come back from a
failover, short enough that what a lost claim left is soon free again.
"""

ROOMED = frozenset({SIDESTEP, HEDGE, REHEARSAL})
"""The roles whose calls need room."""


class Reservation:
    """The place of one attempt."""

    __slots__ = ("at", "function", "lasts", "place", "probe", "probing", "roomed", "static")

    def __init__(
        self, role: str, function: FunctionWatch | None, place: PlaceWatch | None, at: float, lasts: float
    ) -> None:
        self.lasts = lasts
        self.function = function
        self.place = place
        self.at = at
        self.roomed = role in ROOMED
        self.static = role == STATIC
        self.probe = role == PROBE
        self.probing: Probing | None = None


class Reservations:
    """Decided attempts by idempotency key and number, until they are sent."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], Reservation] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, started: AttemptStarted, reservation: Reservation) -> None:
        """Keep it until the attempt is sent, and count it."""
        self._held[started.key, started.attempt] = reservation
        function = reservation.function
        if function is not None:
            function.in_room += reservation.roomed
            function.in_static += reservation.static

    def take(self, started: AttemptStarted) -> Reservation | None:
        """The attempt is sent: what it holds, if anything."""
        return self._held.pop((started.key, started.attempt), None)

    def stale(self, now: float) -> list[Reservation]:
        """Take out what was never sent. Oldest come first; nothing is looked at twice."""
        gone: list[tuple[str, int]] = []
        for key, reservation in self._held.items():
            if now - reservation.at < HELD_SECONDS:
                break
            gone.append(key)
        return [self._held.pop(key) for key in gone]


def release(reservation: Reservation) -> None:
    """Give its place back."""
    function = reservation.function
    if function is not None:
        function.in_room -= reservation.roomed
        function.in_static -= reservation.static
