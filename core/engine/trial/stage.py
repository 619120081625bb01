"""One trial: a world of its own, in which one execution is created, driven and read.

It runs in a thread on a MovedLoop: what the machine computes holds up no server, and no other trial.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from core.engine.definitions import Definitions
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.settings import EngineSettings
from core.engine.trial.callers import Callers
from core.engine.trial.children import TrialPost
from core.engine.trial.cloud import TrialBoard, TrialCloud
from core.engine.trial.loop import FOR_EVER, MovedClock, MovedLoop
from core.engine.trial.mocks import Mocks
from core.engine.trial.outside import Outside
from core.engine.view import HistoryEvent, tell
from core.engine.workflows import Workflows
from core.errors import InvalidMocks, TrialStopped
from core.graph.model import PROVIDERS, Json, MapStep, Workflow
from core.machine import events as ev
from core.machine.journal import Envelope, decode
from core.machine.transitions import COMPLETED, PARKED, TERMINAL, TIMED_OUT
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.evaluator import Evaluator
from core.ports.store import Hold, Record, Store

_PAGE: Final = 1_000

_LEASE: Final = FOR_EVER * 10
"""So long that a third of it, the time between two renewals, is for ever."""

ENDED: Final = "ended"
"""Why a trial stopped that nobody waits for, or whose process stops."""


class TrialView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a trial.

    `output` is there where it completed, `error` and `cause` where it failed with any. `steps_entered` are
    the ids of the steps in the order in which they were entered (see Entered).
    """

    status: str
    output: Json | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    cause: str | msgspec.UnsetType = msgspec.UNSET
    context: Json
    steps_entered: list[str]
    history: list[HistoryEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is tried: a workflow on an input, from `start_ms` (Unix epoch, milliseconds) on."""

    workflow: Workflow
    input: Json
    mocks: Mocks
    start_ms: int


class Stage:
    """Plays one script. `play` is called once, in any thread; `end` can be called from any other.

    `evaluator` belongs to the event loop `home`, which runs elsewhere.
    """

    def __init__(
        self,
        script: Script,
        make_store: Callable[[Clock], Store],
        settings: EngineSettings,
        evaluator: Evaluator | None,
        home: asyncio.AbstractEventLoop,
        seconds: float,
    ) -> None:
        self._script = script
        self._make_store = make_store
        # One execution at a time: an engine that is full looks for work again when its execution is let go.
        self._settings = replace(
            settings, lease=_LEASE, poll=_LEASE, grace=0, concurrency=1, envelope=False, accepts=False
        )
        self._evaluator = evaluator
        self._home = home
        self._seconds = seconds
        self._loop: MovedLoop | None = None
        self._unwanted = False
        self._halted: asyncio.Future[str] | None = None

    def play(self) -> TrialView:
        """What came of it. Raises InvalidMocks, TrialStopped."""
        loop = MovedLoop(self._seconds)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(self._play(loop))

    def end(self) -> None:
        """Stop soon: nobody wants the result any more."""
        self._unwanted = True
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._halt, ENDED)

    async def _play(self, loop: MovedLoop) -> TrialView:
        self._halted = loop.create_future()
        self._loop = loop
        if self._unwanted:
            self._halt(ENDED)
        loop.settled = self._misses
        loop.stuck = lambda: self._halt("waits-for-ever")
        loop.late = lambda: self._halt("too-long")
        clock = MovedClock(loop, self._script.start_ms)
        store = self._make_store(clock)
        await store.open()
        board = TrialBoard()
        providers = {name: TrialCloud(name, self._script.mocks, board, clock) for name in PROVIDERS}
        definitions = Definitions(store)
        workflows = Workflows(store, definitions, providers, board, clock)
        executions = Executions(store, definitions, workflows, clock, self._settings)
        evaluator = None if self._evaluator is None else Outside(self._evaluator, self._home, loop)
        # The same workflow on the same answers draws the same lots, so that a trial repeats itself.
        lots = random.Random(self._script.workflow.digest)  # noqa: S311 - no secret comes of it
        engine = Engine(
            store,
            definitions,
            providers,
            board,
            clock,
            self._settings,
            owner="trial",
            evaluator=evaluator,
            entropy=lambda: lots.getrandbits(64),
            post=TrialPost(self._script.mocks),
        )
        callers = Callers(store, self._script.workflow, self._script.mocks, clock)
        created = await executions.create(self._script.workflow, self._script.input)
        execution_id = created.execution_id
        tasks = (
            asyncio.create_task(engine.run()),
            asyncio.create_task(callers.run(execution_id)),
            asyncio.create_task(_ended(store, execution_id)),
            self._halted,
        )
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for worker in tasks[:2]:
                if worker.done():
                    worker.result()
                    raise RuntimeError("the engine of a trial ended by itself")
            record = await store.get(execution_id)
            if self._script.mocks.missing:
                raise InvalidMocks(self._script.mocks.problems())
            if self._halted.done() and record.summary.status not in TERMINAL:
                self._explain(self._halted.result(), record)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return await _view(self._script.workflow, store, executions, execution_id)

    def _misses(self) -> bool:
        """Whether a step was called that has no answer: then there is nothing to wait for. All that are
        called at this instant have been, by now.
        """
        if not self._script.mocks.missing or self._halted is None or self._halted.done():
            return False
        self._halt("no-mock")
        return True

    def _halt(self, why: str) -> None:
        if self._halted is not None and not self._halted.done():
            self._halted.set_result(why)

    def _explain(self, why: str, record: Record) -> None:
        """Raise for a trial that has not ended; one that is parked has come as far as it can by itself."""
        where = record.summary.current_step
        at = f"at step '{where}'" if where else "before anything was recorded"
        if why == ENDED:
            raise TrialStopped(why, f"The trial was ended {at}: the process that ran it stops.")
        if why != "waits-for-ever":
            raise TrialStopped(
                why,
                f"The trial was ended {at} after {self._seconds:g} s: that is how long one may take. Time "
                "that the workflow waits does not count, so it does very much, or goes round for ever.",
            )
        if record.summary.status == PARKED:
            return
        if record.hold is Hold.TICKET:
            raise RuntimeError("the engine of a trial gave its execution up; the log says why")
        raise TrialStopped(why, f"The execution waits {at} for what never comes, so the trial was ended.")


async def _ended(store: Store, execution_id: str) -> None:
    """Return once the execution has ended; each commit rings."""
    rung = asyncio.Event()
    quiet = store.doorbell.subscribe(Topic.JOURNAL, lambda _: rung.set(), execution_id)
    try:
        while (await store.get(execution_id)).summary.status not in TERMINAL:
            await rung.wait()
            rung.clear()
    finally:
        quiet()


class Entered:
    """The steps that were entered, in order, as the execution's own history tells them.

    A whole PARALLEL or MAP that is tried again is entered once. The walks of a distributed Map of the States
    Language are executions of their own at AWS, and not in it.
    """

    def __init__(self, workflow: Workflow) -> None:
        self.steps: list[str] = []
        self._workflow = workflow
        self._apart: set[str] = set()

    def note(self, event: ev.StepStarted) -> None:
        """A visit began."""
        step = self._workflow.steps[event.step_id]
        # A visit in a walk is named after the visit that opened it and the number of the walk.
        opener = event.visit.rsplit("/", 2)[0]
        if opener != event.visit and opener in self._apart:
            self._apart.add(event.visit)
            return
        if isinstance(step, MapStep) and step.distributed:
            self._apart.add(event.visit)
        if not event.retry:
            self.steps.append(event.step_id)


async def _view(workflow: Workflow, store: Store, executions: Executions, execution_id: str) -> TrialView:
    view = await executions.view(execution_id)
    entered = Entered(workflow)
    history: list[HistoryEvent] = []
    async for envelope in _envelopes(store, execution_id):
        history += tell(envelope)
        for event in envelope.events:
            if isinstance(event, ev.StepStarted):
                entered.note(event)
    # Of an execution whose time was over, AWS tells the status alone.
    silent = workflow.language == "states" and view.status == TIMED_OUT
    failed = None if silent else view.error
    return TrialView(
        status=view.status,
        output=view.output if view.status == COMPLETED else msgspec.UNSET,
        error=_told("" if failed is None else failed.error),
        cause=_told("" if failed is None else failed.cause),
        context=view.context,
        steps_entered=entered.steps,
        history=history,
    )


def _told(text: str) -> str | msgspec.UnsetType:
    """Text that is there; a FAIL state need not give any."""
    return text or msgspec.UNSET


async def _envelopes(store: Store, execution_id: str) -> AsyncGenerator[Envelope, None]:
    after = 0
    while batches := await store.history(execution_id, after, _PAGE):
        for batch in batches:
            envelope = decode(batch)
            after = envelope.seq + len(envelope.events) - 1
            yield envelope
