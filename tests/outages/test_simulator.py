"""The simulator: the same outage, in virtual time, for the baselines and for the engine itself."""

import asyncio
import time
from dataclasses import replace

import pytest

from outages.cases import Case
from outages.catalogue import case_of
from outages.clouds import Clouds
from outages.figures import Figures, count
from outages.ours import Sidestep
from outages.seen import Happening, Told
from outages.simulator import Maker, TimeStandsStill, VirtualLoop, simulate
from outages.strategies import BASELINES

RETRY, NAIVE, FIVE = BASELINES["retry only"], BASELINES["naive fallback"], BASELINES["five in a row"]


def figures(case: Case | str, make: Maker, seconds: float = 20.0, rate: float = 40.0) -> Figures:
    case = case_of(case) if isinstance(case, str) else case
    return count(case, simulate(case, make, seconds, rate))


def test_an_hour_of_virtual_time_takes_no_time() -> None:
    async def wait() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(wait()) == pytest.approx(3_600)
    assert time.monotonic() - began < 5


def test_the_same_seed_gives_the_same_run() -> None:
    assert figures("thirty-percent", FIVE) == figures("thirty-percent", FIVE)


def test_on_a_calm_day_every_strategy_completes_everything() -> None:
    for make in (RETRY, NAIVE, FIVE, Sidestep):
        found = figures("calm", make, seconds=4.0)
        assert (found.completed, found.amplification, found.twice) == (160, 1.0, 0)


def test_retries_at_a_dead_cloud_do_not_help() -> None:
    found = figures("refused", RETRY)
    assert found.failed > 0
    assert found.sidesteps == 0


def test_five_timeouts_in_a_row_are_a_whole_timeout_late() -> None:
    case = replace(case_of("black-hole-before"), seconds=None)
    found = figures(case, FIVE, seconds=30.0)
    assert found.to_open == pytest.approx(10_000, abs=300)
    # All that came in ten seconds, and some that were on their way.
    assert 390 <= found.stuck <= 430


def test_five_in_a_row_stays_open_after_a_failed_probe_and_closes_after_a_good_one() -> None:
    seen = simulate(case_of("refused"), FIVE, 20.0, 40.0)
    told = [(round((one.at - seen.began) / 1000), one.kind) for one in seen.happenings or ()]
    assert told == [
        (8, "BREAKER_OPENED"),
        (13, "BREAKER_HALF_OPEN"),
        (13, "BREAKER_OPENED"),
        (18, "BREAKER_HALF_OPEN"),
        (18, "BREAKER_CLOSED"),
    ]
    assert count(case_of("refused"), seen).moves == 2


def test_who_calls_a_fallback_after_a_lost_reply_runs_what_must_not_run_twice_twice() -> None:
    assert figures("reply-lost", NAIVE).once_twice
    assert figures("reply-lost", RETRY).once_twice
    ours = figures("reply-lost", Sidestep)
    assert ours.once_twice == ()
    assert ours.completed + ours.parked == ours.submitted


def test_a_users_bug_moves_the_naive_fallback_and_not_sidestep() -> None:
    assert figures("user-bug-everywhere", NAIVE).bug_sidesteps > 0
    ours = figures("user-bug-everywhere", Sidestep)
    assert (ours.bug_sidesteps, ours.sidesteps) == (0, 0)
    assert ours.failed == ours.failed_own > 0


def test_flapping_makes_five_in_a_row_move_to_and_fro() -> None:
    assert figures("flapping", FIVE, seconds=55.0).moves > 3


def test_a_cold_start_is_slow_once_for_each_instance() -> None:
    found = figures("cold-starts", NAIVE, rate=100.0)
    assert found.completed == found.submitted
    assert 0 < found.stuck < found.submitted / 4


class Spinning:
    """A strategy that never lets time pass."""

    def __init__(self, _case: Case, _clouds: Clouds) -> None:
        pass

    async def start(self) -> None:
        while True:
            await asyncio.sleep(0)

    async def submit(self, _number: int) -> str:
        return ""

    async def stop(self, _seconds: float) -> None:
        pass

    async def executions(self) -> dict[str, Told]:
        return {}

    async def happenings(self) -> list[Happening]:
        return []


def test_a_strategy_that_spins_is_ended_by_name() -> None:
    with pytest.raises(TimeStandsStill, match="something spins"):
        simulate(case_of("calm"), Spinning, 1.0, 1.0)


def test_a_black_hole_opens_sidesteps_breaker_in_half_a_second_and_leaves_ten_times_fewer_stuck() -> None:
    ours, five = (figures("black-hole-before", make, seconds=30.0, rate=100.0) for make in (Sidestep, FIVE))
    assert ours.to_open is not None
    assert ours.to_open < 1_000
    assert ours.stuck * 10 <= five.stuck
    assert ours.completed + ours.parked == ours.submitted
