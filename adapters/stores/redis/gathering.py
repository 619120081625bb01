"""Reading ticket entries: from all shards at once on one node, from those that may have some on a Cluster."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from adapters.stores.redis.acts import Acts, Argument
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys
from core.errors import StoreError

Entries = dict[int, list[tuple[bytes, bytes]]]
"""Of each shard: the entries that were read, with their executions. From now on they are pending."""


class Gathering(Protocol):
    """A way to read."""

    async def read(self, limit: int, seconds: float) -> Entries:
        """Up to `limit` entries, or a few more. Waits for `seconds` for the first."""
        ...

    def hint(self, shards: Iterable[int]) -> None:
        """These shards have tickets to read."""
        ...


class FromOneNode(Gathering):
    """One command reads all streams, and one that blocks waits on all of them."""

    def __init__(self, redis: Redis, acts: Acts, keys: Keys) -> None:
        self._redis = redis
        self._acts = acts
        self._streams = keys.tickets
        self._places = {name.encode(): number for number, name in enumerate(keys.tickets)}
        self._turn = 0

    def hint(self, shards: Iterable[int]) -> None:
        """Not needed: all are read anyway."""

    async def read(self, limit: int, seconds: float) -> Entries:
        """As the protocol says; COUNT is a stream's, so few streams are read where little is wanted."""
        streams = self._streams
        if limit < len(streams):
            # All of them in turn; and only where these have nothing, one entry of any.
            start = self._turn % len(streams)
            self._turn += limit
            found = await self._read_from((streams + streams)[start : start + limit], 1, 0.0)
            if found:
                return found
        return await self._read_from(streams, max(1, limit // len(streams)), seconds)

    async def _read_from(self, streams: Sequence[str], count: int, seconds: float) -> Entries:
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
        return {
            self._places[stream]: [(entry, fields[1]) for entry, fields in entries]
            for stream, entries in said or ()
        }


class FromCluster(Gathering):
    """Reads the shards that were rung for or that a sweep saw tickets in; waits for such a hint.

    A blocking read could wait on one slot only, and so would need a connection for each shard.
    """

    def __init__(self, redis: Redis, acts: Acts, keys: Keys) -> None:
        self._redis = redis
        self._acts = acts
        self._streams = keys.tickets
        self._hinted = dict.fromkeys(range(keys.shards))  # in the order in which they are read
        self._rung = asyncio.Event()

    def hint(self, shards: Iterable[int]) -> None:
        """Have these shards read soon."""
        for shard in shards:
            self._hinted.setdefault(shard)
            self._rung.set()

    async def read(self, limit: int, seconds: float) -> Entries:
        """As the protocol says. What could not be read is read when a sweep sees its tickets: a shard that is
        away must not keep this from waiting for the others. Raises where all that were read are away.
        """
        if not self._hinted and seconds > 0:
            self._rung.clear()
            try:
                await asyncio.wait_for(self._rung.wait(), seconds)
            except TimeoutError:
                return {}
        shards = list(self._hinted)[:limit]
        if not shards:
            return {}
        for shard in shards:
            del self._hinted[shard]
        count = limit // len(shards)
        said = await asyncio.gather(
            *(self._read_from(shard, count) for shard in shards), return_exceptions=True
        )
        found: Entries = {}
        failed: list[BaseException] = []
        for shard, answer in zip(shards, said, strict=True):
            if isinstance(answer, BaseException):
                failed.append(answer)
            elif answer:
                found[shard] = answer
                if len(answer) == count:
                    self._hinted.setdefault(shard)
        if len(failed) == len(shards):
            raise failed[0]
        return found

    async def _read_from(self, shard: int, count: int) -> list[tuple[bytes, bytes]]:
        stream = self._streams[shard]
        try:
            said = await self._redis.call(
                stream, "XREADGROUP", "GROUP", "w", "w", "COUNT", count, "STREAMS", stream, ">"
            )
        except StoreError as error:
            await self._acts.mend(error)
            raise
        return [(entry, fields[1]) for entry, fields in said[0][1]] if said else []
