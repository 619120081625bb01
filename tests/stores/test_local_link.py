"""What is special to the health link of one process: facts that cannot be read, a store that is away."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.stores.memory import MemoryStore
from core.engine.health.event_book import PAGE_EVENTS, PAGES, fact_of
from core.engine.health.local_link import OVERRIDES_FACT, LocalLink
from core.errors import StoreUnavailable
from core.failover.breaker import Breaker
from core.ports.link import Kept, Override, Tally
from core.testing.clock import ManualClock
from core.testing.contracts.link import CHARGE, WINDOW, Heard, event, kept


class SlowStore(MemoryStore):
    """Counts its writes of facts, which take a turn of the loop, and fails where it is told to."""

    away = False
    writes = 0
    largest = 0

    async def put_fact(self, key: str, value: bytes) -> None:
        self.writes += 1
        self.largest = max(self.largest, len(value))
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("it is away")
        await super().put_fact(key, value)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def store(clock: ManualClock) -> AsyncIterator[SlowStore]:
    store = SlowStore(clock)
    await store.open()
    yield store
    await store.close()


async def a_link(store: SlowStore, clock: ManualClock) -> LocalLink:
    link = LocalLink(store, clock)
    await link.open()
    return link


def an_override(clock: ManualClock) -> Override:
    now = clock.now_ms()
    return Override(provider="AWS", state="DRAINED", reason="drill", actor="ann", at=now, until=now + 60_000)


async def test_an_unreadable_page_costs_its_own_events_only(
    store: SlowStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    link = await a_link(store, clock)
    for number in range(3 * PAGE_EVENTS):
        await link.note(event(at=number))
    for rubbish in (b"", b"\xff\xff", b'{"page":"x"}', b"[]"):
        await store.put_fact(fact_of(1), rubbish)
        with caplog.at_level(logging.WARNING, "sidestep.health"):
            again = await a_link(store, clock)
        assert "cannot be read" in caplog.text
        caplog.clear()
        ats = [each.event.at for each in await again.events(None, 500)]
        assert ats == [*reversed(range(2 * PAGE_EVENTS, 3 * PAGE_EVENTS)), *reversed(range(PAGE_EVENTS))]


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xff", b"{}", b'[{"provider":1}]'])
async def test_unreadable_overrides_are_said_and_none_holds(
    store: SlowStore, clock: ManualClock, caplog: pytest.LogCaptureFixture, rubbish: bytes
) -> None:
    await store.put_fact(OVERRIDES_FACT, rubbish)
    link = await a_link(store, clock)
    assert "cannot be read" in caplog.text
    assert (await link.beat("a", {}, WINDOW)).overrides == ()


async def test_ids_grow_after_the_newest_page_is_lost(store: SlowStore, clock: ManualClock) -> None:
    link = await a_link(store, clock)
    await link.note(event(at=1))
    (first,) = await link.events(None, 1)
    await store.put_fact(fact_of(0), b"rubbish")
    clock.advance(1)
    again = await a_link(store, clock)
    await again.note(event(at=2))
    (second,) = await again.events(None, 1)
    assert second.event_id > first.event_id


async def test_an_event_costs_a_small_write_and_many_at_once_few(
    store: SlowStore, clock: ManualClock
) -> None:
    link = await a_link(store, clock)
    await asyncio.gather(*(link.note(event(at=number)) for number in range(1_000)))
    assert store.writes <= 1_000 // PAGE_EVENTS + 2
    for number in range(1_000):
        await link.note(event(at=number))
    assert store.largest < 20_000
    kept_facts = [await store.get_fact(fact_of(number)) for number in range(PAGES)]
    assert all(kept_facts)
    assert await store.get_fact(f"health.events.{PAGES}") is None


async def test_a_store_that_is_away_keeps_no_override_and_loses_no_event(
    store: SlowStore, clock: ManualClock
) -> None:
    link = await a_link(store, clock)
    store.away = True
    with pytest.raises(StoreUnavailable):
        await link.put_override(an_override(clock), event("OVERRIDE_SET"))
    assert (await link.beat("a", {}, WINDOW)).overrides == ()
    with pytest.raises(StoreUnavailable):
        await link.move(kept(), event(why="while it is away"))
    assert (await link.beat("a", {}, WINDOW)).breakers == (kept(),)
    for _ in range(2 * PAGES * PAGE_EVENTS):
        with pytest.raises(StoreUnavailable):
            await link.note(event(why="while it is away"))
    store.away = False
    await link.note(event(why="back"))
    again = await a_link(store, clock)
    whys = [each.event.why for each in await again.events(None, 500)]
    assert whys == ["back"] + ["while it is away"] * 499


async def test_breakers_are_forgotten_after_a_while_and_closed_ones_sooner(
    store: SlowStore, clock: ManualClock
) -> None:
    link = await a_link(store, clock)
    closed = Kept(key=("AWS", None), version=4, breaker=Breaker(), by="a")
    await link.move(closed, None)
    await link.move(kept(version=4), None)
    clock.advance(899)
    assert len((await link.beat("a", {}, WINDOW)).breakers) == 2
    clock.advance(2)
    assert (await link.beat("a", {}, WINDOW)).breakers == (kept(version=4),)
    clock.advance(2_700)
    assert (await link.beat("a", {}, WINDOW)).breakers == ()
    assert await link.move(kept(version=1), None) == kept(version=1)


async def test_replicas_and_counts_are_forgotten_as_time_goes_by(
    store: SlowStore, clock: ManualClock
) -> None:
    link = await a_link(store, clock)
    other = LocalLink(store, clock, link.commons)
    await other.open()
    await link.beat("a", {clock.now_ms() // 1000: {CHARGE: Tally(calls=1)}}, WINDOW)
    assert (await other.beat("b", {}, WINDOW)).replicas == 2
    clock.advance(6)
    beat = await other.beat("b", {}, WINDOW)
    assert (beat.replicas, len(beat.tallies)) == (1, 1)
    clock.advance(6)
    assert (await other.beat("b", {}, WINDOW)).tallies == {}


async def test_a_link_that_closed_hears_no_more(store: SlowStore, clock: ManualClock) -> None:
    link = await a_link(store, clock)
    gone, stays = (LocalLink(store, clock, link.commons) for _ in range(2))
    await gone.open()
    await stays.open()
    deaf, heard = Heard(gone), Heard(stays)
    await gone.close()
    await link.move(kept(), None)
    await heard.until(lambda news: len(news) == 1)
    assert deaf.news == []
