"""How calls that are answered later, and signals, change the state (see evolve.py)."""

from core.machine import events as ev
from core.machine.state import State


def attempt_accepted(state: State, event: ev.AttemptAccepted) -> State:
    """attempt_accepted."""
    raise NotImplementedError(type(event).__name__)


def attempt_polled(state: State, event: ev.AttemptPolled) -> State:
    """attempt_polled."""
    raise NotImplementedError(type(event).__name__)


def heartbeat_received(state: State, event: ev.HeartbeatReceived) -> State:
    """heartbeat_received."""
    raise NotImplementedError(type(event).__name__)


def callback_received(state: State, event: ev.CallbackReceived) -> State:
    """callback_received."""
    raise NotImplementedError(type(event).__name__)


def signal_received(state: State, event: ev.SignalReceived) -> State:
    """signal_received."""
    raise NotImplementedError(type(event).__name__)
