"""A health board that knows nothing and counts nothing: what breakers, routing and metrics cost is the
difference to a real one.
"""

from collections.abc import Callable

from core.failover.health import ALL_WELL, Health
from core.failover.outcome import Outcome
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.health import Flight, HealthBoard


class NullBoard(HealthBoard, Flight):
    """Every target stands well, always."""

    def view(self) -> Health:
        """Nothing is known against any target."""
        return ALL_WELL

    def cut_off(self) -> bool:
        """Never."""
        return False

    def decided(self, started: AttemptStarted) -> None:
        """Not counted."""

    def sent(self, started: AttemptStarted) -> Flight:  # noqa: ARG002  the port's
        """Not counted."""
        return self

    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Not counted."""

    def sidestepped(self, left: Target, taken: Target) -> None:
        """Not counted."""

    def parked(self, target: Target) -> None:
        """Not counted."""

    def watch(self, ring: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002  nothing stands worse
        """Never rings."""
        return _nothing

    def queue(self, targets: tuple[Target, ...], ring: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002  the port's
        """Never rings: there is always room."""
        return _nothing


def _nothing() -> None:
    """There is nothing to end."""
