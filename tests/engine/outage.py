"""A world whose health board runs, whose clouds go down and come back, and a door at which calls wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from core.engine.settings import EngineSettings
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.settings import DEFAULTS, FailoverSettings
from core.graph.model import Target
from core.machine import events as ev
from core.ports.clock import Clock
from core.ports.provider import Call
from tests.engine.harness import World, line, works

REFUSED = Outcome(
    executed=Executed.NO, scope=Scope.PROVIDER, signal="connect-refused", error="Sidestep.Refused"
)
THROTTLED = Outcome(
    executed=Executed.NO,
    scope=Scope.SATURATION,
    signal="throttled",
    error="Sidestep.Throttled",
    retry_here=True,
)


def refuses(_call: Call) -> Outcome:
    return REFUSED


def throttles(_call: Call) -> Outcome:
    return THROTTLED


class Door:
    """Calls wait here until they are let in, oldest first."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.open = False

    async def wait(self) -> None:
        if not self.open:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            await future

    def let_in(self, count: int) -> None:
        for _ in range(count):
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(None)

    def stay_open(self) -> None:
        self.open = True
        self.let_in(len(self.waiting))


class Slow:
    """Calls take so long."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    async def wait(self) -> None:
        await self._clock.sleep(self._seconds)


class Outage(World):
    """As World, with hands for outages."""

    def down(self, *names: str) -> None:
        for name in names:
            self.clouds[name].answer, self.clouds[name].probed = refuses, REFUSED

    def up(self, *names: str) -> None:
        for name in names:
            self.clouds[name].answer = works
            self.clouds[name].probed = Outcome(executed=Executed.NO, ok=True)

    def later(self, seconds: float) -> Callable[[], bool]:
        """True when so much time has passed."""
        at = self.clock.monotonic() + seconds
        return lambda: self.clock.monotonic() >= at

    def calls(self, provider: str) -> int:
        return sum(sent.provider == provider for sent in self.ledger)

    def state(self, provider: str, function_id: str = "a") -> str:
        return self.board.view().of(Target(provider, function_id)).state

    async def submitted(self, count: int, *names: str, **changes: Any) -> list[str]:
        return [await self.submit(line(*(names or ("a",)), **changes)) for _ in range(count)]

    async def all_done(self, count: int) -> None:
        """Submit so many, and drive them to their end."""
        await self.submitted(count)
        await self.run(self.at_rest)

    async def attempts(self, execution_id: str) -> list[ev.AttemptStarted]:
        journal = await self.journal(execution_id)
        return [event for event in journal if isinstance(event, ev.AttemptStarted)]

    async def statuses(self) -> Mapping[str, int]:
        return {status: count for status, count in (await self.store.counts()).items() if count}

    async def fail_until_open(self, provider: str = "AWS") -> None:
        """Take a provider down, and let its breaker find out."""
        self.down(provider)
        await self.all_done(6)
        assert self.state(provider) == "OPEN"
        self.ledger.clear()


@asynccontextmanager
async def outage(
    failover: FailoverSettings = DEFAULTS, settings: EngineSettings | None = None
) -> AsyncIterator[Outage]:
    world = Outage(settings=settings, failover=failover)
    await world.open()
    await world.board.start()
    try:
        yield world
    finally:
        await world.board.stop()
        await world.store.close()
