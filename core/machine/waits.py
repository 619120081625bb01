"""Deciding about what is waited for: a WAIT, and calls that were accepted and are answered later."""

from core.graph.model import TaskStep, WaitStep
from core.machine.flowing import complete
from core.machine.run import Run
from core.machine.state import Visit


def wait(run: Run, visit: Visit, step: WaitStep) -> None:  # noqa: ARG001 - signals and callbacks come
    """End a WAIT whose time has come."""
    if visit.wake_at is not None and visit.wake_at <= run.now:
        complete(run, visit)


def look(run: Run, visit: Visit, step: TaskStep) -> None:
    """Look whether the time of an accepted call is over, or its result is to be asked for."""
