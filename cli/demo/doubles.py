"""What ran more than once, by the clouds' ledgers, and whether the journals say why.

A key that ran more than once is explained where each run is an attempt of the journal, no attempt ran
twice, and every run but the one whose answer was used is recorded as ambiguous (it may have run), as the
function's own error, or as one of two of a hedge that answered at the same moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli import telling
from core.failover.roles import HEDGE

Run = Mapping[str, Any]
"""An entry of a ledger, as localcloud's control API tells it."""

View = Mapping[str, Any]
"""An execution, as the API tells it."""


@dataclass(frozen=True, slots=True)
class Double:
    """A key that ran more than once: whose it is, where it ran, and how the journal explains that."""

    execution_id: str
    step_id: str
    idempotency_key: str
    ran: tuple[str, ...]
    why: str
    explained: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a journal: whose it is, and the call as the API tells it."""

    execution_id: str
    step_id: str
    call: Mapping[str, Any]


def runs_by_key(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """What really ran, by idempotency key: a start that a function refused is none."""
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if run.get("idempotencyKey") and run.get("state") != "refused":
            found[str(run["idempotencyKey"])].append(run)
    return dict(found)


def attempts_by_key(views: Iterable[View]) -> dict[str, tuple[Attempt, ...]]:
    """The attempts of the journals, by idempotency key."""
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for view in views:
        for visit in view.get("steps") or ():
            for call in visit.get("attempts") or ():
                attempt = Attempt(str(view["executionId"]), str(visit["stepId"]), call)
                found[str(call["idempotencyKey"])].append(attempt)
    return {key: tuple(attempts) for key, attempts in found.items()}


def doubles(
    by_key: Mapping[str, Sequence[Run]], attempts: Mapping[str, Sequence[Attempt]]
) -> tuple[Double, ...]:
    """The keys that ran more than once, each with the journal's explanation."""
    return tuple(_double(key, ran, attempts.get(key, ())) for key, ran in by_key.items() if len(ran) > 1)


def unproven(views: Iterable[View], by_key: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Steps that have an answer, and whose key is in no ledger. There must be none."""
    for view in views:
        for visit in view.get("steps") or ():
            answered = [call for call in visit.get("attempts") or () if _answered(call)]
            if any(str(call["idempotencyKey"]) not in by_key for call in answered):
                yield f"{view['executionId']} {visit['stepId']}"


def _double(key: str, ran: Sequence[Run], attempts: Sequence[Attempt]) -> Double:
    recorded = {int(one.call["attempt"]): one.call for one in attempts}
    # A ledger has the attempt's number as the function received it.
    numbers = [int(run["attempt"] or 0) for run in ran]
    known = all(number in recorded for number in numbers)
    once = len(set(numbers)) == len(numbers)
    calls = [recorded[number] for number in numbers if number in recorded]
    answered = [call for call in calls if _answered(call)]
    twins = answered[1:] if any(call.get("role") == HEDGE for call in answered) else []
    extra = [*(call for call in calls if not _answered(call)), *twins]
    told = len(extra) >= len(numbers) - 1 and all(_may_have_run(call) for call in extra)
    why = "; ".join(telling.brief(call, proof=True).plain for call in extra)
    first = attempts[0] if attempts else None
    return Double(
        execution_id=first.execution_id if first else "",
        step_id=first.step_id if first else "",
        idempotency_key=key,
        ran=tuple(f"#{run['attempt']} {run['provider']}" for run in ran),
        why=why or "the journal does not tell why",
        explained=known and once and told,
    )


def _answered(call: Mapping[str, Any]) -> bool:
    return call.get("status") == "COMPLETED"


def _may_have_run(call: Mapping[str, Any]) -> bool:
    return call.get("executed") in {"MAYBE", "YES"}
