"""What the Redis store adds to the contract: several processes, checks at the start, memory, accidents."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys
from adapters.stores.redis.store import RedisStore
from core.engine.ids import new_execution_id
from core.errors import (
    ConfigurationError,
    NotOwner,
    SidestepError,
    StoreFull,
    StoreMismatch,
    StoreUnavailable,
)
from core.ports.doorbell import Topic
from core.ports.store import Claim, Filter, Snapshot
from core.testing.contracts.store_base import Rings, message, new, release, step
from tests.redis_servers import Node, start_node
from tests.stores.redis_parts import CLOCK, an_id, make, until


@pytest_asyncio.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    store = make(node)
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture
async def other(node: Node) -> AsyncIterator[RedisStore]:
    other = make(node)
    await other.open()
    yield other
    await other.close()


# Opening.


async def test_a_redis_that_lost_its_data_keeps_the_number_of_shards_of_those_who_use_it(
    store: RedisStore, node: Node
) -> None:
    node.command("FLUSHALL")
    await until(lambda: node.command("HGET", "sidestep:meta", "shards") == "8")
    assert await refusal(make(node, shards=4), StoreMismatch)
    await store.create(new("x1"))


async def test_a_store_that_another_has_taken_the_place_of_is_used_no_more(
    store: RedisStore, node: Node
) -> None:
    node.command("HSET", "sidestep:meta", "shards", 4)

    async def refused() -> bool:
        try:
            await store.counts()
        except StoreMismatch as mismatch:
            return "4 shards" in str(mismatch)
        return False

    async with asyncio.timeout(5):
        while not await refused():
            await asyncio.sleep(0.01)
    with pytest.raises(StoreMismatch):
        await store.claim("me", 1, 10.0)


async def refusal(store: RedisStore, kind: type[SidestepError]) -> str:
    with pytest.raises(kind) as raised:
        await store.open()
    assert str(raised.value).count(". ") == 0  # one sentence
    return str(raised.value)


async def test_the_number_of_shards_is_fixed_by_the_first_who_opens(node: Node) -> None:
    first = make(node, shards=5)
    await first.open()
    await first.close()
    said = await refusal(make(node, shards=6), StoreMismatch)
    assert "set SIDESTEP_REDIS__SHARDS to 5 or leave it unset" in said
    second = make(node, shards=None)
    await second.open()
    assert second.shards == 5
    await second.close()
    third = make(node, shards=6, prefix="elsewhere")
    await third.open()
    assert third.shards == 6
    await third.close()


async def test_there_are_64_shards_where_nobody_says_otherwise(node: Node) -> None:
    store = make(node, shards=None)
    await store.open()
    assert store.shards == 64
    await store.close()


async def test_a_store_of_another_layout_is_left_alone(node: Node) -> None:
    node.command("HSET", "sidestep:meta", "format", "2", "shards", "8")
    assert "layout 2" in await refusal(make(node), StoreMismatch)


@pytest.mark.parametrize("shards", [0, 5_000])
async def test_a_number_of_shards_out_of_bounds_is_refused(node: Node, shards: int) -> None:
    assert "1 to 4096" in await refusal(make(node, shards=shards), ConfigurationError)


async def test_a_redis_that_evicts_is_refused() -> None:
    with start_node(maxmemory="100mb", maxmemory_policy="allkeys-lru") as node:
        assert "set maxmemory-policy to noeviction" in await refusal(make(node), ConfigurationError)


async def test_a_redis_that_comes_to_evict_gets_no_new_executions_until_it_is_mended(
    store: RedisStore, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = (await store.create(new())).execution_id
    try:
        node.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await until(lambda: store.full() is not None)
        with pytest.raises(StoreFull, match="set maxmemory-policy to noeviction"):
            await store.create(new())
        assert (await store.get(accepted)).execution_id == accepted
    finally:
        node.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await until(lambda: store.full() is None)
    await store.create(new())
    assert caplog.text.count("creations are refused: Redis would throw executions away") == 1
    assert caplog.text.count("creations are taken again") == 1


async def test_a_user_without_the_stores_channels_is_refused(node: Node) -> None:
    rights = ("on", ">secret", "resetchannels", "~sidestep:*", "+@all")
    node.command("ACL", "SETUSER", "narrow", *rights)
    place = node.url.replace("redis://", "redis://narrow:secret@")
    refused = await refusal(RedisStore(Redis(place), CLOCK, shards=8), ConfigurationError)
    assert "&sidestep:*" in refused
    assert "secret" not in refused
    node.command("ACL", "SETUSER", "narrow", "&sidestep:*")
    allowed = RedisStore(Redis(place), CLOCK, shards=8)
    await allowed.open()
    await allowed.close()


async def test_a_redis_without_a_file_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with start_node(appendonly="no") as node:
        store = make(node)
        await store.open()
        await store.close()
    assert "set appendonly to yes" in caplog.text


async def test_a_redis_that_is_away_is_unavailable() -> None:
    with start_node() as node:
        node.kill()
        with pytest.raises(StoreUnavailable):
            await make(node).open()


# Shards and ids.


def test_the_id_names_its_shard_and_any_other_id_has_one_too() -> None:
    keys = Keys("sidestep", 64)
    assert keys.shard(new_execution_id(1, 17)) == 17
    assert keys.record(new_execution_id(1, 17)).startswith("sidestep:{s17}:x:")
    for strange in ("x", "x-", "x-64", "x-9999999999999999999999", "x-²", "x--1", "-", ""):
        assert 0 <= keys.shard(strange) < 64
    assert len({keys.shard(f"x{i}") for i in range(1_000)}) == 64


async def test_listings_are_merged_over_shards(store: RedisStore) -> None:
    ids = sorted((an_id() for _ in range(200)), reverse=True)
    await asyncio.gather(
        *(
            store.create(
                new(
                    id_, workflow_id=f"w{i % 3}", status=("PENDING", "RUNNING")[i % 2], failed_over=i % 5 == 0
                )
            )
            for i, id_ in enumerate(ids)
        )
    )
    for wanted, matching in (
        (Filter(), ids),
        (Filter(workflow_id="w1"), ids[1::3]),
        (Filter(status="RUNNING"), ids[1::2]),
        (Filter(failed_over=True, status="PENDING"), ids[::10]),
        (Filter(failed_over=False), [id_ for i, id_ in enumerate(ids) if i % 5]),
        (Filter(workflow_id="w2", status="RUNNING", failed_over=True), ids[5::30]),
    ):
        for limit in (1, 7, 500):
            found: list[str] = []
            cursor = None
            while True:
                page = await store.find(wanted, cursor, limit)
                found += [record.execution_id for record in page.records]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == matching
    assert await store.counts() == {"PENDING": 100, "RUNNING": 100}


# Several processes.


async def test_a_listing_by_two_properties_walks_the_shorter_index(store: RedisStore, node: Node) -> None:
    for number in range(200):
        await store.create(new(an_id(), status="FAILED" if number % 100 == 0 else "COMPLETED"))
    node.command("CONFIG", "RESETSTAT")
    page = await store.find(Filter(workflow_id="flow", status="FAILED"), None, 50)
    assert len(page.records) == 2
    assert all(record.summary.status == "FAILED" for record in page.records)
    # The store's own watch asks for the lease now and then; a walk of the workflow asks 200 times.
    assert node.command("INFO", "commandstats").get("cmdstat_hget", {"calls": 0})["calls"] < 100
    assert (await store.find(Filter(workflow_id="other", status="FAILED"), None, 50)).records == ()


async def test_two_workers_never_own_the_same_execution(store: RedisStore, other: RedisStore) -> None:
    ids = [an_id() for _ in range(300)]
    await asyncio.gather(*(store.create(new(id_)) for id_ in ids))
    owned: list[str] = []

    async def work(one: RedisStore, limit: int) -> None:
        while True:
            claims = (await one.claim("me", limit, 30.0)).claims
            if not claims:
                return
            assert len(claims) <= limit
            owned.extend(claim.execution_id for claim in claims)

    await asyncio.gather(work(store, 1), work(other, 3), work(store, 20), work(other, 100))
    assert sorted(owned) == sorted(ids)


async def test_no_more_is_claimed_than_was_asked_for_and_the_rest_goes_back(
    store: RedisStore, other: RedisStore
) -> None:
    ids = [f"{an_id()[:-2]}-{shard}" for shard in range(3, 8)]  # one command reads one of each at once
    for id_ in ids:
        await store.create(new(id_))
    found: list[str] = []
    for _ in range(len(ids)):
        (claim,) = (await other.claim("me", 1, 30.0)).claims
        found.append(claim.execution_id)
    assert sorted(found) == sorted(ids)
    assert (await store.claim("me", 100, 30.0)).claims == ()


async def test_a_waiting_worker_is_woken_by_the_creation_of_another(
    store: RedisStore, other: RedisStore
) -> None:
    waiting = asyncio.create_task(other.claim("me", 100, 10.0, 20.0))
    await asyncio.sleep(0)
    began = CLOCK.monotonic()
    await store.create(new("x1"))
    taken = await asyncio.wait_for(waiting, 10)
    assert [claim.execution_id for claim in taken.claims] == ["x1"]
    assert taken.waited
    assert CLOCK.monotonic() - began < 2


async def test_a_claim_brings_the_journal_along(store: RedisStore) -> None:
    await store.create(new("x1", data=b"one"))
    await store.deliver("x1", message("m1", body=[1]))
    taken = await store.claim("me", 10, 10.0)
    assert taken.journals["x1"] == await store.load("x1")
    claim = taken.claims[0]
    await store.commit(step(claim, 1, data=b"two"))
    await store.save_snapshot("x1", Snapshot(version=1, format=3, data=b"folded"))
    await store.give_back(claim)
    again = await store.claim("me", 10, 10.0)
    assert again.journals["x1"] == await store.load("x1")
    assert again.journals["x1"].batches == (b"two",)


async def test_a_dead_workers_executions_are_taken_over_after_the_lease(
    store: RedisStore, other: RedisStore
) -> None:
    ids = [an_id() for _ in range(50)]
    for id_ in ids:
        await store.create(new(id_))
    dead: set[str] = set()
    while len(dead) < 50:
        dead |= {claim.execution_id for claim in (await store.claim("dead", 100, 0.5)).claims}
    began = CLOCK.monotonic()
    taken: set[str] = set()
    while len(taken) < 50:
        got = (await other.claim("heir", 100, 0.5, 0.1)).claims
        taken |= {claim.execution_id for claim in got}
        assert CLOCK.monotonic() - began < 5
    assert taken == dead == set(ids)
    assert CLOCK.monotonic() - began > 0.3


async def test_what_was_read_and_never_claimed_comes_back_after_the_lease(
    store: RedisStore, node: Node
) -> None:
    await store.claim("me", 1, 0.3)
    await store.create(new("x1"))
    keys = Keys("sidestep", 8)
    node.command("XREADGROUP", "GROUP", "w", "w", "STREAMS", keys.tickets[keys.shard("x1")], ">")
    taken = await store.claim("me", 1, 0.3, 5.0)
    assert [claim.execution_id for claim in taken.claims] == ["x1"]


async def test_an_owner_of_another_lease_is_not_robbed(store: RedisStore, other: RedisStore) -> None:
    await store.create(new("x1"))
    await store.create(new("x2"))
    (long,) = (await store.claim("long", 1, 5.0)).claims
    (short,) = (await other.claim("short", 1, 0.3)).claims
    await asyncio.sleep(0.4)
    taken = (await other.claim("short", 5, 0.3)).claims
    assert [claim.execution_id for claim in taken] == [short.execution_id]
    await store.commit(step(long, 1))


async def test_a_stranger_with_the_right_epoch_is_no_owner(store: RedisStore, other: RedisStore) -> None:
    await store.create(new("x1"))
    (claim,) = (await store.claim("me", 1, 10.0)).claims
    with pytest.raises(NotOwner):
        await other.commit(step(claim, 1))
    assert (await other.renew((claim,), 10.0)).claims == ()
    await other.give_back(claim)
    assert len((await store.renew((claim,), 10.0)).claims) == 1


async def test_a_ticket_that_is_not_its_executions_is_dropped(store: RedisStore, node: Node) -> None:
    await store.create(new("x1"))
    keys = Keys("sidestep", 8)
    stream = keys.tickets[keys.shard("x1")]
    for name in ("x1", "gone"):
        node.command("XADD", stream, "*", "i", name)
    assert len((await store.claim("me", 100, 10.0)).claims) == 1
    assert node.command("XLEN", stream) == 1
    assert node.command("XPENDING", stream, "w")["pending"] == 1


async def test_a_message_rings_the_owner_in_its_own_process(store: RedisStore, other: RedisStore) -> None:
    await store.create(new("x1"))
    await store.claim("me", 1, 10.0)
    mine, theirs = Rings(store), Rings(other)
    await other.deliver("x1", message("m1"))
    await until(lambda: mine.of(Topic.INBOX) == ["x1"])
    assert theirs.of(Topic.INBOX) == ["x1"]
    claim = Claim("x1", 1, 0.0)
    assert (await store.renew((claim,), 10.0)).mail == {"x1"}


async def test_a_journal_rings_those_who_listen_to_it_in_any_process(
    store: RedisStore, other: RedisStore
) -> None:
    for id_ in ("x1", "x2"):
        await store.create(new(id_))
    claims = {c.execution_id: c for _ in range(2) for c in (await store.claim("me", 5, 10.0)).claims}
    heard: list[str] = []
    end = other.doorbell.subscribe(Topic.JOURNAL, heard.append, "x1")
    version = await drive_until(store, claims, 1, lambda: bool(heard))
    end()
    assert set(heard) == {"x1"}
    # A subscription that has ended hears nothing, and another one can be made.
    again: list[str] = []
    other.doorbell.subscribe(Topic.JOURNAL, again.append, "x1")
    await drive_until(store, claims, version, lambda: bool(again))


async def test_who_listens_while_the_last_listener_is_let_go_is_heard(
    store: RedisStore, other: RedisStore
) -> None:
    await store.create(new("x1"))
    claims = {claim.execution_id: claim for claim in (await store.claim("me", 5, 10.0, 1.0)).claims}
    heard: list[str] = []
    end = other.doorbell.subscribe(Topic.JOURNAL, heard.append, "x1")
    version = await drive_until(store, claims, 1, lambda: bool(heard))
    for turns in range(30):
        end()
        for _ in range(turns % 5):
            await asyncio.sleep(0)
        heard.clear()
        end = other.doorbell.subscribe(Topic.JOURNAL, heard.append, "x1")
        version = await drive_until(store, claims, version, lambda: bool(heard))


async def test_another_process_hears_of_the_statuses_that_it_waits_for_only(
    store: RedisStore, other: RedisStore
) -> None:
    await store.create(new("x1"))
    claims = {claim.execution_id: claim for claim in (await store.claim("me", 5, 10.0, 1.0)).claims}
    ended: list[str] = []
    heard: list[str] = []
    other.doorbell.subscribe(Topic.JOURNAL, ended.append, "x1", {"COMPLETED"})
    other.doorbell.subscribe(Topic.JOURNAL, heard.append, "x1")
    version = await drive_until(store, claims, 1, lambda: len(heard) > 2)
    assert ended == []
    await store.commit(step(claims["x1"], version, status="COMPLETED"))
    async with asyncio.timeout(5):
        while not ended:
            await asyncio.sleep(0.01)
    assert ended == ["x1"]


async def test_a_journal_that_nobody_listens_to_rings_nowhere(store: RedisStore, node: Node) -> None:
    await store.create(new("x1"))
    (claim,) = (await store.claim("me", 100, 10.0)).claims
    node.command("CONFIG", "RESETSTAT")
    for version in range(1, 6):
        await store.commit(step(claim, version))
    calls = {
        name.removeprefix("cmdstat_"): one["calls"]
        for name, one in node.command("INFO", "commandstats").items()
    }
    assert "publish" not in calls
    assert {name: calls[name] for name in ("evalsha", "hmget", "rpush", "hset")} == dict.fromkeys(
        ("evalsha", "hmget", "rpush", "hset"), 5
    )


async def drive_until(
    store: RedisStore, claims: dict[str, Claim], version: int, check: Callable[[], bool]
) -> int:
    """Commit until it is so: a subscription reaches Redis after a while. The version of the journals then."""
    async with asyncio.timeout(5):
        while not check():
            for claim in claims.values():
                await store.commit(step(claim, version))
            version += 1
            await asyncio.sleep(0.01)
    return version


# Timers.


async def test_timers_of_all_shards_fire_within_a_second_of_their_time(node: Node) -> None:
    store = make(node, sweep_seconds=0.5)
    await store.open()
    try:
        ids = [an_id() for _ in range(100)]
        for id_ in ids:
            await store.create(new(id_))
        due: dict[str, int] = {}
        while len(due) < 100:
            for claim in (await store.claim("me", 100, 10.0)).claims:
                due[claim.execution_id] = CLOCK.now_ms() + 200 + 20 * len(due)
                await release(store, claim, 1, due[claim.execution_id])
        late: dict[str, int] = {}
        while len(late) < 100:
            for claim in (await store.claim("me", 100, 10.0, 1.0)).claims:
                late[claim.execution_id] = CLOCK.now_ms() - due[claim.execution_id]
        assert max(late.values()) < 1_000
        assert min(late.values()) > -50
    finally:
        await store.close()
