import asyncio
import sys
import time
from pathlib import Path

import pytest

from adapters.clock import HostClock, SystemClock
from core.testing.clock import ManualClock


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_system_clock_is_wall_time_that_runs_with_monotonic_time() -> None:
    clock = SystemClock()
    first, started = clock.now_ms(), clock.monotonic()
    assert abs(first - time.time() * 1000) < 5_000
    await clock.sleep(0.02)
    assert clock.monotonic() - started >= 0.02
    assert clock.now_ms() - first >= 19


async def test_a_jump_of_the_wall_clock_moves_nothing() -> None:
    program = (
        "import time\n"
        "from adapters.clock import SystemClock\n"
        "clock = SystemClock()\n"
        "before = clock.now_ms()\n"
        "time.time_ns = lambda: 0\n"  # what the process reads after an operator set the clock to 1970
        "time.time = lambda: 0.0\n"
        "assert 0 <= clock.now_ms() - before < 10_000\n"
    )
    root = Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=root)
    assert await asyncio.wait_for(child.wait(), 60) == 0


@pytest.mark.parametrize("seconds", [0, -1, -1e9])
async def test_a_sleep_that_is_over_returns_at_once(seconds: float) -> None:
    await asyncio.wait_for(SystemClock().sleep(seconds), 1)
    await asyncio.wait_for(ManualClock().sleep(seconds), 1)


async def test_a_very_long_sleep_can_be_cancelled() -> None:
    for clock in (SystemClock(), ManualClock()):
        sleeping = asyncio.ensure_future(clock.sleep(1e300))
        await turns()
        assert not sleeping.done()
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping


async def test_sleepers_wake_in_the_order_of_their_time_and_not_before() -> None:
    clock = ManualClock(start_ms=1_000)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [
        asyncio.ensure_future(sleeper(name, seconds)) for name, seconds in (("c", 3), ("a", 1), ("b", 2))
    ]
    await turns()
    assert (clock.sleepers, clock.next_wake_in) == (3, 1.0)
    clock.advance(0.999)
    await turns()
    assert woken == []
    clock.advance(1.001)
    await turns()
    assert woken == ["a", "b"]
    assert (clock.sleepers, clock.next_wake_in) == (1, 1.0)
    clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == ["a", "b", "c"]
    assert clock.now_ms() == 1_000 + 12_000
    assert clock.next_wake_in is None


async def test_ten_tenths_are_a_second() -> None:
    clock = ManualClock(start_ms=0, monotonic=0)
    sleeping = asyncio.ensure_future(clock.sleep(1))
    await turns()
    for _ in range(10):
        clock.advance(0.1)
    await turns()
    assert sleeping.done()
    assert (clock.now_ms(), clock.monotonic()) == (1_000, 1.0)


async def test_a_cancelled_sleeper_is_no_sleeper() -> None:
    clock = ManualClock()
    sleeping = asyncio.ensure_future(clock.sleep(1))
    await turns()
    sleeping.cancel()
    await turns()
    assert (clock.sleepers, clock.next_wake_in) == (0, None)
    clock.advance(2)


def test_a_clock_does_not_go_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        ManualClock().advance(-1)


def test_the_first_word_of_a_host_sets_the_clock() -> None:
    clock = HostClock()
    clock.follow(1_000_000, clock.monotonic())
    assert 1_000_000 <= clock.now_ms() < 1_000_000 + 5_000


def test_a_slow_answer_was_true_half_way() -> None:
    clock = HostClock()
    clock.follow(1_000_000, clock.monotonic() - 60)
    assert 1_030_000 <= clock.now_ms() < 1_035_000


async def test_a_host_whose_clock_jumps_moves_time_by_a_hundredth_at_most_and_never_back() -> None:
    for jump in (3_600_000, -3_600_000):
        clock = HostClock()
        host, began = 10_000_000, clock.monotonic()
        clock.follow(host, began)
        before = clock.now_ms()
        last = before
        while (ran := clock.monotonic() - began) < 0.2:
            clock.follow(host + jump + int(ran * 1000), clock.monotonic())
            now = clock.now_ms()
            assert now >= last
            last = now
            await clock.sleep(0.005)
        ran = clock.monotonic() - began
        assert abs(clock.now_ms() - before - ran * 1000) <= ran * 1000 * 0.011 + 3


async def test_a_drift_is_made_good() -> None:
    clock = HostClock()
    began = clock.monotonic()

    def host() -> int:
        return 10_000_004 + int((clock.monotonic() - began) * 1000)

    clock.follow(10_000_000, began)
    while host() - clock.now_ms() > 2 and clock.monotonic() - began < 20:
        clock.follow(host(), clock.monotonic())
        await clock.sleep(0.01)
    assert 0 <= host() - clock.now_ms() <= 2


async def test_a_timer_of_the_system_clock_rings_once_after_its_time_and_not_when_taken_back() -> None:
    clock = SystemClock()
    rung: list[float] = []
    done = asyncio.Event()
    began = clock.monotonic()
    clock.call_later(0.02, lambda: rung.append(clock.monotonic() - began))
    clock.call_later(0.01, lambda: rung.append(0.0))()
    clock.call_later(0.04, done.set)
    for far in (1e300, 200_000.0):
        clock.call_later(far, done.clear)()
    await asyncio.wait_for(done.wait(), 10)
    (after,) = rung
    assert after >= 0.019


async def test_a_timer_of_the_manual_clock_rings_when_the_clock_was_moved() -> None:
    clock = ManualClock()
    rung: list[str] = []
    clock.call_later(2, lambda: rung.append("two"))
    clock.call_later(1, lambda: rung.append("one"))
    taken_back = clock.call_later(1, lambda: rung.append("never"))
    clock.call_later(0, lambda: rung.append("now"))
    assert not rung
    await turns()
    assert rung == ["now"]
    clock.advance(1)
    taken_back()
    await turns()
    assert rung == ["now", "one"]
    clock.advance(1)
    await turns()
    assert rung == ["now", "one", "two"]
    taken_back()
