"""Deciding about child executions."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from core.graph.model import WorkflowStep
from core.machine import events as ev
from core.machine.children import TIMEOUT
from core.machine.flowing import complete, fail
from core.machine.ids import child_id
from core.machine.run import Run
from core.machine.state import Failure, Visit

DEEPEST: Final = 10
"""How many executions may stand above one: a workflow that runs itself has to end somewhere."""


def advance(run: Run, visit: Visit, step: WorkflowStep) -> None:
    """Start the child, or end the step with how it ended, or because it took too long."""
    if visit.outcome is not None:
        complete(run, visit, step)
    elif visit.failure is not None:
        fail(run, visit, visit.failure)
    elif visit.child is None:
        _start(run, visit, step)
    elif visit.wake_at is not None and visit.wake_at <= run.now:
        cause = f"the child execution {visit.child} took longer than the step's timeoutSeconds"
        fail(run, visit, Failure(TIMEOUT, cause, step.id))


def _start(run: Run, visit: Visit, step: WorkflowStep) -> None:
    state = run.state
    if state.depth >= DEEPEST:
        cause = f"{DEEPEST} executions stand above this one, which is the limit"
        fail(run, visit, Failure("Sidestep.ChildDepthExceeded", cause, step.id))
        return
    own = visit.entry is not None and visit.entry.input is not UNSET
    given = visit.entry.input if visit.entry is not None and own else state.scopes[visit.scope].data
    large = run.too_large("input", given)
    if large is not None:
        fail(run, visit, replace(large, step_id=step.id))
        return
    run.emit(
        ev.ChildStarted(
            visit=visit.path,
            step_id=step.id,
            child_id=child_id(state.execution_id, f"{visit.path} {state.version}", run.now, run.at.entropy),
            workflow_id=step.workflow_id,
            workflow_version=step.version,
            at=run.now,
        )
    )
