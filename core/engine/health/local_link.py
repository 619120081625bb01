"""The health link of a host that one process has to itself.

Breakers, tallies and permits live in memory: no other process needs them, and a new one counts afresh. What
a person said and what happened is kept as facts of the store, so it outlives the process.

Several boards of one process (as in tests) share a `Commons` and are replicas to one another.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from core.engine.health.event_book import EventBook
from core.engine.health.event_ids import check_limit, parse_event_id
from core.errors import InvalidInput, StoreUnavailable
from core.failover.breaker import Breaker, Phase
from core.graph.model import Target
from core.ports.clock import Clock
from core.ports.link import (
    MOST_OVERRIDES,
    Beat,
    HealthEvent,
    HealthLink,
    Kept,
    Key,
    News,
    NumberedEvent,
    Override,
    Tally,
)
from core.ports.store import Store

_log = logging.getLogger("sidestep.health")

OVERRIDES_FACT = "health.overrides"

REPLICA_SECONDS = 5.0
"""How long after its last beat a replica counts as one."""

UNTOUCHED_SECONDS = 900.0
FORGOTTEN_SECONDS = 3_600.0
"""After how long without a change a breaker is forgotten: one that is closed and untouched, and any other.
A board that lives changes each of them far more often (no phase lasts longer than `flap_seconds`).
"""

_DAY_MS = 86_400_000
_EARLY_MS = 1_000

_Heard = Callable[[News], None]


def untouched(breaker: Breaker) -> bool:
    """Whether it is closed and has no past that matters."""
    return breaker.phase is Phase.CLOSED and not breaker.openings and not breaker.times


class Commons:
    """What the links of one process share."""

    def __init__(self) -> None:
        self.book: EventBook | None = None
        self.overrides: tuple[Override, ...] = ()
        self.breakers: dict[Key, tuple[Kept, float]] = {}
        self.tallies: dict[int, dict[str, dict[Target, Tally]]] = {}
        self.replicas: dict[str, float] = {}
        self.permits: dict[Key, tuple[str, float]] = {}
        self.heard: list[tuple[object, _Heard]] = []
        self.changing = asyncio.Lock()


class LocalLink(HealthLink):
    """See above. The store is open before the link is."""

    def __init__(self, store: Store, clock: Clock, commons: Commons | None = None) -> None:
        self._store = store
        self._clock = clock
        self._commons = Commons() if commons is None else commons
        self._open = False

    @property
    def commons(self) -> Commons:
        """What another link of this process is given to share with this one."""
        return self._commons

    async def open(self) -> None:
        """Read the overrides and events that were kept."""
        commons = self._commons
        async with commons.changing:
            if commons.book is None:
                book = EventBook(self._store, self._clock)
                await book.read()
                commons.overrides = _overrides(await self._store.get_fact(OVERRIDES_FACT))
                commons.book = book
        self._open = True

    async def close(self) -> None:
        """As the port says; this link's subscriptions end with it."""
        self._open = False
        self._commons.heard = [each for each in self._commons.heard if each[0] is not self]

    def subscribe(self, heard: _Heard) -> Callable[[], None]:
        """As the port says; it is called in a later turn of the event loop."""
        entry = (self, heard)
        self._commons.heard.append(entry)

        def end() -> None:
            self._commons.heard = [each for each in self._commons.heard if each is not entry]

        return end

    async def beat(self, replica: str, tallies: Mapping[int, Mapping[Target, Tally]], window: int) -> Beat:
        """As the port says."""
        commons, now = self._opened(), self._clock.monotonic()
        newest = self._clock.now_ms() // 1000
        oldest = newest - window + 1
        for second in [second for second in commons.tallies if second < oldest]:
            del commons.tallies[second]
        for second, said in tallies.items():
            if oldest <= second <= newest + REPLICA_SECONDS:
                mine = commons.tallies.setdefault(second, {}).setdefault(replica, {})
                for target, tally in said.items():
                    mine[target] = _sum(mine.get(target), tally)
        commons.replicas[replica] = now
        commons.replicas = {name: at for name, at in commons.replicas.items() if now - at <= REPLICA_SECONDS}
        return Beat(
            tallies={second: sums for second in commons.tallies if (sums := self._others(second, replica))},
            breakers=self._breakers(now),
            overrides=self._holding(),
            replicas=len(commons.replicas),
        )

    async def move(self, kept: Kept, event: HealthEvent | None) -> Kept:
        """As the port says. The change is in force even where its event could not be written."""
        commons, now = self._opened(), self._clock.monotonic()
        self._breakers(now)
        there = commons.breakers.get(kept.key)
        if there is not None and there[0].version >= kept.version:
            return there[0]
        commons.breakers[kept.key] = (kept, now)
        self._tell(News(breaker=kept))
        if event is not None:
            await self._book().note(event)
        return kept

    async def permit(self, key: Key, replica: str, seconds: float) -> bool:
        """As the port says."""
        commons, now = self._opened(), self._clock.monotonic()
        commons.permits = {of: held for of, held in commons.permits.items() if held[1] > now}
        if commons.permits.get(key, (replica, 0.0))[0] != replica:
            return False
        commons.permits[key] = (replica, now + seconds)
        return True

    async def give_up(self, key: Key, replica: str) -> None:
        """As the port says."""
        commons = self._opened()
        if commons.permits.get(key, ("", 0.0))[0] == replica:
            del commons.permits[key]

    async def put_override(self, override: Override, event: HealthEvent) -> tuple[Override, ...]:
        """As the port says."""
        commons = self._opened()
        async with commons.changing:
            # One that lapsed stays for a while, so that a board can say that it did.
            oldest = self._clock.now_ms() - _DAY_MS
            others = tuple(
                each
                for each in commons.overrides
                if (each.provider, each.region) != (override.provider, override.region)
                and each.until > oldest
            )
            if len(others) >= MOST_OVERRIDES:
                raise InvalidInput(f"there are {MOST_OVERRIDES} overrides already: lift some of them")
            await self._keep((*others, override))
        await self._book().note(event)
        return self._holding()

    async def lift_override(self, provider: str, region: str | None, event: HealthEvent) -> bool:
        """As the port says."""
        commons = self._opened()
        async with commons.changing:
            expired, now = event.kind == "OVERRIDE_EXPIRED", self._clock.now_ms()
            rest = tuple(
                each
                for each in commons.overrides
                if (each.provider, each.region) != (provider, region)
                or not (each.until <= now + _EARLY_MS if expired else each.until > now)
            )
            if len(rest) == len(commons.overrides):
                return False
            await self._keep(rest)
        await self._book().note(event)
        return True

    async def note(self, event: HealthEvent) -> None:
        """As the port says."""
        self._opened()
        await self._book().note(event)

    async def events(self, before: str | None, limit: int) -> tuple[NumberedEvent, ...]:
        """As the port says."""
        self._opened()
        check_limit(limit)
        return self._book().events(None if before is None else parse_event_id(before), limit)

    def _opened(self) -> Commons:
        if not self._open:
            raise StoreUnavailable("the health link is closed: open it first")
        return self._commons

    def _book(self) -> EventBook:
        book = self._commons.book
        if book is None:
            raise StoreUnavailable("the health link is closed: open it first")
        return book

    def _breakers(self, now: float) -> tuple[Kept, ...]:
        """Those that are not to be forgotten; the others are."""
        self._commons.breakers = {
            key: (kept, at)
            for key, (kept, at) in self._commons.breakers.items()
            if now - at <= (UNTOUCHED_SECONDS if untouched(kept.breaker) else FORGOTTEN_SECONDS)
        }
        return tuple([kept for kept, _ in self._commons.breakers.values()])

    def _holding(self) -> tuple[Override, ...]:
        now = self._clock.now_ms()
        return tuple([each for each in self._commons.overrides if each.until > now])

    def _others(self, second: int, replica: str) -> dict[Target, Tally]:
        sums: dict[Target, Tally] = {}
        for name, said in self._commons.tallies[second].items():
            if name != replica:
                for target, tally in said.items():
                    sums[target] = _sum(sums.get(target), tally)
        return sums

    async def _keep(self, overrides: tuple[Override, ...]) -> None:
        await self._store.put_fact(OVERRIDES_FACT, msgspec.json.encode(overrides))
        self._commons.overrides = overrides
        self._tell(News(overrides=self._holding()))

    def _tell(self, news: News) -> None:
        loop = asyncio.get_running_loop()
        for link, heard in self._commons.heard:
            if link is not self:
                loop.call_soon(heard, news)


def _sum(one: Tally | None, other: Tally) -> Tally:
    if one is None:
        return other
    return Tally(
        calls=one.calls + other.calls,
        failures=one.failures + other.failures,
        faults=one.faults + other.faults,
    )


def _overrides(kept: bytes | None) -> tuple[Override, ...]:
    if kept is None:
        return ()
    try:
        return msgspec.json.decode(kept, type=tuple[Override, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.error("the overrides that were kept cannot be read, so none holds: %s", error)
        return ()
