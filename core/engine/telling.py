"""What people are shown of an execution's steps: each visit, attempt by attempt, as its events tell it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from core.data.context import instant
from core.graph.model import Step, TaskStep, WaitStep
from core.machine import events as ev
from core.machine.journal import Envelope
from core.machine.state import State, Visit
from core.machine.transitions import CANCELLED, COMPLETED, FAILED, PARKED, PENDING, RUNNING, SKIPPED

TASK = str(TaskStep.__struct_config__.tag)


class AttemptView(msgspec.Struct, kw_only=True, rename="camel"):
    """One call of one target. `executed` and `scope` are None while it is under way.

    `role` is empty for a call of the primary, else one of core.failover.roles. `accepted_at` is when the
    function took the call on, to answer it later; since then `polls` counts the questions for its result that
    found none, and `heartbeat_at` is the last sign of life.
    """

    attempt: int
    round: int
    provider: str
    region: str | None
    function_id: str
    idempotency_key: str
    started_at: str
    reasons: list[str]
    role: str
    status: str = "RUNNING"
    ended_at: str | None = None
    duration_ms: float | None = None
    executed: str | None = None
    scope: str | None = None
    accepted_at: str | None = None
    polls: int = 0
    heartbeat_at: str | None = None
    signal: str | None = None
    error: str | None = None
    cause: str | None = None


class ResolvedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a person settled a parked step (the newest time)."""

    at: str
    verdict: str
    actor: str
    reason: str


class StepView(msgspec.Struct, kw_only=True, rename="camel"):
    """One visit of a step, or a step that was never reached (`visit` is None).

    Of a task, `fallbacks` counts the targets after its first, and `failover_on` is its `failoverOn`; of a
    WORKFLOW, `child_execution_id` is the child. `waits_for` is what a live one waits for from outside:
    `callback`, `poll` or `signal NAME`. A step that undoes says which visit, in `undoes`.
    """

    step_id: str
    visit: str | None
    type: str
    status: str
    started_at: str | None = None
    ended_at: str | None = None
    failed_over: bool = False
    error: str | None = None
    cause: str | None = None
    caught: bool = False
    parked_because: str | None = None
    resolved: ResolvedView | None = None
    wake_at: str | None = None
    fallbacks: int = 0
    failover_on: list[str] = []
    attempts: list[AttemptView] = []
    waits_for: str | None = None
    child_execution_id: str | None = None
    undoes: str | None = None


def steps_of(envelopes: Sequence[Envelope], state: State) -> list[StepView]:
    """Every visit that the envelopes tell of, in order of entering, then the steps never reached."""
    steps = state.workflow.steps
    visits: dict[str, StepView] = {}
    for envelope in envelopes:
        at = instant(envelope.at)
        for event in envelope.events:
            path = getattr(event, "visit", "")
            seen = visits.get(path)
            if seen is None and isinstance(event, (ev.StepStarted, ev.StepCancelled)):
                seen = visits[path] = _view(steps[event.step_id], path, PENDING)
            if seen is not None:
                _note(seen, event, at)
    # What a pause keeps from beginning is there, and waits.
    for path, visit in sorted(state.visits.items()):
        if path not in visits and visit.status == PENDING:
            visits[path] = _view(state.step_of(visit), path, PENDING)
        if path in visits:
            visits[path].waits_for = _waits_for(state, visit)
    rest = SKIPPED if state.terminal else PENDING
    never = [_view(step, None, rest) for step in steps.values() if step.id not in state.seen]
    return [*visits.values(), *never]


def _view(step: Step, visit: str | None, status: str) -> StepView:
    seen = StepView(step_id=step.id, visit=visit, type=_kind(type(step)), status=status, attempts=[])
    if isinstance(step, TaskStep):
        seen.fallbacks = len(step.targets) - 1
        seen.failover_on = ["functionError"] if step.failover_on_function_error else []
    return seen


@cache
def _kind(step: type[Step]) -> str:
    return str(step.__struct_config__.tag)


def _begin(seen: StepView, event: ev.StepStarted, at: str) -> None:
    """A visit that a redrive enters again keeps its attempts, and its first beginning."""
    seen.status, seen.started_at, seen.ended_at = RUNNING, seen.started_at or at, None
    seen.error, seen.cause, seen.caught = None, None, False
    seen.wake_at = None if event.wake_at is None else instant(event.wake_at)
    seen.undoes = event.undoes


def _note(seen: StepView, event: ev.AnyEvent, at: str) -> None:
    """Write one event into the view of its visit."""
    match event:
        case ev.StepStarted():
            _begin(seen, event, at)
        case ev.AttemptStarted():
            seen.attempts.append(
                AttemptView(
                    attempt=event.attempt,
                    round=event.round,
                    provider=event.target.provider,
                    region=event.target.region,
                    function_id=event.target.function_id,
                    idempotency_key=event.key,
                    started_at=at,
                    reasons=list(event.reasons),
                    role=event.role,
                )
            )
        case ev.AttemptSucceeded():
            _succeed(seen, event, at)
        case ev.StepCompleted():
            seen.status, seen.ended_at = COMPLETED, at
        case ev.AttemptFailed():
            outcome = event.outcome
            _end(
                seen,
                event.attempt,
                at,
                FAILED,
                executed=outcome.executed.value,
                duration_ms=event.duration_ms,
                scope=outcome.scope.value,
                signal=outcome.signal,
                error=outcome.error,
                cause=outcome.cause,
            )
        case ev.AttemptAccepted():
            _change(seen, event.attempt, status="ACCEPTED", accepted_at=instant(event.at))
        case ev.AttemptPolled():
            for attempt in seen.attempts:
                if attempt.attempt == event.attempt:
                    attempt.polls += 1
        case ev.HeartbeatReceived():
            _change(seen, event.attempt, heartbeat_at=instant(event.at))
        case ev.CallbackReceived():
            _called_back(seen, event, at)
        case ev.AttemptInterrupted():
            _end(seen, event.attempt, at, "INTERRUPTED", executed="MAYBE", signal="interrupted")
        case ev.AttemptAbandoned():
            _end(seen, event.attempt, at, "ABANDONED", executed="MAYBE", cause=event.reason)
        case ev.ChildStarted():
            seen.child_execution_id = event.child_id
        case ev.FailedOver():
            seen.failed_over = True
        case ev.RetryScheduled() if seen.type != TASK:
            # All of it is repeated, as another visit.
            seen.status, seen.ended_at, seen.cause = FAILED, at, event.reason
        case ev.RetryScheduled():
            seen.wake_at = instant(event.wake_at)
        case ev.StepFailed():
            seen.status, seen.ended_at, seen.caught = FAILED, at, event.next is not None
            seen.error, seen.cause = event.error, event.cause
        case ev.StepParked():
            seen.status, seen.parked_because = PARKED, event.reason
        case ev.StepResolved():
            seen.status, seen.parked_because = RUNNING, None
            seen.resolved = ResolvedView(at=at, verdict=event.verdict, actor=event.actor, reason=event.reason)
            if seen.type != TASK and event.verdict == "retry":
                seen.status, seen.ended_at = FAILED, at
        case ev.StepCancelled():
            seen.status, seen.ended_at, seen.cause = CANCELLED, at, event.reason
        case _:
            pass


def _called_back(seen: StepView, event: ev.CallbackReceived, at: str) -> None:
    # It may have been given up before: what was said of it then does not hold any more.
    scope = None if event.error is None else "function"
    cause = None if event.error is None else event.cause
    status = COMPLETED if event.error is None else FAILED
    facts = {"scope": scope, "error": event.error, "cause": cause}
    _end(seen, event.attempt, at, status, executed="YES", signal="callback", **facts)


def _succeed(seen: StepView, event: ev.AttemptSucceeded, at: str) -> None:
    attempt = _attempt(seen, event.attempt)
    if attempt is not None:
        attempt.status, attempt.ended_at = COMPLETED, at
        attempt.executed, attempt.duration_ms = "YES", event.duration_ms


def _end(seen: StepView, number: int, at: str, status: str, **facts: Any) -> None:
    _change(seen, number, status=status, ended_at=at, **facts)


def _change(seen: StepView, number: int, **facts: Any) -> None:
    attempt = _attempt(seen, number)
    if attempt is not None:
        for name, value in facts.items():
            setattr(attempt, name, value)


def _attempt(seen: StepView, number: int) -> AttemptView | None:
    # It is the newest, as a rule.
    for attempt in reversed(seen.attempts):
        if attempt.attempt == number:
            return attempt
    return None


def _waits_for(state: State, visit: Visit) -> str | None:
    """What a live visit waits for from outside, in a word or two."""
    step = state.step_of(visit)
    if isinstance(step, WaitStep):
        named = state.listening.get(visit.path)
        return None if named is None else (f"signal {named}" if named else "callback")
    accepted = any(one.accepted_at is not None for one in visit.open)
    return step.awaits if isinstance(step, TaskStep) and accepted else None
