"""The health link of a host in Redis: any number of replicas, on one node, behind Sentinel or on a Cluster.

All keys lie in one slot, under `sidestep:{health}:`.

    t:<second>  hash: function -> packed tally, everybody's sum; expires after the window
    r           sorted set: replica -> when it beat
    b, x        hash: breaker's key -> version and breaker; sorted set: when each is forgotten
    o           hash: provider and region -> end and override
    e           stream of events
    p:<digest>  string: who holds a permit
    mark        string: changes with b and o
    news        channel

Why sums and not a field for each replica: whoever beats reads the whole window, so a field a replica would
make twenty replicas read twenty times as much each second. A replica knows what it has added, and takes it
off what it reads. A beat that was lost may or may not have been added; it is taken for added, so what others
say is rather told too low than one's own calls counted twice. Breakers and overrides are sent only to those
that have not got them: a `mark` says whether they have changed.

Time is Redis's. Health is best effort, so no replica of Redis is waited for but for overrides.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from adapters.stores.redis import health_values as values
from adapters.stores.redis.acts import Acts, read_scripts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.health_values import Reader
from adapters.stores.redis.keys import Keys
from core.engine.health.event_ids import check_limit, event_id, parse_event_id
from core.engine.health.local_link import (
    FORGOTTEN_SECONDS,
    REPLICA_SECONDS,
    UNTOUCHED_SECONDS,
    untouched,
)
from core.errors import InvalidInput, StoreUnavailable
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

_log = logging.getLogger("sidestep.stores.redis")

ANSWER_SECONDS = 4.0
"""The longest that a call takes, redirections of a Cluster included."""

MOST_TALLIES = 20_000
"""What one beat says at most, the worst first: functions times seconds."""

KEPT_EVENTS = 10_000
"""About how many events are kept (Redis cuts whole nodes of a stream, so it keeps a few more)."""

_Heard = Callable[[News], None]
_Mine = dict[int, dict[bytes, int]]


class RedisLink(HealthLink):
    """See above. `redis` is the store's client, which opens and closes it."""

    def __init__(self, redis: Redis, clock: Clock, prefix: str = "sidestep") -> None:
        self._redis = redis
        self._clock = clock
        self._base = f"{prefix}:{{health}}:"
        self._acts = Acts(redis, Keys(prefix, 1), read_scripts())
        self._station = secrets.token_hex(6)
        self._reader = Reader()
        self._listeners: list[_Heard] = []
        self._end: Callable[[], Awaitable[None]] | None = None
        self._open = False
        self._opening = asyncio.Lock()
        self._mine: dict[str, _Mine] = {}
        self._mark = b""
        self._breakers: tuple[Kept, ...] = ()
        self._overrides: tuple[bytes, ...] = ()

    async def open(self) -> None:
        """As the port says. Where Redis is away it is listened to once it is back."""
        async with self._opening:
            if not self._open:
                self._end = await self._redis.subscribe(f"{self._base}news", self._hear)
                self._open = True

    async def close(self) -> None:
        """As the port says; subscriptions end with it."""
        async with self._opening:
            self._open = False
            self._listeners.clear()
            end, self._end = self._end, None
            if end is not None:
                await end()

    def subscribe(self, heard: _Heard) -> Callable[[], None]:
        """As the port says."""

        # Bound, so that the same function subscribed twice is two listeners.
        def listener(news: News) -> None:
            heard(news)

        self._listeners.append(listener)

        def end() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return end

    async def beat(self, replica: str, tallies: Mapping[int, Mapping[Target, Tally]], window: int) -> Beat:
        """As the port says."""
        mine = self._mine.setdefault(replica, {})
        oldest = self._clock.now_ms() // 1000 - window - 10
        for second in [second for second in mine if second < oldest]:
            del mine[second]
        words = self._note(mine, tallies)
        known = self._mark
        said = await self._run(
            "health_beat", replica, window, round(1000 * REPLICA_SECONDS), known, *words, write=False
        )
        now_ms, replicas, mark, seconds = int(said[0]), int(said[1]), bytes(said[2]), said[3]
        if len(said) > 4:  # noqa: PLR2004 - as the script says
            self._mark, self._overrides = mark, tuple(said[5])
            self._breakers = self._reader.breakers(said[4])
        return Beat(
            tallies=self._reader.tallies(seconds, mine),
            breakers=self._breakers,
            overrides=self._reader.overrides(self._overrides, now_ms),
            replicas=replicas,
        )

    async def move(self, kept: Kept, event: HealthEvent | None) -> Kept:
        """As the port says."""
        field = values.field_of(kept.key)
        seconds = UNTOUCHED_SECONDS if untouched(kept.breaker) else FORGOTTEN_SECONDS
        there = await self._run(
            "health_move",
            field,
            kept.version,
            values.json(kept),
            round(1000 * seconds),
            values.json(values.Said(station=self._station, breaker=kept)),
            b"" if event is None else values.json(event),
            KEPT_EVENTS,
            write=False,
        )
        if there is None:
            return kept
        # What a newer version keeps there and we cannot read is its own business: here ours holds.
        return self._reader.kept(field.encode(), bytes(there)) or kept

    async def permit(self, key: Key, replica: str, seconds: float) -> bool:
        """As the port says, by Redis's time."""
        milliseconds = max(1, round(1000 * seconds))
        return bool(await self._run("lead", replica, milliseconds, at=_permit(key), write=False))

    async def give_up(self, key: Key, replica: str) -> None:
        """As the port says."""
        await self._run("health_give_up", replica, at=_permit(key), write=False)

    async def put_override(self, override: Override, event: HealthEvent) -> tuple[Override, ...]:
        """As the port says."""
        kept = b"%d %b" % (override.until, values.json(override))
        done, now_ms, flat = await self._override("set", override.provider, override.region, kept, event)
        if done < 0:
            raise InvalidInput(f"there are {MOST_OVERRIDES} overrides already: lift some of them")
        return self._reader.overrides(flat, int(now_ms))

    async def lift_override(self, provider: str, region: str | None, event: HealthEvent) -> bool:
        """As the port says."""
        act = "expire" if event.kind == "OVERRIDE_EXPIRED" else "lift"
        done, _, _ = await self._override(act, provider, region, b"", event)
        return bool(done)

    async def note(self, event: HealthEvent) -> None:
        """As the port says."""
        await self._call("XADD", "e", "MAXLEN", "~", KEPT_EVENTS, "*", "v", values.json(event))

    async def events(self, before: str | None, limit: int) -> tuple[NumberedEvent, ...]:
        """As the port says; what cannot be read is left out."""
        check_limit(limit)
        end = "+" if before is None else "({}-{}".format(*parse_event_id(before))
        if end == "(0-0":
            return ()
        found: list[NumberedEvent] = []
        while len(found) < limit:
            wanted = limit - len(found)
            entries = await self._call("XREVRANGE", "e", end, "-", "COUNT", wanted)
            for name, fields in entries:
                event = self._reader.event(name, fields)
                if event is not None:
                    found.append(NumberedEvent(event_id=event_id(*_numbers(name)), event=event))
            if len(entries) < wanted:
                break
            end = f"({entries[-1][0].decode()}"
        return tuple(found)

    def _note(self, mine: _Mine, tallies: Mapping[int, Mapping[Target, Tally]]) -> list[str | int]:
        """The words of a beat; they are noted as mine."""
        every = [
            (second, values.field_of(target), values.packed(tally), tally)
            for second, of_second in tallies.items()
            for target, tally in of_second.items()
        ]
        if len(every) > MOST_TALLIES:
            every.sort(key=lambda each: (-each[3].failures - each[3].faults, -each[3].calls))
            every = every[:MOST_TALLIES]
        words: list[str | int] = []
        for second, field, number, _ in every:
            if number:
                own = mine.setdefault(second, {})
                own[field.encode()] = own.get(field.encode(), 0) + number
                words += (second, field, number)
        return words

    async def _override(
        self, act: str, provider: str, region: str | None, kept: bytes, event: HealthEvent
    ) -> tuple[int, bytes, list[bytes]]:
        done, now_ms, flat = await self._run(
            "health_override",
            act,
            values.place_field(provider, region),
            kept,
            values.json(event),
            KEPT_EVENTS,
            MOST_OVERRIDES,
            self._station,
            write=True,
        )
        return done, now_ms, flat

    def _hear(self, payload: bytes) -> None:
        said = self._reader.said(payload)
        if said is None or said.station == self._station:
            return
        news = News(breaker=said.breaker, overrides=said.overrides)
        for listener in tuple(self._listeners):
            try:
                listener(news)
            except Exception:  # noqa: BLE001 - one listener's mistake is not another's
                _log.exception("a listener to the providers' health failed")

    async def _run(self, name: str, *args: bytes | str | float, at: str = "", write: bool) -> Any:
        return await self._within(self._acts.run(name, self._base + at, *args, write=write))

    async def _call(self, command: str, key: str, *words: bytes | str | float) -> Any:
        return await self._within(self._redis.call(self._base + key, command, self._base + key, *words))

    async def _within(self, act: Awaitable[Any]) -> Any:
        if not self._open:
            if asyncio.iscoroutine(act):
                act.close()
            raise StoreUnavailable("the health link is closed: open it first")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await act
        except TimeoutError:
            raise StoreUnavailable(f"Redis took longer than {ANSWER_SECONDS:g} s") from None


def _permit(key: Key) -> str:
    return f"p:{values.digest_of(key)}"


def _numbers(name: bytes) -> tuple[int, int]:
    at_ms, _, number = name.decode().partition("-")
    return int(at_ms), int(number)
