"""Finds out whether what is half open is well again, so that no breaker stays open for want of calls.

One probe at a time among all replicas (the link's permits). A function's probe is its provider's cheapest
call of it; a place's is the canary function where one is configured there, else (or where the canary cannot
be called as it is set, which says nothing of the place) the cheapest call of a function that was called
there. A canary really runs, so its success counts. The cheapest call proves less: where it succeeds, one
real call may be the probe, and its outcome counts; only where none comes does the cheapest call's success
count itself. An atMostOnce step is never the probe: routing sees to that.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from core.engine.health.asking import Answer, Asking, verdict
from core.engine.health.isolation import Isolation
from core.engine.health.judge import Judge
from core.engine.health.places import PlaceWatch
from core.engine.health.queues import Queue
from core.engine.health.register import Register
from core.engine.health.reservations import Reservation
from core.engine.health.standings import Standings
from core.engine.health.watched import LETS_THROUGH, Probing, Watched
from core.errors import StoreUnavailable
from core.failover.breaker import Phase
from core.failover.evidence import Against
from core.failover.health import place_of
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.ports.clock import Clock
from core.ports.link import HealthLink

log = logging.getLogger("sidestep.health")

MOST_AT_ONCE = 32
"""Probes of one replica under way."""


class Prober:
    """`tick` starts what is due."""

    def __init__(
        self,
        link: HealthLink,
        replica: str,
        clock: Clock,
        settings: FailoverSettings,
        register: Register,
        judge: Judge,
        standings: Standings,
        queue: Queue,
        asking: Asking,
        isolation: Isolation,
    ) -> None:
        self._link = link
        self._replica = replica
        self._clock = clock
        self._settings = settings
        self._register = register
        self._judge = judge
        self._standings = standings
        self._queue = queue
        self._asking = asking
        self._isolation = isolation
        self._seeking: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def tick(self, now: int) -> None:
        """Start the probes that are due."""
        for watched in [*self._judge.unsettled]:
            if watched.breaker.phase is Phase.HALF_OPEN and self._due(watched, now):
                watched.probing.busy = True
                self._start(self._half_open(watched, watched.probing))
        for place in [*self._judge.doubtful]:
            if now - place.checked_at >= self._settings.probe_every_seconds * 1000:
                place.checked_at = now
                self._start(self._look(place))
        self._judge.doubtful.clear()
        isolation = self._isolation
        if isolation.asking and self._seeking != isolation.since and now >= isolation.ask_at:
            self._seeking = isolation.since
            isolation.asks(now)
            self._start(self._seek(self._seeking))

    def look_at_idle(self, now: int) -> None:
        """Probe places without traffic. It opens nothing by itself."""
        idle = self._settings.idle_seconds * 1000
        for place in self._register.places.values():
            last = max(place.called_at, place.idle_probed_at)
            if now - last >= idle and place.breaker.phase in LETS_THROUGH:
                place.idle_probed_at = now
                self._start(self._look(place))

    async def stop(self) -> None:
        """End what is under way."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take(self, reservation: Reservation) -> None:
        """A real call was decided as the probe: nobody else gets the permit."""
        for watched in (reservation.place, reservation.function):
            if watched is not None and watched.probing.offered:
                watched.probing.take(reservation.lasts)
                reservation.probing = watched.probing
                self._show(watched)
                return

    def settle(self, reservation: Reservation, proof: Against | None, why: str, now: int) -> None:
        """The real call ended so, or (None) was never sent."""
        probing, reservation.probing = reservation.probing, None
        if not reservation.probe:
            return
        reservation.probe = False
        conclusive = False
        for watched in (reservation.place, reservation.function):
            ok = None if watched is None or proof is None else verdict(watched, proof)
            if watched is not None and ok is not None:
                conclusive = True
                self._judge.probed(watched, ok=ok, why=why, now=now)
        if probing is not None:
            probing.settled(conclusive=conclusive)

    def _due(self, watched: Watched, now: int) -> bool:
        probing = watched.probing
        if probing.busy or now < probing.next_at or len(self._tasks) >= MOST_AT_ONCE:
            return False
        # What is refused as a whole is not probed part by part.
        return self._register.of(watched) is watched or (
            self._register.of(watched).breaker.phase in LETS_THROUGH
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("a probe came to nothing")

    async def _half_open(self, watched: Watched, probing: Probing) -> None:
        """One probe of a half open key, and the pause after it."""
        every = self._settings.probe_every_seconds
        began = self._clock.monotonic()
        try:
            target = self._asking.target(watched, self._register.of(watched))
            if not await self._permit(watched, self._asking.seconds(target) + 2 * every):
                return
            await self._probe(watched, probing, target)
            # The permit is kept for the pause, too: replicas that took turns would probe without one.
            await self._clock.sleep(every - (self._clock.monotonic() - began))
            await self._give_up(watched)
        finally:
            probing.busy = False
            pause = max(0.0, every - (self._clock.monotonic() - began))
            probing.next_at = self._clock.now_ms() + int(pause * 1000)

    async def _probe(self, watched: Watched, probing: Probing, target: Target | None) -> None:
        answer = None if target is None else await self._asking.ask(watched, target)
        if watched.probing is not probing or watched.breaker.phase is not Phase.HALF_OPEN:
            return
        if answer is None or (answer.ok and not answer.real):
            answer = await self._offer(watched, probing, answer)
        if answer is not None and watched.probing is probing:
            self._judge.probed(watched, ok=answer.ok, why=answer.why, now=self._clock.now_ms())

    async def _offer(self, watched: Watched, probing: Probing, cheap: Answer | None) -> Answer | None:
        """Let one real call be the probe. What counts if none comes; None where it has counted already."""
        probing.offer()
        self._show(watched)
        if isinstance(watched.key, Target):
            self._queue.better(watched.key.__eq__)
        else:
            self._queue.better(lambda target: place_of(target) == watched.key)
        try:
            async with asyncio.TaskGroup() as waiting:
                timer = waiting.create_task(self._clock.sleep(self._settings.probe_every_seconds))
                coming = waiting.create_task(probing.coming.wait())
                await asyncio.wait({timer, coming}, return_when=asyncio.FIRST_COMPLETED)
                timer.cancel()
                coming.cancel()
        finally:
            probing.offered = False
            self._show(watched)
        if not probing.taken:
            return cheap
        await self._permit(watched, probing.lasts)
        await probing.done.wait()
        return None if probing.conclusive else cheap

    async def _look(self, place: PlaceWatch) -> None:
        """One probe of a place that is not half open: whether it can be reached."""
        target = self._asking.target(place, place)
        if target is None or not await self._permit(place, self._asking.seconds(target)):
            return
        answer = await self._asking.ask(place, target)
        await self._give_up(place)
        if answer is None:
            return
        if answer.ok:
            place.probe_failed_at, place.probe_why = None, ""
        else:
            place.probe_failed_at, place.probe_why = self._clock.now_ms(), answer.why
            self._judge.unsettled[place] = None

    async def _seek(self, began: int | None) -> None:
        """Ask all places at once whether this replica reaches them again; the first answer ends it.

        No permit: the others reach them, and do not ask. Those that do not fail are asked, too: where one of
        them answers, it is not this replica that is cut off.
        """
        try:
            sent_ms = self._clock.now_ms()
            places = list(self._register.places.values())
            places.sort(key=lambda place: place.provider not in self._isolation.providers)
            asked = [self._reaches(place, sent_ms) for place in places[:MOST_AT_ONCE]]
            if self._isolation.asked(began, {name for name in await asyncio.gather(*asked) if name}):
                self._judge.look_anew()
        finally:
            if self._seeking == began:
                self._seeking = None

    async def _reaches(self, place: PlaceWatch, sent_ms: int) -> str | None:
        """Ask one place; returns its provider, or None where it could not be asked."""
        target = self._asking.target(place, place)
        answer = None if target is None else await self._asking.ask(place, target)
        if answer is not None and answer.ok:
            place.probe_failed_at = None
            self._judge.answered(sent_ms, self._clock.now_ms(), by_probe=True)
        return None if answer is None else place.provider

    async def _permit(self, watched: Watched, seconds: float) -> bool:
        try:
            return await self._link.permit(watched.key, self._replica, seconds)
        except StoreUnavailable:
            return True  # alone, it probes alone

    async def _give_up(self, watched: Watched) -> None:
        try:
            await self._link.give_up(watched.key, self._replica)
        except StoreUnavailable:
            log.debug("a probe's permit lapses by itself: the store is away")

    def _show(self, watched: Watched) -> None:
        place = self._register.of(watched)
        if watched is place:
            self._standings.place(place)
        else:
            self._standings.function(watched)  # type: ignore[arg-type]  # there are only these two kinds
