"""The client while primaries change: Sentinel's failovers, a Cluster's promotions and moved slots."""

import asyncio
from collections.abc import Iterator
from typing import Self

import pytest

from adapters.stores.redis.address import parse
from adapters.stores.redis.client import Redis
from adapters.stores.redis.cluster import Cluster, slot_of, tag_of
from core.errors import ConfigurationError, StoreUnavailable
from tests.redis_servers import (
    ClusterNodes,
    Node,
    Sentinels,
    start_cluster,
    start_node,
    start_sentinel,
    wait_until,
)
from tests.stores.redis_calls import ECHO, SET, client, until, until_served

KEYS = [f"sidestep:{{s{shard}}}:k" for shard in range(64)]


@pytest.fixture
def group() -> Iterator[Sentinels]:
    with start_sentinel() as group:
        yield group


@pytest.fixture
def cluster() -> Iterator[ClusterNodes]:
    with start_cluster() as cluster:
        yield cluster


class Load:
    """Callers that write all the time, and count what was acknowledged for each key."""

    def __init__(self, redis: Redis, keys: list[str]) -> None:
        self.acknowledged = dict.fromkeys(keys, 0)
        self._redis = redis
        self._stop = False

    async def caller(self, key: str) -> None:
        while not self._stop:
            try:
                await self._redis.script(SET, [key], ["v"])
                self.acknowledged[key] += 1
            except StoreUnavailable:
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        self._callers = [asyncio.create_task(self.caller(key)) for key in self.acknowledged]
        await self.grown()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._callers)

    async def grown(self, seconds: float = 20.0) -> None:
        """Until every key has had 10 more writes."""
        seen = dict(self.acknowledged)
        await until(lambda: all(self.acknowledged[key] > seen[key] + 10 for key in seen), seconds)

    async def lost(self) -> dict[str, int]:
        """By key, how many acknowledged writes are not there."""
        missing = {}
        for key, count in self.acknowledged.items():
            kept = int(await self._redis.call(key, "GET", f"{key}:n") or 0)
            if kept < count:
                missing[key] = count - kept
        return missing


async def test_a_killed_primary_is_left_for_the_one_that_sentinels_promote(group: Sentinels) -> None:
    async with client(group.url, min_replicas=1) as redis:
        heard: list[bytes] = []
        await redis.subscribe("c", heard.append)
        old = group.primary()
        load = Load(redis, KEYS[:20])
        async with load:
            await asyncio.to_thread(old.kill)
            await load.grown()
            assert group.primary() is not old
            await asyncio.to_thread(old.restart)  # it comes back as a primary, and is made a replica
            await asyncio.to_thread(
                wait_until, lambda: old.command("ROLE")[0] in {"slave", b"slave"}, "the demotion"
            )
            await load.grown()
        assert await load.lost() == {}

        async def rung() -> None:
            while not heard:
                try:
                    await redis.call("", "PUBLISH", "c", "v")
                except StoreUnavailable:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)

        await asyncio.wait_for(rung(), 10)


async def test_a_stopped_primary_is_left_although_its_connections_stay_open(group: Sentinels) -> None:
    async with client(group.url, timeout=1.0) as redis:
        old = group.primary()
        with old.stop_signal():
            blocked = asyncio.create_task(redis.block("q", "BLPOP", "q", 60, timeout=60))
            assert await until_served(redis, seconds=20) < 8
            assert group.primary() is not old
            blocked.cancel()
            await asyncio.gather(blocked, return_exceptions=True)
        assert await until_served(redis) < 5


async def test_a_primary_that_is_replaced_while_it_lives_is_left_without_waiting_for_a_timeout(
    group: Sentinels,
) -> None:
    async with client(group.url, timeout=60.0) as redis:
        await until_served(redis)
        old = group.primary()
        with old.stop_signal():
            # Nothing in flight, so that nothing but a sentinel's word can tell.
            await asyncio.to_thread(wait_until, lambda: group.primary() is not old, "the promotion")
            assert await until_served(redis, seconds=10) < 5


async def test_a_primary_cut_off_from_its_replicas_acknowledges_nothing(group: Sentinels) -> None:
    async with client(group.url, min_replicas=1, timeout=0.6) as redis:
        await redis.script(SET, ["k"], ["v"])
        primary = group.primary()
        primary.command("CONFIG", "SET", "repl-timeout", 600)
        for replica in group.replicas():
            replica.pause()
        try:
            with pytest.raises(StoreUnavailable, match="unknown"):
                await redis.script(SET, ["k"], ["v"])
        finally:
            for node in group.nodes:
                node.resume()
        assert await until_served(redis) < 5


async def test_dead_and_stopped_sentinels_are_outvoted_by_the_rest(group: Sentinels) -> None:
    group.sentinels[0].kill()
    async with client(group.url) as redis:
        assert await redis.call("k", "PING") == b"PONG"


async def test_a_wrong_name_and_silent_sentinels_are_told_apart(group: Sentinels) -> None:
    with pytest.raises(ConfigurationError, match="'nobody'"):
        await Redis(group.url.replace(group.name, "nobody")).open()
    for sentinel in group.sentinels:
        sentinel.kill()
    with pytest.raises(StoreUnavailable, match="no sentinel answers"):
        await Redis(group.url).open()


async def test_a_cluster_goes_on_when_a_primary_is_killed_and_its_replica_promoted(
    cluster: ClusterNodes,
) -> None:
    async with client(cluster.url, min_replicas=1) as redis:
        assert redis.is_cluster
        load = Load(redis, KEYS)
        old = cluster.owner(slot_of(KEYS[0]))
        spared = next(key for key in KEYS if cluster.owner(slot_of(key)) is not old)
        async with load:
            await asyncio.to_thread(old.kill)
            before = load.acknowledged[spared]
            await until(lambda: load.acknowledged[spared] > before + 10, 3)
            # WAIT for one replica cannot succeed where the only one was promoted: bring the old one back.
            await asyncio.to_thread(
                wait_until, lambda: cluster.owner(slot_of(KEYS[0])) is not old, "promotion"
            )
            await asyncio.to_thread(old.restart)
            await load.grown(30)
        assert await load.lost() == {}
        assert len(await redis.info()) == 3


async def test_a_cluster_without_waiting_resumes_at_once_after_the_promotion(cluster: ClusterNodes) -> None:
    async with client(cluster.nodes[4].url) as redis:  # any node leads to all, behind plain redis:// too
        assert redis.is_cluster
        old = cluster.owner(slot_of(KEYS[0]))
        await until_served(redis, KEYS[0])
        old.kill()
        await asyncio.to_thread(wait_until, lambda: cluster.owner(slot_of(KEYS[0])) is not old, "promotion")
        assert await until_served(redis, KEYS[0]) < 5


async def test_a_moved_slot_is_followed(cluster: ClusterNodes) -> None:
    key = KEYS[3]
    slot = slot_of(key)
    async with client(cluster.url) as redis:
        for target in [node for node in cluster.primaries() if node is not cluster.owner(slot)]:
            await redis.script(SET, [key], ["v"])
            await asyncio.to_thread(cluster.move_slot, slot, target)
            assert await redis.call(key, "GET", key) == b"v"
            assert await redis.block(key, "ECHO", "v", timeout=1) == b"v"
            replies = await asyncio.gather(*(redis.script(ECHO, [key], [str(n)]) for n in range(50)))
            assert replies == [str(n).encode() for n in range(50)]
            assert cluster.owner(slot) is target


async def test_a_slot_on_its_way_is_asked_for_at_both_ends(cluster: ClusterNodes) -> None:
    key = KEYS[5]
    slot = slot_of(key)
    source = cluster.owner(slot)
    target = next(node for node in cluster.primaries() if node is not source)
    async with client(cluster.url) as redis:
        await redis.call(key, "SET", key, "here", write=True)
        cluster.begin_move(slot, target)
        there = f"{key}:there"
        assert await redis.call(key, "GET", key) == b"here"
        await asyncio.gather(
            *(redis.call(f"{there}{n}", "SET", f"{there}{n}", n, write=True) for n in range(20))
        )
        replies = await asyncio.gather(*(redis.call(f"{there}{n}", "GET", f"{there}{n}") for n in range(20)))
        assert replies == [str(n).encode() for n in range(20)]
        assert target.command("DBSIZE") >= 20
        assert await redis.block(there, "BLPOP", there, 0.1, timeout=0.1) is None


async def test_a_database_of_a_cluster_is_refused(cluster: ClusterNodes) -> None:
    with pytest.raises(ConfigurationError, match="database"):
        await Redis(f"redis://127.0.0.1:{cluster.nodes[0].port}/2").open()


@pytest.fixture
def lonely() -> Iterator[Node]:
    with start_node() as node:
        yield node


async def test_a_cluster_url_that_leads_to_a_single_node_says_so(lonely: Node) -> None:
    with pytest.raises(StoreUnavailable, match="no node of a cluster"):
        await Redis(f"redis+cluster://127.0.0.1:{lonely.port}").open()


def test_the_slot_of_a_key_is_the_one_that_redis_computes(cluster: ClusterNodes) -> None:
    keys = ["a", "sidestep:{s17}:x", "{}a", "a{b}c{d}", "{a", "a}b{c", "{{a}}", "päth{ü}", ""]
    for key in keys:
        assert slot_of(key) == cluster.nodes[0].command("CLUSTER", "KEYSLOT", key)
    assert tag_of("sidestep:{s17}:x") == "s17"


async def test_a_node_that_says_the_cluster_is_down_is_asked_for_the_map_after_the_others(
    cluster: ClusterNodes,
) -> None:
    primaries = cluster.primaries()
    known = Cluster(parse(cluster.url), limit=2.0, min_replicas=0, on_down=lambda _: None)
    await known.open()
    try:
        for doubted in primaries:
            known.doubt(parse(doubted.url).node)
            await known.refresh()  # one may have been under way
            for node in primaries:
                node.command("CONFIG", "RESETSTAT")
            await known.refresh()
            # Redis 7 counts each subcommand by itself.
            asked = [
                node.port
                for node in primaries
                if any(name.startswith("cmdstat_cluster") for name in node.command("INFO", "commandstats"))
            ]
            assert len(asked) == 1
            assert asked != [doubted.port]
    finally:
        await known.close()
