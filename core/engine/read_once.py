"""Definitions that were read lately, so that one which many executions bring along is read once."""

from collections import OrderedDict
from threading import Lock

from core.graph.canonical import digest, encode, find_unfit
from core.graph.limits import Limits
from core.graph.model import Workflow
from core.graph.reading import read_workflow

CAPACITY = 16 * 1024 * 1024
"""Bytes of canonical JSON of the definitions that are kept."""


class ReadOnce:
    """`read` may be called from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[str, Workflow] = OrderedDict()
        self._lock = Lock()

    def read(self, document: object) -> Workflow:
        """The workflow that a document defines. Raises InvalidDefinition, as `read_workflow` does."""
        limits = Limits()
        # Whatever is wrong with it, `read_workflow` finds and tells.
        if not isinstance(document, dict) or find_unfit(document, limits) is not None:
            return read_workflow(document)
        name = digest(encode(document))
        with self._lock:
            known = self._kept.get(name)
            if known is not None:
                self._kept.move_to_end(name)
                return known
        workflow = read_workflow(document, limits=limits)
        with self._lock:
            if name not in self._kept:
                self._kept[name] = workflow
                self._size += len(workflow.source)
            while self._size > self._capacity and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped.source)
        return workflow
