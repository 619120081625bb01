"""Sending what stands in an execution's outbox: children are created and cancelled, parents told of an end.

Each is an act that can be repeated: a child is created under an id that was made for it, and a message counts
once by its own. So whoever owns the execution sends what its outbox holds, and nothing is lost or done twice
by a crash. What can never be delivered (the receiver has ended, or is gone) counts as delivered.
"""

import contextlib

import msgspec
from msgspec.structs import replace

from core.engine.births import created, newborn
from core.engine.definitions import Definitions
from core.engine.settings import EngineSettings
from core.engine.workflows import Workflows
from core.errors import (
    ExecutionEnded,
    ExecutionNotFound,
    InvalidDefinition,
    InvalidInput,
    SidestepError,
    WorkflowNotFound,
)
from core.graph.model import Workflow
from core.machine.events import ChildEnded
from core.machine.outbox import CREATE, ENDED
from core.machine.requests import CANCEL, CHILD
from core.machine.run import Tell
from core.machine.state import Outgoing
from core.machine.transitions import FAILED
from core.ports.clock import Clock
from core.ports.store import Message, NewExecution, Store


class Told(msgspec.Struct, frozen=True):
    """That `name` was delivered; `refused` is how a child ended that could not be created."""

    name: str
    refused: ChildEnded | None = None


class Post:
    """Performs `Tell` commands."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        workflows: Workflows,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._workflows = workflows
        self._clock = clock
        self._settings = settings

    async def send(self, tell: Tell) -> Told:
        """Deliver it. Raises StoreUnavailable: then it has to be sent again."""
        message = tell.message
        if message.kind == CREATE:
            return await self._create(tell)
        has_ended = message.kind == ENDED
        said = Message(
            message_id=tell.name,
            kind=CHILD if has_ended else CANCEL,
            body=_ended(tell.sender, message) if has_ended else {"reason": message.cause},
            actor=f"execution {tell.sender}",
            sent_at_ms=self._clock.now_ms(),
        )
        with contextlib.suppress(ExecutionNotFound, ExecutionEnded):
            await self._store.deliver(message.execution_id, said)
        return Told(tell.name)

    async def _create(self, tell: Tell) -> Told:
        message = tell.message
        try:
            workflow = await self._workflows.registered(message.workflow_id, message.workflow_version)
            await self._store.create(self._child(tell, workflow))
        except WorkflowNotFound as error:
            return _refused(tell, "Sidestep.WorkflowNotFound", error)
        except InvalidDefinition as error:
            return _refused(tell, "Sidestep.InvalidDefinition", error)
        except InvalidInput as error:
            return _refused(tell, "Sidestep.InvalidInput", error)
        self._definitions.remember(workflow)
        return Told(tell.name)

    def _child(self, tell: Tell, workflow: Workflow) -> NewExecution:
        message = tell.message
        if workflow.language == "native" and not isinstance(message.data, dict):
            raise InvalidInput(f"the input of a child that runs {workflow.id!r} has to be an object")
        size = len(msgspec.json.encode(message.data))
        first = replace(
            created(workflow, self._settings, self._clock.now_ms(), message.data, size),
            caller=tell.caller,
            parent=tell.sender,
            parent_visit=message.visit,
            depth=tell.depth + 1,
        )
        return newborn(message.execution_id, workflow, first, actor=f"execution {tell.sender}")


def _ended(sender: str, message: Outgoing) -> dict[str, object]:
    return {
        "visit": message.visit,
        "childId": sender,
        "status": message.status,
        "output": message.data,
        "error": message.error,
        "cause": message.cause,
    }


def _refused(tell: Tell, name: str, error: SidestepError) -> Told:
    message = tell.message
    ended = ChildEnded(
        visit=message.visit,
        step_id=message.step_id,
        child_id=message.execution_id,
        status=FAILED,
        error=name,
        cause=str(error),
    )
    return Told(tell.name, ended)
