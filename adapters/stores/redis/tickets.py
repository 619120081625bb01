"""Handing out tickets: reading, claiming, sweeping, renewing.

A ticket is an entry of its shard's stream, and pending while it has an owner. All workers read as one
consumer, since the record says who owns what; how long an entry has been idle is how long ago its lease
began. A claim lapses when its entry has been idle for the longest lease that any worker of this store uses;
a shorter lease starts with some idle time on its account.
"""

import asyncio
import logging
import math
from collections.abc import Coroutine, Sequence
from typing import Any

from adapters.stores.redis import answers
from adapters.stores.redis.acts import Acts, Argument
from adapters.stores.redis.births import KEPT_SECONDS, Births
from adapters.stores.redis.client import Redis
from adapters.stores.redis.gathering import Entries, Gathering
from adapters.stores.redis.keys import Keys, meta_key
from adapters.stores.redis.sharing import Sharing
from core.errors import StoreError, StoreUnavailable
from core.ports.clock import Clock
from core.ports.store import Claim, Claims, Loaded, Renewed

_log = logging.getLogger("sidestep.stores.redis")

_SWEPT_AT_ONCE = 3_200
"""Timers and lapsed claims that one sweep turns into tickets, each, in all shards: some 15 ms of Redis."""

_FEWEST_SWEPT = 50

_SHORTEST_PAUSE = 0.1
"""Seconds between two sweeps at least, however many timers are due."""

_RENEWED_AT_ONCE = 500


class Tickets:
    """The tickets of all shards, as one process (`station`) takes them."""

    def __init__(
        self,
        redis: Redis,
        acts: Acts,
        keys: Keys,
        clock: Clock,
        station: str,
        gathering: Gathering,
        sharing: Sharing | None,
        sweep_seconds: float,
    ) -> None:
        self._redis = redis
        self._acts = acts
        self._keys = keys
        self._clock = clock
        self._station = station
        self._gathering = gathering
        self._sharing = sharing
        self._sweep_seconds = sweep_seconds
        self._sweep_at = self._lapse_at = clock.monotonic()
        self._cursors: list[Argument] = ["0-0"] * keys.shards
        self._longest_ms = 0  # the longest lease, of all workers
        self._offset_ms = clock.now_ms() - 1000 * clock.monotonic()  # from monotonic time to Redis's
        self._timers: list[int | None] = [None] * keys.shards  # the next of each shard, as last seen
        self._next_timer: int | None = None
        self._due = [math.inf] * keys.shards  # when to look for timers that were set here; monotonic seconds
        self._early_at = math.inf
        self._swept = clock.monotonic()
        self._at_once = max(_FEWEST_SWEPT, _SWEPT_AT_ONCE // keys.shards)
        self.births = Births(clock.monotonic, self._give_back_soon)
        self._reading: asyncio.Task[Entries] | None = None  # goes on where a birth has ended a wait
        self._behind: set[asyncio.Task[Any]] = set()

    async def claim(self, limit: int, lease_seconds: float, wait_seconds: float) -> Claims:
        """As the port says. A failure between reading and claiming leaves entries pending: they lapse."""
        lease_ms = max(1, round(1000 * lease_seconds))
        if lease_ms > self._longest_ms:
            await self.agree(lease_ms)
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            if self._sharing is not None:
                await self._sharing.keep_up(self._clock.monotonic())
            await self._sweep()
            if limit > 0:
                read = self._reading is not None and self._reading.done()
                if not read and (born := self.births.take(limit)):
                    journals = {claim.execution_id: journal for claim, journal in born}
                    return Claims(
                        tuple([claim for claim, _ in born]), self._next_timer, journals, waited=True
                    )
                asked = self._clock.monotonic()
                beat_at = math.inf if self._sharing is None else self._sharing.beat_at
                left = min(deadline, self._sweep_at, self._early_at, beat_at) - asked
                found = await self._read(limit, left, lease_seconds, self._longest_ms - lease_ms)
                claims, journals = await self._take(found, limit, lease_ms, asked + lease_seconds)
                if claims:
                    return Claims(claims, self._next_timer, journals, waited=True)
            if self._clock.monotonic() >= deadline or limit <= 0:
                return Claims((), self._next_timer, waited=True)

    async def close(self) -> None:
        """Give back what was read or born and not handed out: nobody asks for it any more."""
        reading = self._reading
        if reading is not None:
            # It ends with the next sweep; cut off, it may leave entries behind.
            await asyncio.wait((reading,))
            self._return_unasked(reading)
        # Last, since what was being created as this began may have been born meanwhile.
        for claim in self.births.give_up():
            self._give_back_soon(claim)
        await asyncio.gather(*self._behind)

    async def _read(self, limit: int, seconds: float, lease_seconds: float, idle_ms: int) -> Entries:
        """Read entries, or return without any where something was born meanwhile: then the reading goes on
        for the next who asks, since one that is broken off may have read already.
        """
        if seconds <= 0 or self.births.wanted:
            return await self._gathering.read(limit, seconds)
        if self._reading is None:
            self._reading = asyncio.create_task(self._gathering.read(limit, seconds))
            self._reading.add_done_callback(self._read_ended)
        reading = self._reading
        await self.births.wait(limit, lease_seconds, idle_ms, reading, seconds)
        if not reading.done():
            return {}
        self._reading = None
        return reading.result()

    def _read_ended(self, reading: asyncio.Task[Entries]) -> None:
        if not self.births.wanted:
            asyncio.get_running_loop().call_later(KEPT_SECONDS, self._return_unasked, reading)

    def _return_unasked(self, reading: asyncio.Task[Entries]) -> None:
        """Nobody has asked for what was read: others may."""
        if self._reading is not reading:
            return
        self._reading = None
        if not reading.cancelled() and reading.exception() is None and reading.result():
            self._do_behind(self._take(reading.result(), 0, self._longest_ms, 0.0))

    def _give_back_soon(self, claim: Claim) -> None:
        self._do_behind(self.give_back(claim))

    def _do_behind(self, act: Coroutine[Any, Any, object]) -> None:
        """Best effort: what is not given back lapses."""

        async def do() -> None:
            try:
                await act
            except StoreError as error:
                _log.debug("a ticket was not given back and lapses: %s", error)

        task = asyncio.create_task(do())
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> Renewed:
        """As the port says."""
        lease_ms = max(1, round(1000 * lease_seconds))
        if lease_ms > self._longest_ms:
            await self.agree(lease_ms)
        until = self._clock.monotonic() + lease_seconds  # from before the request is sent
        idle = self._longest_ms - lease_ms
        calls, asked = [], []
        for shard, places in self._keys.by_shard(claim.execution_id for claim in claims).items():
            for start in range(0, len(places), _RENEWED_AT_ONCE):
                part = [claims[place] for place in places[start : start + _RENEWED_AT_ONCE]]
                args = [word for claim in part for word in (claim.execution_id, claim.epoch)]
                base = self._keys.bases[shard]
                calls.append(self._acts.run("renew", base, self._station, idle, *args, write=False))
                asked.append(part)
        kept, mail = set(), set()
        for part, said in zip(asked, await asyncio.gather(*calls), strict=True):
            for claim, answer in zip(part, said, strict=True):
                if answer:
                    kept.add(claim)
                if answer > 1:
                    mail.add(claim.execution_id)
        renewed = [Claim(claim.execution_id, claim.epoch, until) for claim in claims if claim in kept]
        return Renewed(tuple(renewed), frozenset(mail))

    async def give_back(self, claim: Claim) -> bool:
        """Whether the claim was there to be given back."""
        base = self._keys.base(claim.execution_id)
        args = (claim.execution_id, claim.epoch, self._station, self._acts.ring)
        return bool(await self._acts.run("give_back", base, *args, write=False))

    async def agree(self, lease_ms: int = 0) -> None:
        """Learn the longest lease in use, and say so where ours is longer."""
        key = meta_key(self._keys.prefix)
        known = int(await self._redis.call(key, "HGET", key, "lease") or 0)
        longest = max(known, lease_ms, self._longest_ms)
        if longest > known:
            await self._redis.call(key, "HSET", key, "lease", longest, write=True)
        self._longest_ms = longest

    def note_timer(self, execution_id: str, wake_at_ms: int) -> None:
        """A timer was set here: look into its shard when it is due. Others find it in their next sweep."""
        if self._next_timer is None or wake_at_ms < self._next_timer:
            self._next_timer = wake_at_ms
        shard = self._keys.shard(execution_id)
        due = (wake_at_ms - self._offset_ms) / 1000
        self._due[shard] = min(self._due[shard], due)
        self._early_at = min(self._early_at, max(due, self._swept + _SHORTEST_PAUSE))

    async def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now >= self._sweep_at:
            # Set first: of several callers one sweeps, and a store that is away is asked at this pace.
            self._sweep_at = now + self._sweep_seconds
            lapses = now >= self._lapse_at and self._longest_ms > 0
            if lapses:
                self._lapse_at = now + 2 * self._sweep_seconds
            await self._sweep_shards(range(self._keys.shards), lapses=lapses)
        elif now >= self._early_at:
            self._early_at = now + _SHORTEST_PAUSE
            await self._sweep_shards([n for n, due in enumerate(self._due) if due <= now], lapses=False)

    async def _sweep_shards(self, shards: Sequence[int], *, lapses: bool) -> None:
        args = (self._at_once, self._longest_ms if lapses else "", self._acts.ring)
        cursors = [self._cursors[shard] for shard in shards]
        said = await self._acts.everywhere("sweep", args, cursors, shards=shards, write=False, partly=True)
        self._swept = now = self._clock.monotonic()
        found: list[Any] = []
        for answer in said:
            if isinstance(answer, StoreUnavailable):
                found.append(None)  # a shard of a Cluster whose primary is away holds up none of the others
            else:
                self._offset_ms = int(answer[0]) - 1000 * now
                found += answer[1:]
        unread = []
        for shard, seen in zip(shards, found, strict=True):
            if seen is None:
                continue
            timer, made, onward, readable = seen
            self._timers[shard] = None if timer is None else int(float(timer))
            if self._due[shard] <= now:
                self._due[shard] = math.inf
            if readable:
                unread.append(shard)
            if lapses:
                self._cursors[shard] = onward
            if made >= self._at_once or (lapses and onward != b"0-0"):
                # There is more of it: soon again.
                self._sweep_at = min(self._sweep_at, now + _SHORTEST_PAUSE)
                self._lapse_at = min(self._lapse_at, self._sweep_at)
        self._gathering.hint(unread)
        self._next_timer = min((timer for timer in self._timers if timer is not None), default=None)
        self._early_at = max(min(self._due), now + _SHORTEST_PAUSE)

    async def _take(
        self, found: Entries, limit: int, lease_ms: int, until: float
    ) -> tuple[tuple[Claim, ...], dict[str, Loaded]]:
        """Become the owner of what was read; entries beyond `limit` go back."""
        calls = []
        idle = self._longest_ms - lease_ms
        for shard, entries in found.items():
            share = min(limit, len(entries))
            limit -= share
            words = [word for pair in entries for word in pair]
            base = self._keys.bases[shard]
            calls.append(
                self._acts.run(
                    "claim", base, self._station, idle, share, self._acts.ring, *words, write=False
                )
            )
        said = await asyncio.gather(*calls, return_exceptions=True)
        claims, journals = [], {}
        for answer in said:
            if isinstance(answer, BaseException):
                continue
            for execution_id, epoch, *fields in answer:
                name = execution_id.decode()
                claims.append(Claim(name, epoch, until))
                journals[name] = answers.loaded(fields)
        if not claims:
            for answer in said:
                if isinstance(answer, BaseException):
                    raise answer
        return tuple(claims), journals
