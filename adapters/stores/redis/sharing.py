"""On a Cluster, workers share out among themselves who listens for the tickets of which shard.

Every worker says about once a second that it lives; each shard goes to the worker with the highest hash of
worker and shard (rendezvous hashing), so that few shards change hands when a worker comes or goes. Only
promptness depends on it: everybody sweeps all shards besides.
"""

import hashlib
import math
from collections.abc import Awaitable, Callable, Iterable

from adapters.stores.redis.acts import Acts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.gathering import Gathering
from adapters.stores.redis.keys import Keys

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
        self.beat_at = -math.inf

    @property
    def shards(self) -> frozenset[int]:
        """Those that this worker listens to."""
        return frozenset(self._ends)

    async def keep_up(self, now: float) -> None:
        """Beat where it is time, by monotonic seconds. Whoever takes no work stops calling this, and its
        shards go to others.
        """
        if now >= self.beat_at:
            self.beat_at = now + _BEAT_SECONDS
            await self.beat()

    async def beat(self) -> None:
        """Say that this worker lives, and take and leave shards as the others come and go."""
        words = (self._station, round(1000 * _FORGOTTEN_SECONDS))
        said = await self._acts.run("beat", self._place, *words, write=False)
        mine = share(self._station, (station.decode() for station in said), self._keys.shards)
        for shard in mine - self.shards:
            channel = f"{self._keys.bases[shard]}ring"
            self._ends[shard] = await self._redis.subscribe(channel, self._ring(shard))
            self._gathering.hint((shard,))  # what was rung for meanwhile
        for shard in self.shards - mine:
            await self._ends.pop(shard)()

    async def leave(self) -> None:
        """Say that this worker goes."""
        await self._redis.call(self._place, "ZREM", self._place, self._station)

    def _ring(self, shard: int) -> Callable[[bytes], None]:
        return lambda _: self._gathering.hint((shard,))
