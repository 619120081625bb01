"""What Redis may meet: no memory left, a restart, keys that an operator deleted."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys
from adapters.stores.redis.store import RedisStore
from core.errors import (
    ExecutionNotFound,
    StoreFull,
    StoreUnavailable,
)
from core.ports.store import Claim, Hold, Idempotency, Snapshot
from core.testing.contracts.store_base import message, new, release, step
from tests.redis_servers import Node, start_node, start_sentinel
from tests.stores.redis_parts import CLOCK, again, an_id, make, until


@pytest_asyncio.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    store = make(node)
    await store.open()
    yield store
    await store.close()


async def ended(store: RedisStore, execution_id: str) -> None:
    await store.create(new(execution_id))
    (claim,) = (await store.claim("me", 1, 10.0)).claims
    await store.deliver(execution_id, message("m1"))
    await store.save_snapshot(execution_id, Snapshot(version=1, format=1, data=b"s"))
    await store.commit(step(claim, 1, status="COMPLETED", failed_over=True, consumed=("m1",), release=True))


# Memory.


async def test_a_removal_leaves_nothing(store: RedisStore, node: Node) -> None:
    await store.claim("me", 1, 10.0)
    before = sorted(node.command("KEYS", "*"))
    ids = [an_id() for _ in range(30)]
    for id_ in ids:
        await ended(store, id_)
    assert node.command("DBSIZE") > len(before)
    for id_ in ids:
        assert await store.remove(id_)
    assert sorted(node.command("KEYS", "*")) == before
    for name in Keys("sidestep", 8).tickets:
        assert node.command("XLEN", name) == 0


async def test_an_execution_that_waits_costs_less_than_two_kibibytes(node: Node) -> None:
    store = make(node)
    await store.open()
    try:
        before = int(node.command("INFO", "memory")["used_memory_dataset"])
        count, at = 3_000, CLOCK.now_ms() + 3_600_000
        for start in range(0, count, 50):
            await asyncio.gather(
                *(
                    store.create(new(an_id(), digest="d" * 64, data=b"x" * 300))
                    for _ in range(start, start + 50)
                )
            )
        waiting = 0
        while waiting < count:
            claims = (await store.claim("me", 50, 10.0)).claims
            await asyncio.gather(
                *(
                    store.commit(step(claim, 1, data=b"y" * 300, release=True, wake_at_ms=at))
                    for claim in claims
                )
            )
            waiting += len(claims)
        after = int(node.command("INFO", "memory")["used_memory_dataset"])
        assert (after - before) / count < 2_048
    finally:
        await store.close()


async def test_above_85_percent_creations_are_refused_and_commits_are_not() -> None:
    with start_node(maxmemory="12mb") as node:
        store = make(node)
        await store.open()
        try:
            ids = [an_id() for _ in range(5)]
            for id_ in ids:
                await store.create(new(id_))
            claims = [c for _ in range(5) for c in (await store.claim("me", 5, 30.0)).claims]
            await fill(node, 0.87)
            await until(lambda: store.full() is not None)
            with pytest.raises(StoreFull, match="raise maxmemory"):
                await store.create(new(an_id()))
            await store.commit(step(claims[0], 1))
            node.command("DEL", "ballast")
            await until(lambda: store.full() is None)
            await store.create(new(an_id()))
        finally:
            await store.close()


async def test_a_full_redis_takes_nothing_half_and_lets_go_of_what_is_removed() -> None:
    with start_node(maxmemory="12mb") as node:
        store = make(node)
        await store.open()
        try:
            await ended(store, "x1")
            await store.create(new("x2"))
            (claim,) = (await store.claim("me", 5, 30.0)).claims
            await store.deliver("x2", message("m1"))
            await fill(node, 1.01)
            before = (await store.get("x2"), await store.load("x2"))
            with pytest.raises(StoreFull):
                await store.commit(step(claim, 1, status="COMPLETED", consumed=("m1",), release=True))
            with pytest.raises(StoreFull):
                await store.deliver("x2", message("m2"))
            assert (await store.get("x2"), await store.load("x2")) == before
            assert len((await store.renew((claim,), 30.0)).claims) == 1
            await store.give_back(claim)
            late = make(node)  # a process that starts now can still remove
            await late.open()
            assert await late.lead("retention", "me", 5.0)
            assert await late.remove("x1")
            await late.close()
            with pytest.raises(ExecutionNotFound):
                await store.get("x1")
            assert await store.counts() == {"PENDING": 1}
            node.command("DEL", "ballast")
            (claim,) = (await store.claim("me", 5, 30.0)).claims
            await store.commit(step(claim, 1, status="COMPLETED", consumed=("m1",), release=True))
        finally:
            await store.close()


async def fill(node: Node, share: float) -> None:
    """Put ballast in until so much of maxmemory is used."""
    info = node.command("INFO", "memory")
    limit = int(info["maxmemory"])
    node.command("CONFIG", "SET", "maxmemory", 10 * limit)
    while int(node.command("INFO", "memory")["used_memory"]) < share * limit:
        node.command("RPUSH", "ballast", "x" * 50_000)
    node.command("CONFIG", "SET", "maxmemory", limit)


# Repetitions.


async def test_what_is_repeated_is_written_again_so_that_replicas_can_be_waited_for(
    store: RedisStore, node: Node
) -> None:
    """WAIT covers the writes of one connection: a repetition that wrote nothing would be acknowledged though
    no replica has what it confirms.
    """
    key = Idempotency(caller="c", key="k", fingerprint="f", expires_at_ms=CLOCK.now_ms() + 60_000)
    await store.create(new("x1", idempotency=key))
    (claim,) = (await store.claim("me", 10, 30.0)).claims
    commit = step(claim, 1)

    def changes() -> int:
        return int(node.command("INFO", "persistence")["rdb_changes_since_last_save"])

    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: store.create(new("x1", idempotency=key)),
        lambda: store.create(new("x1")),
        lambda: store.commit(commit),
        lambda: store.deliver("x1", message("m1")),
        lambda: store.put_workflow("w", "d", b"{}", 1),
    ]
    for act in acts:
        await act()
        before = changes()
        await act()
        assert changes() > before
    ttl = int(node.command("PTTL", *node.command("KEYS", "*:k:*")))
    assert 0 < ttl <= 60_000


async def test_a_commit_can_take_in_more_messages_than_lua_can_unpack(store: RedisStore) -> None:
    await store.create(new("x1"))
    (claim,) = (await store.claim("me", 10, 30.0)).claims
    names = [f"m{number}" for number in range(9_000)]
    await asyncio.gather(*(store.deliver("x1", message(name)) for name in names))
    done = await store.commit(step(claim, 1, consumed=tuple(names[:-1])))
    assert done.inbox
    assert [one.message_id for one in await store.inbox("x1")] == [names[-1]]


# Accidents.


async def test_scripts_that_redis_forgot_are_sent_again(store: RedisStore, node: Node) -> None:
    await store.create(new("x1"))
    node.command("SCRIPT", "FLUSH")
    await store.create(new("x2"))
    assert len((await store.claim("me", 10, 10.0)).claims) > 0


async def test_a_restart_of_redis_keeps_everything() -> None:
    with start_node(appendfsync="always") as node:
        store = make(node)
        await store.open()
        try:
            key = Idempotency(caller="c", key="k", fingerprint="f", expires_at_ms=CLOCK.now_ms() + 60_000)
            await store.create(new("x1", idempotency=key))
            await store.create(new("x2"))
            claims = [c for _ in range(2) for c in (await store.claim("me", 5, 30.0)).claims]
            await store.commit(step(claims[0], 1))
            await release(store, claims[1], 1, CLOCK.now_ms() + 3_600_000)
            before = [await store.get(id_) for id_ in ("x1", "x2")]
            node.restart()
            await again(lambda: store.get("x1"))
            assert [await store.get(id_) for id_ in ("x1", "x2")] == before
            await store.commit(step(claims[0], 2))
            assert not (await store.create(new("x1", idempotency=key))).fresh
            assert len((await store.renew((claims[0],), 30.0)).claims) == 1
        finally:
            await store.close()


async def test_what_a_replica_has_outlives_the_primary_and_work_goes_on() -> None:
    with start_sentinel() as sentinels:
        redis = Redis(sentinels.url, min_replicas=1)
        store = RedisStore(redis, CLOCK, shards=4, sweep_seconds=0.1)
        await store.open()
        try:
            ids = [an_id(4) for _ in range(40)]
            await asyncio.gather(*(store.create(new(id_)) for id_ in ids))
            claims: dict[str, Claim] = {}
            while len(claims) < 20:
                claims |= {c.execution_id: c for c in (await store.claim("me", 20, 20.0)).claims}
            await asyncio.gather(*(store.commit(step(claim, 1)) for claim in claims.values()))
            sentinels.primary().kill()
            await again(lambda: store.create(new(an_id(4))), 20.0)
            for id_ in ids:
                assert (await store.get(id_)).version == (2 if id_ in claims else 1)
            # Owners are owners still: nothing that a replica had confirmed is known to it only.
            renewed = await store.renew(tuple(claims.values()), 20.0)
            assert len(renewed.claims) == len(claims)
            await asyncio.gather(*(store.commit(step(claim, 2)) for claim in claims.values()))
        finally:
            await store.close()


async def test_the_reconciler_mends_what_an_accident_took(
    store: RedisStore, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("queued", "owned", "timer", "mail", "done", "unheld")
    for name in names:
        await store.create(new(name))
    claims: dict[str, Claim] = {}
    while len(claims) < len(names):
        claims |= {c.execution_id: c for c in (await store.claim("me", 10, 30.0)).claims}
    await store.give_back(claims["queued"])
    await release(store, claims["timer"], 1, CLOCK.now_ms() + 3_600_000)
    await store.commit(step(claims["done"], 1, status="COMPLETED", release=True))
    for name in ("mail", "unheld"):
        await release(store, claims[name], 1)
    assert await reconciled(store) == set()
    keys = Keys("sidestep", 8)

    def base(name: str) -> str:
        return keys.base(name)

    for name in ("queued", "owned"):
        node.command("XDEL", base(name) + "t", node.command("HGET", base(name) + "x:" + name, "t"))
    node.command("ZREM", base("timer") + "w", "timer")
    node.command(
        "HSET", base("mail") + "i:mail", "m1", b'1:{"id":"m1","kind":"k","body":1,"actor":"","at":1}'
    )
    with caplog.at_level(logging.WARNING):
        assert await reconciled(store) == {"queued", "owned", "timer", "mail"}
    assert "timer" in caplog.text
    assert await reconciled(store) == set()
    taken: set[str] = set()
    while len(taken) < 4:
        taken |= {c.execution_id for c in (await store.claim("me", 10, 30.0)).claims}
    assert taken == {"queued", "owned", "timer", "mail"}


async def reconciled(store: RedisStore) -> set[str]:
    mended: set[str] = set()
    cursor = None
    while True:
        seen = await store.reconcile(cursor, 2)
        mended |= set(seen.mended)
        cursor = seen.cursor
        if cursor is None:
            return mended


async def test_streams_that_were_deleted_by_hand_are_made_anew(store: RedisStore, node: Node) -> None:
    await store.create(new("x1"))
    for name in Keys("sidestep", 8).tickets:
        node.command("DEL", name)
    with pytest.raises(StoreUnavailable, match="was made anew"):
        await store.claim("me", 10, 10.0)
    assert (await store.claim("me", 10, 10.0)).claims == ()
    assert await reconciled(store) == {"x1"}
    assert len((await store.claim("me", 10, 10.0)).claims) == 1
    assert (await store.get("x1")).hold is Hold.TICKET
