"""Scopes: entering a step in one, opening those of a visit, and what is kept of what fell.

A visit that failed and was not caught, or was cancelled, is kept by the visit that opened its scope (the
root's by the state) until something catches the failure: a redrive enters exactly these again. They hang in
each other as their scopes did, so keeping one costs the same however much is under it.
"""

from typing import TypeVar

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.errors import IllegalEvent
from core.graph.model import Json, MapStep, Opener, ParallelStep
from core.machine.items import wants_decision
from core.machine.paths import branch_scope, visit_path
from core.machine.state import Failure, Fallen, Outgoing, Scope, State, Visit
from core.machine.transitions import STEP, next_status

V = TypeVar("V")


def enter(state: State, where: Scope, step_id: str, left: Visit | None = None) -> State:
    """A new visit of `step_id`, ready to be started, in the scope that is `where` from now on.

    The visit `left`, which it follows, is not live any more.
    """
    visit, where, runaway = _counted(state, where, step_id)
    path = visit.path
    if left is None:
        return replace(
            state,
            scopes=state.scopes.set(where.path, where),
            visits=state.visits.set(path, visit),
            ready=state.ready.set(path, None),
            seen=state.seen if step_id in state.seen else state.seen.set(step_id, None),
            runaway=runaway,
            current_step=step_id,
        )
    before = left.path
    if left.child is not None:
        state = cancel_child(state, left)
    return replace(
        state,
        scopes=state.scopes.set(where.path, where),
        visits=state.visits.delete(before).set(path, visit),
        ready=without(state.ready, before).set(path, None),
        waiting=state.waiting and without(state.waiting, before),
        answered=state.answered and without(state.answered, before),
        watched=state.watched and without(state.watched, before),
        listening=state.listening and without(state.listening, before),
        seen=state.seen if step_id in state.seen else state.seen.set(step_id, None),
        runaway=runaway,
        current_step=step_id,
    )


def new_visit(state: State, scope: str, step_id: str) -> tuple[State, Visit]:
    """A visit of `step_id` that is not yet live, and the state that has counted it."""
    visit, where, runaway = _counted(state, state.scopes[scope], step_id)
    state = replace(
        state,
        scopes=state.scopes.set(scope, where),
        seen=state.seen if step_id in state.seen else state.seen.set(step_id, None),
        runaway=runaway,
    )
    return state, visit


def _counted(state: State, where: Scope, step_id: str) -> tuple[Visit, Scope, str | None]:
    """The next visit of the step in that scope, the scope with its count, and the step that was entered more
    often in one scope than the budget allows, where there is one.
    """
    count = where.entered.get(step_id, 0) + 1
    visit = Visit(path=visit_path(where.path, step_id, count), step_id=step_id, scope=where.path)
    runaway = step_id if count > state.visit_budget * (1 + state.redrives) else state.runaway
    return visit, replace(where, entered=where.entered.set(step_id, count)), runaway


def put_in(state: State, visit: Visit) -> State:
    """The visit is live, and ready to be started."""
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        current_step=visit.step_id,
    )


def gone(state: State, visit: Visit) -> State:
    """The visit is not live any more; a child that it waits for is not wanted."""
    if visit.child is not None:
        state = cancel_child(state, visit)
    path = visit.path
    return replace(
        state,
        visits=state.visits.delete(path),
        ready=without(state.ready, path),
        waiting=state.waiting and without(state.waiting, path),
        answered=state.answered and without(state.answered, path),
        watched=state.watched and without(state.watched, path),
        listening=state.listening and without(state.listening, path),
    )


def cancel_child(state: State, visit: Visit) -> State:
    """Have the child that the visit waits for, if any, stopped."""
    if visit.child is None:
        return state
    why = f"the execution {state.execution_id}, which started it, does not wait for it any more"
    cancel = Outgoing(kind="cancel", execution_id=visit.child, visit=visit.path, cause=why)
    return replace(state, outbox=state.outbox.set(f"cancel/{visit.child}", cancel))


def shown(state: State, opener: Visit, step: Opener, index: int) -> Json:
    """What the steps of a scope of `opener` see when it opens."""
    states = state.workflow.language == "states"
    given = state.scopes[opener.scope].data
    if opener.entry is not None and opener.entry.input is not msgspec.UNSET:
        given = opener.entry.input
    if not isinstance(step, MapStep):
        return given
    items = opener.entry.items if opener.entry is not None else None
    item = items[index] if items is not None else None
    return item if states else {**given, "item": item, "index": index}


def seen(state: State, opener: Visit, step: Opener, scope: Scope) -> Json:
    """What the steps of an open scope of `opener` see natively: what it began with, and its own results."""
    began = shown(state, opener, step, scope.index) if scope.given is msgspec.UNSET else scope.given
    return {**began, **scope.result} if scope.result else began


def open_branches(state: State, visit: Visit, step: ParallelStep) -> State:
    """A PARALLEL began: each branch is entered with a copy of the data; after a redrive, those that fell."""
    if visit.results or visit.fallen:
        return _open_again(state, visit, step)
    visit = replace(visit, pending=len(step.branches))
    state = replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.delete(visit.path),
    )
    for index, first in enumerate(step.branches):
        state = _open(state, visit, index, first, shown(state, visit, step, index))
    return replace(state, current_step=step.id)


def open_item(state: State, opener: Visit, step: MapStep, index: int, given: Json) -> State:
    """The walk of one item began, with `given` (UNSET: what `shown` says); or again, if it fell."""
    fallen = opener.fallen.get(index)
    if fallen is not None:
        opener = replace(
            opener,
            pending=opener.pending + 1,
            fallen=opener.fallen.delete(index),
            redo=tuple(one for one in opener.redo if one != index),
        )
        state = replace(state, visits=state.visits.set(opener.path, opener))
        return _enter_again(state, opener, step, fallen)
    opener = replace(opener, pending=opener.pending + 1, started=max(opener.started, index + 1))
    state = replace(state, visits=state.visits.set(opener.path, opener))
    data = shown(state, opener, step, index) if given is msgspec.UNSET else given
    native = state.workflow.language == "native"
    return _open(state, opener, index, step.first, data, given if native else msgspec.UNSET)


def _open(
    state: State, opener: Visit, index: int, first: str, data: Json, given: Json = msgspec.UNSET
) -> State:
    scope = Scope(
        path=branch_scope(opener.path, index),
        parent=opener.path,
        index=index,
        data=data,
        variables=state.scopes[opener.scope].variables,
        given=given,
    )
    return enter(state, scope, first)


def _open_again(state: State, opener: Visit, step: ParallelStep) -> State:
    fallen = opener.fallen
    opener = replace(opener, pending=len(fallen), fallen=Map())
    state = replace(state, visits=state.visits.set(opener.path, opener))
    if fallen:
        state = replace(state, ready=state.ready.delete(opener.path))
    for _, one in sorted(fallen.items()):
        state = _enter_again(state, opener, step, one)
    return replace(state, current_step=opener.step_id)


def _enter_again(state: State, opener: Visit, step: Opener, one: Fallen) -> State:
    scope = one.scope
    if state.workflow.language == "native":
        scope = replace(scope, data=seen(state, opener, step, scope))
    return put_in(replace(state, scopes=state.scopes.set(scope.path, scope)), again(one.visit))


def end_scope(state: State, scope: Scope) -> State:
    """The last step of a scope, which is `scope` now, is done: hand its result to whoever opened it."""
    if scope.undoes is not None:
        return _undone(state, scope.path, given_up=False)
    if scope.parent is None:
        return replace(state, scopes=state.scopes.set(scope.path, scope), root_ended=True)
    opener = state.visits[scope.parent]
    step = state.step_of(opener)
    results = opener.results
    if not isinstance(step, MapStep) or step.results != "reference":
        result = scope.data if state.workflow.language == "states" else dict(scope.result)
        results = results.set(scope.index, result)
    opener = replace(opener, pending=opener.pending - 1, results=results)
    ready = state.ready.set(opener.path, None) if wants_decision(opener, step) else state.ready
    return replace(
        state,
        scopes=state.scopes.delete(scope.path),
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
        failure=failure,
        entry=visit.entry,
        started=visit.started,
        entered_at=visit.entered_at,
    )
    scope = state.scopes[visit.scope]
    if scope.undoes is not None:
        return _undone(state, scope.path, given_up=True)
    if scope.parent is None:
        return replace(
            state,
            failure=failure or state.failure,
            root_ended=state.root_ended or failure is not None,
            fallen=kept,
        )
    opener = state.visits[scope.parent]
    left = scope if state.workflow.language == "states" else replace(scope, data={})
    opener = replace(
        opener,
        pending=opener.pending - 1,
        failed=opener.failed + (failure is not None),
        failure=opener.failure or failure,
        fallen=opener.fallen.set(scope.index, Fallen(left, kept)),
    )
    wanted = wants_decision(opener, state.step_of(opener))
    return replace(
        state,
        scopes=state.scopes.delete(visit.scope),
        visits=state.visits.set(opener.path, opener),
        ready=state.ready.set(opener.path, None) if failure is not None and wanted else state.ready,
    )


def _undone(state: State, path: str, *, given_up: bool) -> State:
    """The scope of a compensation ended; what comes next, evolve.py enters."""
    ending = state.ending
    if ending is None or ending.number is None:
        raise IllegalEvent(f"{path}: nothing is being undone")
    return replace(
        state,
        scopes=state.scopes.delete(path),
        undo=state.undo.delete(ending.number),
        runaway=None,
        ending=replace(
            ending,
            number=None,
            undone=ending.undone + (not given_up),
            given_up=ending.given_up + given_up,
        ),
    )


def again(fallen: Visit) -> Visit:
    """The visit as a redrive enters it: a new round, with numbers for attempts that were never used."""
    status = next_status(STEP, fallen.status, "WORKFLOW_REDRIVEN")
    return replace(
        fallen,
        status=status,
        round=fallen.round + (1 if fallen.attempts else 0),
        failure=None,
        redo=tuple(sorted(fallen.fallen)),
    )


def without(mapping: Map[str, V], path: str) -> Map[str, V]:
    """The mapping without that path, which it need not have."""
    return mapping.delete(path) if path in mapping else mapping
