"""What a Cluster adds: shards shared out among workers, rings in place of blocking reads, a lost primary."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from adapters.stores.redis.client import Redis
from adapters.stores.redis.cluster import slot_of
from adapters.stores.redis.sharing import share
from adapters.stores.redis.store import RedisStore
from core.engine.ids import new_execution_id
from core.errors import StoreUnavailable
from core.ports.doorbell import Topic
from core.ports.store import Claim, Filter
from core.testing.contracts.store_base import Rings, message, new, release, step
from tests.redis_servers import ClusterNodes, start_cluster
from tests.stores.redis_parts import CLOCK, again, an_id, until

SHARDS = 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterNodes]:
    with start_cluster() as cluster:
        yield cluster


def make(cluster: ClusterNodes, sweep_seconds: float, min_replicas: int = 0) -> RedisStore:
    redis = Redis(cluster.url, min_replicas=min_replicas)
    return RedisStore(redis, CLOCK, shards=SHARDS, prefix="sidestep", sweep_seconds=sweep_seconds)


@pytest_asyncio.fixture
async def store(cluster: ClusterNodes) -> AsyncIterator[RedisStore]:
    for node in cluster.primaries():
        node.command("FLUSHALL")
    store = make(cluster, 0.5)
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture
async def other(store: RedisStore, cluster: ClusterNodes) -> AsyncIterator[RedisStore]:
    other = make(cluster, 0.5)
    assert other is not store
    await other.open()
    yield other
    await other.close()


def test_every_shard_has_one_listener_and_few_move_when_one_comes() -> None:
    few = [f"station{i}" for i in range(7)]
    before = {shard: one for one in few for shard in share(one, few, 64)}
    assert sorted(before) == list(range(64))
    assert sum(len(share(one, few, 64)) for one in few) == 64
    more = [*few, "another"]
    after = {shard: one for one in more for shard in share(one, more, 64)}
    moved = {shard for shard in range(64) if before[shard] != after[shard]}
    assert moved == share("another", more, 64)
    assert 0 < len(moved) < 24


async def test_many_shards_on_many_nodes_are_one_store(store: RedisStore) -> None:
    ids = sorted((an_id(SHARDS) for _ in range(100)), reverse=True)
    await asyncio.gather(*(store.create(new(id_)) for id_ in ids))
    page = await store.find(Filter(), None, 60)
    rest = await store.find(Filter(), page.next_cursor, 60)
    assert [record.execution_id for record in (*page.records, *rest.records)] == ids
    assert await store.counts() == {"PENDING": 100}
    claimed: list[str] = []
    while len(claimed) < 100:
        taken = await store.claim("me", 7, 10.0, 5.0)
        assert len(taken.claims) <= 7
        for claim in taken.claims:
            claimed.append(claim.execution_id)
            await store.commit(step(claim, 1, status="COMPLETED", release=True))
    assert sorted(claimed) == sorted(ids)
    assert await store.counts() == {"COMPLETED": 100}
    for id_ in ids:
        assert await store.remove(id_)
    assert await store.counts() == {}


async def test_two_workers_share_the_shards_and_are_woken_at_once(
    store: RedisStore, cluster: ClusterNodes
) -> None:
    # After the first sweep, rings alone wake them.
    workers_stores = [make(cluster, 60.0), make(cluster, 60.0)]
    for one in workers_stores:
        await one.open()
    took: list[str] = []

    async def work(one: RedisStore) -> None:
        while True:
            for claim in (await one.claim("me", 50, 10.0, 30.0)).claims:
                took.append(claim.execution_id)
                await one.commit(step(claim, 1, status="COMPLETED", release=True))

    def shared(one: RedisStore) -> frozenset[int]:
        assert one._parts is not None
        assert one._parts.sharing is not None
        return one._parts.sharing.shards

    workers = [asyncio.create_task(work(one)) for one in workers_stores]
    one, other = workers_stores
    try:
        await until(lambda: len(shared(one)) + len(shared(other)) == SHARDS)
        assert shared(one).isdisjoint(shared(other))
        ids = [an_id(SHARDS) for _ in range(40)]
        for id_ in ids:
            await store.create(new(id_))
        await until(lambda: len(took) >= 40)
        assert sorted(took) == sorted(ids)
        began = CLOCK.monotonic()
        for number in range(41, 51):
            await store.create(new(an_id(SHARDS)))
            await until(lambda number=number: len(took) == number)  # type: ignore[misc] # bound at once
        assert CLOCK.monotonic() - began < 5  # a worker that only polled would need a second for each
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for one in workers_stores:
            await one.close()


async def test_rings_reach_other_processes(store: RedisStore, other: RedisStore) -> None:
    await store.create(new("x1"))
    claims = (await store.claim("me", 50, 10.0, 5.0)).claims
    assert len(claims) == 1
    rings = Rings(store)
    await other.deliver("x1", message("m1"))
    await until(lambda: rings.of(Topic.INBOX) == ["x1"])


async def test_a_timer_on_a_cluster_fires_within_a_second(store: RedisStore) -> None:
    ids = [an_id(SHARDS) for _ in range(24)]
    for id_ in ids:
        await store.create(new(id_))
    due: dict[str, int] = {}
    while len(due) < 24:
        for claim in (await store.claim("me", 50, 10.0, 5.0)).claims:
            due[claim.execution_id] = CLOCK.now_ms() + 300 + 40 * len(due)
            await release(store, claim, 1, due[claim.execution_id])
    late: dict[str, int] = {}
    while len(late) < 24:
        for claim in (await store.claim("me", 50, 10.0, 1.0)).claims:
            late[claim.execution_id] = CLOCK.now_ms() - due[claim.execution_id]
    assert max(late.values()) < 1_000


async def test_while_a_slot_moves_its_shard_is_away_and_never_wrong(
    store: RedisStore, cluster: ClusterNodes
) -> None:
    ids = [f"{an_id()[:-2]}-3" for _ in range(10)]
    for id_ in ids:
        await store.create(new(id_))
    claims: list[Claim] = []
    while len(claims) < 10:
        claims += (await store.claim("me", 50, 30.0, 5.0)).claims
    slot = slot_of("sidestep:{s3}:")
    source = cluster.owner(slot)
    target = next(node for node in cluster.primaries() if node is not source)
    cluster.begin_move(slot, target)
    for act in (
        store.load(ids[0]),
        store.commit(step(claims[0], 1)),
        store.create(new(ids[1])),
        store.deliver(ids[2], message("m1")),
        store.remove(ids[3]),
        store.renew(tuple(claims), 30.0),
    ):
        with pytest.raises(StoreUnavailable):
            await act
    assert (await store.get(ids[0])).version == 1
    cluster.move_slot(slot, target)
    await again(lambda: store.load(ids[0]))
    assert len((await store.renew(tuple(claims), 30.0)).claims) == 10
    for claim in claims:
        await store.commit(step(claim, 1, status="COMPLETED", release=True))
        assert await store.remove(claim.execution_id)
    assert await store.counts() == {}


async def test_what_replicas_have_outlives_a_primary() -> None:
    with start_cluster() as cluster:
        store = make(cluster, 0.1, min_replicas=1)
        await store.open()
        try:
            ids = [an_id(SHARDS) for _ in range(48)]
            await asyncio.gather(*(store.create(new(id_)) for id_ in ids))
            cluster.primaries()[0].kill()
            for id_ in ids:
                await again(lambda id_=id_: store.get(id_), 20.0)  # type: ignore[misc] # bound at once
            took: set[str] = set()
            async with asyncio.timeout(20):
                while len(took) < 48:
                    try:
                        taken = await store.claim("me", 50, 1.0, 0.2)
                    except StoreUnavailable:
                        await asyncio.sleep(0.05)
                        continue
                    took |= {claim.execution_id for claim in taken.claims}
            assert took == set(ids)
        finally:
            await store.close()


async def test_a_primary_that_is_gone_for_good_holds_up_only_its_own_shards() -> None:
    with start_cluster(replicas=0, cluster_require_full_coverage="no") as cluster:
        keeper = cluster.owner(slot_of("sidestep:stations"))  # the beats of workers are away as well
        healthy = [n for n in range(SHARDS) if cluster.owner(slot_of(f"sidestep:{{s{n}}}:")) is not keeper]
        worker, creator = make(cluster, 0.1), make(cluster, 0.1)
        await worker.open()
        await creator.open()
        try:
            await worker.claim("me", 1, 10.0, 0.1)
            keeper.kill()
            ids = [new_execution_id(CLOCK.now_ms(), shard) for shard in healthy]
            for id_ in ids:
                await again(lambda id_=id_: creator.create(new(id_)), 10.0)  # type: ignore[misc] # bound at once
            took: list[Claim] = []
            async with asyncio.timeout(10):
                while len(took) < len(ids):
                    try:
                        took += (await worker.claim("me", 50, 10.0, 0.5)).claims
                    except StoreUnavailable:
                        await asyncio.sleep(0.6)  # an engine's pause, over which every beat and sweep is due
            assert sorted(claim.execution_id for claim in took) == sorted(ids)
            late = make(cluster, 0.1)  # a process that starts now finds the same
            await late.open()
            assert len((await late.renew(tuple(took), 10.0)).claims) == 0
            await late.close()
        finally:
            await worker.close()
            await creator.close()
