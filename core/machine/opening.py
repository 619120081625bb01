"""How ITEM_STARTED changes the state (see evolve.py, which alone calls it)."""

from msgspec.structs import replace

from core.errors import IllegalEvent
from core.graph.model import MapStep
from core.machine import events as ev
from core.machine.items import count, next_item
from core.machine.scopes import open_item
from core.machine.state import State, Visit
from core.machine.transitions import RUNNING


def item_started(state: State, event: ev.ItemStarted) -> State:
    """The walk of one item begins, or begins again."""
    visit = state.visits.get(event.visit)
    if visit is None or visit.status != RUNNING:
        raise IllegalEvent(f"{ev.kind(event)}: no MAP {event.visit} is running")
    step = state.step_of(visit)
    if not isinstance(step, MapStep) or not _may_begin(visit, event.index):
        raise IllegalEvent(f"item {event.index} of {event.visit} cannot begin")
    if event.size:
        state = replace(state, given_bytes=state.given_bytes + event.size)
    state = open_item(state, visit, step, event.index, event.input)
    visit = state.visits[visit.path]
    if next_item(visit, step) is None:
        state = replace(state, ready=state.ready.delete(visit.path))
    return state


def _may_begin(visit: Visit, index: int) -> bool:
    return index in visit.redo or index == visit.started < count(visit)
