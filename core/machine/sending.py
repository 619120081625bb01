"""Handing out what has to be said to other executions."""

from core.machine.run import Run


def hand_out(run: Run) -> None:
    """Have everything in the outbox sent, once what was decided is durable."""
    if run.state.outbox:
        raise NotImplementedError(run)
