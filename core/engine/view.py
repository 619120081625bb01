"""What people are shown of an execution: its state, its steps attempt by attempt, and its history.

All of it is read from the journal. Only the newest `SHOWN` events stand in the history here, and the steps
are those of the newest `TOLD`; the history call has the rest.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from core.data.context import instant
from core.engine.definitions import Definitions
from core.engine.endings import Rested
from core.engine.hiding import without_query, without_tokens
from core.engine.recovery import rebuild
from core.engine.telling import StepView, steps_of
from core.graph.model import Json
from core.machine.events import AnyEvent, WorkflowCreated
from core.machine.journal import Envelope, decode, numbered
from core.machine.state import State
from core.machine.transitions import COMPLETED, FAILED, PARKED, TIMED_OUT
from core.ports.store import Record, Store

__all__ = ["ExecutionView", "HistoryEvent", "instant", "summary_of", "tell", "view_execution"]

SHOWN = 1_000

TOLD = 20_000
"""How many of the newest events the steps are told from: all of them, but for very long executions."""

_TIMES = {"at", "deadlineAt", "wakeAt", "notAfter", "pollAt"}
"""Fields of events that are instants: people read them as the other times."""

_RETOLD = _TIMES | {"location", "entry"}
"""Fields that are told in another way than they are kept."""


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One event of the public history. `seq` counts from 1; `details` holds the event's other fields."""

    seq: int
    timestamp: str
    type: str
    step_id: str | None = None
    details: dict[str, Any] = {}


class ErrorView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an execution failed with."""

    error: str
    cause: str
    step_id: str | None


class PausedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Since when an execution is paused, by whom and why."""

    since: str
    actor: str
    reason: str


class ParkedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A visit that a person has to settle; `visit` is what a resolution names."""

    visit: str
    step_id: str
    reason: str
    attempts: int


class ParentView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The execution that started this one, and the visit of its step that waits for it."""

    execution_id: str
    visit: str


class BecauseView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How an execution ends once what its steps did is undone."""

    status: str
    error: str | None
    cause: str


class CompensatingView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far the steps of an execution are undone: `left` counts those that are not yet, `given_up` those
    whose undoing a person gave up.
    """

    because: BecauseView
    undone: int
    given_up: int
    left: int


class ExecutionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One execution, whole. Times are RFC 3339 in UTC. `output` is the context of a completed one.

    `rerun_of` is the execution that this one repeats, `redrives` counts how often it was run again after its
    end. `parent` is there of a child, `compensating` once completed steps are being undone, and from then on.
    """

    execution_id: str
    workflow_id: str
    digest: str
    status: str
    current_step_id: str | None
    failed_over: bool
    paused: PausedView | None
    parked_steps: list[ParkedView]
    redrives: int
    rerun_of: str | None
    parent: ParentView | None
    compensating: CompensatingView | None
    input: Any
    context: Any
    output: Any
    error: ErrorView | None
    started_at: str
    updated_at: str
    steps: list[StepView]
    steps_truncated: bool
    history: list[HistoryEvent]
    history_truncated: bool


async def view_execution(
    store: Store, definitions: Definitions, execution_id: str, rested: Rested | None = None
) -> ExecutionView:
    """The execution as it is now, or as it `rested` a moment ago, where its journal was kept. Raises
    ExecutionNotFound, JournalUnreadable.
    """
    if rested is not None and rested.journal:
        begun = _begun(rested.journal)
        if begun is not None:
            return _viewed(rested.state, begun, rested.journal)
    loaded = await store.load(execution_id)
    envelopes = [decode(batch) for batch in loaded.batches]
    if rested is not None and rested.state.version == loaded.version:
        state = rested.state
    else:
        state = await rebuild(store, execution_id, loaded, definitions, envelopes)
    before = max(0, loaded.version - TOLD)
    if loaded.snapshot is not None:
        envelopes = [decode(batch) for batch in await store.history(execution_id, before, loaded.version)]
    begun = _begun(envelopes)
    if begun is None:
        # Its beginning is not among what is told of it.
        record = await store.get(execution_id)
        begun = _Begun(record.workflow_id, loaded.digest, record.created_at_ms)
    return _viewed(state, begun, envelopes, truncated=before > 0)


def _viewed(
    state: State, begun: "_Begun", envelopes: Sequence[Envelope], *, truncated: bool = False
) -> ExecutionView:
    shown = [one for one in envelopes if one.seq + len(one.events) > state.version - SHOWN]
    history = [event for envelope in shown for event in tell(envelope)][-SHOWN:]
    return ExecutionView(
        execution_id=state.execution_id,
        workflow_id=begun.workflow_id,
        digest=begun.digest,
        status=state.status,
        current_step_id=state.current_step,
        failed_over=state.failed_over,
        paused=_paused(state),
        parked_steps=_parked(state),
        redrives=state.redrives,
        rerun_of=state.rerun_of,
        parent=_parent(state),
        compensating=_compensating(state),
        input=_plain(state.input),
        context=_plain(state.context),
        output=_plain(state.context) if state.status == COMPLETED else None,
        error=_error(state),
        started_at=instant(begun.at),
        updated_at=instant(envelopes[-1].at if envelopes else begun.at),
        steps=steps_of(envelopes, state),
        steps_truncated=truncated,
        history=history,
        history_truncated=state.version > len(history),
    )


class _Begun(NamedTuple):
    """What the record of an execution has from its first event."""

    workflow_id: str
    digest: str
    at: int


def _begun(envelopes: Sequence[Envelope]) -> _Begun | None:
    first = envelopes[0] if envelopes else None
    if first is None or first.seq != 1 or not first.events:
        return None
    created = first.events[0]
    if not isinstance(created, WorkflowCreated):
        return None
    return _Begun(created.workflow_id, created.digest, first.at)


def _plain(data: Json) -> Json:
    """As JSON: natively an object, in the States Language anything."""
    return dict(data) if isinstance(data, Mapping) else data


def _error(state: State) -> ErrorView | None:
    if state.status == TIMED_OUT:
        return ErrorView(
            error="Sidestep.TimedOut", cause="the execution's timeoutSeconds passed", step_id=None
        )
    failure = state.failure
    if state.status != FAILED or failure is None:
        return None
    return ErrorView(error=failure.error, cause=failure.cause, step_id=failure.step_id)


def _parent(state: State) -> ParentView | None:
    if state.parent is None:
        return None
    return ParentView(execution_id=state.parent, visit=state.parent_visit or "")


def _compensating(state: State) -> CompensatingView | None:
    ending = state.ending
    if ending is None:
        return None
    failure = ending.failure
    because = BecauseView(
        status=ending.status,
        error=None if failure is None else failure.error,
        cause=ending.reason if failure is None else failure.cause,
    )
    return CompensatingView(
        because=because, undone=ending.undone, given_up=ending.given_up, left=len(state.undo)
    )


def _paused(state: State) -> PausedView | None:
    if state.paused is None:
        return None
    return PausedView(since=instant(state.paused.at), actor=state.paused.actor, reason=state.paused.reason)


def _parked(state: State) -> list[ParkedView]:
    if not state.parked:
        return []
    return [
        ParkedView(
            visit=path, step_id=visit.step_id, reason="; ".join(visit.reasons), attempts=visit.attempts
        )
        for path, visit in sorted(state.visits.items())
        if visit.status == PARKED
    ]


def tell(envelope: Envelope) -> list[HistoryEvent]:
    """The public history's form of what one commit appended."""
    at = instant(envelope.at)
    told = []
    plain = msgspec.to_builtins(envelope.events)
    for (seq, event), fields in zip(numbered(envelope), plain, strict=True):
        name = fields.pop("kind")
        for field in _retold(type(event)):
            if field in fields:
                value = fields[field]
                fields[field] = instant(value) if field in _TIMES else _retell(field, value, fields["visit"])
        step_id = fields.pop("stepId", None)
        told.append(HistoryEvent(seq=seq, timestamp=at, type=name, step_id=step_id, details=fields))
    return told


@cache
def _retold(kind: type[AnyEvent]) -> tuple[str, ...]:
    return tuple(field for field in kind.__struct_encode_fields__ if field in _RETOLD)


def _retell(field: str, value: Any, visit: str) -> Any:
    return without_query(value) if field == "location" else without_tokens(value, visit)


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
