"""Handing out what has to be said to other executions."""

from core.machine.outbox import creation_name
from core.machine.run import Run, Tell


def hand_out(run: Run) -> None:
    """Have everything in the outbox sent, once what was decided is durable.

    A cancel waits until its child was created: sent before, it would find nobody, and the child would run.
    """
    state = run.state
    for name, message in sorted(state.outbox.items()):
        creation = creation_name(message.execution_id)
        if name == creation or creation not in state.outbox:
            run.commands.append(Tell(name, message, state.execution_id, state.depth, state.caller))
