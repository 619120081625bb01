"""What the tests of the Redis store share."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from adapters.clock import SystemClock
from adapters.stores.redis.client import Redis
from adapters.stores.redis.store import RedisStore
from core.engine.ids import new_execution_id
from core.errors import StoreUnavailable
from tests.redis_servers import Node

CLOCK = SystemClock()

_turns = itertools.count()


def make(
    node: Node, *, shards: int | None = 8, sweep_seconds: float = 0.0, prefix: str = "sidestep"
) -> RedisStore:
    return RedisStore(
        Redis(node.url),
        CLOCK,
        shards=shards,
        prefix=prefix,
        sweep_seconds=sweep_seconds,
        watch_seconds=0.05,
    )


def an_id(shards: int = 8) -> str:
    """A new id; they take the shards in turn."""
    return new_execution_id(CLOCK.now_ms(), next(_turns) % shards)


async def until(check: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


async def again(act: Callable[[], Awaitable[object]], seconds: float = 10.0) -> None:
    """Until Redis is back."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await act()
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return
