"""How much the acts of the Redis store send and ask for, counted in Redis's own commands."""

from collections.abc import AsyncIterator

import pytest_asyncio

from adapters.stores.redis.store import RedisStore
from core.testing.contracts.store_base import new, step
from tests.redis_servers import Node
from tests.stores.redis_parts import an_id, make


@pytest_asyncio.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    store = make(node, shards=1)
    await store.open()
    yield store
    await store.close()


def calls(node: Node, name: str) -> int:
    """How often a command was called since RESETSTAT."""
    return int(node.command("INFO", "commandstats").get(f"cmdstat_{name}", {"calls": 0})["calls"])


def received(node: Node) -> int:
    """Bytes that were sent to Redis since RESETSTAT."""
    return int(node.command("INFO", "stats")["total_net_input_bytes"])


async def test_each_creation_of_a_definition_never_seen_before_is_one_call(
    store: RedisStore, node: Node
) -> None:
    await store.create(new(an_id()))  # Redis learns the script
    node.command("CONFIG", "RESETSTAT")
    for number in range(5):
        await store.create(new(an_id(), digest=f"digest {number}"))
    assert calls(node, "evalsha") == 5


async def test_a_definition_goes_once_to_its_shard(store: RedisStore, node: Node) -> None:
    definition = b"{}" * 50_000
    node.command("CONFIG", "RESETSTAT")
    for _ in range(5):
        await store.create(new(an_id(), definition=definition))
    assert len(definition) < received(node) < 2 * len(definition)


async def test_a_definition_that_went_with_its_last_execution_is_sent_again(store: RedisStore) -> None:
    first, second = an_id(), an_id()
    await store.create(new(first))
    (claim,) = (await store.claim("me", 1, 10.0)).claims
    await store.commit(step(claim, 1, status="COMPLETED", release=True))
    assert await store.remove(first)
    assert (await store.create(new(second))).fresh
    assert await store.definition("digest", second) == new().definition
