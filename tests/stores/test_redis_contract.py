"""The store's contract on real Redis servers.

With one shard, since the suite counts on the order of tickets and on keys found from any id, which hold
within a shard; what many shards add is in `test_redis_store.py`.
"""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from adapters.clock import SystemClock
from adapters.stores.redis.client import Redis
from adapters.stores.redis.store import RedisStore
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.store import StoreContract
from tests.redis_servers import ClusterNodes, Node, Sentinels, start_cluster, start_node, start_sentinel

_prefixes = itertools.count()


class RedisContract(StoreContract):
    """Redis's time cannot be moved by hand, so it is waited for, in short units."""

    unit = 0.08

    @pytest.fixture
    def clock(self) -> ManualClock:
        return SystemClock()  # type: ignore[return-value]  # the suite only reads it, but for `pass_time`

    async def pass_time(self, clock: ManualClock, units: float) -> None:  # noqa: ARG002 - it cannot be moved
        # Redis rounds down to milliseconds, and so do the instants that the suite computes.
        await asyncio.sleep(units * self.unit + 0.002)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with start_sentinel() as sentinels:
        yield sentinels


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterNodes]:
    with start_cluster() as cluster:
        yield cluster


def make(url: str, clock: ManualClock, min_replicas: int = 0) -> Store:
    redis = Redis(url, min_replicas=min_replicas)
    return RedisStore(redis, clock, shards=1, prefix=f"test{next(_prefixes)}", sweep_seconds=0.0)


class TestOneNode(RedisContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, node: Node) -> Store:
        return make(node.url, clock)


class TestSentinel(RedisContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, sentinels: Sentinels) -> Store:
        return make(sentinels.url, clock, min_replicas=1)


class TestCluster(RedisContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, cluster: ClusterNodes) -> Store:
        return make(cluster.url, clock)
