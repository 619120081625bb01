"""A world for engines: one store, one clock that only tests move, and clouds that answer as they are told.

A crash is the death of a process: from that point on nothing that the engine asks for happens, and none of
its code runs. A new engine then meets what is in the store, as after a restart.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from adapters.stores.memory import MemoryStore
from core.engine.definitions import Definitions
from core.engine.endings import Endings
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.settings import EngineSettings
from core.engine.site import Site
from core.engine.workflows import Workflows
from core.failover.outcome import Executed, Outcome, succeeded
from core.failover.settings import DEFAULTS, FailoverSettings
from core.graph.model import PROVIDERS, Target
from core.machine import events as ev
from core.machine.journal import decode
from core.ports.evaluator import Evaluator
from core.ports.provider import Call, Provider
from core.ports.store import Store
from core.testing.clock import ManualClock

Answer = Callable[[Call], Outcome]


class Gate(Protocol):
    """Where calls wait before they are answered."""

    async def wait(self) -> object: ...


class Sent(msgspec.Struct, frozen=True):
    """One call that reached a cloud, and whether the function ran."""

    provider: str
    key: str
    attempt: int
    ran: bool


class Cloud(Provider):
    """A provider whose answers a test chooses. It keeps a ledger of what really ran."""

    def __init__(self, name: str, answer: Answer, ledger: list[Sent]) -> None:
        self.name = name
        self.answer = answer
        self.ledger = ledger
        self.gate: Gate | None = None
        self.probed = Outcome(executed=Executed.NO, ok=True)
        self.polled: list[tuple[Target, str, int]] = []
        self.on_poll: Callable[[str], Outcome] = lambda _: succeeded({"polled": True})

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def check(self, target: Target) -> str | None:
        return "it is a foreign host" if target.function_id == "foreign" else None

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Nothing to prepare."""

    async def invoke(self, call: Call) -> Outcome:
        outcome = self.answer(call)
        ran = outcome.executed is Executed.YES or (
            outcome.executed is Executed.MAYBE and "ran" in outcome.cause
        )
        self.ledger.append(Sent(self.name, call.idempotency_key, call.attempt, ran))
        if self.gate is not None:
            await self.gate.wait()
        return outcome

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:
        self.polled.append((target, location, timeout_ms))
        return self.on_poll(location)

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:  # noqa: ARG002  the port's
        return self.probed


class CrashPlan:
    """Kills its process at the nth thing that it does (0: before the first); None never does."""

    def __init__(self, at: int | None) -> None:
        self.left = at
        self.dead = asyncio.Event()

    async def point(self) -> None:
        """One place where a crash can happen."""
        if self.left is not None:
            if self.left == 0:
                self.dead.set()
            self.left -= 1
        if self.dead.is_set():
            await asyncio.Event().wait()


class Mortal:
    """A store or a provider as one process sees it: each act has a crash point before and after it."""

    def __init__(self, inner: object, plan: CrashPlan, acts: frozenset[str]) -> None:
        self._inner = inner
        self._plan = plan
        self._acts = acts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._acts:
            return found

        async def act(*args: Any) -> Any:
            await self._plan.point()
            result = await found(*args)
            await self._plan.point()
            return result

        return act


STORE_ACTS = frozenset(
    {"claim", "load", "commit", "give_back", "renew", "inbox", "save_snapshot", "create", "deliver"}
)


def works(call: Call) -> Outcome:
    return succeeded({"did": call.target.function_id})


class World:
    """Everything that outlives a process."""

    def __init__(
        self,
        answer: Answer = works,
        refused: Mapping[str, str] | None = None,
        settings: EngineSettings | None = None,
        failover: FailoverSettings = DEFAULTS,
        make_store: Callable[[ManualClock], Store] = MemoryStore,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.clock = ManualClock()
        self.store = make_store(self.clock)
        self._opened = False
        self.site = Site(b"a secret of the tests", "http://sidestep.test")
        self.settings = settings or EngineSettings()
        self.ledger: list[Sent] = []
        self.clouds = {name: Cloud(name, answer, self.ledger) for name in PROVIDERS}
        self.board = Board(
            refused or {},
            self.clock,
            LocalLink(self.store, self.clock),
            settings=failover,
            providers=self.clouds,
            entropy=lambda: 0.5,
        )
        self.endings = Endings()
        self.definitions = Definitions(self.store)
        self.workflows = Workflows(self.store, self.definitions, self.clouds, self.board, self.clock)
        self.executions = Executions(self.store, self.definitions, self.workflows, self.clock, self.settings)

    def engine(self, plan: CrashPlan | None = None) -> Engine:
        """A new process's engine, which dies as planned."""
        plan = plan or CrashPlan(None)
        return Engine(
            cast("Store", Mortal(self.store, plan, STORE_ACTS)),
            Definitions(self.store),
            {
                name: cast("Provider", Mortal(cloud, plan, frozenset({"invoke", "poll"})))
                for name, cloud in self.clouds.items()
            },
            self.board,
            self.clock,
            self.settings,
            evaluator=self.evaluator,
            site=self.site,
            endings=self.endings,
        )

    async def open(self) -> None:
        if not self._opened:
            self._opened = True
            await self.store.open()

    async def submit(self, document: object, input_: Mapping[str, Any] | None = None) -> str:
        await self.open()
        workflow = self.workflows.read(document)
        return (await self.executions.create(workflow, input_ or {})).execution_id

    async def run(self, until: Callable[[], Any], engine: Engine | None = None, limit: int = 2_000) -> None:
        """Drive with one engine until `until` is true, moving the clock whenever nothing else moves."""
        engine = engine or self.engine()
        task = asyncio.create_task(engine.run())
        try:
            for _ in range(limit):
                await self.quiet()
                if task.done():
                    task.result()
                verdict = until()
                if await verdict if asyncio.iscoroutine(verdict) else verdict:
                    return
                self.clock.advance(min(self.clock.next_wake_in or 1.0, 60.0))
            raise AssertionError("it never came to that")
        finally:
            engine.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def quiet(self) -> None:
        """Let every task run until all of them wait. In memory, a few turns of the loop are enough."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def until_sent(self, count: int) -> None:
        """Return once `count` calls have reached the clouds."""
        for _ in range(10):
            await self.quiet()
            if len(self.ledger) >= count:
                return
        raise AssertionError(f"{len(self.ledger)} calls were sent, not {count}")

    async def status(self, execution_id: str) -> str:
        return (await self.store.get(execution_id)).summary.status

    async def at_rest(self) -> bool:
        """True when every execution has ended or is parked."""
        counts = await self.store.counts()
        return not any(counts.get(status) for status in ("PENDING", "RUNNING"))

    async def journal(self, execution_id: str) -> list[ev.AnyEvent]:
        batches = await self.store.history(execution_id, 0, 1_000_000)
        return [event for batch in batches for event in decode(batch).events]


def line(*names: str, **changes: Any) -> dict[str, Any]:
    """A line of tasks, each at AWS with a fallback at GCP; `changes` are made to every step."""
    steps: list[dict[str, Any]] = [
        {
            "id": name,
            "type": "TASK",
            "provider": "AWS",
            "functionId": name,
            "fallbackProvider": "GCP",
            **changes,
        }
        for name in names
    ]
    for step, following in zip(steps, names[1:], strict=False):
        step["next"] = following
    return {"id": "line", "startAt": names[0], "steps": steps}


def audit(journal: list[ev.AnyEvent], ledger: list[Sent], at_most_once: set[str]) -> None:
    """What must hold of every execution, whatever happened to it."""
    started: dict[tuple[str, int], ev.AttemptStarted] = {}
    closed: Counter[tuple[str, int]] = Counter()
    completed: Counter[str] = Counter()
    keys: dict[tuple[str, int], set[str]] = defaultdict(set)
    step_of: dict[str, str] = {}
    latest: dict[str, str] = {}
    allowed: Counter[str] = Counter()
    for event in journal:
        match event:
            case ev.AttemptStarted():
                assert (event.visit, event.attempt) not in started, "an attempt number was used twice"
                started[event.visit, event.attempt] = event
                keys[event.visit, event.round].add(event.key)
                step_of[event.key] = event.step_id
                latest[event.visit] = event.key
            case ev.AttemptSucceeded() | ev.AttemptFailed() | ev.AttemptInterrupted() | ev.AttemptAbandoned():
                closed[event.visit, event.attempt] += 1
            case ev.CallbackReceived():
                # One that comes between two attempts closes none.
                closed[event.visit, event.attempt] = 1
            case ev.StepCompleted():
                completed[event.visit] += 1
            case ev.StepResolved() if event.verdict in {"retry", "failover"}:
                allowed[latest[event.visit]] += 1
            case _:
                pass
    assert all(len(found) == 1 for found in keys.values()), "a round has more than one key"
    every = [key for found in keys.values() for key in found]
    assert len(every) == len(set(every)), "two rounds share a key"
    assert all(count == 1 for count in completed.values()), "a step completed twice"
    assert all(closed[one] == 1 for one in started), "an attempt was not closed exactly once"
    known = {(event.key, event.attempt): event for event in started.values()}
    mine = [sent for sent in ledger if sent.key in step_of]
    calls = Counter((sent.key, sent.attempt) for sent in mine)
    assert all(count == 1 for count in calls.values()), "an attempt number was sent twice"
    assert all((sent.key, sent.attempt) in known for sent in mine), "a call was not in the journal"
    runs = Counter(sent.key for sent in mine if sent.ran)
    for key, count in runs.items():
        if step_of[key] in at_most_once:
            assert count <= 1 + allowed[key], f"{key} ran {count} times"
