"""What a running server holds, and the order in which it starts and stops. Knows ports, and no adapter."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Mapping

from api.allowance import default_limit
from api.memory import Memory
from api.readiness import Readiness
from api.roles import Role
from core.engine.callbacks import Callbacks
from core.engine.definitions import Definitions
from core.engine.endings import Endings
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.housekeeping import Housekeeping, Retention, Sweep
from core.engine.settings import EngineSettings
from core.engine.trial.trials import Trials
from core.engine.workflows import Workflows
from core.errors import (
    ConfigurationError,
    SidestepError,
    StoreInUse,
    StoreMismatch,
    StoreUnavailable,
)
from core.graph.model import Workflow
from core.ports.clock import Clock
from core.ports.evaluator import Evaluator
from core.ports.provider import Provider
from core.ports.store import Store

log = logging.getLogger("sidestep.server")

FIRST_RESTART = 0.5
LONGEST_RESTART = 30.0
"""Seconds before an engine that died is started again; doubled each time it dies within a minute."""

SETTLED = 60.0

PREPARED = 1_000
"""How many definitions are remembered as prepared, and at most are being prepared or waiting for it."""

PREPARED_FOR = 60.0
"""Seconds for which a definition that was prepared is not prepared again."""

FIRST_OPENING = 0.1
LONGEST_OPENING = 5.0
"""Seconds before a store that was away at the start is tried again; doubled each time, without an end."""

WATCH_SECONDS = 5.0
"""How often a process without an engine asks the store whether it is still the one that it was."""

GIVING_BACK = 5.0
"""Seconds beyond the grace time in which a stopping engine hands back what it holds. A store that is away
takes nothing back; the claims lapse by themselves then.
"""

REFUSED = (ConfigurationError, StoreMismatch, StoreInUse)
"""What no waiting mends: a person has to change something, so the process ends and says what."""


class Runtime:
    """The services of one process. `start` it once, `stop` it once."""

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        providers: Mapping[str, Provider],
        board: Board,
        settings: EngineSettings,
        evaluator: Evaluator | None = None,
        public_url: str = "http://127.0.0.1:3000",
        secret: bytes | None = None,
        trials: Trials | None = None,
        retention: Retention | None = None,
        sweeps: tuple[Sweep, ...] = (),
        role: Role = Role.BOTH,
        memory_limit: int | None = None,
        watch_seconds: float = WATCH_SECONDS,
        giving_back: float = GIVING_BACK,
    ) -> None:
        self.role = role
        self._watch_seconds = watch_seconds
        self._giving_back = giving_back
        self.clock = clock
        self.store = store
        self.providers = providers
        self.board = board
        self.definitions = Definitions(store)
        self.workflows = Workflows(store, self.definitions, providers, board, clock)
        self.endings = Endings()
        """Where an execution that this process drives is told to have come to rest."""
        self.executions = Executions(
            store,
            self.definitions,
            self.workflows,
            clock,
            settings,
            self.endings,
            self.drives if role.works else None,
        )
        self.evaluator = evaluator
        """None where this process evaluates no expressions but those whose time is bounded."""
        self.callbacks = Callbacks(store, self.definitions, clock, public_url, secret)
        self.trials = trials
        """None where this process takes no requests."""
        self.closing = asyncio.Event()
        """Set when the server stops: streams and waits end."""
        self.housekeeping = Housekeeping(store, clock, retention, sweeps=sweeps)
        self.memory = Memory(
            default_limit() if memory_limit is None else memory_limit, idle=lambda: self.in_hand == 0
        )
        self.restarts = 0
        self.open = False
        """Whether the store has been opened; until then there is nothing to ask it."""
        self.failure: SidestepError | None = None
        self.failed = asyncio.Event()
        """Set, with the `failure` to tell, when a process that runs learns that it cannot go on."""
        self._readiness = Readiness(store, clock)
        self._settings = settings
        self._engine: Engine | None = None
        self._life: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._looker: asyncio.Task[None] | None = None
        self._opened: contextlib.AsyncExitStack | None = None
        self._prepared: OrderedDict[str, float] = OrderedDict()
        self._preparing: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(8)

    @property
    def in_hand(self) -> int:
        """How many executions this process drives now."""
        return 0 if self._engine is None else self._engine.in_hand

    def drives(self, execution_id: str) -> bool:
        """Whether this process has that execution in hand now."""
        return self._engine is not None and self._engine.drives(execution_id)

    async def start(self) -> None:
        """Open the store and the providers, then work. A store that is away is tried for ever, behind the
        caller's back: the process runs, and is not ready.

        Raises ConfigurationError, StoreInUse, StoreMismatch; what was opened is closed again then.
        """
        async with contextlib.AsyncExitStack() as opening:
            opening.push_async_callback(self.store.close)
            if self.evaluator is not None:
                await self.evaluator.open()
                opening.push_async_callback(self.evaluator.close)
            try:
                await self.store.open()
            except StoreUnavailable as away:
                log.warning("the store is away (%s); it is tried until it is there", away)
            else:
                self.open = True
            for provider in self.providers.values():
                await provider.open()
                opening.push_async_callback(_close, provider)
            self._opened = opening.pop_all()
        self._life = asyncio.create_task(self._live())
        self._looker = asyncio.create_task(self.memory.watch())

    def _name_missing_providers(self) -> None:
        """A definition that needs one of them is refused; who starts the process shall know before."""
        missing = self.board.view().refused
        if not self.providers:
            log.warning("no provider is configured, so no task can run: %s", " ".join(missing.values()))
        elif missing:
            log.info("not configured: %s", " ".join(missing.values()))

    def begin_stop(self) -> None:
        """Claim nothing more, and end what waits. `stop` does the rest."""
        self.closing.set()
        self.executions.end_waits()
        if self.trials is not None:
            self.trials.close()
        if self._engine is not None:
            self._engine.stop()

    async def stop(self) -> None:
        """End what waits, let calls under way finish within the grace time, and close everything."""
        self.begin_stop()
        aside = [*self._preparing, *(task for task in (self._keeper, self._looker) if task)]
        for task in aside:
            task.cancel()
        try:
            if self._life is not None:
                await self._end(self._life)
        finally:
            await asyncio.gather(*aside, return_exceptions=True)
            await self.board.stop()
            opened, self._opened = self._opened, None
            if opened is not None:
                await opened.aclose()

    async def unready(self) -> str | None:
        """Why this process cannot serve now, in a sentence; None where it can. No cloud counts."""
        if self.closing.is_set():
            return "The server is stopping."
        if not self.open:
            return "The store has not answered since the start; it is tried until it does."
        if self.role.works and self._engine is None:
            return "The engine is not running; it is started again shortly. The log says why it ended."
        return await self._readiness.why_not()

    def note(self) -> str | None:
        """What whoever looks at a process that is ready should know, in a sentence."""
        notes = (self.memory.note(), self.store.full() if self.open else None)
        return " ".join(note for note in notes if note) or None

    def prepare_soon(self, workflow: Workflow) -> None:
        """Have what this workflow's targets need resolved, behind the caller's back. Best effort."""
        now = self.clock.monotonic()
        if now - self._prepared.get(workflow.digest, -PREPARED_FOR) < PREPARED_FOR:
            return
        if len(self._preparing) >= PREPARED:
            return
        self._prepared[workflow.digest] = now
        self._prepared.move_to_end(workflow.digest)
        while len(self._prepared) > PREPARED:
            self._prepared.popitem(last=False)
        task = asyncio.create_task(self._prepare(workflow))
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)

    async def _prepare(self, workflow: Workflow) -> None:
        async with self._turns:
            try:
                await self.workflows.prepare(workflow)
            except Exception:
                log.exception("what workflow %r needs could not be resolved ahead", workflow.id)

    async def _live(self) -> None:
        """Open the store where it was away, then do what the role says until the process stops or learns that
        it cannot go on.
        """
        try:
            await self._open_for_ever()
            if self.closing.is_set():
                return
            self._name_missing_providers()
            await self.board.start()
            if not self.role.works:
                await self._watch()
                return
            self._keeper = asyncio.create_task(self.housekeeping.run())
            await self._supervise()
        except REFUSED as error:
            self.failure = error
            self.failed.set()

    async def _open_for_ever(self) -> None:
        pause = FIRST_OPENING
        while not self.open and not await self._stopped_within(pause):
            try:
                await self.store.open()
            except StoreUnavailable as away:
                pause = min(LONGEST_OPENING, pause * 2)
                log.warning("the store is away (%s); it is tried again in %.1f s", away, pause)
            except REFUSED:
                raise
            except Exception:
                pause = min(LONGEST_OPENING, pause * 2)
                log.exception("the store could not be opened; it is tried again in %.1f s", pause)
            else:
                self.open = True
                log.info("the store is there")

    async def _watch(self) -> None:
        """Ask the store now and then whether it is still the one that it was. Raises what says that it is
        not; an engine would learn it by itself.
        """
        away = False
        while not await self._stopped_within(self._watch_seconds):
            try:
                await self.store.get_fact("ready")
            except StoreUnavailable as error:
                if not away:
                    log.warning("the store is away (%s); requests are answered with 503", error)
                away = True
            except REFUSED:
                raise
            except Exception:
                log.exception(
                    "the store could not be asked; it is asked again in %.1f s", self._watch_seconds
                )
            else:
                if away:
                    log.info("the store is there again")
                away = False

    async def _end(self, life: asyncio.Task[None]) -> None:
        """Wait for the orderly end, but not for ever."""
        if not self.open:
            life.cancel()
        _, late = await asyncio.wait({life}, timeout=self._settings.grace + self._giving_back)
        if late:
            log.warning("not everything could be given back in time; other workers take it over in a lease")
            life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait; whether the process is stopping."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        return self.closing.is_set()

    async def _made(self) -> Engine:
        """A new engine. Raises StoreUnavailable."""
        return Engine(
            self.store,
            self.definitions,
            self.providers,
            self.board,
            self.clock,
            self._settings,
            evaluator=self.evaluator,
            site=await self.callbacks.site(),
            endings=self.endings,
            claimable=self.memory.claimable,
        )

    async def _supervise(self) -> None:
        """Run the engine; one that dies is a defect, but no reason to stop serving."""
        pause = FIRST_RESTART
        while not self.closing.is_set():
            began = self.clock.monotonic()
            try:
                self._engine = await self._made()
                if self.closing.is_set():
                    return
                await self._engine.run()
            except StoreUnavailable as away:
                # Only the secret of callbacks is asked for before the engine runs, which bears this itself.
                log.warning("the store is away (%s); the engine is started in %.1f s", away, pause)
            except REFUSED:
                raise
            except Exception:
                log.exception("the engine died; it is started again in %.1f s", pause)
            else:
                if not self.closing.is_set():
                    log.error("the engine ended by itself; it is started again in %.1f s", pause)
            finally:
                self._engine = None
            if self.closing.is_set():
                return
            self.restarts += 1
            if self.clock.monotonic() - began > SETTLED:
                pause = FIRST_RESTART
            await self._stopped_within(pause)
            pause = min(LONGEST_RESTART, pause * 2)


async def _close(provider: Provider) -> None:
    try:
        await provider.close()
    except Exception:
        log.exception("provider %s did not close cleanly", provider.name)
