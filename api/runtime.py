"""What a running server holds, and the order in which it starts and stops. Knows ports, and no adapter."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Mapping

from core.engine.board import LocalBoard
from core.engine.definitions import Definitions
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.settings import EngineSettings
from core.engine.workflows import Workflows
from core.errors import StoreError
from core.graph.model import Workflow
from core.ports.clock import Clock
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

READY_SECONDS = 2.0

PROVED_FOR = 1.0
"""Seconds for which one proof that the store takes writes, or takes none, does for all who ask."""


class Runtime:
    """The services of one process. `start` it once, `stop` it once."""

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        providers: Mapping[str, Provider],
        board: LocalBoard,
        settings: EngineSettings,
    ) -> None:
        self.clock = clock
        self.store = store
        self.providers = providers
        self.board = board
        self.definitions = Definitions(store)
        self.workflows = Workflows(store, self.definitions, providers, board, clock)
        self.executions = Executions(store, self.definitions, self.workflows, clock, settings)
        self.closing = asyncio.Event()
        """Set when the server stops: streams and waits end."""
        self.restarts = 0
        self._settings = settings
        self._engine: Engine | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._opened: contextlib.AsyncExitStack | None = None
        self._prepared: OrderedDict[str, float] = OrderedDict()
        self._preparing: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(8)
        self._proving = asyncio.Lock()
        self._proved: tuple[float, bool] | None = None

    async def start(self) -> None:
        """Open the store and the providers, then work.

        Raises ConfigurationError, StoreInUse, StoreMismatch, StoreUnavailable; what was opened is closed
        again then.
        """
        async with contextlib.AsyncExitStack() as opening:
            await self.store.open()
            opening.push_async_callback(self.store.close)
            for provider in self.providers.values():
                await provider.open()
                opening.push_async_callback(_close, provider)
            self._opened = opening.pop_all()
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End what waits, let calls under way finish within the grace time, and close everything."""
        self.closing.set()
        if self._engine is not None:
            self._engine.stop()
        for task in self._preparing:
            task.cancel()
        try:
            if self._supervisor is not None:
                await self._supervisor
        finally:
            await asyncio.gather(*self._preparing, return_exceptions=True)
            opened, self._opened = self._opened, None
            if opened is not None:
                await opened.aclose()

    async def unready(self) -> str | None:
        """Why this process cannot serve now, in a sentence; None where it can. No cloud counts."""
        if self.closing.is_set():
            return "The server is stopping."
        if self._engine is None:
            return "The engine is not running; it is started again shortly. The log says why it ended."
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self.store.get_fact("ready")
                return None if await self._writable() else "The store takes no writes."
        except (StoreError, TimeoutError):
            return "The store does not answer."

    async def _writable(self) -> bool:
        """Whether the store keeps what it is given: a full disk still reads. Raises TimeoutError."""
        async with self._proving:
            if self._proved is not None and self.clock.monotonic() - self._proved[0] < PROVED_FOR:
                return self._proved[1]
            try:
                # A new value each time, so that no store can take it for written already.
                await self.store.put_fact("ready", b"%d" % self.clock.now_ms())
            except StoreError:
                log.warning("the store takes no writes", exc_info=True)
                writable = False
            else:
                writable = True
            self._proved = (self.clock.monotonic(), writable)
            return writable

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

    async def _supervise(self) -> None:
        """Run the engine; one that dies is a defect, but no reason to stop serving."""
        pause = FIRST_RESTART
        while not self.closing.is_set():
            began = self.clock.monotonic()
            self._engine = Engine(
                self.store, self.definitions, self.providers, self.board, self.clock, self._settings
            )
            try:
                await self._engine.run()
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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.closing.wait()
            pause = min(LONGEST_RESTART, pause * 2)


async def _close(provider: Provider) -> None:
    try:
        await provider.close()
    except Exception:
        log.exception("provider %s did not close cleanly", provider.name)
