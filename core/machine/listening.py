"""How a WAIT for a signal or a callback begins to wait (see visits.py)."""

from msgspec.structs import replace

from core.graph.model import WaitStep
from core.machine.scopes import without
from core.machine.state import State, Visit


def listen(state: State, visit: Visit, step: WaitStep) -> State:
    """A WAIT for a signal or a callback began: it goes on when that comes, or when its time is over."""
    waiting = state.waiting
    if visit.wake_at is not None:
        waiting = waiting.set(visit.path, visit.wake_at)
    ready = state.ready
    if step.signal is None or step.signal not in state.signals:
        ready = without(ready, visit.path)
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=ready,
        waiting=waiting,
        listening=state.listening.set(visit.path, step.signal or ""),
    )
