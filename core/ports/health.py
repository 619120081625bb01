"""The health board port: what this process knows of the targets, and whom it tells what attempts proved."""

from collections.abc import Callable
from typing import Protocol

from core.failover.health import Health
from core.failover.outcome import Outcome
from core.graph.model import Target
from core.machine.events import AttemptStarted


class Flight(Protocol):
    """One call under way, as the board counts it."""

    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Note how it ended. A call that was given up ends with a signal of `abandoned`."""
        ...


class HealthBoard(Protocol):
    """Collects what attempts proved, and says what is known when a decision is made.

    All methods return at once and raise nothing; they are called on the event loop.
    """

    def view(self) -> Health:
        """What is known now. Cheap: it is asked at every decision."""
        ...

    def cut_off(self) -> bool:
        """Whether this process is better without work: its calls fail at two providers at once, and other
        replicas are there. What it waits for, it gives back. Cheap.
        """
        ...

    def decided(self, started: AttemptStarted) -> None:
        """An attempt was decided, and is about to be journaled: it takes its probe's permit, its room, its
        token of the retry or hedge budget, so that the next decision sees them gone. One that is not sent
        within a while gives them back.
        """
        ...

    def sent(self, started: AttemptStarted) -> Flight:
        """The attempt is sent now; a call counts when it is sent."""
        ...

    def sidestepped(self, left: Target, taken: Target) -> None:
        """Note that a step went on from one target to another; the journal has it already."""
        ...

    def parked(self, target: Target) -> None:
        """Note that a step was parked after a call of this target; the journal has it already."""
        ...

    def watch(self, ring: Callable[[], None]) -> Callable[[], None]:
        """Ring whenever a target stands worse than before: calls of it that are under way may be given up.
        Returns what ends that.
        """
        ...

    def queue(self, targets: tuple[Target, ...], ring: Callable[[], None]) -> Callable[[], None]:
        """Ring once, when one of these targets may have room (or a new standing), or `cut_off` has changed;
        oldest first. Returns what ends the wait.
        """
        ...
