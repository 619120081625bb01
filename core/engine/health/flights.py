"""One call under way, as the board counts it."""

import logging
from typing import Protocol

from core.engine.health.functions import FunctionWatch
from core.engine.health.places import PlaceWatch
from core.engine.health.reservations import Reservation
from core.failover.outcome import Outcome
from core.graph.model import Target

log = logging.getLogger("sidestep.health")


class Counting(Protocol):
    """Who counts how calls end."""

    def end(self, flight: "BoardFlight", outcome: Outcome, duration_ms: float) -> None:
        """The call ended so."""
        ...


class BoardFlight:
    """A call, since it was sent. `sent_ms` is host time, `sent_board_ms` board time, `lost_ms` what the board
    time had left out until then.
    """

    __slots__ = (
        "_counting",
        "_over",
        "function",
        "lost_ms",
        "place",
        "reservation",
        "sent_board_ms",
        "sent_ms",
        "target",
        "timeout_ms",
    )

    def __init__(
        self,
        counting: Counting,
        target: Target,
        place: PlaceWatch | None,
        function: FunctionWatch | None,
        reservation: Reservation | None,
        timeout_ms: int,
        sent_ms: int,
        sent_board_ms: float,
        lost_ms: float,
    ) -> None:
        self._counting = counting
        self._over = False
        self.target = target
        self.place = place
        self.function = function
        self.reservation = reservation
        self.timeout_ms = timeout_ms
        self.sent_ms = sent_ms
        self.sent_board_ms = sent_board_ms
        self.lost_ms = lost_ms

    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Note how it ended, once; what comes after is ignored."""
        if self._over:
            return
        self._over = True
        try:
            self._counting.end(self, outcome, duration_ms)
        except Exception:
            # A defect of the board's must not become one of the call's.
            log.exception("how a call of %s ended could not be counted", self.target)
