"""What is special to health in Redis: foreign bytes, lost data, a node that is away, a failover."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from adapters.stores.redis.client import Redis
from adapters.stores.redis.cluster import slot_of
from adapters.stores.redis.health import KEPT_EVENTS, RedisLink
from adapters.stores.redis.health_values import MOST_IN_LANE, field_of, lanes, packed
from core.errors import StoreFull, StoreUnavailable
from core.ports.link import News, Override, Tally
from core.testing.contracts.link import CHARGE, MAIL, PLACE, WINDOW, Heard, event, kept
from tests.redis_servers import Node, start_cluster, start_node, start_sentinel
from tests.stores.redis_parts import CLOCK, again

BASE = "sidestep:{health}:"


@pytest.fixture(scope="module")
def session() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest.fixture
def node(session: Node) -> Node:
    session.command("FLUSHALL")
    return session


@pytest_asyncio.fixture
async def redis(node: Node) -> AsyncIterator[Redis]:
    redis = Redis(node.url)
    await redis.open()
    yield redis
    await redis.close()


@pytest_asyncio.fixture
async def link(redis: Redis) -> AsyncIterator[RedisLink]:
    link = RedisLink(redis, CLOCK)
    await link.open()
    yield link
    await link.close()


@pytest_asyncio.fixture
async def other(node: Node) -> AsyncIterator[RedisLink]:
    redis = Redis(node.url)
    await redis.open()
    other = RedisLink(redis, CLOCK)
    await other.open()
    yield other
    await other.close()
    await redis.close()


def an_override() -> Override:
    now = CLOCK.now_ms()
    return Override(provider="AWS", state="DRAINED", reason="drill", actor="ann", at=now, until=now + 60_000)


def second() -> int:
    return CLOCK.now_ms() // 1000


@pytest.mark.parametrize(
    "tally",
    [
        Tally(),
        Tally(calls=3),
        Tally(calls=3, failures=2, faults=1),
        Tally(calls=MOST_IN_LANE, failures=MOST_IN_LANE, faults=MOST_IN_LANE),
    ],
)
def test_a_packed_tally_is_a_number_of_redis_and_comes_out_again(tally: Tally) -> None:
    number = packed(tally)
    assert number < 2**63
    assert lanes(number) == (tally.calls, tally.failures, tally.faults)


def test_what_is_taken_back_leaves_the_other_lanes_alone() -> None:
    number = packed(Tally(calls=5, failures=4, faults=3)) + packed(Tally(failures=-4, faults=-1))
    assert lanes(number) == (5, 0, 2)


async def test_all_keys_have_one_slot_and_counts_expire(node: Node, link: RedisLink) -> None:
    await link.beat("a", {second(): {CHARGE: Tally(calls=1)}}, WINDOW)
    await link.move(kept(), event())
    await link.permit(CHARGE, "a", 60)
    await link.put_override(an_override(), event())
    keys = node.command("KEYS", "*")
    assert {slot_of(key) for key in keys} == {slot_of(BASE)}
    assert all(key.startswith(BASE) for key in keys)
    (counts,) = (key for key in keys if key.startswith(f"{BASE}t:"))
    assert 0 < node.command("TTL", counts) <= WINDOW + 10
    (permit,) = (key for key in keys if key.startswith(f"{BASE}p:"))
    assert 0 < node.command("PTTL", permit) <= 60_000


async def test_a_replica_that_is_silent_for_seconds_is_not_counted(node: Node, link: RedisLink) -> None:
    node.command("ZADD", f"{BASE}r", CLOCK.now_ms() - 6_000, "gone", CLOCK.now_ms() - 3_000, "slow")
    assert (await link.beat("a", {}, WINDOW)).replicas == 2


async def test_breakers_that_nobody_changed_for_long_are_forgotten(
    node: Node, link: RedisLink, other: RedisLink
) -> None:
    await link.move(kept(version=5), None)
    await link.move(kept(MAIL, version=5), None)
    assert len((await other.beat("b", {}, WINDOW)).breakers) == 2
    node.command("ZADD", f"{BASE}x", CLOCK.now_ms() - 1, field_of(CHARGE))
    for one, replica in ((link, "a"), (other, "b")):
        assert (await one.beat(replica, {}, WINDOW)).breakers == (kept(MAIL, version=5),)
    assert await link.move(kept(version=2), None) == kept(version=2)


async def test_breakers_are_sent_only_after_a_change(node: Node, link: RedisLink) -> None:
    await link.move(kept(), None)
    assert len((await link.beat("a", {}, WINDOW)).breakers) == 1
    node.command("CONFIG", "RESETSTAT")
    for _ in range(10):
        assert len((await link.beat("a", {}, WINDOW)).breakers) == 1
    hgetalls = node.command("INFO", "commandstats")["cmdstat_hgetall"]["calls"]
    assert hgetalls <= 10 * (WINDOW + 5)


async def test_foreign_bytes_are_left_out_and_said_once(
    node: Node, link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    now = second()
    await link.move(kept(), event())
    await link.put_override(an_override(), event())
    newer = '{"key":["GCP",null],"version":9,"breaker":{"phase":"MELTED"},"by":"z"}'
    node.command("HSET", f"{BASE}b", '["GCP",null]', f"9 {newer}", "rubbish", b"\xff\x00")
    node.command("HSET", f"{BASE}o", "rubbish", "12 no override")
    node.command("HSET", f"{BASE}t:{now}", "rubbish", 7, '["HTTP",null,"x"]', "seven", field_of(MAIL), 3)
    node.command("SET", f"{BASE}t:{now - 1}", "no hash")
    node.command("DEL", f"{BASE}mark")
    with caplog.at_level(logging.WARNING, "sidestep.stores.redis"):
        beats = [await link.beat("a", {now: {CHARGE: Tally(calls=1)}}, WINDOW) for _ in range(3)]
    beat = beats[-1]
    assert beat.tallies == {now: {MAIL: Tally(calls=3)}}
    assert beat.breakers == (kept(),)
    assert len(beat.overrides) == 1
    assert len(caplog.records) == 5
    # Ours cannot beat the newer one, and goes on by itself.
    ours = kept(("GCP", None), version=2)
    assert await link.move(ours, None) == ours
    assert node.command("HGET", f"{BASE}b", '["GCP",null]').endswith(newer)


@pytest.mark.parametrize("name", ["b", "x", "o", "e", "r", "mark"])
async def test_keys_of_another_type_are_put_right(node: Node, link: RedisLink, name: str) -> None:
    node.command("HSET" if name == "mark" else "SET", f"{BASE}{name}", "wrong", *(["x"] * (name == "mark")))
    assert (await link.beat("a", {second(): {CHARGE: Tally(calls=1)}}, WINDOW)).replicas == 1
    assert await link.move(kept(), event()) == kept()
    assert len(await link.put_override(an_override(), event())) == 1
    beat = await link.beat("a", {}, WINDOW)
    assert (len(beat.breakers), len(beat.overrides), beat.replicas) == (1, 1, 1)
    assert len(await link.events(None, 10)) == 2


async def test_a_count_that_is_no_number_does_not_stop_a_beat(
    node: Node, link: RedisLink, other: RedisLink
) -> None:
    now = second()
    node.command("HSET", f"{BASE}t:{now}", field_of(CHARGE), "many", field_of(PLACE), 2**63 - 1)
    await link.beat("a", {now: {CHARGE: Tally(calls=1), MAIL: Tally(calls=2)}}, WINDOW)
    assert (await other.beat("b", {}, WINDOW)).tallies == {now: {MAIL: Tally(calls=2)}}


async def test_foreign_news_and_a_listener_that_fails_end_nothing(
    node: Node, link: RedisLink, other: RedisLink
) -> None:
    def fail(_: News) -> None:
        raise RuntimeError("mine")

    link.subscribe(fail)
    heard = Heard(link)
    for payload in (b"", b"\xff", "[]", '{"station":7}', '{"breaker":{}}'):
        node.command("PUBLISH", f"{BASE}news", payload)
    await other.move(kept(), None)
    await heard.until(lambda news: news == [News(breaker=kept())])


async def test_events_are_cut_and_at_least_a_thousand_stay(node: Node, link: RedisLink) -> None:
    for _ in range(11):
        await asyncio.gather(*(link.note(event()) for _ in range(1_000)))
    assert KEPT_EVENTS <= node.command("XLEN", f"{BASE}e") <= KEPT_EVENTS + 200


async def test_unreadable_events_are_stepped_over(node: Node, link: RedisLink) -> None:
    await link.note(event(at=1))
    for _ in range(3):
        node.command("XADD", f"{BASE}e", "*", "v", "rubbish")
        node.command("XADD", f"{BASE}e", "*", "w", "")
    await link.note(event(at=2))
    assert [each.event.at for each in await link.events(None, 2)] == [2, 1]


async def test_a_redis_that_lost_everything_is_told_anew(
    node: Node, link: RedisLink, other: RedisLink
) -> None:
    now = second()
    await link.beat("a", {now: {CHARGE: Tally(calls=9, failures=9)}}, WINDOW)
    await link.move(kept(version=6), None)
    assert len((await link.beat("a", {}, WINDOW)).breakers) == 1
    node.command("FLUSHALL")
    await other.beat("b", {now: {CHARGE: Tally(calls=3), MAIL: Tally(calls=1)}}, WINDOW)
    beat = await link.beat("a", {}, WINDOW)
    assert beat.tallies == {now: {MAIL: Tally(calls=1)}}
    assert beat.breakers == ()
    assert await link.move(kept(version=7), None) == kept(version=7)


async def test_a_redis_without_memory_says_so(node: Node, link: RedisLink) -> None:
    node.command("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await link.beat("a", {second(): {CHARGE: Tally(calls=1)}}, WINDOW)
        with pytest.raises(StoreFull):
            await link.move(kept(), event())
        with pytest.raises(StoreFull):
            await link.put_override(an_override(), event())
    finally:
        node.command("CONFIG", "SET", "maxmemory", 0)
    assert (await link.beat("a", {}, WINDOW)).breakers == ()


async def test_a_node_that_is_silent_or_gone_is_unavailable_within_seconds_and_heard_again() -> None:
    with start_node() as node:
        redises = [Redis(node.url, timeout=0.5) for _ in range(2)]
        links = []
        for redis in redises:
            await redis.open()
            links.append(RedisLink(redis, CLOCK))
            await links[-1].open()
        link, other = links
        try:
            heard = Heard(other)
            with node.stop_signal():
                began = CLOCK.monotonic()
                for act in (link.beat("a", {}, WINDOW), link.move(kept(), None), link.permit(CHARGE, "a", 1)):
                    with pytest.raises(StoreUnavailable):
                        await act
                assert CLOCK.monotonic() - began < 3
            await again(lambda: link.beat("a", {}, WINDOW))
            node.kill()
            with pytest.raises(StoreUnavailable):
                await link.beat("a", {}, WINDOW)
            node.restart()
            await again(lambda: link.beat("a", {}, WINDOW))
            version = 1

            async def heard_again() -> None:
                nonlocal version
                while not heard.news:  # what is said before the other listens again is missed
                    version += 1
                    await link.move(kept(version=version), None)
                    await asyncio.sleep(0.05)

            await asyncio.wait_for(heard_again(), 10)
        finally:
            for link, redis in zip(links, redises, strict=True):
                await link.close()
                await redis.close()


async def test_a_link_to_a_redis_that_never_answers_takes_seconds_at_most() -> None:
    with start_node() as node:
        redis = Redis(node.url, timeout=60)
        await redis.open()
        link = RedisLink(redis, CLOCK)
        await link.open()
        try:
            began = CLOCK.monotonic()
            with node.stop_signal(), pytest.raises(StoreUnavailable):
                await link.beat("a", {}, WINDOW)
            assert CLOCK.monotonic() - began < 6
        finally:
            await link.close()
            await redis.close()


async def test_overrides_outlive_a_primary_and_health_goes_on() -> None:
    with start_sentinel() as group:
        redis = Redis(group.url, min_replicas=1)
        await redis.open()
        link = RedisLink(redis, CLOCK)
        await link.open()
        try:
            override = an_override()
            await link.put_override(override, event("OVERRIDE_SET"))
            group.primary().kill()
            await again(lambda: link.beat("a", {}, WINDOW), 20.0)
            assert (await link.beat("a", {}, WINDOW)).overrides == (override,)
            heard = Heard(link)
            redis_too = Redis(group.url)
            await redis_too.open()
            other = RedisLink(redis_too, CLOCK)
            await other.open()
            version = 0

            async def heard_again() -> None:
                nonlocal version
                while not heard.news:
                    version += 1
                    await other.move(kept(version=version), None)
                    await asyncio.sleep(0.05)

            try:
                await asyncio.wait_for(heard_again(), 15)
            finally:
                await other.close()
                await redis_too.close()
        finally:
            await link.close()
            await redis.close()


async def test_while_its_slot_moves_health_is_away_and_never_wrong() -> None:
    with start_cluster(replicas=0) as cluster:
        redis = Redis(cluster.url)
        await redis.open()
        link = RedisLink(redis, CLOCK)
        await link.open()
        try:
            await link.move(kept(version=3), None)
            slot = slot_of(BASE)
            source = cluster.owner(slot)
            target = next(each for each in cluster.primaries() if each is not source)
            cluster.begin_move(slot, target)
            with pytest.raises(StoreUnavailable):
                await link.beat("a", {}, WINDOW)
            with pytest.raises(StoreUnavailable):
                await link.move(kept(version=2), None)
            cluster.move_slot(slot, target)
            await again(lambda: link.beat("a", {}, WINDOW))
            assert (await link.beat("a", {}, WINDOW)).breakers == (kept(version=3),)
            assert await link.move(kept(version=2), None) == kept(version=3)
        finally:
            await link.close()
            await redis.close()


async def test_a_link_that_opens_while_redis_is_away_listens_later() -> None:
    with start_node() as node:
        redis, redis_too = Redis(node.url, timeout=0.5), Redis(node.url, timeout=0.5)
        await redis.open()
        await redis_too.open()
        link, other = RedisLink(redis, CLOCK), RedisLink(redis_too, CLOCK)
        await other.open()
        try:
            node.kill()
            await link.open()
            heard = Heard(link)
            node.restart()
            await again(lambda: other.beat("b", {}, WINDOW))
            version = 0
            async with asyncio.timeout(10):
                while not heard.news:  # what is said before it listens is missed
                    version += 1
                    await other.move(kept(version=version), None)
                    await asyncio.sleep(0.05)
        finally:
            for one in (link, other):
                await one.close()
            for client in (redis, redis_too):
                await client.close()
