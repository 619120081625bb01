"""What is known while the demo runs: orders, latencies, and each cloud's calls over time."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from cli.demo.script import PROVIDERS, Phase

CELLS: Final = 240
RECENT: Final = 5
RATE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One sample of a lane: calls answered and failed in it, how long it took, and whether it was out."""

    answered: int
    failed: int
    seconds: float
    out: bool


@dataclass(slots=True)
class Lane:
    """One cloud. `state` is `up` or what ails it; counts are of calls as the server saw them."""

    name: str
    state: str = "up"
    answered: int = 0
    failed: int = 0
    in_flight: int = 0
    cells: deque[Cell] = field(default_factory=lambda: deque(maxlen=CELLS))

    def sample(self, report: Mapping[str, Any], seconds: float) -> None:
        """Take in what `GET /providers` says of this cloud."""
        failed, in_flight = int(report.get("failures", 0)), int(report.get("inFlight", 0))
        answered = max(0, int(report.get("calls", 0)) - in_flight - failed)
        self.cells.append(
            Cell(
                max(0, answered - self.answered),
                max(0, failed - self.failed),
                seconds,
                out=self.state != "up",
            )
        )
        self.answered, self.failed, self.in_flight = answered, failed, in_flight

    def rate(self) -> float:
        """Calls answered a second, over about the last second."""
        count, seconds = 0, 0.0
        for cell in reversed(self.cells):
            if seconds >= RATE_SECONDS:
                break
            count, seconds = count + cell.answered, seconds + cell.seconds
        return count / seconds if seconds else 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """An order that ended: its view, what the client waited, and the phase in which it was sent."""

    view: Mapping[str, Any]
    elapsed_ms: float
    phase: Phase

    @property
    def completed(self) -> bool:
        """True where the execution completed."""
        return self.view.get("status") == "COMPLETED"

    @property
    def failed_over(self) -> bool:
        """True where a step of it went to another cloud."""
        return bool(self.view.get("failedOver"))


@dataclass(slots=True)
class Board:
    """All of it; one writer, one reader, one thread. Times are seconds since the demo's beginning."""

    seconds: float
    phase: Phase
    lanes: dict[str, Lane] = field(default_factory=lambda: {name: Lane(name) for name in PROVIDERS})
    elapsed: float = 0.0
    submitted: int = 0
    acknowledged: dict[str, float] = field(default_factory=dict)
    finished: dict[str, Finished] = field(default_factory=dict)
    completed: int = 0
    failed_over: int = 0
    recent: deque[Finished] = field(default_factory=lambda: deque(maxlen=RECENT))
    draining: bool = False

    @property
    def in_flight(self) -> int:
        """Orders sent and not ended."""
        return self.submitted - len(self.finished)

    def enter(self, phase: Phase) -> None:
        """A phase begins."""
        self.phase = phase
        for lane in self.lanes.values():
            lane.state = phase.state(lane.name)

    def finish(self, execution_id: str, done: Finished) -> None:
        """An order ended."""
        if execution_id in self.finished:
            return
        self.finished[execution_id] = done
        self.completed += done.completed
        self.failed_over += done.failed_over
        if done.failed_over:
            self.recent.append(done)

    def healthy_median(self) -> float | None:
        """Milliseconds that orders took which needed no other cloud."""
        return middle([done.elapsed_ms for done in self.finished.values() if not done.failed_over])

    def added(self, phase: str | None = None) -> float | None:
        """Milliseconds that a sidestep added: the median of those that failed over, minus the healthy one.

        With `phase`, only of orders sent in phases of that name.
        """
        healthy = self.healthy_median()
        over = middle(
            [
                done.elapsed_ms
                for done in self.finished.values()
                if done.failed_over and phase in {None, done.phase.name}
            ]
        )
        return None if healthy is None or over is None else over - healthy


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None
