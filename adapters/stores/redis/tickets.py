"""Handing out tickets: reading, claiming, sweeping, renewing.

A ticket is an entry of its shard's stream, and pending while it has an owner. All workers read as one
consumer, since the record says who owns what; how long an entry has been idle is how long ago its lease
began. A claim lapses when its entry has been idle for the longest lease that any worker of this store uses;
a shorter lease starts with some idle time on its account.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.stores.redis import answers
from adapters.stores.redis.acts import Acts, Argument
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys, meta_key
from core.errors import StoreError
from core.ports.clock import Clock
from core.ports.store import Claim, Claims, Loaded, Renewed

_SWEPT_AT_ONCE = 200
"""Timers and lapsed claims that one sweep turns into tickets, each, in a shard."""

_SHORTEST_PAUSE = 0.1
"""Seconds between two sweeps at least, however many timers are due."""

_RENEWED_AT_ONCE = 500

_Entries = dict[int, list[tuple[bytes, bytes]]]
"""Of each shard: the entries that were read, with their executions."""


class Tickets:
    """The tickets of all shards, as one process (`station`) takes them."""

    def __init__(
        self, redis: Redis, acts: Acts, keys: Keys, clock: Clock, station: str, sweep_seconds: float
    ) -> None:
        self._redis = redis
        self._acts = acts
        self._keys = keys
        self._clock = clock
        self._station = station
        self._sweep_seconds = sweep_seconds
        self._sweep_at = self._lapse_at = clock.monotonic()
        self._cursors: list[Argument] = ["0-0"] * keys.shards
        self._turn = 0
        self._longest_ms = 0  # the longest lease, of all workers
        self._offset_ms = clock.now_ms() - 1000 * clock.monotonic()  # from monotonic time to Redis's
        self._next_timer: int | None = None
        self._places = {name.encode(): number for number, name in enumerate(keys.tickets)}

    async def claim(self, limit: int, lease_seconds: float, wait_seconds: float) -> Claims:
        """As the port says. A failure between reading and claiming leaves entries pending: they lapse."""
        lease_ms = max(1, round(1000 * lease_seconds))
        if lease_ms > self._longest_ms:
            await self.agree(lease_ms)
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            await self._sweep()
            if limit > 0:
                asked = self._clock.monotonic()
                left = min(deadline, self._sweep_at) - asked
                found = await self._read(limit, left)
                claims, journals = await self._take(found, limit, lease_ms, asked + lease_seconds)
                if claims:
                    return Claims(claims, self._next_timer, journals, waited=True)
            if self._clock.monotonic() >= deadline or limit <= 0:
                return Claims((), self._next_timer, waited=True)

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
        kept, mail = [], set()
        for part, said in zip(asked, await asyncio.gather(*calls), strict=True):
            for claim, answer in zip(part, said, strict=True):
                if answer:
                    kept.append(Claim(claim.execution_id, claim.epoch, until))
                if answer > 1:
                    mail.add(claim.execution_id)
        return Renewed(tuple(kept), frozenset(mail))

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

    def note_timer(self, wake_at_ms: int) -> None:
        """A timer was set here: sweep when it is due."""
        if self._next_timer is None or wake_at_ms < self._next_timer:
            self._next_timer = wake_at_ms
        due = (wake_at_ms - self._offset_ms) / 1000
        self._sweep_at = min(self._sweep_at, max(due, self._clock.monotonic()))

    async def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now < self._sweep_at:
            return
        lapses = now >= self._lapse_at and self._longest_ms > 0
        # Set first, so that of several callers one sweeps, and a store that is away is asked at this pace.
        self._sweep_at = now + self._sweep_seconds
        if lapses:
            self._lapse_at = now + self._sweep_seconds
        threshold = self._longest_ms if lapses else ""
        args = (_SWEPT_AT_ONCE, threshold, self._acts.ring)
        said = await self._acts.everywhere("sweep", args, self._cursors, write=False)
        back = self._clock.monotonic()
        self._offset_ms = int(said[0][0]) - 1000 * back
        shards = [shard for answer in said for shard in answer[1:]]
        if lapses:
            self._cursors = [shard[2] for shard in shards]
        timers = [int(float(shard[0])) for shard in shards if shard[0] is not None]
        self._next_timer = min(timers, default=None)
        unfinished = any(shard[2] != b"0-0" or shard[1] >= _SWEPT_AT_ONCE for shard in shards)
        if unfinished:
            self._lapse_at = self._sweep_at = min(self._sweep_at, back + _SHORTEST_PAUSE)
        if self._next_timer is not None:
            due = max((self._next_timer - self._offset_ms) / 1000, back + _SHORTEST_PAUSE)
            self._sweep_at = min(self._sweep_at, due)

    async def _read(self, limit: int, seconds: float) -> _Entries:
        """Up to `limit` entries, or a few more: COUNT is a stream's. Waits for `seconds` for the first."""
        streams = self._keys.tickets
        if limit < len(streams):
            # Of few streams at a time, and of all of them in turn, so that no more is read than is wanted.
            start = self._turn % len(streams)
            self._turn += limit
            some = (streams + streams)[start : start + limit]
            found = await self._read_from(some, 1, 0.0)
            if found:
                return found
        return await self._read_from(streams, max(1, limit // len(streams)), seconds)

    async def _read_from(self, streams: Sequence[str], count: int, seconds: float) -> _Entries:
        command: list[Argument] = ["XREADGROUP", "GROUP", "w", "w", "COUNT", count]
        pause_ms = int(1000 * seconds)
        if pause_ms > 0:
            command += ["BLOCK", pause_ms]
        command += ["STREAMS", *streams, *[">"] * len(streams)]
        try:
            if pause_ms > 0:
                said = await self._redis.block(streams[0], *command, timeout=seconds)
            else:
                said = await self._redis.call(streams[0], *command)
        except StoreError as error:
            await self._acts.mend(error)
            raise
        return self._entries(said)

    def _entries(self, said: Any) -> _Entries:
        pairs = said.items() if isinstance(said, Mapping) else said or ()
        return {
            self._places[stream]: [(entry, _execution(fields)) for entry, fields in entries]
            for stream, entries in pairs
        }

    async def _take(
        self, found: _Entries, limit: int, lease_ms: int, until: float
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


def _execution(fields: Mapping[bytes, bytes] | Sequence[bytes]) -> bytes:
    # Redis answers with a list; a client may have made a dictionary of it.
    return fields[b"i"] if isinstance(fields, Mapping) else fields[1]
