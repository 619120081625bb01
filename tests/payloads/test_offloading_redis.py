"""Offloading stands around Redis as around any store: one node, S3 for the payloads, a tiny threshold."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.clock import SystemClock
from adapters.payloads.folder import FolderPayloads
from adapters.payloads.s3 import S3Payloads
from adapters.stores.offload import OffloadingStore
from adapters.stores.redis.client import Redis
from adapters.stores.redis.store import RedisStore
from core.errors import StoreMismatch
from core.ports.store import Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import new, step
from tests.redis_servers import Node, start_node
from tests.stores.test_redis_contract import RedisContract, make

LARGE = b"x" * 100_000


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with start_node() as node:
        yield node


class TestOffloadingRedisStore(RedisContract):
    @pytest.fixture
    def unopened(self, clock: ManualClock, node: Node, tmp_path: Path) -> Store:
        return OffloadingStore(make(node.url, clock), FolderPayloads(tmp_path / "payloads"), clock, 3)


def replica(node: Node, prefix: str, place: FolderPayloads | S3Payloads) -> OffloadingStore:
    clock = SystemClock()
    return OffloadingStore(RedisStore(Redis(node.url), clock, shards=1, prefix=prefix), place, clock)


@pytest_asyncio.fixture
async def two(node: Node, bucket: str) -> AsyncIterator[tuple[OffloadingStore, OffloadingStore]]:
    """Two machines' ways to one Redis and one bucket."""
    stores = (replica(node, "two", S3Payloads(bucket)), replica(node, "two", S3Payloads(bucket)))
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


async def test_what_one_machine_offloads_another_reads(two: tuple[OffloadingStore, OffloadingStore]) -> None:
    one, other = two
    await one.create(new("x-0", data=LARGE))
    claims = await other.claim("owner", 1, 10)
    (claim,) = claims.claims
    assert "x-0" not in claims.journals
    assert (await other.load("x-0")).batches == (LARGE,)
    await other.commit(step(claim, 1, data=LARGE + b"2", status="COMPLETED", release=True))
    assert (await one.load("x-0")).batches == (LARGE, LARGE + b"2")
    assert (await one.collect(None, 100, 0)).deleted == 0
    assert await one.remove("x-0")
    assert (await one.collect(None, 100, 0)).deleted == 0


async def test_a_machine_with_a_folder_of_its_own_is_refused(node: Node, tmp_path: Path) -> None:
    first = replica(node, "apart", FolderPayloads(tmp_path / "one"))
    await first.open()
    second = replica(node, "apart", FolderPayloads(tmp_path / "other"))
    with pytest.raises(StoreMismatch, match="set SIDESTEP_PAYLOADS"):
        await second.open()
    await first.close()
