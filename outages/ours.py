"""Sidestep itself in virtual time: the engine, the machine, the routing and the health board as they are.

Only what is around them is another: the clouds are simulated, the store is the one in memory, and computing
takes no time.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from adapters.stores.memory import MemoryStore
from core.engine.definitions import Definitions
from core.engine.endings import RESTING
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.workflows import Workflows
from core.failover.settings import FailoverSettings
from core.graph.model import Workflow
from outages.cases import Case
from outages.clouds import Clouds
from outages.orders import WORKFLOWS, order
from outages.seen import Happening, Told, told
from outages.simulator import SEED, VirtualClock

_PAUSE: Final = 0.25
_PAGE: Final = 500
_VARIABLE: Final = "SIDESTEP_FAILOVER__"


class Sidestep:
    """One replica of Sidestep, without its processes."""

    def __init__(self, case: Case, clouds: Clouds) -> None:
        self._case = case
        self._clock = VirtualClock()
        self._store = MemoryStore(self._clock)
        self._definitions = Definitions(self._store)
        self._board = Board(
            {},
            self._clock,
            LocalLink(self._store, self._clock),
            settings=failover_settings(case.settings),
            providers=clouds.providers,
            replica="simulated",
            entropy=random.Random(SEED).random,  # noqa: S311 - no secret; the same run each time
        )
        self._workflows = Workflows(
            self._store, self._definitions, clouds.providers, self._board, self._clock
        )
        self._executions = Executions(self._store, self._definitions, self._workflows, self._clock)
        self._engine = Engine(
            self._store, self._definitions, clouds.providers, self._board, self._clock, owner="simulated"
        )
        self._read: dict[int, Workflow] = {}
        self._ids: list[str] = []
        self._happenings: list[Happening] = []
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As the protocol says."""
        await self._store.open()
        await self._board.start()
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
        self._happenings = await self._told()
        await self._board.stop()

    async def executions(self) -> Mapping[str, Told]:
        """As the protocol says."""
        return {name: told(msgspec.to_builtins(await self._executions.view(name))) for name in self._ids}

    async def happenings(self) -> list[Happening]:
        """As the protocol says."""
        return self._happenings

    async def _told(self) -> list[Happening]:
        """The board's events, which it tells until it is stopped."""
        found: list[Happening] = []
        before: str | None = None
        while page := await self._board.events(before, _PAGE):
            before = page[-1].event_id
            found += [
                Happening(
                    one.event.at,
                    one.event.kind,
                    one.event.provider,
                    one.event.function_id,
                    one.event.why,
                    one.event.replica,
                )
                for one in page
            ]
        return sorted(found, key=lambda one: one.at)

    async def _open(self) -> bool:
        for name in self._ids:
            if (await self._store.get(name)).summary.status not in RESTING:
                return True
        return False


def failover_settings(variables: Mapping[str, str]) -> FailoverSettings:
    """What the variables of a server's environment say of failover. Raises msgspec.ValidationError."""
    told: dict[str, Any] = {
        name.removeprefix(_VARIABLE).lower(): json.loads(value)
        for name, value in variables.items()
        if name.startswith(_VARIABLE)
    }
    return msgspec.convert(told, FailoverSettings)
