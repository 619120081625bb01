"""Executions as callers see them: created, shown, listed, watched, repeated. lifecycle.py has the rest."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Self

import msgspec
from msgspec.structs import replace

from core.engine.births import created, newborn
from core.engine.definitions import Definitions
from core.engine.endings import Endings, Rested
from core.engine.ids import any_shard, new_execution_id, shard_of
from core.engine.lifecycle import LifeCycle
from core.engine.rests import POLL_SECONDS, Rests
from core.engine.results import ItemResults, item_results
from core.engine.settings import EngineSettings
from core.engine.view import ExecutionView, HistoryEvent, tell, view_execution
from core.engine.workflows import Workflows
from core.errors import InvalidInput
from core.graph.model import Json, Workflow
from core.graph.reading import under_id
from core.machine.journal import decode
from core.machine.transitions import TERMINAL
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import Created, Filter, Idempotency, NewExecution, Page, Store

PAGE = 500
"""How many events a watcher reads at once."""


class Executions(LifeCycle):
    """What the API and the command line do with executions. It drives none: an Engine does."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        workflows: Workflows,
        clock: Clock,
        settings: EngineSettings | None = None,
        endings: Endings | None = None,
        drives: Callable[[str], bool] | None = None,
    ) -> None:
        """`endings` is told by the drivers of this process, if it has any; `drives` says of what."""
        super().__init__(store, definitions, clock)
        self._rests = Rests(store, clock, endings, drives)
        self._workflows = workflows
        self._settings = settings or EngineSettings()

    async def create(
        self,
        workflow: Workflow,
        input_: Json,
        *,
        caller: str = "",
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
    ) -> Created:
        """Accept an execution: after the return it is not lost.

        The input is an object, or in the States Language any JSON.

        With a key, the same request again returns the first execution for 24 hours. What the same request is
        says `fingerprint`, or else the workflow and the input. Raises IdempotencyConflict where the key was
        used for another request, StoreUnavailable.
        """
        return await self._store.create(self._new(workflow, input_, caller, idempotency_key, fingerprint))

    async def create_and_rest(
        self,
        workflow: Workflow,
        input_: Json,
        seconds: float,
        *,
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[Created, Rested | str | None]:
        """As `create`, and then as `rest`; None where it is an earlier one, which is not waited for."""
        new = self._new(workflow, input_, "", idempotency_key, fingerprint)
        with self._rests.watch(new.execution_id) as rest:
            created = await self._store.create(new)
            if created.fresh:
                return created, await self._rests.wait(rest, new.execution_id, seconds, fresh=True)
        return created, None

    async def rerun(
        self,
        execution_id: str,
        input_: Json = None,
        *,
        actor: str = "",
        reason: str = "",
        caller: str = "",
        idempotency_key: str | None = None,
    ) -> Created:
        """A new execution of the same definition, with the same input unless another is given.

        Its WORKFLOW_CREATED names the execution that it repeats, the actor and the reason; the first one is
        left as it is, whatever its status. Keys work as for `create`. Raises ExecutionNotFound,
        IdempotencyConflict, InvalidInput for what can be no input.
        """
        state = await self._state(execution_id)
        if state.workflow.language == "native" and not isinstance(input_, dict | None):
            raise InvalidInput("'input' must be an object, as the workflow is native")
        given = state.input if input_ is None else input_
        workflow = under_id(state.workflow, state.workflow_id or state.workflow.id)
        fingerprint = _fingerprint(workflow, given, execution_id)
        rerun = execution_id, actor, reason
        return await self._store.create(
            self._new(workflow, given, caller, idempotency_key, fingerprint, rerun)
        )

    def _new(
        self,
        workflow: Workflow,
        input_: Json,
        caller: str,
        key: str | None,
        fingerprint: str | None,
        rerun: tuple[str | None, str, str] = (None, "", ""),
    ) -> NewExecution:
        now = self._clock.now_ms()
        shards = self._store.shards
        shard = any_shard(shards) if key is None else shard_of(caller, key, shards)
        execution_id = new_execution_id(now, shard)
        rerun_of, actor, reason = rerun
        first = replace(
            created(workflow, self._settings, now, input_, len(msgspec.json.encode(input_))),
            caller=caller,
            rerun_of=rerun_of,
            actor=actor,
            reason=reason,
        )
        idempotency = None
        if key is not None:
            idempotency = Idempotency(
                caller=caller,
                key=key,
                fingerprint=fingerprint or _fingerprint(workflow, input_),
                expires_at_ms=now + self._settings.idempotency_seconds * 1000,
            )
        self._definitions.remember(workflow)
        return newborn(execution_id, workflow, first, actor=caller or "api", idempotency=idempotency)

    async def view(self, execution_id: str, rested: Rested | None = None) -> ExecutionView:
        """The execution, whole; `rested` is what a wait for it has just given. Raises ExecutionNotFound."""
        return await view_execution(self._store, self._definitions, execution_id, rested)

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """A page of a listing, newest first."""
        return await self._store.find(wanted, cursor, limit)

    async def history(self, execution_id: str, after: int, limit: int) -> list[HistoryEvent]:
        """Up to `limit` events with a higher number than `after`. Raises ExecutionNotFound."""
        batches = await self._store.history(execution_id, after, limit)
        events = [event for batch in batches for event in tell(decode(batch))]
        return [event for event in events if event.seq > after][:limit]

    async def results(self, execution_id: str, visit: str, after: int, limit: int) -> ItemResults:
        """What items `after + 1` to `after + limit` of a MAP's visit gave. Raises ExecutionNotFound,
        VisitNotFound.
        """
        return await item_results(self._store, self._definitions, execution_id, visit, after, limit)

    async def wait(self, execution_id: str, seconds: float) -> str:
        """The status when it is terminal, PARKED or PAUSED, and no message waits that may change that, or
        after `seconds`. Raises ExecutionNotFound.
        """
        rest = await self.rest(execution_id, seconds)
        return rest if isinstance(rest, str) else rest.state.status

    async def rest(self, execution_id: str, seconds: float) -> Rested | str:
        """As `wait`, and the whole state where this process has it at hand."""
        with self._rests.watch(execution_id) as rest:
            return await self._rests.wait(rest, execution_id, seconds, fresh=False)

    def end_waits(self) -> None:
        """Have all that wait for an execution's rest go on now."""
        self._rests.end()

    async def events(self, execution_id: str, after: int = 0) -> AsyncGenerator[HistoryEvent | None, None]:
        """The history from event `after + 1` on, then what comes, until the execution ends.

        None is yielded about once a second while nothing happens, so that a caller can keep its connection
        alive. Raises ExecutionNotFound.
        """
        with _Rings(self._store, execution_id) as rings:
            while True:
                # A redrive that waits to be taken up is not the end, nor one that is taken up meanwhile.
                mail = await self._store.inbox(execution_id)
                ended = (await self._store.get(execution_id)).summary.status in TERMINAL and not mail
                told = await self.history(execution_id, after, PAGE)
                for event in told:
                    after = event.seq
                    yield event
                if told:
                    continue
                if ended:
                    return
                yield None
                await rings.next(POLL_SECONDS)

    async def counts(self) -> dict[str, int]:
        """How many executions there are of each status."""
        return await self._store.counts()


class _Rings:
    """The journal doorbell of one execution, as something to wait for."""

    def __init__(self, store: Store, execution_id: str) -> None:
        self._store = store
        self._execution_id = execution_id
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self._end = self._store.doorbell.subscribe(Topic.JOURNAL, self._ring, self._execution_id)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _ring(self, execution_id: str) -> None:
        if execution_id == self._execution_id:
            self._event.set()

    async def next(self, seconds: float) -> None:
        """Return at the next ring, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


def _fingerprint(workflow: Workflow, input_: Json, rerun_of: str | None = None) -> str:
    """Identifies a request: what runs, on what, and which execution it repeats."""
    named = [workflow.digest, input_] if rerun_of is None else [workflow.digest, input_, rerun_of]
    body = msgspec.json.encode(named, order="deterministic")
    return hashlib.sha256(body).hexdigest()
