"""The health board: what is known of the targets, and who is told.

Every part of it is one idea in one file; here they are put together, and given their rhythm:

- a tick, every 50 ms: what is overdue, breakers that wait for a time, waiters, probes that are due;
- a beat, every second give or take a fifth: counts to and from the other replicas, what is old, what is idle;
- telling: each change at once, behind the decisions' back.

Nothing here waits for the link: a store that is away costs the knowledge of the others, and no call.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping

from core.data.context import instant
from core.engine.health.asking import Asking
from core.engine.health.boardtime import BoardTime
from core.engine.health.budgets import Budgets
from core.engine.health.calls import Calls
from core.engine.health.flights import BoardFlight
from core.engine.health.hanging import Hanging
from core.engine.health.isolation import Isolation
from core.engine.health.judge import Judge
from core.engine.health.overrides import Overrides, checked
from core.engine.health.prober import Prober
from core.engine.health.queues import Queue
from core.engine.health.register import MOST_FUNCTIONS, Register
from core.engine.health.report import BoardReport
from core.engine.health.reporting import Reporting
from core.engine.health.sharing import BEAT_SECONDS, Sharing
from core.engine.health.standings import Standings
from core.engine.health.stats import Stats
from core.engine.health.tallies import Tallies
from core.engine.health.tasks import for_ever
from core.engine.health.telling import Outbox
from core.failover.health import Health, place_of
from core.failover.settings import DEFAULTS, FailoverSettings
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.clock import Clock
from core.ports.health import HealthBoard
from core.ports.link import HealthEvent, HealthLink, NumberedEvent, Override
from core.ports.provider import Provider

log = logging.getLogger("sidestep.health")

TICK_SECONDS = 0.05
JITTER = 0.2
"""The share by which beats come early or late, so that replicas that start together do not beat together."""

FIRST_BEAT = 1.0
"""Seconds that a start waits for the first beat, so that a new replica begins with what the others know."""


class Board(HealthBoard):
    """Implements the health board port for one process (`replica` is its name among those of one store).

    `refused` says why a provider cannot be called at all; `canaries` are functions that are safe to run, by
    provider; `homes` the regions, by provider, in which functions run that name none. With `probing` False
    (a process that makes no calls) it probes nothing. `start` it on the event loop whose calls it counts,
    `stop` it there; in between it never raises but where a method says so.
    """

    def __init__(
        self,
        refused: Mapping[str, str],
        clock: Clock,
        link: HealthLink,
        *,
        settings: FailoverSettings = DEFAULTS,
        providers: Mapping[str, Provider] | None = None,
        canaries: Mapping[str, Target] | None = None,
        homes: Mapping[str, str] | None = None,
        replica: str = "this",
        entropy: Callable[[], float] = random.random,
        probing: bool = True,
        most_functions: int = MOST_FUNCTIONS,
    ) -> None:
        self.replica = replica
        self._clock = clock
        self._link = link
        self._entropy = entropy
        self._probing = probing
        self._time = BoardTime(clock)
        self._register = Register(settings, most_functions)
        self.homes: Mapping[str, str] = dict(homes or {})
        self._overrides = Overrides(homes)
        self._budgets = Budgets(settings)
        self._queue = Queue()
        self._isolation = Isolation(self._register, settings)
        self._tallies = Tallies()
        self._standings = Standings(
            refused, settings, self._register, self._overrides, self._budgets, self._isolation
        )
        self._outbox = Outbox(link, replica, clock)
        self._judge = Judge(
            replica,
            settings,
            entropy,
            self._register,
            self._isolation,
            self._standings,
            self._queue,
            self._outbox,
        )
        self._sharing = Sharing(
            link,
            replica,
            clock,
            settings,
            self._register,
            self._judge,
            self._isolation,
            self._overrides,
            self._standings,
            self._queue,
            self._tallies,
            self._outbox,
        )
        self._outbox.adopt = self._sharing.adopt
        stats: defaultdict[str, Stats] = defaultdict(Stats)
        asking = Asking(clock, settings, providers or {}, canaries or {}, lambda name: stats[name].probe())
        self._hanging = Hanging(
            clock, self._time, settings, self._register, self._judge, self._isolation, asking
        )
        self._prober = Prober(
            link,
            replica,
            clock,
            settings,
            self._register,
            self._judge,
            self._standings,
            self._queue,
            asking,
            self._isolation,
        )
        for target in (canaries or {}).values():
            self._register.place(place_of(target), clock.now_ms())
        self._calls = Calls(
            clock,
            self._time,
            self._register,
            self._judge,
            self._prober,
            self._standings,
            self._budgets,
            self._queue,
            self._tallies,
            stats,
        )
        self._reporting = Reporting(
            refused,
            settings,
            self._register,
            self._overrides,
            self._isolation,
            self._standings,
            self._calls,
            self._queue,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the tasks, and hear what the others know, if they can be heard within a second."""
        self._time.look()
        self._tasks = [
            asyncio.create_task(for_ever("beat", self._clock, self._beat, self._between_beats)),
            asyncio.create_task(for_ever("tick", self._clock, self._tick, lambda: TICK_SECONDS)),
            asyncio.create_task(self._outbox.run()),
        ]
        try:
            async with asyncio.timeout(FIRST_BEAT):
                await self._sharing.first.wait()
        except TimeoutError:
            log.warning("the other replicas were not heard yet; this one decides alone until they are")

    async def stop(self) -> None:
        """End the tasks and the probes. A second call does nothing."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._prober.stop()
        await self._hanging.stop()
        self._judge.tell_of_openings(None)
        try:
            await self._outbox.finish()
            await self._sharing.close()
        except Exception:
            log.exception("the health board's link did not close cleanly")

    def view(self) -> Health:
        """As the port says."""
        return self._standings.view()

    def cut_off(self) -> bool:
        """As the port says."""
        return self._isolation.cut_off

    def decided(self, started: AttemptStarted) -> None:
        """As the port says."""
        if not started.role:
            return
        try:
            self._calls.decided(started)
        except Exception:
            log.exception("a decided attempt could not be counted")

    def sent(self, started: AttemptStarted) -> BoardFlight:
        """As the port says."""
        return self._calls.sent(started)

    def sidestepped(self, left: Target, taken: Target) -> None:
        """As the port says."""
        self._calls.sidestepped(left, taken)

    def parked(self, target: Target) -> None:
        """As the port says."""
        self._calls.stats[target.provider].parked += 1

    def queue(self, targets: tuple[Target, ...], ring: Callable[[], None]) -> Callable[[], None]:
        """As the port says."""
        return self._queue.wait(targets, ring, self._time.now_ms)

    def watch(self, ring: Callable[[], None]) -> Callable[[], None]:
        """As the port says."""
        self._judge.watchers[ring] = None
        return lambda: self._judge.watchers.pop(ring, None)

    @property
    def sidesteps(self) -> Mapping[tuple[str, str], int]:
        """How often steps went from one provider to another, by both names."""
        return dict(self._calls.sidesteps)

    @property
    def openings(self) -> Mapping[str, int]:
        """How many breakers this replica opened, by provider."""
        return dict(self._judge.openings)

    def report(self) -> BoardReport:
        """What is known, for people."""
        return BoardReport(
            replica=self.replica,
            replicas=self._sharing.replicas,
            isolated=self._isolation.told,
            alone=self._sharing.alone,
            providers=self._reporting.providers(self._clock.now_ms()),
        )

    async def override(
        self, provider: str, state: str, *, reason: str, actor: str, until_ms: int, region: str | None = None
    ) -> Override:
        """Override the breakers of a provider, or of one region of it, until `until_ms` (Unix epoch), at all
        replicas. `state` is DRAINED, FORCED_OPEN or FORCED_CLOSED.

        Raises InvalidInput (a state that there is not, no reason, an end that is past or over seven days
        ahead) and StoreUnavailable.
        """
        now = self._clock.now_ms()
        said = checked(
            Override(
                provider=provider,
                state=state,
                reason=reason,
                actor=actor,
                at=now,
                until=until_ms,
                region=region,
            )
        )
        why = f"{state} until {instant(until_ms)}: {reason}"
        event = self._said("OVERRIDE_SET", provider, region, why, actor)
        self._sharing.overridden(await self._link.put_override(said, event))
        return said

    async def lift(self, provider: str, *, region: str | None = None, actor: str = "") -> bool:
        """End an override; False where there was none. Raises StoreUnavailable."""
        event = self._said("OVERRIDE_LIFTED", provider, region, "", actor)
        was_there = await self._link.lift_override(provider, region, event)
        self._overrides.drop(provider, region)
        self._sharing.override_changed(provider)
        return was_there

    async def events(self, before: str | None, limit: int) -> tuple[NumberedEvent, ...]:
        """Openings, closings, overrides: the newest below the id `before`. Raises StoreUnavailable."""
        return await self._link.events(before, limit)

    def _said(self, kind: str, provider: str, region: str | None, why: str, actor: str) -> HealthEvent:
        return HealthEvent(
            at=self._clock.now_ms(),
            kind=kind,
            provider=provider,
            region=region,
            why=why,
            actor=actor,
            replica=self.replica,
        )

    async def _tick(self) -> None:
        now = self._clock.now_ms()
        self._calls.tick(now)
        self._judge.tick(now)
        self._queue.tick(self._time.now_ms)
        self._sharing.expire()
        if self._probing:
            self._prober.tick(now)
            self._hanging.tick()

    async def _beat(self) -> None:
        now = self._clock.now_ms()
        self._calls.sweep(now)
        self._judge.sweep()
        self._standings.gone(self._register.sweep(now))
        self._standings.gone_places(self._register.sweep_places(now))
        self._hanging.sweep()
        if self._probing:
            self._prober.look_at_idle(now)
        await self._sharing.beat()

    def _between_beats(self) -> float:
        return BEAT_SECONDS * (1 + JITTER * (2 * self._entropy() - 1))
