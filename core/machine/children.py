"""How child executions change the state of their parent (see evolve.py, which alone calls these)."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from core.errors import IllegalEvent
from core.failover.outcome import succeeded
from core.machine import events as ev
from core.machine.outbox import CREATE, creation_name
from core.machine.scopes import without
from core.machine.state import Failure, Outgoing, State
from core.machine.transitions import CANCELLED, COMPLETED, TIMED_OUT
from core.machine.visits import moved

CHILD_CANCELLED: Final = "Sidestep.ChildCancelled"
TIMEOUT: Final = "Sidestep.Timeout"


def child_started(state: State, event: ev.ChildStarted) -> State:
    """The visit waits for a child, which has to be created."""
    visit = moved(state, event.visit, event)
    if visit.child is not None or visit.outcome is not None:
        raise IllegalEvent(f"{event.visit} has a child already")
    data = state.scopes[visit.scope].data
    if visit.entry is not None and visit.entry.input is not UNSET:
        data = visit.entry.input
    create = Outgoing(
        kind=CREATE,
        execution_id=event.child_id,
        visit=visit.path,
        step_id=visit.step_id,
        workflow_id=event.workflow_id,
        workflow_version=event.workflow_version,
        data=data,
    )
    return replace(
        state,
        visits=state.visits.set(visit.path, replace(visit, child=event.child_id)),
        ready=without(state.ready, visit.path),
        outbox=state.outbox.set(creation_name(event.child_id), create),
    )


def child_ended(state: State, event: ev.ChildEnded) -> State:
    """The visit has its result, or its failure, and wants a decision.

    The child was there, so it need not be created any more, even where nobody had time to note that it was.
    """
    visit = moved(state, event.visit, event)
    if visit.child != event.child_id:
        raise IllegalEvent(f"{event.visit} does not wait for {event.child_id}")
    answered = state.answered
    if event.status == COMPLETED:
        visit = replace(visit, child=None, outcome=succeeded(event.output))
        answered = answered.set(visit.path, None)
    else:
        visit = replace(visit, child=None, failure=_failure(event))
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        waiting=without(state.waiting, visit.path),
        answered=answered,
        outbox=without(state.outbox, creation_name(event.child_id)),
        data_bytes=state.data_bytes + event.size,
    )


def _failure(event: ev.ChildEnded) -> Failure:
    if event.status == CANCELLED:
        why = f": {event.cause}" if event.cause else ""
        cause = f"the child execution {event.child_id} was cancelled{why}"
        return Failure(CHILD_CANCELLED, cause, event.step_id)
    if event.status == TIMED_OUT:
        cause = f"the child execution {event.child_id} passed its own time limit"
        return Failure(TIMEOUT, cause, event.step_id)
    return Failure(event.error, event.cause, event.step_id)
