"""What must open nothing."""

import pytest

from core.failover.outcome import Outcome
from tests.engine.health.rig import BUG, CALLERS, THROTTLED, TIMED_OUT, WELL, Rig, aws, rig


async def opened_nothing(world: Rig) -> bool:
    kinds = set(await world.kinds())
    return not sum(world.board.openings.values()) and not kinds


@pytest.mark.parametrize("then", [WELL, TIMED_OUT])
async def test_a_loop_that_stops_for_five_seconds_opens_nothing(then: Outcome) -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        await world.run(0.1)
        # They are under way when everything stops; their answers, or their time limits, come afterwards.
        flights = [world.send(aws()) for _ in range(30)]
        await world.step(5)
        await world.run(0.2)
        for flight in flights:
            flight.ended(then, 5_200)
        await world.run(2, lambda _: world.call(aws()))
        assert await opened_nothing(world)
        assert world.state(aws()) == "CLOSED"


async def test_a_function_that_is_slow_one_time_in_a_hundred_opens_nothing() -> None:
    async with rig() as world:
        await world.run(30, lambda number: world.call(aws(), after=3 if number % 100 == 99 else 0.03))
        assert await opened_nothing(world)
        assert world.state(aws()) == "CLOSED"


async def test_a_burst_of_cold_starts_beside_warm_instances_opens_nothing() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        # More than half of the window's calls start cold at once, and hang for longer than any before.
        for _ in range(600):
            world.call(aws(), after=2.5)
        await world.run(4, lambda _: world.call(aws()))
        assert await opened_nothing(world)
        assert world.state(aws()) == "CLOSED"


async def test_one_function_of_four_that_hangs_opens_its_own_breaker_only() -> None:
    async with rig() as world:
        targets = [aws(f"f{number}") for number in range(4)]
        await world.run(9, lambda number: world.call(targets[number % 4]))

        def one_hangs(number: int) -> None:
            hangs = number % 4 == 0
            world.call(targets[number % 4], TIMED_OUT if hangs else WELL, 10 if hangs else 0.03)

        await world.until(lambda: world.state(targets[0]) == "OPEN", 2, one_hangs)
        await world.run(4, one_hangs)
        assert world.place(aws()).breaker.state in ("CLOSED", "SUSPECT")
        assert [world.breaker(target).state for target in targets[1:]] == ["CLOSED"] * 3
        assert dict(world.board.openings) == {"AWS": 1}


@pytest.mark.parametrize("outcome", [BUG, CALLERS, THROTTLED], ids=lambda one: one.signal)
async def test_bugs_wrong_requests_and_throttling_open_nothing(outcome: Outcome) -> None:
    async with rig() as world:
        targets = [aws(f"f{number}") for number in range(4)]
        await world.run(12, lambda number: world.call(targets[number % 4], outcome))
        await world.run(12, lambda _: world.call(aws("only"), outcome))
        assert await opened_nothing(world)
        assert world.state(targets[0]) == "CLOSED"
        assert world.place(aws()).breaker.state == "CLOSED"
