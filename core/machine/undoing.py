"""Deciding about compensation: what is undone before an execution ends."""

from core.machine import events as ev
from core.machine.run import Run


def begin_undo(run: Run, how: ev.WorkflowCancelled | ev.WorkflowTimedOut | ev.WorkflowFailed) -> bool:
    """Begin to undo what completed steps did; False where there is nothing to undo."""
    return bool(run.state.undo) and how is None


def undo_next(run: Run) -> None:
    """Undo the next, or end the execution as it was to end."""
    raise NotImplementedError(run)
