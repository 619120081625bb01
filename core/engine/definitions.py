"""Definitions by digest: read once, then kept."""

from collections import OrderedDict

from core.graph.model import Workflow
from core.graph.reading import parse_stored
from core.ports.store import Store


class Definitions:
    """A bounded cache of parsed workflows; a digest names one content for ever, so nothing goes stale."""

    def __init__(self, store: Store, capacity: int = 16 * 1024 * 1024) -> None:
        """`capacity` bounds the bytes of canonical JSON that the kept workflows were read from."""
        self._store = store
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[str, Workflow] = OrderedDict()

    async def get(self, digest: str, execution_id: str | None = None) -> Workflow:
        """The workflow, which that execution was created with (None: a registered one).

        Raises WorkflowNotFound, and InvalidDefinition for one of a newer program.
        """
        kept = self._kept.get(digest)
        if kept is None:
            kept = parse_stored(await self._store.definition(digest, execution_id))
            self.remember(kept)
        else:
            self._kept.move_to_end(digest)
        return kept

    def remember(self, workflow: Workflow) -> None:
        """Keep a workflow that was parsed already."""
        if workflow.digest not in self._kept:
            self._size += len(workflow.source)
        self._kept[workflow.digest] = workflow
        self._kept.move_to_end(workflow.digest)
        while self._size > self._capacity and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped.source)
