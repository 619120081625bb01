"""Undoing what completed steps did: what is kept for it, and how it goes from one to the next.

While an execution is undone it has one scope beside its root at a time: that of the step that undoes. Which
comes next follows from the state alone, so an owner that takes it up in the middle goes on from there.
"""

from typing import Any

from immutables import Map
from msgspec import UNSET
from msgspec.structs import replace

from core.errors import IllegalEvent
from core.graph.model import Json, MapStep, Step
from core.machine import events as ev
from core.machine.scopes import enter
from core.machine.state import ROOT, Ending, Failure, Scope, State, Undo, Visit
from core.machine.transitions import CANCELLED, FAILED, TIMED_OUT

SCOPES = "~undo"
"""What the paths of these scopes begin with: no path of a visit does, since step ids are encoded there."""


def completed(
    state: State, visit: Visit, step: Step, scope: Scope, output: Json, added: dict[str, Json]
) -> State:
    """Keep what a compensated visit gave: its `output`, or (UNSET) what it `added` to its `scope`."""
    if output is UNSET:
        output = added
        if isinstance(step, MapStep):
            output = added.get(visit.step_id)
        elif visit.outcome is not None:
            output = visit.outcome.output
    done = Undo(visit=visit.path, step_id=visit.step_id, seen=_seen(state, scope), output=output)
    doubtful = state.doubtful
    if visit.path in doubtful:
        doubtful = doubtful.delete(visit.path)
    return replace(state, undo=state.undo.set(len(state.undo) + 1, done), doubtful=doubtful)


def is_kept(state: State, step: Step) -> bool:
    """Whether what a visit of the step did is undone if the execution fails."""
    return getattr(step, "compensate", None) is not None and state.ending is None


def ended_otherwise(state: State, visit: Visit, step: Step) -> State:
    """Note a compensated visit that failed or was given up and may have done what nobody will undo."""
    if not is_kept(state, step):
        return state
    if visit.settled and visit.failure is not None:
        # A person knows that it did nothing.
        return state
    # One that answered, and whose output could not be made of it, did all that it does.
    answered = visit.outcome is not None and visit.outcome.ok
    if not visit.doubt and not answered and visit.child is None:
        return state
    return replace(state, doubtful=state.doubtful.set(visit.path, None))


def _seen(state: State, scope: Scope) -> dict[str, Json]:
    """What the scopes from the root's to this one have added to the context, the innermost last."""
    seen: list[dict[str, Json]] = []
    while scope.parent is not None:
        opener = state.visits[scope.parent]
        added = dict(scope.result)
        if isinstance(state.workflow.steps[opener.step_id], MapStep) and isinstance(scope.data, dict):
            added = {name: scope.data.get(name) for name in ("item", "index")} | added
        seen.append(added)
        scope = state.scopes[opener.scope]
    merged: dict[str, Json] = {}
    for added in reversed(seen):
        merged.update(added)
    return merged


def compensation_started(state: State, event: ev.CompensationStarted) -> State:
    """Nothing of the flow is live any more, and the newest of what completed is undone first."""
    if state.visits or state.ending is not None or not state.undo:
        raise IllegalEvent("there is nothing to undo, or something is still under way")
    failure = Failure(event.error, event.cause, event.step_id) if event.status == FAILED else None
    ending = Ending(status=event.status, failure=failure, reason=event.reason, actor=event.actor)
    return replace(
        state,
        ending=ending,
        scopes=Map({ROOT: state.scopes[ROOT]}),
        failure=None,
        fallen=None,
        cancel=None,
        paused=None,
        held_at=None,
        runaway=None,
        root_ended=False,
        doubtful=Map(),
        # The flow may have used up what there was.
        retried=Map(),
    )


def undo_newest(state: State) -> State:
    """Enter the step that undoes the newest of what is left, in a scope of its own."""
    number = len(state.undo)
    if state.ending is None or not number:
        return state
    undo = state.undo[number]
    step_id = getattr(state.workflow.steps[undo.step_id], "compensate", None)
    if step_id is None:
        raise IllegalEvent(f"{undo.step_id} names no step that undoes it")
    error, cause = _why(state.ending)
    told: dict[str, Any] = {
        "step": undo.step_id,
        "visit": undo.visit,
        "output": undo.output,
        "error": error,
        "cause": cause,
    }
    output = undo.output if isinstance(undo.output, dict) else {undo.step_id: undo.output}
    scope = Scope(
        path=f"{SCOPES}/{number}",
        parent=None,
        index=0,
        data={**state.context, **undo.seen, **output, "compensating": told},
        undoes=undo.visit,
    )
    return enter(replace(state, ending=replace(state.ending, number=number)), scope, step_id)


def _why(ending: Ending) -> tuple[str, str]:
    if ending.failure is not None:
        return ending.failure.error, ending.failure.cause
    if ending.status == CANCELLED:
        return "Sidestep.Cancelled", ending.reason
    if ending.status == TIMED_OUT:
        return "Sidestep.TimedOut", "the execution's timeoutSeconds passed"
    return "", ""
