"""What the items of a MAP gave, read from the journal a page at a time.

A MAP whose results are kept by reference has no list of them anywhere: the journal is where they are. It is
folded from its beginning, in portions, in a thread; only the page that was asked for stays in memory.
"""

import asyncio
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.engine.definitions import Definitions
from core.errors import VisitNotFound
from core.graph.model import MapStep, Workflow
from core.machine import events as ev
from core.machine.evolve import evolve
from core.machine.items import count
from core.machine.journal import decode
from core.machine.state import State, Visit, blank
from core.ports.store import Store

PORTION = 2_000
"""Events that are folded at once."""


class ItemResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one item gave: its `output`, or an `error` with its `cause`."""

    index: int
    output: Any = msgspec.UNSET
    error: str | None = None
    cause: str | None = None


class ItemResults(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of results by index, of those items that have ended. `next_after` is the last index of a page
    that may have more behind it, else None.
    """

    execution_id: str
    visit: str
    items: int
    results: list[ItemResult]
    next_after: int | None


async def item_results(
    store: Store, definitions: Definitions, execution_id: str, visit: str, after: int, limit: int
) -> ItemResults:
    """The results of items `after + 1` to `after + limit` of the MAP's visit `visit`.

    Raises ExecutionNotFound, and VisitNotFound where no MAP was entered under that path.
    """
    record = await store.get(execution_id)
    workflow = await definitions.get(record.digest, execution_id)
    reader = _Reader(blank(execution_id, _keeping(workflow)), visit, range(after + 1, after + 1 + limit))
    read = 0
    while not reader.done and read < record.version:
        batches = await store.history(execution_id, read, PORTION)
        if not batches:
            break
        read = await asyncio.to_thread(reader.take, batches)
    if reader.items is None:
        raise VisitNotFound(f"execution {execution_id} has entered no MAP by the path {visit!r}")
    last = min(after + limit, reader.items - 1)
    return ItemResults(
        execution_id=execution_id,
        visit=visit,
        items=reader.items,
        results=[reader.found[index] for index in sorted(reader.found)],
        next_after=last if last < reader.items - 1 else None,
    )


def _keeping(workflow: Workflow) -> Workflow:
    """The workflow, with MAPs that hand their items' results to whoever folds."""
    steps = {
        name: replace(step, results="inline") if isinstance(step, MapStep) else step
        for name, step in workflow.steps.items()
    }
    return replace(workflow, steps=steps)


class _Reader:
    """Folds a journal and takes what the items of one visit gave."""

    def __init__(self, state: State, visit: str, wanted: range) -> None:
        self._state = state
        self._visit = visit
        self._prefix = f"{visit}/"
        self._wanted = wanted
        self.items: int | None = None
        self.found: dict[int, ItemResult] = {}
        self.done = False

    def take(self, batches: tuple[bytes, ...]) -> int:
        """Fold these batches; returns how many events of the journal were read."""
        for envelope in map(decode, batches):
            for number, event in enumerate(envelope.events, start=envelope.seq):
                if number <= self._state.version:
                    continue
                ends = isinstance(event, ev.StepCompleted | ev.StepFailed | ev.RetryScheduled)
                if ends and getattr(event, "visit", "") == self._visit and self._opener() is not None:
                    # A redrive may come after a failure, and goes on with the same visit.
                    self.done = isinstance(event, ev.StepCompleted)
                    if self.done:
                        return number
                self._state = evolve(self._state, event)
                self._look(event)
        return self._state.version

    def _opener(self) -> Visit | None:
        opener = self._state.visits.get(self._visit)
        if opener is None or not isinstance(self._state.workflow.steps[opener.step_id], MapStep):
            return None
        return opener

    def _look(self, event: ev.AnyEvent) -> None:
        path = getattr(event, "visit", "")
        opener = self._opener()
        if opener is None or opener.entry is None:
            return
        self.items = count(opener)
        if not path.startswith(self._prefix):
            return
        index = int(path[len(self._prefix) :].partition("/")[0])
        if index in opener.results:
            self._keep(ItemResult(index=index, output=opener.results[index]))
            opener = replace(opener, results=Map())
            self._state = replace(self._state, visits=self._state.visits.set(opener.path, opener))
        elif index in opener.fallen:
            failure = opener.fallen[index].visit.failure
            if failure is not None:
                self._keep(ItemResult(index=index, error=failure.error, cause=failure.cause))

    def _keep(self, result: ItemResult) -> None:
        if result.index in self._wanted:
            self.found[result.index] = result
