"""The health link's contract: over a store that one process has, and over real Redis servers."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.redis.client import Redis
from adapters.stores.redis.health import RedisLink
from adapters.stores.sqlite import SqliteStore
from core.engine.health.local_link import Commons, LocalLink
from core.ports.clock import Clock
from core.ports.link import HealthLink
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.link import LinkContract
from tests.redis_servers import ClusterNodes, Node, Sentinels, start_cluster, start_node, start_sentinel

_prefixes = itertools.count()


@dataclass
class LocalHost:
    clock: ManualClock
    store: Store
    commons: Commons


class LocalContract(LinkContract):
    def clock(self, host: LocalHost) -> Clock:
        return host.clock

    def make(self, host: LocalHost) -> HealthLink:
        return LocalLink(host.store, host.clock, host.commons)

    def after_a_restart(self, host: LocalHost) -> HealthLink:
        return LocalLink(host.store, host.clock)

    async def pass_time(self, host: LocalHost, units: float) -> None:
        host.clock.advance(units)


class TestMemory(LocalContract):
    @pytest_asyncio.fixture
    async def host(self) -> AsyncIterator[LocalHost]:
        clock = ManualClock()
        host = LocalHost(clock, MemoryStore(clock), Commons())
        await host.store.open()
        yield host
        await host.store.close()


class TestSqlite(LocalContract):
    @pytest_asyncio.fixture
    async def host(self, tmp_path: Path) -> AsyncIterator[LocalHost]:
        clock = ManualClock()
        host = LocalHost(clock, SqliteStore(tmp_path / "store.db", clock), Commons())
        await host.store.open()
        yield host
        await host.store.close()


@dataclass
class RedisHost:
    redis: Redis
    prefix: str
    clock: SystemClock


class RedisContract(LinkContract):
    """Redis's time cannot be moved by hand, so it is waited for, in short units."""

    unit = 0.08

    def clock(self, host: RedisHost) -> Clock:
        return host.clock

    def make(self, host: RedisHost) -> HealthLink:
        return RedisLink(host.redis, host.clock, host.prefix)

    async def pass_time(self, host: RedisHost, units: float) -> None:  # noqa: ARG002 - it cannot be moved
        await asyncio.sleep(units * self.unit + 0.002)


async def _opened(redis: Redis) -> AsyncIterator[Any]:
    await redis.open()
    yield RedisHost(redis, f"test{next(_prefixes)}", SystemClock())
    await redis.close()


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


class TestOneNode(RedisContract):
    @pytest_asyncio.fixture
    async def host(self, node: Node) -> AsyncIterator[RedisHost]:
        async for host in _opened(Redis(node.url)):
            yield host


class TestSentinel(RedisContract):
    @pytest_asyncio.fixture
    async def host(self, sentinels: Sentinels) -> AsyncIterator[RedisHost]:
        async for host in _opened(Redis(sentinels.url, min_replicas=1)):
            yield host


class TestCluster(RedisContract):
    @pytest_asyncio.fixture
    async def host(self, cluster: ClusterNodes) -> AsyncIterator[RedisHost]:
        async for host in _opened(Redis(cluster.url)):
            yield host
