"""A health board that knows nothing and counts nothing: an engine without breakers, for comparison."""

from collections.abc import Callable

from core.failover.health import ALL_WELL, Health
from core.failover.outcome import Outcome
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.health import Flight, HealthBoard


class NullFlight(Flight):
    """A call that nobody counts."""

    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Nothing."""


class NullBoard(HealthBoard):
    """All is well, always."""

    def __init__(self) -> None:
        self._flight = NullFlight()

    def view(self) -> Health:
        """Nothing is known against any target."""
        return ALL_WELL

    def cut_off(self) -> bool:
        """Never."""
        return False

    def decided(self, started: AttemptStarted) -> None:
        """Nothing."""

    def sent(self, started: AttemptStarted) -> NullFlight:  # noqa: ARG002 - the port's name
        """A call that nobody counts."""
        return self._flight

    def sidestepped(self, left: Target, taken: Target) -> None:
        """Nothing."""

    def parked(self, target: Target) -> None:
        """Nothing."""

    def watch(self, ring: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - the port's name
        """Nothing ever stands worse than before."""
        return _nothing

    def queue(
        self,
        targets: tuple[Target, ...],  # noqa: ARG002 - the port's names
        ring: Callable[[], None],  # noqa: ARG002 - the port's names
    ) -> Callable[[], None]:
        """Nobody has to wait for room."""
        return _nothing


def _nothing() -> None:
    """What ends a wait that never was."""
