"""evolve(state, event) -> state: the only place where anything about an execution changes.

Live traffic and recovery both go through it; there is no other way to a state. It looks legality up in
transitions.py, raises IllegalEvent for what the table or the visit does not allow, and never half-changes:
the state that it was given is as it was.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from core.errors import IllegalEvent
from core.machine import awaiting, children, compensation, opening, outbox, requested, visits
from core.machine import events as ev
from core.machine.events import KINDS
from core.machine.scopes import enter
from core.machine.state import ROOT, Failure, Scope, State
from core.machine.transitions import EXECUTION, next_status


def evolve(state: State, event: ev.AnyEvent) -> State:
    """The state after `event`. Raises IllegalEvent."""
    type_ = type(event)
    status = next_status(EXECUTION, state.status, KINDS[type_])
    after = FOLDS[type_](state, event)
    ending = after.ending
    if ending is not None and ending.number is None and after.undo:
        after = compensation.undo_newest(after)
    return replace(after, status=status, version=state.version + 1)


def fold(state: State, events: Iterable[ev.AnyEvent]) -> State:
    """The state after all of `events`, in order."""
    for event in events:
        state = evolve(state, event)
    return state


def _created(state: State, event: ev.WorkflowCreated) -> State:
    root = Scope(path=ROOT, parent=None, index=0, data=event.input)
    return replace(
        state,
        input=event.input,
        scopes=state.scopes.set(ROOT, root),
        visit_budget=event.visit_budget,
        deadline_at=event.deadline_at,
        rerun_of=event.rerun_of,
        started_at=event.at,
        workflow_id=event.workflow_id,
        parent=event.parent,
        parent_visit=event.parent_visit,
        depth=event.depth,
        caller=event.caller,
        data_bytes=event.size,
    )


def _started(state: State, _event: ev.WorkflowStarted) -> State:
    if state.begun:
        raise IllegalEvent("the execution was started before")
    return enter(replace(state, begun=True), state.scopes[ROOT], state.workflow.start_at)


def _cancel_requested(state: State, event: ev.CancelRequested) -> State:
    return replace(state, cancel=(event.actor, event.reason))


def _failed(state: State, event: ev.WorkflowFailed) -> State:
    state = replace(_stopped(state), failure=Failure(event.error, event.cause, event.step_id))
    return outbox.tell_parent(state, event)


def _completed(state: State, event: ev.WorkflowCompleted) -> State:
    # Nothing will be undone any more.
    state = replace(_stopped(state), undo=state.undo.__class__(), doubtful=state.doubtful.__class__())
    return outbox.tell_parent(state, event)


def _ended(state: State, event: ev.WorkflowCancelled | ev.WorkflowTimedOut) -> State:
    return outbox.tell_parent(_stopped(state), event)


def _noted(state: State, _event: ev.WorkflowParked | ev.RequestIgnored) -> State:
    return state


def _stopped(state: State) -> State:
    """What an ended execution keeps: its context, its failure, its counts, and what fell, for a redrive."""
    return replace(
        state,
        visits=state.visits.__class__(),
        ready=state.ready.__class__(),
        waiting=state.waiting.__class__(),
        answered=state.answered.__class__(),
        watched=state.watched.__class__(),
        listening=state.listening.__class__(),
        paused=None,
        held_at=None,
        in_flight=0,
        parked=0,
        current_step=None,
    )


FOLDS: Final[Mapping[type, Callable[[State, Any], State]]] = {
    ev.AttemptStarted: visits.attempt_started,
    ev.AttemptSucceeded: visits.attempt_succeeded,
    ev.AttemptFailed: visits.attempt_failed,
    ev.AttemptInterrupted: visits.attempt_interrupted,
    ev.AttemptAbandoned: visits.attempt_abandoned,
    ev.AttemptAccepted: awaiting.attempt_accepted,
    ev.AttemptPolled: awaiting.attempt_polled,
    ev.HeartbeatReceived: awaiting.heartbeat_received,
    ev.CallbackReceived: awaiting.callback_received,
    ev.SignalReceived: awaiting.signal_received,
    ev.StepStarted: visits.step_started,
    ev.StepCompleted: visits.step_completed,
    ev.StepFailed: visits.step_failed,
    ev.StepParked: visits.step_parked,
    ev.StepCancelled: visits.step_cancelled,
    ev.StepResolved: requested.resolved,
    ev.FailedOver: visits.failed_over,
    ev.RetryScheduled: visits.retry_scheduled,
    ev.ItemStarted: opening.item_started,
    ev.ChildStarted: children.child_started,
    ev.ChildEnded: children.child_ended,
    ev.MessagesSent: outbox.messages_sent,
    ev.CompensationStarted: compensation.compensation_started,
    ev.CancelRequested: _cancel_requested,
    ev.PauseRequested: requested.paused,
    ev.RequestIgnored: _noted,
    ev.WorkflowCreated: _created,
    ev.WorkflowStarted: _started,
    ev.WorkflowParked: _noted,
    ev.WorkflowResumed: requested.resumed,
    ev.WorkflowRedriven: requested.redriven,
    ev.WorkflowCompleted: _completed,
    ev.WorkflowFailed: _failed,
    ev.WorkflowCancelled: _ended,
    ev.WorkflowTimedOut: _ended,
}
"""What folds each type of event; a test proves that none is missing."""
