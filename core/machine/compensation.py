"""Undoing what completed steps did."""

from core.machine import events as ev
from core.machine.state import State


def compensation_started(state: State, event: ev.CompensationStarted) -> State:
    """compensation_started."""
    raise NotImplementedError(type(event).__name__)
