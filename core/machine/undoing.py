"""Deciding about compensation: what is undone before an execution ends."""

from typing import assert_never

from core.machine import events as ev
from core.machine.run import Run
from core.machine.state import Ending
from core.machine.transitions import CANCELLED, FAILED, TIMED_OUT

End = ev.WorkflowCancelled | ev.WorkflowTimedOut | ev.WorkflowFailed


def begin_undo(run: Run, how: End) -> bool:
    """Begin to undo what completed steps did; False where there is nothing to undo."""
    if not run.state.undo:
        return False
    doubtful = tuple(sorted(run.state.doubtful))
    match how:
        case ev.WorkflowFailed():
            started = ev.CompensationStarted(
                status=FAILED, error=how.error, cause=how.cause, step_id=how.step_id, doubtful=doubtful
            )
        case ev.WorkflowCancelled():
            started = ev.CompensationStarted(
                status=CANCELLED, reason=how.reason, actor=how.actor, doubtful=doubtful
            )
        case ev.WorkflowTimedOut():
            started = ev.CompensationStarted(status=TIMED_OUT, doubtful=doubtful)
        case _:
            assert_never(how)
    run.emit(started)
    return True


def undo_next(run: Run) -> None:
    """End the execution as it was to end, once nothing is left to undo; or park it with what is parked."""
    ending = run.state.ending
    if ending is None or run.state.terminal:
        return
    if ending.number is None:
        run.emit(_end(ending))
    elif run.stands_still():
        run.emit(ev.WorkflowParked())


def _end(ending: Ending) -> End:
    if ending.failure is not None:
        failure = ending.failure
        return ev.WorkflowFailed(error=failure.error, cause=failure.cause, step_id=failure.step_id)
    if ending.status == CANCELLED:
        return ev.WorkflowCancelled(reason=ending.reason, actor=ending.actor)
    return ev.WorkflowTimedOut()
