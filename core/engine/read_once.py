"""Definitions that were read lately, so that one which many executions bring along is read once."""

from collections import OrderedDict
from threading import Lock

from core.graph.canonical import digest, encode, find_unfit
from core.graph.limits import Limits
from core.graph.model import Workflow
from core.graph.reading import read_workflow

CAPACITY = 16 * 1024 * 1024
"""Bytes of canonical JSON of the definitions that are kept."""

TRIED = 0.25
"""The share of the bytes for what was wanted once only."""

APIECE = 1_024
"""Bytes that an entry counts beside its texts, so that many small ones are bounded too."""


class Kept:
    """Workflows by a key, within so many bytes; those used longest ago go first.

    One that was never wanted again makes room for others of its kind only: whoever sends ever new definitions
    pushes out none that is in use.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._once: OrderedDict[str | bytes, tuple[Workflow, int]] = OrderedDict()
        self._again: OrderedDict[str | bytes, tuple[Workflow, int]] = OrderedDict()
        self._size_of_once = self._size_of_again = 0

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def get(self, key: str | bytes) -> Workflow | None:
        """The workflow, which counts as used now."""
        kept = self._again.get(key)
        if kept is not None:
            self._again.move_to_end(key)
            return kept[0]
        kept = self._once.pop(key, None)
        if kept is None:
            return None
        self._size_of_once -= kept[1]
        self._again[key] = kept
        self._size_of_again += kept[1]
        while self._size_of_again > self._capacity * (1 - TRIED) and len(self._again) > 1:
            self._size_of_again -= self._again.popitem(last=False)[1][1]
        return kept[0]

    def put(self, key: str | bytes, workflow: Workflow, size: int) -> None:
        """Keep a workflow; `size` is that of what is kept with it."""
        if key in self._once or key in self._again:
            return
        self._once[key] = workflow, size + APIECE
        self._size_of_once += size + APIECE
        while self._size_of_once > self._capacity * TRIED and len(self._once) > 1:
            self._size_of_once -= self._once.popitem(last=False)[1][1]


class ReadOnce:
    """May be called from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._kept = Kept(capacity)
        self._lock = Lock()

    def read(self, document: object) -> Workflow:
        """The workflow that a document defines. Raises InvalidDefinition, as `read_workflow` does."""
        limits = Limits()
        # Whatever is wrong with it, `read_workflow` finds and tells.
        if not isinstance(document, dict) or find_unfit(document, limits) is not None:
            return read_workflow(document)
        source = encode(document)
        name = digest(source)
        with self._lock:
            known = self._kept.get(name)
        if known is not None:
            return known
        workflow = read_workflow(document, limits=limits, source=source)
        with self._lock:
            self._kept.put(name, workflow, len(source))
        return workflow

    def known(self, text: bytes) -> Workflow | None:
        """The workflow that was learnt by exactly this text."""
        with self._lock:
            return self._kept.get(text)

    def learn(self, text: bytes, workflow: Workflow) -> None:
        """Know the workflow by this text from now on, for a while."""
        with self._lock:
            self._kept.put(text, workflow, len(text))
