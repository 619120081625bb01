"""The store's contract on real Redis servers."""

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
from tests.redis_servers import Node, start_node

_prefixes = itertools.count()


class RedisContract(StoreContract):
    """Redis's time cannot be moved by hand, so it is waited for, in short units."""

    unit = 0.05

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


class TestOneNode(RedisContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, node: Node) -> Store:
        prefix = f"test{next(_prefixes)}"
        return RedisStore(Redis(node.url), clock, shards=1, prefix=prefix, sweep_seconds=0.0)
