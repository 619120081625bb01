"""Tells the other replicas of changes, in order, behind the decisions' back."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from core.engine.health.watched import Watched
from core.errors import StoreUnavailable
from core.ports.clock import Clock
from core.ports.link import HealthEvent, HealthLink, Kept, Key

log = logging.getLogger("sidestep.health")

MOST_NOTES = 1_000
"""Events that wait for a link that is away; the oldest are dropped beyond that."""

FIRST_PAUSE = 0.1
FINISHING = 1.0
LONGEST_PAUSE = 2.0
"""Seconds before what could not be told is tried again, doubled each time."""


class Outbox:
    """What is to be told: of each breaker the newest version, and events. `run` tells it."""

    def __init__(self, link: HealthLink, replica: str, clock: Clock) -> None:
        self._link = link
        self._replica = replica
        self._clock = clock
        self.adopt: Callable[[Kept], None] = lambda _: None
        """Takes on what another replica was first with."""
        self._moves: dict[Key, tuple[Watched, HealthEvent | None]] = {}
        self._notes: deque[HealthEvent] = deque(maxlen=MOST_NOTES)
        self._work = asyncio.Event()

    def moved(self, watched: Watched, event: HealthEvent | None) -> None:
        """A breaker changed here."""
        waiting = self._moves.get(watched.key)
        if waiting is not None and waiting[1] is not None and event is not None:
            # The version before was never told; that it was there is told all the same.
            self._notes.append(waiting[1])
        elif waiting is not None and event is None:
            event = waiting[1]
        self._moves[watched.key] = (watched, event)
        self._work.set()

    def taken_back(self, watched: Watched) -> None:
        """An opening is undone. One that nobody has heard of is not told at all."""
        waiting = self._moves.pop(watched.key, None)
        if waiting is not None:
            watched.version -= 1
            return
        watched.version += 1
        self.moved(watched, None)

    def noted(self, event: HealthEvent) -> None:
        """Something else happened."""
        self._notes.append(event)
        self._work.set()

    def waits(self, key: Key) -> bool:
        """Whether a change of this breaker is still to be told."""
        return key in self._moves

    async def run(self) -> None:
        """Tell, until cancelled. A link that is away is tried again."""
        pause = FIRST_PAUSE
        while True:
            await self._work.wait()
            try:
                await self._tell()
            except StoreUnavailable:
                # The beat says that the link is away; here it is only waited for.
                await self._clock.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            except Exception:
                log.exception("what changed could not be told to the other replicas; it is tried again")
                await self._clock.sleep(LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE

    async def finish(self) -> None:
        """Tell what is left, if that takes no more than a moment."""
        try:
            async with asyncio.timeout(FINISHING):
                await self._tell()
        except (StoreUnavailable, TimeoutError):
            log.warning("the last changes of the health board could not be told")
        except Exception:
            log.exception("the last changes of the health board could not be told")

    async def _tell(self) -> None:
        while self._moves:
            key = next(iter(self._moves))
            watched, event = self._moves.pop(key)
            try:
                await self._move(watched, event)
            except BaseException:
                if key in self._moves:
                    if event is not None:
                        self._notes.append(event)
                else:
                    self._moves[key] = (watched, event)
                raise
        while self._notes:
            await self._link.note(self._notes[0])
            self._notes.popleft()
        if not self._moves:
            self._work.clear()

    async def _move(self, watched: Watched, event: HealthEvent | None) -> None:
        kept = Kept(key=watched.key, version=watched.version, breaker=watched.breaker, by=self._replica)
        there = await self._link.move(kept, event)
        if there != kept and (there.version >= watched.version or not self.waits(watched.key)):
            # Another replica was first: what is built on a version that never was goes with it.
            self._moves.pop(watched.key, None)
            self.adopt(there)
