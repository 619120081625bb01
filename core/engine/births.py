"""What a store is told when an execution begins to exist, whoever wanted it."""

from core.engine.settings import EngineSettings
from core.graph.model import Workflow
from core.machine.events import WorkflowCreated
from core.machine.evolve import evolve
from core.machine.journal import Envelope, encode
from core.machine.state import State, blank
from core.ports.store import Batch, Idempotency, NewExecution, Summary


def created(
    workflow: Workflow, settings: EngineSettings, now: int, input_: object, size: int
) -> WorkflowCreated:
    """The first event of an execution that begins at `now` with an input of `size` bytes of JSON."""
    return WorkflowCreated(
        workflow_id=workflow.id,
        digest=workflow.digest,
        input=input_,
        at=now,
        size=size,
        visit_budget=settings.visit_budget,
        deadline_at=None if workflow.timeout_ms is None else now + workflow.timeout_ms,
    )


def newborn(
    execution_id: str,
    workflow: Workflow,
    first: WorkflowCreated,
    *,
    actor: str,
    idempotency: Idempotency | None = None,
) -> NewExecution:
    """All that its creation writes; `actor` is who made it."""
    envelope = Envelope(seq=1, at=first.at, epoch=0, actor=actor, commit="create", events=(first,))
    return NewExecution(
        execution_id=execution_id,
        workflow_id=workflow.id,
        digest=workflow.digest,
        definition=workflow.source,
        created_at_ms=first.at,
        batch=Batch(data=encode(envelope), count=1),
        summary=summarise(evolve(blank(execution_id, workflow), first)),
        idempotency=idempotency,
    )


def summarise(state: State) -> Summary:
    """What listings show of a state."""
    return Summary(status=state.status, current_step=state.current_step, failed_over=state.failed_over)
