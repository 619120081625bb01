"""Child executions."""

from core.machine import events as ev
from core.machine.state import State


def child_started(state: State, event: ev.ChildStarted) -> State:
    """child_started."""
    raise NotImplementedError(type(event).__name__)


def child_ended(state: State, event: ev.ChildEnded) -> State:
    """child_ended."""
    raise NotImplementedError(type(event).__name__)
