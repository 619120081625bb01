"""What a person may ask of an execution, in which status, and of which parked visit.

Pure, and used twice: when a request comes in, to refuse it at once, and when it is taken up, because the
status may have changed in between.
"""

from typing import Literal, get_args

from core.graph.model import TaskStep
from core.machine.state import State, Visit
from core.machine.transitions import CANCELLED, COMPLETED, FAILED, PARKED, PAUSED, TERMINAL, TIMED_OUT

CANCEL = "cancel"
PAUSE = "pause"
RESUME = "resume"
REDRIVE = "redrive"
RESOLVE = "resolve"
CHILD = "child"
"""How a child ended: no person's request, but it comes in the same way."""

Request = Literal["cancel", "pause", "resume", "redrive", "resolve"]

Verdict = Literal["completed", "failed", "retry", "failover"]
"""How a person settles a parked step."""

VERDICTS: tuple[str, ...] = get_args(Verdict)

RESOLVED_AS_FAILED = "Sidestep.ResolvedAsFailed"
"""The error's name where the person gave none."""


def refused(kind: str, state: State) -> str | None:
    """Why a request of this kind does not fit the execution; None where it does."""
    why = refusal(kind, state.status)
    if why is None and state.ending is not None:
        if kind == REDRIVE:
            return "what its steps did was undone, so there is nothing to go on from; rerun it"
        if kind == CANCEL:
            return f"what its steps did is being undone, after which it is {state.ending.status}"
    return why


def refusal(kind: str, status: str) -> str | None:
    """Why a request of this kind does not fit an execution of this status; None where it does."""
    if kind == REDRIVE:
        if status in {FAILED, TIMED_OUT, CANCELLED}:
            return None
        return "all of it completed" if status == COMPLETED else "it has not ended"
    if status in TERMINAL:
        return "it has ended"
    if kind == PAUSE and status == PAUSED:
        return "it is paused already"
    if kind == RESUME and status != PAUSED:
        return "it is not paused"
    return None


def parked_visit(state: State, step: str | None, verdict: str) -> Visit | str:
    """The parked visit that is meant, or why there is none that this verdict can settle.

    `step` is a visit's path, or a step id where one visit of it is parked, or None where one visit is parked.
    """
    parked = [visit for _, visit in sorted(state.visits.items()) if visit.status == PARKED]
    exact = [visit for visit in parked if visit.path == step]
    meant = exact or [visit for visit in parked if step is None or visit.step_id == step]
    if not meant:
        return "nothing is parked" if not parked else f"step {step!r} is not parked"
    if len(meant) > 1:
        return f"{len(meant)} visits are parked; say which by its path, for instance {meant[0].path!r}"
    visit = meant[0]
    task = state.step_of(visit)
    targets = len(task.targets) if isinstance(task, TaskStep) else 0
    if verdict == "failover" and visit.target + 1 >= targets:
        return f"step {visit.step_id!r} has no target after the one where it is parked"
    if verdict == "failover" and lacks_input(state, visit):
        return f"step {visit.step_id!r} has no input yet, which no other target makes; retry it"
    return visit


def lacks_input(state: State, visit: Visit) -> bool:
    """Whether the visit's input could not be made from its template: nobody may be called with another."""
    step = state.step_of(visit)
    made = visit.entry is not None or not isinstance(step, TaskStep)
    return not made and step.flow is not None and step.flow.arguments is not None
