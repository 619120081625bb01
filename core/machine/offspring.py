"""Deciding about child executions."""

from core.graph.model import WorkflowStep
from core.machine.run import Run
from core.machine.state import Visit


def advance(run: Run, visit: Visit, step: WorkflowStep) -> None:
    """Start the child, or end the step with how it ended."""
    raise NotImplementedError(run, visit, step)
