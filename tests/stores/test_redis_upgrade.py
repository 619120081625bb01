"""What earlier versions have written is read, claimed and driven on."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from adapters.stores.redis.store import RedisStore
from core.ports.store import Hold
from core.testing.contracts.store_base import step
from tests.redis_servers import Node, start_node
from tests.stores.redis_parts import make

SHARD = "sidestep:{s0}:"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest_asyncio.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    node.command("FLUSHALL")
    store = make(node, shards=1)
    await store.open()
    yield store
    await store.close()


def write_as_before(node: Node, *, owner: str = "", epoch: str = "0") -> str:
    """An execution after its creation and one commit, its fields in the order of earlier versions."""
    entry = node.command("XADD", f"{SHARD}t", "*", "i", "x1")
    record = (
        *("w", "flow", "d", "digest", "c", "1000", "u", "1000", "v", "2", "e", epoch, "k", "0first"),
        *("s", "RUNNING", "p", "one", "f", "", "t", entry, "o", owner, "a", "", "n", "0"),
    )
    node.command("HSET", f"{SHARD}x:x1", *record)
    node.command("RPUSH", f"{SHARD}j:x1", b"\0\0\0\x01created", b"\0\0\0\x02step")
    node.command("ZADD", f"{SHARD}st:RUNNING", 0, "x1")
    node.command("ZADD", f"{SHARD}wf:flow", 0, "x1")
    node.command("SET", f"{SHARD}d:digest", b"{}")
    node.command("HSET", f"{SHARD}dn", "digest", 1)
    return str(entry)


async def test_an_execution_of_an_earlier_version_is_claimed_and_driven_to_its_end(
    store: RedisStore, node: Node
) -> None:
    write_as_before(node)
    taken = await store.claim("me", 1, 10.0)
    assert taken.journals["x1"].batches == (b"created", b"step")
    (claim,) = taken.claims
    await store.commit(step(claim, 2, current_step="two"))
    record = await store.get("x1")
    assert (record.version, record.summary.current_step, record.hold) == (3, "two", Hold.TICKET)
    assert (await store.commit(step(claim, 3, status="COMPLETED", release=True))).released
    assert await store.counts() == {"COMPLETED": 1}
    assert await store.remove("x1")


async def test_a_commit_that_an_earlier_version_made_is_known_when_it_is_said_again(
    store: RedisStore, node: Node
) -> None:
    write_as_before(node, owner=store._station, epoch="1")
    (claim,) = (await store.claim("me", 1, 10.0)).claims
    committed = await store.commit(step(claim, 1, commit_id="first"))
    assert not committed.released
    assert (await store.get("x1")).version == 2
