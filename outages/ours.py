"""Sidestep itself in virtual time: the engine, the machine, the routing and the health board as they are.

Only what is around them is another: the clouds are simulated, the store is the one in memory, and computing
takes no time.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from adapters.stores.memory import MemoryStore
from core.engine.board import LocalBoard
from core.engine.definitions import Definitions
from core.engine.engine import Engine
from core.engine.executions import RESTING, Executions
from core.engine.workflows import Workflows
from core.graph.model import Workflow
from outages.cases import Case
from outages.clouds import Clouds
from outages.orders import WORKFLOWS, order
from outages.seen import Happening, Told, told
from outages.simulator import VirtualClock

_PAUSE = 0.25


class Sidestep:
    """One replica of Sidestep, without its processes."""

    def __init__(self, case: Case, clouds: Clouds) -> None:
        self._case = case
        self._clock = VirtualClock()
        self._store = MemoryStore(self._clock)
        self._definitions = Definitions(self._store)
        self._board = LocalBoard({}, self._clock)
        self._workflows = Workflows(
            self._store, self._definitions, clouds.providers, self._board, self._clock
        )
        self._executions = Executions(self._store, self._definitions, self._workflows, self._clock)
        self._engine = Engine(
            self._store, self._definitions, clouds.providers, self._board, self._clock, owner="simulated"
        )
        self._read: dict[int, Workflow] = {}
        self._ids: list[str] = []
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As the protocol says."""
        await self._store.open()
        self._running = asyncio.create_task(self._engine.run())

    async def submit(self, number: int) -> str:
        """As the protocol says."""
        body = order(self._case, number)
        kind = number % len(WORKFLOWS)
        if kind not in self._read:
            self._read[kind] = self._workflows.read(body["workflow"])
        created = await self._executions.create(self._read[kind], body["input"])
        self._ids.append(created.execution_id)
        return created.execution_id

    async def stop(self, seconds: float) -> None:
        """As the protocol says."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until and await self._open():
            await self._clock.sleep(_PAUSE)
        self._engine.stop()
        if self._running is not None:
            await self._running

    async def executions(self) -> Mapping[str, Told]:
        """As the protocol says."""
        return {name: told(msgspec.to_builtins(await self._executions.view(name))) for name in self._ids}

    async def happenings(self) -> list[Happening]:
        """As the protocol says."""
        return []

    async def _open(self) -> bool:
        for name in self._ids:
            if (await self._store.get(name)).summary.status not in RESTING:
                return True
        return False
