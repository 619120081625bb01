"""On a Cluster, workers share out among themselves who listens for the tickets of which shard.

Every worker says about once a second that it lives; each shard goes to the worker with the highest hash of
worker and shard (rendezvous hashing), so that few shards change hands when a worker comes or goes. Only
promptness depends on it: everybody sweeps all shards besides.
"""

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable

from adapters.stores.redis.acts import Acts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.gathering import Gathering
from adapters.stores.redis.keys import Keys
from core.errors import StoreUnavailable

_log = logging.getLogger("sidestep.stores.redis")

_BEAT_SECONDS = 1.0
_FORGOTTEN_SECONDS = 5.0


def share(station: str, stations: Iterable[str], shards: int) -> frozenset[int]:
    """The shards that fall to `station`, which is one of `stations`."""
    everyone = {station, *stations}
    return frozenset(
        shard for shard in range(shards) if max(everyone, key=lambda one: _weight(one, shard)) == station
    )


def _weight(station: str, shard: int) -> bytes:
    return hashlib.blake2b(f"{station}:{shard}".encode(), digest_size=8).digest()


class Sharing:
    """One worker's part."""

    def __init__(self, redis: Redis, acts: Acts, keys: Keys, gathering: Gathering, station: str) -> None:
        self._redis = redis
        self._acts = acts
        self._keys = keys
        self._gathering = gathering
        self._station = station
        self._place = f"{keys.prefix}:stations"
        self._ends: dict[int, Callable[[], Awaitable[None]]] = {}
        self._stations: frozenset[bytes] = frozenset()
        self._mine: frozenset[int] = frozenset()
        self.beat_at = -math.inf

    @property
    def shards(self) -> frozenset[int]:
        """Those that this worker listens to."""
        return frozenset(self._ends)

    async def keep_up(self, now: float) -> None:
        """Beat where it is time, by monotonic seconds. Whoever takes no work stops calling this, and its
        shards go to others. The node that keeps the beats may be away while others have tickets to hand
        out, so that is no error.
        """
        if now >= self.beat_at:
            self.beat_at = now + _BEAT_SECONDS
            try:
                await self.beat()
            except StoreUnavailable as error:
                _log.debug("the sharing of shards stays as it is: %s", error)

    async def beat(self) -> None:
        """Say that this worker lives, and take and leave shards as the others come and go."""
        words = (self._station, round(1000 * _FORGOTTEN_SECONDS))
        said = await self._acts.run("beat", self._place, *words, write=False)
        stations = frozenset(said)
        if stations != self._stations:
            # A hash for each worker and shard: a second of work where both are many.
            names = [station.decode() for station in stations]
            self._mine = share(self._station, names, self._keys.shards)
            self._stations = stations
        mine = self._mine
        # Together: where rings cannot be confirmed each of them takes its whole limit.
        await asyncio.gather(*(self._listen(shard) for shard in mine - self.shards))
        for shard in self.shards - mine:
            await self._ends.pop(shard)()

    async def leave(self) -> None:
        """Say that this worker goes."""
        await self._redis.call(self._place, "ZREM", self._place, self._station)

    async def _listen(self, shard: int) -> None:
        channel = f"{self._keys.bases[shard]}ring"
        self._ends[shard] = await self._redis.subscribe(channel, self._ring(shard))
        self._gathering.hint((shard,))  # what was rung for meanwhile

    def _ring(self, shard: int) -> Callable[[bytes], None]:
        return lambda _: self._gathering.hint((shard,))
