"""What replicas tell one another: counts with every beat, changes at once.

Without the link a replica decides alone, says so once, and goes on; when the link is back, the higher version
of each breaker wins.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from core.engine.health.functions import FunctionWatch
from core.engine.health.isolation import Isolation
from core.engine.health.judge import Judge
from core.engine.health.overrides import Overrides
from core.engine.health.queues import Queue
from core.engine.health.register import Register
from core.engine.health.standings import Standings
from core.engine.health.tallies import Tallies
from core.engine.health.telling import Outbox
from core.engine.health.watched import Watched
from core.errors import StoreUnavailable
from core.failover.settings import FailoverSettings
from core.ports.clock import Clock
from core.ports.link import (
    MOST_OVERRIDES,
    Beat,
    HealthEvent,
    HealthLink,
    Kept,
    News,
    Override,
)

log = logging.getLogger("sidestep.health")

BEAT_SECONDS = 1.0
BEAT_LIMIT = 5.0
"""Seconds that one exchange of counts may take."""


class Sharing:
    """`alone` says why this replica decides alone (None: it hears from the others), `replicas` how many beat
    lately.
    """

    def __init__(
        self,
        link: HealthLink,
        replica: str,
        clock: Clock,
        settings: FailoverSettings,
        register: Register,
        judge: Judge,
        isolation: Isolation,
        overrides: Overrides,
        standings: Standings,
        queue: Queue,
        tallies: Tallies,
        outbox: Outbox,
    ) -> None:
        self._link = link
        self._replica = replica
        self._clock = clock
        self._settings = settings
        self._register = register
        self._judge = judge
        self._isolation = isolation
        self._overrides = overrides
        self._standings = standings
        self._queue = queue
        self._tallies = tallies
        self._outbox = outbox
        self._opened = False
        self._unsubscribe: Callable[[], None] | None = None
        self._with_others: dict[Watched, None] = {}
        self._expired: deque[Override] = deque(maxlen=MOST_OVERRIDES)
        self.alone: str | None = "it has not heard from the other replicas yet"
        self.replicas = 1
        self.first = asyncio.Event()
        """Set once the first beat is over, however it went."""

    async def beat(self) -> bool:
        """Exchange counts with the others; whether the link was there."""
        try:
            return await self._beat()
        finally:
            self.first.set()

    async def _beat(self) -> bool:
        now = self._clock.now_ms()
        tallies = self._tallies.take(now // 1000 - self._settings.window_seconds)
        if self._isolation.since is not None:
            tallies = {}
        try:
            async with asyncio.timeout(BEAT_LIMIT):
                if not self._opened:
                    await self._link.open()
                    self._unsubscribe = self._link.subscribe(self._heard)
                    self._opened = True
                beat = await self._link.beat(self._replica, tallies, self._settings.window_seconds)
        except (StoreUnavailable, TimeoutError) as error:
            # What was said may have been heard; saying it again could count it twice.
            self._lost("the store is away" if isinstance(error, StoreUnavailable) else "it does not answer")
            return False
        except Exception:
            self._lost("its link failed")
            raise
        if self.alone is not None:
            log.info("this replica's health board hears from the others")
            self.alone = None
        self._learn(beat)
        self.expire()
        try:
            await self._end_expired()
        except StoreUnavailable:
            log.debug("an override is over; the next beat tells it")
        return True

    async def close(self) -> None:
        """Stop listening."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._opened:
            self._opened = False
            await self._link.close()

    def adopt(self, kept: Kept) -> None:
        """Take on a breaker as another replica has it."""
        now = self._clock.now_ms()
        watched = self._register.watched(kept.key, now)
        if watched is not None:
            self._judge.adopt(watched, kept.breaker, kept.version, now)

    def overridden(self, overrides: tuple[Override, ...]) -> None:
        """These overrides hold now, and no others."""
        now = self._clock.now_ms()
        # What the link leaves out because its time is over would else end without a word.
        self.expire()
        for one in overrides:
            for place in self._overrides.places(one):
                # What is said of one region is shown, and holds, although nothing was called there yet.
                self._register.place(place, now)
        for provider in self._overrides.replace(overrides, now):
            self.override_changed(provider)

    def override_changed(self, provider: str) -> None:
        """Show what holds for a provider now."""
        self._standings.provider(provider)
        self._queue.better(lambda target: target.provider == provider)
        self._judge.worse()

    def expire(self) -> None:
        """End what is over: here at once, durably with the next beat."""
        over = self._overrides.expired(self._clock.now_ms())
        self._expired.extend(over)
        for one in over:
            self.override_changed(one.provider)

    async def _end_expired(self) -> None:
        while self._expired:
            one = self._expired[0]
            event = HealthEvent(
                at=self._clock.now_ms(),
                kind="OVERRIDE_EXPIRED",
                provider=one.provider,
                region=one.region,
                why=one.reason,
                actor=one.actor,
                replica=self._replica,
            )
            await self._link.lift_override(one.provider, one.region, event)
            self._expired.popleft()

    def _lost(self, why: str) -> None:
        if self.alone is None or not self._opened:
            told = f"{why}; it decides alone, by what it sees itself"
            if self.alone != told:
                log.warning("this replica's health board does not hear from the others: %s", told)
            self.alone = told
        for watched in self._with_others:
            watched.others = {}
        self._with_others.clear()
        self._others(heard=False)

    def _others(self, *, heard: bool) -> None:
        if self._isolation.others != heard:
            self._isolation.others = heard
            if self._isolation.since is not None:
                self._judge.look_anew()

    def _heard(self, news: News) -> None:
        try:
            if news.breaker is not None:
                self._newer(news.breaker)
            if news.overrides is not None:
                self.overridden(news.overrides)
        except Exception:
            log.exception("what another replica told could not be taken on")

    def _newer(self, kept: Kept) -> None:
        watched = self._register.watched(kept.key, self._clock.now_ms())
        if watched is None or self._outbox.waits(kept.key):
            # What waits to be told meets the other's version there, and the one that lost learns it then.
            return
        if kept.version > watched.version:
            self.adopt(kept)

    def _learn(self, beat: Beat) -> None:
        now = self._clock.now_ms()
        self.replicas = max(1, beat.replicas)
        self._others(heard=self.replicas > 1)
        for watched in self._with_others:
            watched.others = {}
        self._with_others.clear()
        for second, of_second in beat.tallies.items():
            for target, tally in of_second.items():
                function = self._register.function(target, now)
                if function is not None:
                    self._count(function, second, (tally.calls, tally.failures, tally.faults), now)
        for kept in beat.breakers:
            self._newer(kept)
        theirs = {kept.key: kept.version for kept in beat.breakers}
        for watched in self._register.every():
            # What was decided while the link was away, or what it lost, is told (again).
            untold = watched.version > theirs.get(watched.key, 0) and not self._outbox.waits(watched.key)
            if untold and self._isolation.since is None and (watched.key in theirs or watched.breaker.times):
                self._outbox.moved(watched, None)
        self.overridden(beat.overrides)

    def _count(self, function: FunctionWatch, second: int, sums: tuple[int, int, int], now: int) -> None:
        place = function.place
        function.called_at = now
        function.others[second] = sums
        before = place.others.get(second, (0, 0, 0))
        place.others[second] = (before[0] + sums[0], before[1] + sums[1], before[2] + sums[2])
        self._with_others[function] = None
        self._with_others[place] = None
        if sums[1] or sums[2]:
            self._judge.unsettled[function] = None
            self._judge.unsettled[place] = None
