"""What has to be said to other executions: it stands in the outbox until it was delivered.

An entry comes with the event that implies it, so it is as durable as that event. Whoever owns the execution
sends it after the commit, and again after a crash; its name is the message's id at the receiver, which
therefore takes it once.
"""

from typing import Final

from msgspec.structs import replace

from core.machine import events as ev
from core.machine.scopes import cancel_child
from core.machine.state import Outgoing, State
from core.machine.transitions import CANCELLED, COMPLETED, FAILED, TIMED_OUT

CREATE: Final = "create"
ENDED: Final = "ended"

__all__ = ["CREATE", "ENDED", "cancel_child", "creation_name", "messages_sent", "tell_parent"]


def creation_name(child: str) -> str:
    """The name under which the creation of a child stands in the outbox."""
    return f"{CREATE}/{child}"


def messages_sent(state: State, event: ev.MessagesSent) -> State:
    """They need not be said again. One that was overtaken by its answer is gone already."""
    outbox = state.outbox
    for name in event.names:
        if name in outbox:
            outbox = outbox.delete(name)
    return replace(state, outbox=outbox)


def tell_parent(
    state: State,
    event: ev.WorkflowCompleted | ev.WorkflowFailed | ev.WorkflowCancelled | ev.WorkflowTimedOut,
) -> State:
    """The parent, where there is one, has to be told how it ended; once more after each redrive."""
    if state.parent is None or state.parent_visit is None:
        return state
    told = Outgoing(kind=ENDED, execution_id=state.parent, visit=state.parent_visit)
    match event:
        case ev.WorkflowCompleted():
            told = replace(told, status=COMPLETED, data=state.context)
        case ev.WorkflowFailed():
            told = replace(told, status=FAILED, error=event.error, cause=event.cause)
        case ev.WorkflowCancelled():
            told = replace(told, status=CANCELLED, cause=event.reason)
        case ev.WorkflowTimedOut():
            told = replace(told, status=TIMED_OUT)
    name = f"{ENDED}/{state.execution_id}/{state.redrives}"
    return replace(state, outbox=state.outbox.set(name, told))
