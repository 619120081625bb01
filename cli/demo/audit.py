"""What became of every order: the journals, as the API tells them, against the clouds' own ledgers.

- Lost: acknowledged to the client, and not completed.
- Run twice: a step's idempotency key that ran more than once by the ledgers, explained or not (`doubles`).
- Unproven: a completed step whose key is in no ledger. There must be none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli.demo.board import Board, middle
from cli.demo.doubles import Double, Run, View, attempts_by_key, doubles, runs_by_key, unproven


@dataclass(frozen=True, slots=True)
class Outage:
    """What one outage cost: how many orders went around it, how long those took, and what that added."""

    name: str
    failed_over: int
    median_ms: float | None
    added_ms: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The demo's result. Milliseconds are medians over orders, from sending to the answer."""

    seconds: float
    submitted: int
    acknowledged: int
    completed: int
    failed_over: int
    lost: tuple[str, ...]
    run_twice: tuple[Double, ...]
    unproven: tuple[str, ...]
    healthy_ms: float | None
    added_ms: float | None
    outages: tuple[Outage, ...]
    ran: Mapping[str, int]
    shown: str | None

    @property
    def good(self) -> bool:
        """True when nothing was lost, every order completed, and every double is explained."""
        return (
            self.submitted == self.acknowledged == self.completed
            and not self.lost
            and not self.unproven
            and all(double.explained for double in self.run_twice)
        )

    def document(self) -> dict[str, Any]:
        """The summary as JSON, in camelCase."""
        return {"ok": self.good, **{_camel(name): _told(value) for name, value in asdict(self).items()}}


def audit(board: Board, views: Mapping[str, View], runs: Sequence[Run], seconds: float) -> Summary:
    """Compare what was acknowledged with the executions (by id) and the ledgers."""
    completed = {name for name, view in views.items() if view.get("status") == "COMPLETED"}
    by_key = runs_by_key(runs)
    return Summary(
        seconds=round(seconds, 1),
        submitted=board.submitted,
        acknowledged=len(board.acknowledged),
        completed=len(completed),
        failed_over=sum(bool(view.get("failedOver")) for view in views.values()),
        lost=tuple(sorted(set(board.acknowledged) - completed)),
        run_twice=doubles(by_key, attempts_by_key(views.values())),
        unproven=tuple(sorted(unproven(views.values(), by_key))),
        healthy_ms=board.healthy_median(),
        added_ms=board.added(),
        outages=_outages(board),
        ran=dict(Counter(str(run.get("provider")) for ran in by_key.values() for run in ran)),
        shown=_most_telling(views.values()),
    )


def _outages(board: Board) -> tuple[Outage, ...]:
    over = [done for done in board.finished.values() if done.failed_over and done.phase.out]
    healthy = board.healthy_median()
    outages = []
    for name in dict.fromkeys(done.phase.name for done in over):
        took = [done.elapsed_ms for done in over if done.phase.name == name]
        middling = middle(took)
        added = None if healthy is None or middling is None else middling - healthy
        outages.append(Outage(name, len(took), middling, added))
    return tuple(outages)


def _most_telling(views: Iterable[View]) -> str | None:
    """The execution with the most to tell: the most clouds, then kinds of failure, then attempts."""
    best: tuple[tuple[int, int, int], str] | None = None
    for view in views:
        calls = [call for visit in view.get("steps") or () for call in visit.get("attempts") or ()]
        rank = (
            len({call["provider"] for call in calls}),
            len({call.get("signal") for call in calls}),
            len(calls),
        )
        if best is None or rank > best[0]:
            best = (rank, str(view["executionId"]))
    return None if best is None else best[1]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _told(value: Any) -> Any:
    match value:
        case Mapping():
            return {_camel(str(name)): _told(part) for name, part in value.items()}
        case list() | tuple():
            return [_told(part) for part in value]
        case float():
            return round(value, 1)
        case _:
            return value
