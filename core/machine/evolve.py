"""evolve(state, event) -> state: the only place where anything about an execution changes.

Live traffic and recovery both go through it; there is no other way to a state. It looks legality up in
transitions.py, raises IllegalEvent for what the table or the visit does not allow, and never half-changes:
the state that it was given is as it was.
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from core.errors import IllegalEvent
from core.machine import awaiting, children, compensation, opening, outbox, requested, visits
from core.machine import events as ev
from core.machine.scopes import enter
from core.machine.state import ROOT, Failure, Scope, State
from core.machine.transitions import EXECUTION, next_status


def evolve(state: State, event: ev.AnyEvent) -> State:
    """The state after `event`. Raises IllegalEvent."""
    status = next_status(EXECUTION, state.status, ev.kind(event))
    after = _apply(state, event)
    ending = after.ending
    if ending is not None and ending.number is None and after.undo:
        after = compensation.undo_newest(after)
    return replace(after, status=status, version=state.version + 1)


def fold(state: State, events: Iterable[ev.AnyEvent]) -> State:
    """The state after all of `events`, in order."""
    for event in events:
        state = evolve(state, event)
    return state


def _apply(state: State, event: ev.AnyEvent) -> State:
    match event:
        case ev.AttemptStarted():
            return visits.attempt_started(state, event)
        case ev.AttemptSucceeded():
            return visits.attempt_succeeded(state, event)
        case ev.AttemptFailed():
            return visits.attempt_failed(state, event)
        case ev.StepStarted():
            return visits.step_started(state, event)
        case ev.StepCompleted():
            return visits.step_completed(state, event)
        case ev.StepFailed():
            return visits.step_failed(state, event)
        case ev.StepParked():
            return visits.step_parked(state, event)
        case ev.StepCancelled():
            return visits.step_cancelled(state, event)
        case ev.AttemptInterrupted():
            return visits.attempt_interrupted(state, event)
        case ev.AttemptAbandoned():
            return visits.attempt_abandoned(state, event)
        case ev.FailedOver():
            return visits.failed_over(state, event)
        case ev.RetryScheduled():
            return visits.retry_scheduled(state, event)
        case ev.WorkflowCreated():
            return _created(state, event)
        case ev.WorkflowStarted():
            if state.begun:
                raise IllegalEvent("the execution was started before")
            return enter(replace(state, begun=True), ROOT, state.workflow.start_at)
        case ev.ItemStarted():
            return opening.item_started(state, event)
        case ev.AttemptAccepted():
            return awaiting.attempt_accepted(state, event)
        case ev.AttemptPolled():
            return awaiting.attempt_polled(state, event)
        case ev.HeartbeatReceived():
            return awaiting.heartbeat_received(state, event)
        case ev.CallbackReceived():
            return awaiting.callback_received(state, event)
        case ev.SignalReceived():
            return awaiting.signal_received(state, event)
        case ev.ChildStarted():
            return children.child_started(state, event)
        case ev.ChildEnded():
            return children.child_ended(state, event)
        case ev.MessagesSent():
            return outbox.messages_sent(state, event)
        case ev.CompensationStarted():
            return compensation.compensation_started(state, event)
        case ev.CancelRequested():
            return replace(state, cancel=(event.actor, event.reason))
        case ev.WorkflowFailed():
            state = replace(_stopped(state), failure=Failure(event.error, event.cause, event.step_id))
            return outbox.tell_parent(state, event)
        case ev.WorkflowCompleted():
            # Nothing will be undone any more.
            state = replace(_stopped(state), undo=state.undo.__class__(), doubtful=state.doubtful.__class__())
            return outbox.tell_parent(state, event)
        case ev.WorkflowCancelled() | ev.WorkflowTimedOut():
            return outbox.tell_parent(_stopped(state), event)
        case ev.PauseRequested():
            return requested.paused(state, event)
        case ev.WorkflowResumed():
            return requested.resumed(state, event)
        case ev.StepResolved():
            return requested.resolved(state, event)
        case ev.WorkflowRedriven():
            return requested.redriven(state, event)
        case ev.WorkflowParked() | ev.RequestIgnored():
            return state
        case _:
            assert_never(event)


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
