"""The execution's time limit: it stands still while a person is needed.

While an execution is paused, or a visit of it is parked, `held_at` says since when; the time is given back
when neither holds any more.
"""

from msgspec.structs import replace

from core.machine.state import State


def hold(state: State, at: int | None) -> State:
    """The execution's time limit stands still from `at` on."""
    return state if state.held_at is not None else replace(state, held_at=at)


def let_go(state: State, at: int | None) -> State:
    """The time limit runs again, unless something else holds it.

    Where a journal of long ago does not say since when it stood still, the whole limit begins anew.
    """
    if state.paused is not None or state.parked:
        return state
    since, deadline_at = state.held_at, state.deadline_at
    if at is not None and deadline_at is not None:
        limit = state.workflow.timeout_ms
        if since is not None:
            deadline_at += max(0, at - since)
        elif limit is not None:
            deadline_at = max(deadline_at, at + limit)
    return replace(state, held_at=None, deadline_at=deadline_at)
