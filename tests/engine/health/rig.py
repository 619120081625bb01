"""Boards on a clock that only tests move, with calls that end when they are told to."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from adapters.stores.memory import MemoryStore
from core.engine.health.board import Board
from core.engine.health.flights import BoardFlight
from core.engine.health.local_link import Commons, LocalLink
from core.engine.health.report import BreakerReport, FunctionReport, PlaceReport
from core.errors import StoreUnavailable
from core.failover.breaker import Breaker
from core.failover.health import Standing
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.failover.settings import DEFAULTS, FailoverSettings
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.link import Beat, HealthEvent, Kept, Key, News, Override, Tally
from core.ports.provider import Call, Provider
from core.testing.clock import ManualClock

WELL = succeeded({"did": "it"})
REFUSED = Outcome(
    executed=Executed.NO, scope=Scope.PROVIDER, signal="connect-refused", error="Sidestep.Refused"
)
TIMED_OUT = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="read-timeout", error="Sidestep.Timeout"
)
BUG = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="ValueError")
CALLERS = Outcome(executed=Executed.NO, scope=Scope.CALLER, signal="bad-request", error="Sidestep.BadRequest")
THROTTLED = Outcome(
    executed=Executed.NO, scope=Scope.SATURATION, signal="throttled", error="Sidestep.Throttled"
)
NOT_DEPLOYED = Outcome(executed=Executed.NO, scope=Scope.FUNCTION, signal="not-found", error="Sidestep.404")
ABANDONED = Outcome(executed=Executed.MAYBE, signal="abandoned", error="Sidestep.Abandoned")

STEP = 0.01
"""Seconds by which the clock moves at once."""


HOME = "eu-north-1"
"""AWS's region of the settings."""


def aws(name: str = "charge", region: str | None = None) -> Target:
    return Target("AWS", name, region)


def gcp(name: str = "charge") -> Target:
    return Target("GCP", name)


class Cloud(Provider):
    """A provider that is asked by probes and canaries only."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.name = name
        self.outcome = WELL
        self.canary: Outcome | None = None
        self.takes = 0.0
        self.raises: Exception | None = None
        self.probed: list[tuple[float, Target]] = []
        self.invoked: list[Call] = []
        self.under_way = 0
        self.most_at_once = 0
        self._clock = clock

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def check(self, target: Target) -> str | None:
        return None if target.function_id else "it has no name"

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Nothing to prepare."""

    async def invoke(self, call: Call) -> Outcome:
        self.invoked.append(call)
        asked = await self._asked()
        return self.canary or asked

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:  # noqa: ARG002  the port's
        raise AssertionError("nothing is polled here")

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:
        assert timeout_ms == DEFAULTS.probe_timeout_ms
        self.probed.append((self._clock.monotonic(), target))
        return await self._asked()

    async def _asked(self) -> Outcome:
        if self.raises is not None:
            raise self.raises
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await self._clock.sleep(self.takes)
        finally:
            self.under_way -= 1
        return self.outcome


class Link(LocalLink):
    """A link that can be cut, and remembers what was told."""

    def __init__(self, store: MemoryStore, clock: ManualClock, commons: Commons) -> None:
        super().__init__(store, clock, commons)
        self.cut: Exception | None = None
        self.told: list[tuple[Kept, HealthEvent | None]] = []
        self.said: list[Mapping[int, Mapping[Target, Tally]]] = []

    async def open(self) -> None:
        self._whole()
        await super().open()

    async def beat(self, replica: str, tallies: Mapping[int, Mapping[Target, Tally]], window: int) -> Beat:
        self._whole()
        self.said.append(tallies)
        return await super().beat(replica, tallies, window)

    async def move(self, kept: Kept, event: HealthEvent | None) -> Kept:
        self._whole()
        self.told.append((kept, event))
        return await super().move(kept, event)

    async def permit(self, key: Key, replica: str, seconds: float) -> bool:
        self._whole()
        return await super().permit(key, replica, seconds)

    async def put_override(self, override: Override, event: HealthEvent) -> tuple[Override, ...]:
        self._whole()
        return await super().put_override(override, event)

    def subscribe(self, heard: Callable[[News], None]) -> Callable[[], None]:
        return super().subscribe(lambda news: heard(news) if self.cut is None else None)

    def _whole(self) -> None:
        if self.cut is not None:
            raise self.cut


AWAY = StoreUnavailable("the store is away")


class Rig:
    """Replicas of one service, and calls of theirs."""

    def __init__(self, replicas: int, settings: FailoverSettings, canaries: Mapping[str, Target]) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.clouds = {name: Cloud(name, self.clock) for name in ("AWS", "GCP", "HTTP")}
        self.commons = Commons()
        self.settings = settings
        self.canaries = canaries
        self.links = [Link(self.store, self.clock, self.commons) for _ in range(replicas)]
        self.boards = [self.new_board(f"r{number}", link) for number, link in enumerate(self.links)]
        self._numbers = itertools.count(1)
        self._ends: list[tuple[float, int, BoardFlight, Outcome, float]] = []

    def new_board(self, replica: str, link: LocalLink) -> Board:
        return Board(
            {},
            self.clock,
            link,
            settings=self.settings,
            providers=self.clouds,
            canaries=self.canaries,
            homes={"AWS": HOME},
            replica=replica,
            entropy=lambda: 0.5,
        )

    @property
    def board(self) -> Board:
        return self.boards[0]

    def attempt(self, target: Target, role: str = "", timeout_ms: int = 10_000) -> AttemptStarted:
        number = next(self._numbers)
        return AttemptStarted(
            visit="v",
            step_id="s",
            attempt=1,
            round=0,
            target=target,
            key=f"k{number}",
            timeout_ms=timeout_ms,
            not_after=0,
            role=role,
        )

    def send(
        self, target: Target, role: str = "", *, board: Board | None = None, timeout_ms: int = 10_000
    ) -> BoardFlight:
        """Decide and send one call, now."""
        board = board or self.board
        started = self.attempt(target, role, timeout_ms)
        board.decided(started)
        return board.sent(started)

    def call(
        self,
        target: Target,
        outcome: Outcome = WELL,
        after: float = 0.03,
        *,
        role: str = "",
        board: Board | None = None,
    ) -> BoardFlight:
        """Send one call, now, that ends so after so many seconds."""
        flight = self.send(target, role, board=board)
        due = self.clock.monotonic() + after
        heapq.heappush(self._ends, (due, next(self._numbers), flight, outcome, after * 1000))
        return flight

    async def settle(self) -> None:
        """Let everything run that needs no time."""
        for _ in range(12):
            await asyncio.sleep(0)

    async def step(self, seconds: float = STEP) -> None:
        """Move the clock once. Ticks come before answers, as they may."""
        self.clock.advance(seconds)
        await self.settle()
        while self._ends and self._ends[0][0] <= self.clock.monotonic() + 1e-9:
            _, _, flight, outcome, duration_ms = heapq.heappop(self._ends)
            flight.ended(outcome, duration_ms)

    async def run(
        self, seconds: float, each: Callable[[int], object] = lambda _: None, step: float = STEP
    ) -> None:
        """Let so much time pass; `each` is called before every step, with its number."""
        for number in range(round(seconds / step)):
            each(number)
            await self.step(step)
        await self.settle()

    async def until(
        self,
        what: Callable[[], object],
        within: float,
        each: Callable[[int], object] = lambda _: None,
        step: float = STEP,
    ) -> float:
        """Let time pass until it is so; returns after how many seconds."""
        for number in range(round(within / step) + 1):
            if what():
                return number * step
            each(number)
            await self.step(step)
        raise AssertionError(f"not within {within} s")

    def probes(self, outcome: Outcome) -> None:
        """Answer probes so, at every cloud."""
        for cloud in self.clouds.values():
            cloud.outcome = outcome

    def standing(self, target: Target, board: Board | None = None) -> Standing:
        return (board or self.board).view().of(target)

    def state(self, target: Target, board: Board | None = None) -> str:
        return self.standing(target, board).state

    def place(self, target: Target, board: Board | None = None) -> PlaceReport:
        report = (board or self.board).report()
        provider = next(one for one in report.providers if one.name == target.provider)
        return next(one for one in provider.places if one.region == target.region)

    def function(self, target: Target, board: Board | None = None) -> FunctionReport:
        return next(one for one in self.place(target, board).functions if one.target == target)

    def breaker(self, target: Target, board: Board | None = None) -> BreakerReport:
        return self.function(target, board).breaker

    async def kinds(self) -> list[str]:
        """The kinds of all events, oldest first."""
        return [one.event.kind for one in reversed(await self.board.events(None, 500))]

    def shared(self) -> dict[Key, Breaker]:
        """The breakers that all replicas know of."""
        return {key: kept.breaker for key, (kept, _) in self.commons.breakers.items()}


@asynccontextmanager
async def rig(
    replicas: int = 1,
    settings: FailoverSettings = DEFAULTS,
    canaries: Mapping[str, Target] | None = None,
) -> AsyncIterator[Rig]:
    """Boards that run, on an open store."""
    made = Rig(replicas, settings, canaries or {})
    await made.store.open()
    try:
        for board in made.boards:
            await board.start()
        yield made
    finally:
        for board in made.boards:
            await board.stop()
        await made.store.close()
