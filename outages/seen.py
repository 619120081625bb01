"""What happened in a case, in one shape for the wire and for the simulator. Times are epoch milliseconds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.demo.doubles import Run, View

OPENED = "BREAKER_OPENED"
HALF_OPEN = "BREAKER_HALF_OPEN"
CLOSED = "BREAKER_CLOSED"
ISOLATED = "REPLICA_ISOLATED"
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})


@dataclass(slots=True)
class Call:
    """One attempt. `ended` is None while it is under way; `ok` is None until it is known."""

    visit: str
    step_id: str
    number: int
    provider: str
    function: str
    role: str
    started: float
    ended: float | None = None
    status: str = "RUNNING"
    executed: str = ""
    scope: str = ""
    signal: str = ""
    key: str = ""

    @property
    def own_error(self) -> bool:
        """Whether the function itself said that it failed."""
        return self.status == "FAILED" and self.executed == "YES" and self.scope == "function"


@dataclass(slots=True)
class Told:
    """One execution, as its journal tells it."""

    execution_id: str
    status: str
    began: float
    ended: float
    calls: list[Call] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a breaker. `function` is None where it is a whole provider's."""

    at: float
    kind: str
    provider: str
    function: str | None
    why: str = ""
    replica: str = ""


@dataclass(slots=True)
class Seen:
    """All of a case. `ran` holds who ran each idempotency key, from the ledgers; `began` is when the load
    began and `seconds` how long it was sent; `happenings` is None where nobody could tell them.
    """

    began: float
    seconds: float
    submitted: int
    acknowledged: frozenset[str]
    executions: dict[str, Told]
    ran: Mapping[str, Sequence[tuple[str, int]]]
    happenings: list[Happening] | None


def told(view: View) -> Told:
    """An execution as the API shows it."""
    roles = {
        (str(event["details"].get("visit")), int(event["details"].get("attempt", 0))): str(
            event["details"].get("role", "")
        )
        for event in view["history"]
        if event["type"] == "ATTEMPT_STARTED"
    }
    calls = [
        _call(str(visit["visit"]), str(visit["stepId"]), attempt, roles)
        for visit in view["steps"]
        for attempt in visit["attempts"]
    ]
    return Told(
        execution_id=str(view["executionId"]),
        status=str(view["status"]),
        began=millis(view["startedAt"]),
        ended=millis(view["updatedAt"]),
        calls=calls,
        error=str((view["error"] or {}).get("error", "")),
    )


def ran_by_key(runs: Iterable[Run]) -> dict[str, list[tuple[str, int]]]:
    """Who ran each key: provider and number of the attempt. A start that was refused is no run."""
    found: dict[str, list[tuple[str, int]]] = {}
    for run in runs:
        if run.get("idempotencyKey") and run.get("state") != "refused":
            who = (str(run["provider"]), int(run["attempt"] or 0))
            found.setdefault(str(run["idempotencyKey"]), []).append(who)
    return found


def happening(event: Mapping[str, Any]) -> Happening:
    """An event as GET /providers/events shows it."""
    return Happening(
        at=millis(event["at"]),
        kind=str(event["kind"]),
        provider=str(event.get("provider") or ""),
        function=event.get("functionId"),
        why=str(event.get("why") or ""),
        replica=str(event.get("replica") or ""),
    )


def millis(instant: str) -> float:
    """RFC 3339 as epoch milliseconds."""
    return datetime.fromisoformat(instant).timestamp() * 1000


def _call(visit: str, step_id: str, attempt: Mapping[str, Any], roles: Mapping[tuple[str, int], str]) -> Call:
    return Call(
        visit=visit,
        step_id=step_id,
        number=int(attempt["attempt"]),
        provider=str(attempt["provider"]),
        function=str(attempt["functionId"]),
        role=roles.get((visit, int(attempt["attempt"])), ""),
        started=millis(attempt["startedAt"]),
        ended=None if attempt["endedAt"] is None else millis(attempt["endedAt"]),
        status=str(attempt["status"]),
        executed=str(attempt["executed"] or ""),
        scope=str(attempt["scope"] or ""),
        signal=str(attempt["signal"] or ""),
        key=str(attempt["idempotencyKey"]),
    )
