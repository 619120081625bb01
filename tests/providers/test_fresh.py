"""Credentials are fetched off the way of a call, once, and ahead of time."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from adapters.providers.wire.fresh import FORCE_EVERY_SECONDS, Fetched, Fresh, ahead_of


class Source:
    """A token service that gives `t1`, `t2`, ... and can be held up or broken."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.calls: list[bool] = []
        self.life: float | None = 3_600.0
        self.refresh_in = 2_700.0
        self.broken = False
        self.same = False
        self.go = threading.Event()
        self.go.set()

    def clock(self) -> float:
        return self.now

    def fetch(self, force: bool) -> Fetched[str]:
        self.calls.append(force)
        assert self.go.wait(10)
        if self.broken:
            raise OSError("the service says: secret-in-a-message")
        value = "t" if self.same else f"t{len(self.calls)}"
        if self.life is None:
            return Fetched(value)
        return Fetched(value, self.now + self.life, self.now + self.refresh_in)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


async def test_however_many_wait_one_fetch_runs() -> None:
    source = Source()
    source.go.clear()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    waiting = [asyncio.create_task(fresh.get(5)) for _ in range(50)]
    await until(lambda: len(source.calls) == 1)
    source.go.set()
    assert await asyncio.gather(*waiting) == ["t1"] * 50
    assert fresh.current == "t1"
    assert len(source.calls) == 1
    await fresh.close()


async def test_a_wait_is_bounded_and_does_not_stop_the_fetch_of_others() -> None:
    source = Source()
    source.go.clear()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    patient = asyncio.create_task(fresh.get(5))
    await until(lambda: len(source.calls) == 1)
    assert await fresh.get(0.01) is None
    source.go.set()
    assert await patient == "t1"
    await fresh.close()


async def test_a_value_that_is_about_to_end_is_not_used() -> None:
    source = Source()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    assert await fresh.get(5) == "t1"
    source.now += 3_595
    assert fresh.current is None
    assert await fresh.get(5) == "t2"
    await fresh.close()


async def test_the_next_value_is_fetched_ahead_and_calls_never_wait() -> None:
    source = Source()
    source.refresh_in = 0.0  # as soon as the keeper allows: a second
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    fresh.start()
    assert await fresh.get(5) == "t1"
    await until(lambda: len(source.calls) >= 2)
    assert fresh.current is not None
    await fresh.close()


async def test_a_refused_value_is_replaced_by_force() -> None:
    source = Source()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    assert await fresh.get(5) == "t1"
    assert fresh.refuse("t1") is True
    assert fresh.current is None
    assert await fresh.get(5) == "t2"
    assert source.calls[-1] is True
    assert fresh.refuse("t1") is True, "it was replaced already: the next try has the new one"
    assert len(source.calls) == 2
    await fresh.close()


async def test_a_missing_right_does_not_make_a_storm_of_fetches() -> None:
    source = Source()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    assert await fresh.get(5) == "t1"
    assert fresh.refuse("t1") is True
    assert await fresh.get(5) == "t2"
    for _ in range(100):
        assert fresh.refuse("t2") is False
        assert fresh.current == "t2"
    assert len(source.calls) == 2
    source.now += FORCE_EVERY_SECONDS
    assert fresh.refuse("t2") is True
    assert await fresh.get(5) == "t3"
    await fresh.close()


async def test_a_refused_value_is_used_again_where_there_is_no_other() -> None:
    source = Source()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    assert await fresh.get(5) == "t1"
    source.broken = True
    assert fresh.refuse("t1") is True
    assert await fresh.get(5) == "t1"
    await fresh.close()


async def test_a_broken_service_is_asked_again_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source()
    source.broken = True
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    fresh.start()
    assert await fresh.get(5) is None
    source.broken = False
    await until(lambda: fresh.current is not None)
    assert "could not be fetched (OSError)" in caplog.text
    assert "secret-in-a-message" not in caplog.text
    await fresh.close()


async def test_a_value_without_an_end_is_fetched_once() -> None:
    source = Source()
    source.life = None
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    fresh.start()
    assert await fresh.get(5) == "t1"
    await until(lambda: fresh.stopped)
    assert source.calls == [False]
    await fresh.close()


async def test_closing_stops_a_fetch_that_hangs() -> None:
    source = Source()
    source.go.clear()
    fresh = Fresh(source.fetch, name="test", clock=source.clock)
    fresh.start()
    await until(lambda: len(source.calls) == 1)
    async with asyncio.timeout(5):
        await fresh.close()
    assert fresh.stopped
    source.go.set()


def test_a_token_is_replaced_a_quarter_of_its_life_ahead() -> None:
    assert ahead_of(1_000.0, 0.0) == 750.0
    assert ahead_of(36_000.0, 0.0) == 35_100.0
    assert ahead_of(0.0, 10.0) == 0.0
