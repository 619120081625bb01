"""What opens a breaker, and how soon."""

import pytest

from core.failover.outcome import Outcome
from tests.engine.health.rig import (
    ABANDONED,
    NOT_DEPLOYED,
    REFUSED,
    THROTTLED,
    TIMED_OUT,
    WELL,
    aws,
    rig,
)

TIMEOUT = 10.0


async def test_a_black_hole_opens_the_breaker_before_the_first_timeout() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        stuck = []
        took = await world.until(
            lambda: world.state(aws()) == "OPEN",
            within=1,
            each=lambda _: stuck.append(world.call(aws(), TIMED_OUT, TIMEOUT)),
        )
        assert 0.5 <= took < 1
        assert len(stuck) < 100
        assert world.breaker(aws()).state == "OPEN"
        assert world.breaker(aws()).overdue >= world.settings.consecutive
        assert "overdue" in world.breaker(aws()).why


async def test_a_black_hole_of_a_whole_place_opens_the_place() -> None:
    async with rig() as world:
        targets = [aws(f"f{number}") for number in range(4)]
        # Two hundred answers of each function make known how long they take.
        await world.run(9, lambda number: world.call(targets[number % 4]))
        await world.until(
            lambda: world.place(aws()).breaker.state == "OPEN",
            within=1,
            each=lambda number: world.call(targets[number % 4], TIMED_OUT, TIMEOUT),
        )
        assert world.state(aws("never called")) == "OPEN"
        # The place speaks for all of them: no second breaker is to be probed for each.
        await world.run(0.5)
        assert {one.breaker.state for one in world.place(aws()).functions} == {"CLOSED"}


async def test_a_function_of_which_little_is_known_is_overdue_at_its_timeout_only() -> None:
    async with rig() as world:
        await world.run(1, lambda _: world.call(aws()))
        flights = [world.send(aws(), timeout_ms=4_000) for _ in range(10)]
        await world.run(3.9)
        assert world.state(aws()) == "CLOSED"
        await world.run(0.2)
        assert world.state(aws()) == "OPEN"
        assert all(flight.function is not None for flight in flights)


@pytest.mark.parametrize("healthy_before", [0, 10])
async def test_twelve_functions_that_are_refused_open_their_place_within_five_calls(
    healthy_before: int,
) -> None:
    async with rig() as world:
        targets = [aws(f"f{number}") for number in range(12)]
        await world.run(healthy_before, lambda number: world.call(targets[number % 12]))
        await world.run(0.1)
        for number in range(4):
            await world.step()
            world.send(targets[number]).ended(REFUSED, 1)
        assert world.place(aws()).breaker.state == "CLOSED"
        await world.step()
        world.send(targets[4]).ended(REFUSED, 1)
        assert world.place(aws()).breaker.state == "OPEN"
        assert world.state(targets[11]) == "OPEN"
        await world.run(2.2)
        assert await world.kinds() == ["BREAKER_OPENED"]


async def test_a_share_of_failures_makes_it_suspect_and_half_of_them_open_it() -> None:
    async with rig() as world:
        await world.run(2, lambda number: world.call(aws(), REFUSED if number % 4 == 0 else WELL))
        assert world.state(aws()) == "SUSPECT"
        await world.run(12, lambda _: world.call(aws()))
        assert world.state(aws()) == "CLOSED"
        await world.run(12, lambda number: world.call(aws(), WELL if number % 5 > 2 else REFUSED))
        assert world.breaker(aws()).state == "OPEN"
        # What is only suspicious is no event.
        assert set(await world.kinds()) == {"BREAKER_OPENED", "BREAKER_HALF_OPEN"} or set(
            await world.kinds()
        ) == {"BREAKER_OPENED"}


async def test_a_function_that_is_not_deployed_opens_its_own_breaker_only() -> None:
    async with rig() as world:
        for _ in range(5):
            world.send(aws("gone")).ended(NOT_DEPLOYED, 1)
            await world.step()
        assert world.breaker(aws("gone")).state == "OPEN"
        assert world.place(aws()).breaker.state == "CLOSED"
        assert world.state(aws("another")) == "CLOSED"


@pytest.mark.parametrize("answer", [NOT_DEPLOYED, THROTTLED], ids=lambda one: one.signal)
async def test_what_a_function_or_too_many_calls_are_blamed_for_proves_that_the_place_is_alive(
    answer: Outcome,
) -> None:
    async with rig() as world:
        for number in range(12):
            outcome = answer if number % 4 == 3 else REFUSED
            world.send(aws(f"f{number}")).ended(outcome, 1)
            await world.step()
        assert world.place(aws()).breaker.state == "CLOSED"


async def test_a_call_that_is_given_up_while_overdue_counts_as_failed() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        await world.run(0.1)
        flights = [world.send(aws()) for _ in range(4)]
        await world.run(0.6)
        assert world.breaker(aws()).overdue == 4
        for flight in flights:
            flight.ended(ABANDONED, 600)
        assert (world.breaker(aws()).overdue, world.breaker(aws()).failures) == (0, 4)
        world.send(aws()).ended(ABANDONED, 1)
        assert world.breaker(aws()).failures == 4, "one that was young when it was given up proves nothing"


async def test_a_late_success_is_no_failure() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        await world.run(0.1)
        flights = [world.send(aws()) for _ in range(4)]
        await world.run(0.6)
        assert world.breaker(aws()).overdue == 4
        for flight in flights:
            flight.ended(WELL, 600)
        breaker = world.breaker(aws())
        assert (breaker.overdue, breaker.failures, breaker.state) == (0, 0, "CLOSED")


async def test_regions_are_places_of_their_own() -> None:
    async with rig() as world:
        for _ in range(5):
            world.send(aws(region="eu-west-1")).ended(REFUSED, 1)
            await world.step()
        assert world.state(aws("other", "eu-west-1")) == "OPEN"
        assert world.state(aws("other", "us-east-1")) == "CLOSED"
        assert world.board.openings["AWS"] >= 1
