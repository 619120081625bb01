"""What has to be said to other executions."""

from core.machine import events as ev
from core.machine.state import State


def messages_sent(state: State, event: ev.MessagesSent) -> State:
    """messages_sent."""
    raise NotImplementedError(type(event).__name__)
