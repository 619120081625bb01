"""The health board port: what the replicas know of the targets."""

from typing import Protocol

from core.failover.health import Health
from core.failover.outcome import Outcome
from core.graph.model import Target


class HealthBoard(Protocol):
    """Collects what attempts proved, and says what is known when a decision is made."""

    def view(self) -> Health:
        """What is known now. Cheap: it is asked at every decision."""
        ...

    def sent(self, target: Target) -> None:
        """Note that an attempt is being sent; a call counts when it is sent."""
        ...

    def sidestepped(self, left: Target, taken: Target) -> None:
        """Note that a step went on from one target to another; the journal has it already."""
        ...

    def observe(self, target: Target, outcome: Outcome, duration_ms: float) -> None:
        """Note how an attempt ended."""
        ...
