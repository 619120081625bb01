"""Whose time it is: Redis's, as far as clocks can agree."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from adapters.clock import HostClock, SystemClock
from adapters.stores.redis.client import Redis
from adapters.stores.redis.store import RedisStore
from core.testing.contracts.store_base import new, release
from tests.redis_servers import Node, start_node
from tests.stores.redis_parts import an_id

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with start_node() as node:
        yield node


class Off(SystemClock):
    """A clock that is off by so much."""

    def __init__(self, by_ms: int) -> None:
        super().__init__()
        self._by_ms = by_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._by_ms


@pytest.mark.parametrize("by_ms", [-HOUR_MS, HOUR_MS])
async def test_a_wait_lasts_as_long_where_the_clocks_differ_by_an_hour(node: Node, by_ms: int) -> None:
    clock = Off(by_ms)
    prefix = f"off{by_ms}"
    store = RedisStore(Redis(node.url), clock, shards=8, prefix=prefix, sweep_seconds=0.02)
    await store.open()
    try:
        await store.create(new(an_id()))
        (claim,) = (await store.claim("o", 1, 10.0)).claims
        began = time.monotonic()
        done = await release(store, claim, 1, clock.now_ms() + 400)
        assert done.released
        async with asyncio.timeout(10):
            while not (await store.claim("o", 1, 10.0, 0.1)).claims:
                pass
        assert 0.35 < time.monotonic() - began < 5
    finally:
        await store.close()


async def test_an_open_store_sets_the_clock_of_its_process_to_redis_time(node: Node) -> None:
    clock = HostClock()
    clock._started_wall_ns -= HOUR_MS * 1_000_000  # a machine whose wall clock is an hour slow
    assert abs(clock.now_ms() - time.time() * 1000) > HOUR_MS / 2
    store = RedisStore(Redis(node.url), clock, shards=8)
    await store.open()
    try:
        assert abs(clock.now_ms() - time.time() * 1000) < 1_000
    finally:
        await store.close()
