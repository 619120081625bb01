"""What became of every acknowledged execution: the client's list and the journals against the ledgers.

- Lost: acknowledged, and not in the store, or neither ended nor parked.
- Failed otherwise: failed without a function's or a provider's failure in its journal to explain it.
- Completed twice: a visit with two `STEP_COMPLETED` in its journal, or an execution that ended twice.
- Created twice: two executions of one order.
- Double: an idempotency key that ran more than once (`cli.demo.doubles`), explained or not.
- Unjournaled: a run whose attempt no journal holds, so it was sent before that was durable, or it was lost.
- Late: a run that began after its attempt had been given up as interrupted: a worker that was stopped past
  its lease sends nothing when it wakes.
- Unproven: a step with an answer that no ledger knows.

Takeover: from the death or the stop of a worker to the `ATTEMPT_INTERRUPTED` with which another begins to
drive what it drove. Resumption: from when the store could be used again to the first acknowledgement, and
to the first start of a function.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chaos.faults import Injected
from chaos.orders import AT_MOST_ONCE, FAILING
from chaos.rows import Kind
from cli.demo.doubles import Double, Run, View, attempts_by_key, doubles, runs_by_key, unproven

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
PARKED: Final = "PARKED"
_ENDS: Final = frozenset(
    {"WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED", "WORKFLOW_TIMED_OUT"}
)
_DEATHS: Final = frozenset({Kind.KILL_WORKER, Kind.STOP_WORKER})
_SLACK: Final = 0.05


@dataclass(frozen=True, slots=True)
class Takeover:
    """How long an attempt of a dead or stopped worker stayed without an owner, in seconds.

    `disturbed`: the store was away in that time too.
    """

    kind: Kind
    seconds: float
    disturbed: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """What a fault of the store cost, in seconds: how long it was away, and from its return to the first
    acknowledgement and to the first start of a function (None: there was none any more).
    """

    kind: Kind
    away: float
    acknowledged: float | None
    step: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """The audit of one row. Lists hold ids or sentences; all but the counts are empty on a good day."""

    submitted: int
    acknowledged: int
    completed: int
    failed: int
    parked: int
    unacknowledged: int
    lost: tuple[str, ...]
    failed_otherwise: tuple[str, ...]
    completed_twice: tuple[str, ...]
    created_twice: tuple[str, ...]
    explained: int
    unexplained: tuple[Double, ...]
    at_most_once: tuple[str, ...]
    unjournaled: tuple[str, ...]
    late: tuple[str, ...]
    unproven: tuple[str, ...]
    runs: int
    interrupted: int
    takeovers: tuple[Takeover, ...]
    pauses: tuple[Pause, ...]
    faults: Mapping[str, int]
    why: Mapping[str, int] = field(default_factory=dict)

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were broken, a sentence each."""
        lists: tuple[tuple[str, Sequence[object]], ...] = (
            ("acknowledged and lost", self.lost),
            ("failed without a reason in the journal", self.failed_otherwise),
            ("completed twice", self.completed_twice),
            ("created twice", self.created_twice),
            ("ran twice without an explanation", self.unexplained),
            ("ran twice though atMostOnce", self.at_most_once),
            ("ran without an entry in a journal", self.unjournaled),
            ("began after they were given up", self.late),
            ("have an answer that no ledger knows", self.unproven),
        )
        return tuple(f"{len(them)} {what}: {_some(them)}" for what, them in lists if them)


def audit(
    submitted: int,
    acknowledged: Mapping[int, str],
    acks: Sequence[float],
    views: Mapping[str, View],
    runs: Sequence[Run],
    injected: Sequence[Injected],
) -> Found:
    """Compare them. `views` are all executions of the store by id, `acks` the times of acknowledgements."""
    statuses = Counter(str(view["status"]) for view in views.values())
    by_key, attempts = runs_by_key(runs), attempts_by_key(views.values())
    twice = doubles(by_key, attempts)
    known = set(acknowledged.values())
    return Found(
        submitted=submitted,
        acknowledged=len(acknowledged),
        completed=statuses["COMPLETED"],
        failed=statuses["FAILED"],
        parked=statuses[PARKED],
        unacknowledged=len(set(views) - known),
        lost=tuple(sorted(_lost(known, views))),
        failed_otherwise=tuple(sorted(_failed_otherwise(views.values()))),
        completed_twice=tuple(sorted(_completed_twice(views.values()))),
        created_twice=tuple(sorted(_created_twice(views.values(), acknowledged))),
        explained=sum(one.explained for one in twice),
        unexplained=tuple(one for one in twice if not one.explained),
        at_most_once=tuple(sorted(_at_most_once(by_key))),
        unjournaled=tuple(sorted(_unjournaled(by_key, attempts))),
        late=tuple(sorted(_late(by_key, attempts))),
        unproven=tuple(sorted(unproven(views.values(), by_key))),
        runs=sum(len(ran) for ran in by_key.values()),
        interrupted=sum(1 for _ in _interruptions(views.values())),
        takeovers=tuple(_takeovers(views.values(), injected)),
        pauses=tuple(_pauses(injected, acks, runs)),
        faults=dict(Counter(str(one.fault.kind) for one in injected if one.problem is None)),
        why=dict(Counter(_reason(one.why) for one in twice).most_common()),
    )


def _lost(known: Iterable[str], views: Mapping[str, View]) -> Iterator[str]:
    for name in known:
        view = views.get(name)
        if view is None:
            yield f"{name} (not in the store)"
        elif view["status"] not in ENDED and view["status"] != PARKED:
            yield f"{name} ({view['status']})"


def _failed_otherwise(views: Iterable[View]) -> Iterator[str]:
    for view in views:
        if view["status"] in {"CANCELLED", "TIMED_OUT"}:
            yield f"{view['executionId']} ({view['status']})"
        if view["status"] != "FAILED" or view["workflowId"] == FAILING:
            continue
        error = view["error"] or {}
        visits = [one for one in view["steps"] if one["stepId"] == error.get("stepId")]
        calls = [call for visit in visits for call in visit["attempts"]]
        if not calls or any(call["status"] != "FAILED" for call in calls[-1:]):
            yield f"{view['executionId']} ({error.get('error')}: {error.get('cause')})"


def _completed_twice(views: Iterable[View]) -> Iterator[str]:
    for view in views:
        ends = 0
        steps: Counter[str] = Counter()
        for event in view["history"]:
            ends += event["type"] in _ENDS
            if event["type"] == "STEP_COMPLETED":
                steps[event["details"]["visit"]] += 1
        if ends > 1 or any(count > 1 for count in steps.values()):
            yield str(view["executionId"])


def _created_twice(views: Iterable[View], acknowledged: Mapping[int, str]) -> Iterator[str]:
    of: defaultdict[int, set[str]] = defaultdict(set)
    for number, name in acknowledged.items():
        of[number].add(name)
    for view in views:
        of[int(view["input"]["order"])].add(str(view["executionId"]))
    for number, names in of.items():
        if len(names) > 1:
            yield f"order {number}: {', '.join(sorted(names))}"


def _at_most_once(by_key: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    ran: Counter[str] = Counter()
    for key, runs in by_key.items():
        # A key is execution/visit/round: another round must not run it again either.
        visit = key.rpartition("/")[0]
        if visit.endswith(f"/{AT_MOST_ONCE}"):
            ran[visit] += len(runs)
    for visit, count in ran.items():
        if count > 1:
            yield f"{visit} ran {count} times"


def _unjournaled(by_key: Mapping[str, Sequence[Run]], attempts: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for key, runs in by_key.items():
        recorded = {int(one.call["attempt"]) for one in attempts.get(key, ())}
        for run in runs:
            if int(run["attempt"] or 0) not in recorded:
                yield f"{key} #{run['attempt']} {run['provider']}"


def _late(by_key: Mapping[str, Sequence[Run]], attempts: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for key, runs in by_key.items():
        given_up = {
            int(one.call["attempt"]): datetime.fromisoformat(one.call["endedAt"]).timestamp()
            for one in attempts.get(key, ())
            if one.call["status"] == "INTERRUPTED" and one.call["endedAt"]
        }
        for run in runs:
            ended = given_up.get(int(run["attempt"] or 0))
            if ended is not None and float(run["startedAt"]) / 1000 > ended + _SLACK:
                yield f"{key} #{run['attempt']} {run['provider']}"


def _interruptions(views: Iterable[View]) -> Iterator[tuple[float, float]]:
    """When an interrupted attempt was started and when that was written, in epoch seconds."""
    for view in views:
        started: dict[tuple[str, int], float] = {}
        for event in view["history"]:
            if event["type"] not in {"ATTEMPT_STARTED", "ATTEMPT_INTERRUPTED"}:
                continue
            attempt = event["details"]["visit"], int(event["details"]["attempt"])
            at = datetime.fromisoformat(event["timestamp"]).timestamp()
            if event["type"] == "ATTEMPT_STARTED":
                started[attempt] = at
            elif attempt in started:
                yield started[attempt], at


def _takeovers(views: Iterable[View], injected: Sequence[Injected]) -> Iterator[Takeover]:
    deaths = [one for one in injected if one.fault.kind in _DEATHS]
    for started, written in _interruptions(views):
        # Deaths of workers are more than a lease apart: the last one that it lived to see was its owner's.
        met = [one for one in deaths if started <= one.began + _SLACK and one.began <= written]
        if not met:
            continue
        death = max(met, key=lambda one: one.began)
        yield Takeover(
            death.fault.kind,
            round(written - death.began, 3),
            any(
                one.back is not None and one.began <= written and one.back >= death.began for one in injected
            ),
        )


def _pauses(injected: Sequence[Injected], acks: Sequence[float], runs: Sequence[Run]) -> Iterator[Pause]:
    acknowledged = sorted(acks)
    started = sorted(float(run["startedAt"]) / 1000 for run in runs)
    for one in injected:
        if one.back is not None:
            yield Pause(
                one.fault.kind,
                round(one.back - one.began, 3),
                _after(acknowledged, one.back),
                _after(started, one.back),
            )


def _after(times: Sequence[float], moment: float) -> float | None:
    index = bisect_left(times, moment)
    return None if index == len(times) else round(times[index] - moment, 3)


def _reason(why: str) -> str:
    """The explanation without what differs from call to call."""
    return " ".join(word for word in why.split() if not any(letter.isdigit() for letter in word))[:120]


def _some(them: Sequence[object]) -> str:
    told = "; ".join(
        f"{one.idempotency_key} ran {', '.join(one.ran)}; {one.why}" if isinstance(one, Double) else str(one)
        for one in them[:3]
    )
    return told + ("; ..." if len(them) > 3 else "")  # noqa: PLR2004 - the three that are shown
