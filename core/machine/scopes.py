"""Scopes: entering a step in one, opening the branches of a visit, and what is kept of what fell.

A visit that failed and was not caught, or was cancelled, is kept by the visit that opened its scope (the
root's by the state) until something catches the failure: a redrive enters exactly these again. They hang in
each other as their scopes did, so keeping one costs the same however much is under it.
"""

from typing import TypeVar

from immutables import Map
from msgspec.structs import replace

from core.graph.model import ParallelStep
from core.machine.paths import base_path, branch_scope, visit_path
from core.machine.state import Failure, Fallen, Scope, State, Visit
from core.machine.transitions import STEP, next_status

V = TypeVar("V")


def enter(state: State, scope: str, step_id: str) -> State:
    """A new visit of `step_id` in `scope`, ready to be started."""
    base = base_path(scope, step_id)
    count = state.entered.get(base, 0) + 1
    visit = Visit(path=visit_path(scope, step_id, count), step_id=step_id, scope=scope)
    return replace(put_in(state, visit), entered=state.entered.set(base, count))


def put_in(state: State, visit: Visit) -> State:
    """The visit is live, and ready to be started."""
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        visits_total=state.visits_total + 1,
        current_step=visit.step_id,
    )


def gone(state: State, visit: Visit) -> State:
    """The visit is not live any more."""
    return replace(
        state,
        visits=state.visits.delete(visit.path),
        ready=without(state.ready, visit.path),
        waiting=without(state.waiting, visit.path),
        answered=without(state.answered, visit.path),
        watched=without(state.watched, visit.path),
    )


def open_branches(state: State, visit: Visit, step: ParallelStep) -> State:
    """A PARALLEL began: each branch is entered with a copy of the data; after a redrive, those that fell."""
    if visit.results or visit.fallen:
        return _open_again(state, visit)
    data = state.scopes[visit.scope].data
    visit = replace(visit, pending=len(step.branches))
    state = replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.delete(visit.path),
    )
    for index, first in enumerate(step.branches):
        scope = Scope(path=branch_scope(visit.path, index), parent=visit.path, index=index, data=data)
        state = enter(replace(state, scopes=state.scopes.set(scope.path, scope)), scope.path, first)
    return replace(state, current_step=step.id)


def _open_again(state: State, opener: Visit) -> State:
    fallen = opener.fallen
    data = state.scopes[opener.scope].data
    opener = replace(opener, pending=len(fallen), fallen=Map())
    state = replace(state, visits=state.visits.set(opener.path, opener))
    if fallen:
        state = replace(state, ready=state.ready.delete(opener.path))
    for _, one in sorted(fallen.items()):
        # What a branch sees is what its opener's scope holds, and its own results.
        scope = replace(one.scope, data={**data, **one.scope.result})
        state = put_in(replace(state, scopes=state.scopes.set(scope.path, scope)), again(one.visit))
    return replace(state, current_step=opener.step_id)


def end_scope(state: State, path: str) -> State:
    """The last step of a scope is done: hand its result to whoever opened it."""
    scope = state.scopes[path]
    if scope.parent is None:
        return replace(state, root_ended=True)
    opener = state.visits[scope.parent]
    opener = replace(
        opener,
        pending=opener.pending - 1,
        results=opener.results.set(scope.index, dict(scope.result)),
    )
    ready = state.ready.set(opener.path, None) if opener.pending == 0 else state.ready
    return replace(
        state,
        scopes=state.scopes.delete(path),
        visits=state.visits.set(opener.path, opener),
        ready=ready,
    )


def fell(state: State, visit: Visit, failure: Failure | None = None) -> State:
    """The visit, live no more, failed uncaught (`failure`) or was cancelled: its scope ends with it."""
    kept = Visit(
        path=visit.path,
        step_id=visit.step_id,
        scope=visit.scope,
        status=visit.status,
        round=visit.round,
        attempts=visit.attempts,
        results=visit.results,
        fallen=visit.fallen,
    )
    scope = state.scopes[visit.scope]
    if scope.parent is None:
        return replace(
            state,
            failure=failure or state.failure,
            root_ended=state.root_ended or failure is not None,
            fallen=kept,
        )
    opener = state.visits[scope.parent]
    opener = replace(
        opener,
        pending=opener.pending - 1,
        failure=opener.failure or failure,
        fallen=opener.fallen.set(scope.index, Fallen(replace(scope, data={}), kept)),
    )
    return replace(
        state,
        scopes=state.scopes.delete(visit.scope),
        visits=state.visits.set(opener.path, opener),
        ready=state.ready if failure is None else state.ready.set(opener.path, None),
    )


def again(fallen: Visit) -> Visit:
    """The visit as a redrive enters it: a new round, with numbers for attempts that were never used."""
    status = next_status(STEP, fallen.status, "WORKFLOW_REDRIVEN")
    return replace(fallen, status=status, round=fallen.round + (1 if fallen.attempts else 0))


def without(mapping: Map[str, V], path: str) -> Map[str, V]:
    """The mapping without that path, which it need not have."""
    return mapping.delete(path) if path in mapping else mapping
