"""What people are shown of an execution: its state, its steps attempt by attempt, and its history.

All of it is read from the journal. Only the newest `SHOWN` events stand in the history here, and the steps
are those of the newest `TOLD`; the history call has the rest.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from core.engine.definitions import Definitions
from core.engine.recovery import rebuild
from core.machine import events as ev
from core.machine.journal import Envelope, decode, numbered
from core.machine.paths import base_path
from core.machine.state import State
from core.machine.transitions import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PARKED,
    PENDING,
    RUNNING,
    SKIPPED,
    TIMED_OUT,
)
from core.ports.store import Record, Store

SHOWN = 1_000

TOLD = 20_000
"""How many of the newest events the steps are told from: all of them, but for very long executions."""

_TIMES = {"deadlineAt", "wakeAt", "notAfter"}
"""Fields of events that are instants: people read them as the other times."""


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One event of the public history. `seq` counts from 1; `details` holds the event's other fields."""

    seq: int
    timestamp: str
    type: str
    step_id: str | None = None
    details: dict[str, Any] = {}


class AttemptView(msgspec.Struct, kw_only=True, rename="camel"):
    """One call of one target. `executed` and `scope` are None while it is under way."""

    attempt: int
    round: int
    provider: str
    region: str | None
    function_id: str
    idempotency_key: str
    started_at: str
    reasons: list[str]
    status: str = "RUNNING"
    ended_at: str | None = None
    duration_ms: float | None = None
    executed: str | None = None
    scope: str | None = None
    signal: str | None = None
    error: str | None = None
    cause: str | None = None


class StepView(msgspec.Struct, kw_only=True, rename="camel"):
    """One visit of a step, or a step that was never reached (`visit` is None)."""

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
    wake_at: str | None = None
    attempts: list[AttemptView] = []


class ErrorView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an execution failed with."""

    error: str
    cause: str
    step_id: str | None


class ExecutionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One execution, whole. Times are RFC 3339 in UTC. `output` is the context of a completed one."""

    execution_id: str
    workflow_id: str
    digest: str
    status: str
    current_step_id: str | None
    failed_over: bool
    input: dict[str, Any]
    context: dict[str, Any]
    output: dict[str, Any] | None
    error: ErrorView | None
    started_at: str
    updated_at: str
    steps: list[StepView]
    steps_truncated: bool
    history: list[HistoryEvent]
    history_truncated: bool


async def view_execution(store: Store, definitions: Definitions, execution_id: str) -> ExecutionView:
    """The execution as it is now. Raises ExecutionNotFound, JournalUnreadable."""
    record = await store.get(execution_id)
    loaded = await store.load(execution_id)
    state = await rebuild(store, execution_id, loaded, definitions)
    batches = loaded.batches
    before = max(0, loaded.version - TOLD)
    if loaded.snapshot is not None:
        batches = await store.history(execution_id, before, loaded.version)
    envelopes = [decode(batch) for batch in batches]
    shown = [one for one in envelopes if one.seq + len(one.events) > loaded.version - SHOWN]
    history = [event for envelope in shown for event in tell(envelope)][-SHOWN:]
    return ExecutionView(
        execution_id=execution_id,
        workflow_id=record.workflow_id,
        digest=record.digest,
        status=state.status,
        current_step_id=state.current_step,
        failed_over=state.failed_over,
        input=dict(state.input),
        context=dict(state.context),
        output=dict(state.context) if state.status == COMPLETED else None,
        error=_error(state),
        started_at=instant(record.created_at_ms),
        updated_at=instant(envelopes[-1].at if envelopes else record.updated_at_ms),
        steps=_steps(envelopes, state),
        steps_truncated=before > 0,
        history=history,
        history_truncated=state.version > len(history),
    )


def _error(state: State) -> ErrorView | None:
    if state.status == TIMED_OUT:
        return ErrorView(
            error="Sidestep.TimedOut", cause="the execution's timeoutSeconds passed", step_id=None
        )
    failure = state.failure
    if state.status != FAILED or failure is None:
        return None
    return ErrorView(error=failure.error, cause=failure.cause, step_id=failure.step_id)


def tell(envelope: Envelope) -> list[HistoryEvent]:
    """The public history's form of what one commit appended."""
    at = instant(envelope.at)
    told = []
    for seq, event in numbered(envelope):
        fields = msgspec.to_builtins(event)
        name = fields.pop("kind")
        for time in _TIMES & fields.keys():
            fields[time] = instant(fields[time])
        told.append(
            HistoryEvent(seq=seq, timestamp=at, type=name, step_id=fields.pop("stepId", None), details=fields)
        )
    return told


def instant(at_ms: int) -> str:
    """Milliseconds since the Unix epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary_of(record: Record) -> dict[str, Any]:
    """One row of a listing: no payloads."""
    return {
        "executionId": record.execution_id,
        "workflowId": record.workflow_id,
        "status": record.summary.status,
        "currentStepId": record.summary.current_step,
        "failedOver": record.summary.failed_over,
        "startedAt": instant(record.created_at_ms),
        "updatedAt": instant(record.updated_at_ms),
    }


def _steps(envelopes: list[Envelope], state: State) -> list[StepView]:
    """Every visit that the envelopes tell of, in order of entering, then the steps never reached."""
    steps = state.workflow.steps
    visits: dict[str, StepView] = {}
    for envelope in envelopes:
        at = instant(envelope.at)
        for event in envelope.events:
            if isinstance(event, ev.StepStarted):
                kind = str(steps[event.step_id].__struct_config__.tag)
                wake = None if event.wake_at is None else instant(event.wake_at)
                visits[event.visit] = StepView(
                    step_id=event.step_id,
                    visit=event.visit,
                    type=kind,
                    status=RUNNING,
                    started_at=at,
                    wake_at=wake,
                    attempts=[],
                )
            else:
                seen = visits.get(getattr(event, "visit", ""))
                if seen is not None:
                    _note(seen, event, at)
    entered = {base.rpartition("/")[2] for base in state.entered}
    rest = SKIPPED if state.terminal else PENDING
    never = [
        StepView(step_id=step.id, visit=None, type=str(step.__struct_config__.tag), status=rest, attempts=[])
        for step in steps.values()
        if base_path("", step.id) not in entered
    ]
    return [*visits.values(), *never]


def _note(seen: StepView, event: ev.AnyEvent, at: str) -> None:
    """Write one event into the view of its visit."""
    match event:
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
                )
            )
        case ev.AttemptSucceeded():
            _end(seen, event.attempt, at, COMPLETED, executed="YES", duration_ms=event.duration_ms)
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
        case ev.AttemptInterrupted():
            _end(seen, event.attempt, at, "INTERRUPTED", executed="MAYBE", signal="interrupted")
        case ev.AttemptAbandoned():
            _end(seen, event.attempt, at, "ABANDONED", executed="MAYBE", cause=event.reason)
        case ev.FailedOver():
            seen.failed_over = True
        case ev.RetryScheduled():
            seen.wake_at = instant(event.wake_at)
        case ev.StepCompleted():
            seen.status, seen.ended_at = COMPLETED, at
        case ev.StepFailed():
            seen.status, seen.ended_at, seen.caught = FAILED, at, event.next is not None
            seen.error, seen.cause = event.error, event.cause
        case ev.StepParked():
            seen.status, seen.parked_because = PARKED, event.reason
        case ev.StepCancelled():
            seen.status, seen.ended_at, seen.cause = CANCELLED, at, event.reason
        case _:
            pass


def _end(seen: StepView, number: int, at: str, status: str, **facts: Any) -> None:
    for attempt in seen.attempts:
        if attempt.attempt == number:
            attempt.status, attempt.ended_at = status, at
            for name, value in facts.items():
                setattr(attempt, name, value)
