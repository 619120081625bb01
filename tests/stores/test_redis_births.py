"""Executions that a process takes on in the act that creates them, since a claim of its own waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from adapters.stores.redis.births import EPOCH, KEPT_SECONDS, MOST, Births
from adapters.stores.redis.store import RedisStore
from core.errors import NotOwner
from core.ports.store import Claim, Claims
from core.testing.contracts.store_base import message, new, release, step
from tests.redis_servers import Node
from tests.stores.redis_parts import CLOCK, an_id, make, until

LEASE = 30.0
SOON = 3.0  # seconds: far less than a lease
STREAM = "sidestep:{s0}:t"


@pytest_asyncio.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    store = make(node, shards=1, sweep_seconds=0.2)
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture
async def other(node: Node) -> AsyncIterator[RedisStore]:
    other = make(node, shards=1, sweep_seconds=0.2)
    await other.open()
    yield other
    await other.close()


def births_of(store: RedisStore) -> Births:
    """What the store keeps of them while it is open."""
    assert store._parts is not None
    return store._parts.tickets.births


async def waiting(store: RedisStore, lease: float = LEASE) -> asyncio.Task[Claims]:
    """A claim that waits, unless there is something to hand out at once."""
    claim = asyncio.create_task(store.claim("me", 100, lease, 20.0))
    births = births_of(store)
    await until(lambda: births.wanted or claim.done())
    return claim


async def test_what_is_created_while_a_claim_waits_is_handed_out_with_its_journal(
    store: RedisStore, other: RedisStore, node: Node
) -> None:
    claim = await waiting(store)
    node.command("CONFIG", "RESETSTAT")
    assert (await store.create(new("x1", data=b"one"))).fresh
    taken = await claim
    assert [one.execution_id for one in taken.claims] == ["x1"]
    assert taken.journals["x1"] == await store.load("x1")
    assert taken.claims[0].epoch == (await store.get("x1")).epoch
    assert CLOCK.monotonic() < taken.claims[0].lease_until <= CLOCK.monotonic() + LEASE
    # One script, which read one entry of one stream; the reading that waited was not ended by it.
    stats = node.command("INFO", "commandstats")
    assert stats["cmdstat_xreadgroup"]["calls"] == 1
    # It is a claim like any other.
    assert (await other.claim("other", 100, LEASE)).claims == ()
    with pytest.raises(NotOwner):
        await other.commit(step(taken.claims[0], 1))
    assert len((await store.renew(taken.claims, LEASE)).claims) == 1
    await store.commit(step(taken.claims[0], 1))
    assert (await release(store, taken.claims[0], 2)).released
    assert node.command("XLEN", STREAM) == 0
    assert node.command("XPENDING", STREAM, "w")["pending"] == 0


async def test_the_reading_that_waited_goes_on_for_what_others_create(
    store: RedisStore, other: RedisStore
) -> None:
    claim = await waiting(store)
    await store.create(new("x1"))
    await claim
    claim = await waiting(store)
    await other.create(new("x2"))
    assert [one.execution_id for one in (await claim).claims] == ["x2"]


async def test_what_was_read_between_two_claims_is_not_kept_waiting_by_births(
    store: RedisStore, other: RedisStore
) -> None:
    """A claim after the other, each ended by a birth: what others create is handed out all the same."""
    found: set[str] = set()
    created = 0
    began = CLOCK.monotonic()
    await other.create(new("theirs"))
    while "theirs" not in found:
        claim = await waiting(store)
        await store.create(new(f"mine{created}"))
        created += 1
        found |= {one.execution_id for one in (await claim).claims}
        assert CLOCK.monotonic() - began < SOON


async def test_what_is_created_between_two_claims_is_the_next_ones(store: RedisStore, node: Node) -> None:
    claim = await waiting(store)
    await store.create(new("x1"))
    await claim
    node.command("CONFIG", "RESETSTAT")
    await store.create(new("x2"))
    assert (await store.get("x2")).epoch == EPOCH
    assert [one.execution_id for one in (await store.claim("me", 100, LEASE)).claims] == ["x2"]
    # Only the script that created it has read the stream.
    assert node.command("INFO", "commandstats")["cmdstat_xreadgroup"]["calls"] == 1


async def test_what_is_born_as_the_claim_goes_off_with_something_else_is_given_back_soon() -> None:
    """A worker that is full by then does not claim again: the execution must not wait for a lease."""
    given: list[Claim] = []
    births = Births(lambda: 0.0, given.append)
    reading: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    claim = asyncio.create_task(births.wait(100, LEASE, 0, reading, 20.0))
    await until(lambda: births.wanted)
    birth = births.begin("x1")
    assert birth is not None
    reading.set_result(None)
    births.end(new("x1"), birth, taken=True)
    await claim
    await until(lambda: given == [Claim("x1", EPOCH, LEASE)], SOON)


async def test_soon_after_the_last_claim_creations_are_everybodys_again() -> None:
    now = 0.0
    births = Births(lambda: now, lambda _claim: None)
    other = asyncio.get_running_loop().create_future()
    await births.wait(100, LEASE, 0, other, 0.0)
    assert births.begin("x1") is not None
    now = KEPT_SECONDS
    assert births.begin("x2") is None


async def test_a_message_rings_for_what_was_taken_on(store: RedisStore, other: RedisStore) -> None:
    claim = await waiting(store)
    await store.create(new("x1"))
    (owned,) = (await claim).claims
    await other.deliver("x1", message("m1"))
    assert (await store.commit(step(owned, 1))).inbox


async def test_it_is_taken_over_after_the_lease_of_a_dead_worker(
    store: RedisStore, other: RedisStore
) -> None:
    claim = await waiting(store, lease=0.5)
    await store.create(new("x1"))
    (lost,) = (await claim).claims
    taken = (await other.claim("heir", 1, 0.5, 5.0)).claims
    assert [one.execution_id for one in taken] == ["x1"]
    assert taken[0].epoch > lost.epoch
    with pytest.raises(NotOwner):
        await store.commit(step(lost, 1))


async def test_nothing_is_taken_on_before_a_ticket_that_waits(store: RedisStore) -> None:
    await store.create(new("x1"))
    claim = asyncio.create_task(store.claim("me", 1, LEASE, 20.0))
    births = births_of(store)
    reading: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    claiming = asyncio.create_task(births.wait(5, LEASE, 0, reading, 20.0))
    await asyncio.sleep(0)
    assert births.wanted
    await store.create(new("x2"))
    reading.set_result(None)
    await claiming
    assert births.take(5) == []
    owned = [*(await claim).claims, *(await store.claim("me", 5, LEASE, 1.0)).claims]
    assert {one.execution_id for one in owned} == {"x1", "x2"}
    assert {one.epoch for one in owned} == {1}


async def test_a_ticket_that_waits_is_not_kept_by_a_creation_where_an_accident_hid_it(
    store: RedisStore, other: RedisStore, node: Node
) -> None:
    """An entry that was deleted by hand is pending still, so as many are pending as there are tickets."""
    await other.create(new("x0"))
    await other.claim("other", 1, LEASE)
    for entry, _ in node.command("XRANGE", STREAM, "-", "+"):
        node.command("XDEL", STREAM, entry)
    await other.create(new("x1"))
    assert node.command("XPENDING", STREAM, "w")["pending"] == node.command("XLEN", STREAM) == 1
    births = births_of(store)
    reading: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(births.wait(5, LEASE, 0, reading, 20.0))
    await until(lambda: births.wanted)
    await store.create(new("x2"))
    reading.set_result(None)
    await waiting
    taken = (await other.claim("other", 5, LEASE)).claims
    assert {one.execution_id for one in taken} == {"x1", "x2"}
    assert node.command("XLEN", STREAM) == 2


async def test_without_its_consumer_group_a_creation_succeeds_and_takes_nothing_on(
    store: RedisStore, node: Node
) -> None:
    claim = await waiting(store)
    node.command("XGROUP", "DESTROY", STREAM, "w")
    assert (await store.create(new("x1"))).fresh
    assert (await store.get("x1")).epoch == 0
    with suppress(Exception):
        await claim


async def test_what_was_taken_on_is_given_back_where_no_claim_asks_for_it(
    store: RedisStore, other: RedisStore
) -> None:
    claim = await waiting(store)
    creation = asyncio.create_task(store.create(new("x1")))
    await asyncio.sleep(0)  # it has begun
    claim.cancel()
    await creation
    taken = await asyncio.wait_for(other.claim("other", 1, LEASE, SOON), 2 * SOON)
    assert [one.execution_id for one in taken.claims] == ["x1"]


async def test_a_creation_that_was_cut_off_is_everybodys(store: RedisStore, other: RedisStore) -> None:
    claim = await waiting(store)
    creation = asyncio.create_task(store.create(new("x1")))
    await asyncio.sleep(0)
    creation.cancel()
    taken: tuple[Claim, ...] = ()
    began = CLOCK.monotonic()
    while not taken and not claim.done():
        taken = (await other.claim("other", 1, LEASE, 0.1)).claims
        assert CLOCK.monotonic() - began < SOON
    if claim.done():
        taken = (await claim).claims
    assert [one.execution_id for one in taken] == ["x1"]
    assert taken[0].epoch > 2
    claim.cancel()


async def test_a_closing_store_gives_back_what_was_born(store: RedisStore, other: RedisStore) -> None:
    claim = await waiting(store)
    creation = asyncio.create_task(store.create(new("x1")))
    await asyncio.sleep(0)
    claim.cancel()
    await creation
    await store.close()
    taken = (await other.claim("other", 1, LEASE)).claims
    assert [one.execution_id for one in taken] == ["x1"]


async def test_a_closing_store_gives_back_what_is_born_as_it_closes(
    store: RedisStore, other: RedisStore
) -> None:
    claim = await waiting(store)
    creation = asyncio.create_task(store.create(new("x1")))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.gather(store.close(), creation)
    taken = (await other.claim("other", 1, LEASE)).claims
    assert [one.execution_id for one in taken] == ["x1"]


async def test_one_process_takes_on_so_many_and_leaves_the_rest_to_all(store: RedisStore) -> None:
    epochs: list[int] = []
    owned: list[Claim] = []
    while len(owned) < MOST + 20:
        claim = await waiting(store)
        await asyncio.gather(*(store.create(new(an_id())) for _ in range(20)))
        owned += (await claim).claims
    epochs = [one.epoch for one in owned]
    assert epochs.count(2) == MOST
    # One that is let go makes room for another.
    born = next(one for one in owned if one.epoch == 2)
    await release(store, born, 1)
    while (await store.claim("me", 100, LEASE)).claims:
        pass
    claim = await waiting(store)
    await store.create(new("next"))
    assert [one.epoch for one in (await claim).claims] == [2]
