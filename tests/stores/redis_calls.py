"""What the tests of the Redis client share: scripts, an open client, and waiting for conditions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from adapters.stores.redis.client import Redis, Script
from core.errors import StoreUnavailable

ECHO = Script("echo", "return ARGV[1]")
SET = Script("set", "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('INCR', KEYS[1] .. ':n')")
REFUSE = Script("refuse", "return redis.error_reply('SIDESTEP_GONE it has ended')")
BROKEN = Script("broken", "return redis.call('INCR', KEYS[1], 'and', 'more')")


@asynccontextmanager
async def client(url: str, **options: float) -> AsyncIterator[Redis]:
    redis = Redis(url, **options)  # type: ignore[arg-type]  # the options of each test are its own
    await redis.open()
    try:
        yield redis
    finally:
        await redis.close()


async def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.005)


async def until_served(redis: Redis, key: str = "k", seconds: float = 10.0) -> float:
    """Seconds until a write succeeds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while True:
            try:
                await redis.call(key, "SET", key, "1", write=True)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
            else:
                return loop.time() - began
