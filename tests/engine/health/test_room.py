"""How many sidestepped calls a target gets, and who waits for room there."""

from collections.abc import Callable

from core.failover.outcome import Outcome
from core.failover.roles import HEDGE, REHEARSAL, RETRY, SIDESTEP, STATIC
from core.failover.settings import FailoverSettings
from tests.engine.health.rig import NOT_DEPLOYED, REFUSED, THROTTLED, WELL, Rig, aws, gcp, rig

SMALL = FailoverSettings(fallback_room=10, static_room=4)


def ringing(rung: list[str], name: str) -> Callable[[], None]:
    return lambda: rung.append(name)


async def test_sidestepped_calls_take_room_from_when_they_are_decided() -> None:
    async with rig(settings=SMALL) as world:
        assert world.standing(gcp()).room is None
        for role in (SIDESTEP, HEDGE, REHEARSAL):
            world.board.decided(world.attempt(gcp(), role))
        assert world.standing(gcp()).room == 7
        flights = [world.send(gcp(), SIDESTEP) for _ in range(7)]
        assert world.standing(gcp()).room == 0
        world.send(gcp())
        assert world.standing(gcp()).room == 0, "a plain call needs none"
        flights[0].ended(WELL, 5)
        # One place, and one more because the limit was in use and the call succeeded.
        assert world.standing(gcp()).room == 2


async def test_a_limit_that_is_hardly_used_does_not_grow_and_throttling_cuts_it() -> None:
    async with rig(settings=SMALL) as world:
        world.send(gcp(), SIDESTEP).ended(WELL, 5)
        assert world.standing(gcp()).room == 10
        world.send(gcp(), SIDESTEP).ended(THROTTLED, 5)
        assert world.standing(gcp()).room == 7
        world.send(gcp()).ended(THROTTLED, 5)
        assert world.standing(gcp()).room == 7, "once a second at most"
        for _ in range(5):
            await world.run(1.1)
            world.send(gcp()).ended(THROTTLED, 5)
        assert world.standing(gcp()).room == 4


async def test_calls_of_a_target_that_is_known_to_fail_are_few_and_learn() -> None:
    async with rig(settings=SMALL) as world:
        assert world.standing(aws()).static_room == 1
        flights = [world.send(aws(), STATIC) for _ in range(4)]
        assert world.standing(aws()).static_room == 0
        flights[0].ended(REFUSED, 5)
        assert world.standing(aws()).static_room == 0
        for flight in flights[1:]:
            flight.ended(REFUSED, 5)
        assert world.standing(aws()).static_room == 1
        for size in (2, 3, 4):
            world.send(aws(), STATIC).ended(WELL, 5)
            assert world.standing(aws()).static_room == size


async def test_an_attempt_that_is_never_sent_gives_its_room_back() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        for _ in range(10):
            world.board.decided(world.attempt(gcp(), SIDESTEP))
        assert world.standing(gcp()).room == 0
        await world.run(29, step=0.05)
        assert world.standing(gcp()).room == 0
        world.board.queue((gcp(),), ringing(rung, "waits"))
        await world.run(0.9, step=0.05)
        await world.run(2, step=0.05)
        assert world.standing(gcp()).room == 10
        assert rung == ["waits"]


async def end_one(world: Rig, outcome: Outcome = REFUSED) -> None:
    world.send(gcp(), SIDESTEP).ended(outcome, 5)


async def test_each_freed_place_rings_the_oldest_waiter() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        flights = [world.send(gcp(), SIDESTEP) for _ in range(10)]
        world.board.queue((gcp(),), ringing(rung, "first"))
        world.board.queue((gcp(), aws()), ringing(rung, "second"))
        world.board.queue((gcp(),), ringing(rung, "third"))
        assert world.board.report().providers[1].queued == 3
        flights[0].ended(REFUSED, 5)
        assert rung == ["first"]
        flights[1].ended(WELL, 5)
        assert rung == ["first", "second", "third"], "it grew as well"
        flights[2].ended(REFUSED, 5)
        assert len(rung) == 3
        assert world.board.report().providers[1].queued == 0


async def test_who_waits_is_rung_after_a_second_at_the_latest_oldest_first() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        for name in ("first", "second"):
            world.board.queue((gcp(),), ringing(rung, name))
            await world.step()
        await world.run(0.9)
        assert rung == []
        await world.run(0.2)
        assert rung == ["first", "second"]


async def test_who_went_away_is_not_rung_and_another_one_is() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        flights = [world.send(gcp(), SIDESTEP) for _ in range(10)]
        leave = world.board.queue((gcp(), aws()), ringing(rung, "gone"))
        world.board.queue((gcp(),), ringing(rung, "here"))
        leave()
        leave()
        flights[0].ended(REFUSED, 5)
        assert rung == ["here"]


async def test_a_ring_that_fails_keeps_nobody_else_from_being_rung() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []

        def breaks() -> None:
            raise RuntimeError("a defect")

        world.board.queue((gcp(),), breaks)
        world.board.queue((gcp(),), ringing(rung, "second"))
        await world.run(1.1)
        assert rung == ["second"]


async def test_room_that_is_freed_just_before_a_wait_begins_is_not_missed() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        await end_one(world)
        world.board.queue((gcp(),), ringing(rung, "just too late"))
        await world.run(0.1)
        assert rung == ["just too late"]


async def test_everybody_is_rung_when_a_target_stands_better() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        for _ in range(5):
            world.send(aws()).ended(REFUSED, 1)
        until = world.clock.now_ms() + 60_000
        await world.board.override("AWS", "DRAINED", reason="works", actor="", until_ms=until)
        for name in ("first", "second"):
            world.board.queue((aws(),), ringing(rung, name))
        world.board.queue((gcp(),), ringing(rung, "elsewhere"))
        await world.board.lift("AWS")
        assert rung == ["first", "second"]


async def test_who_waits_for_a_function_is_rung_when_it_may_be_probed() -> None:
    async with rig(settings=SMALL) as world:
        rung: list[str] = []
        world.send(aws("fine")).ended(WELL, 5)
        for _ in range(5):
            world.send(aws("gone")).ended(NOT_DEPLOYED, 1)
        await world.run(4.7)
        assert world.breaker(aws("gone")).state == "OPEN"
        world.board.queue((aws("gone"),), ringing(rung, "waits"))
        world.board.queue((aws("fine"),), ringing(rung, "elsewhere"))
        await world.run(0.5)
        assert rung == ["waits"]


async def test_retries_and_hedges_have_budgets() -> None:
    few = FailoverSettings(retry_floor=1, retry_share=0.1, hedge_share=0.1)
    async with rig(settings=few) as world:
        assert not world.board.view().hedges
        await world.run(1, lambda number: world.call(aws()) if number < 10 else None)
        assert world.board.view().hedges
        world.board.decided(world.attempt(gcp(), HEDGE))
        assert not world.board.view().hedges
        taken = 0
        while world.standing(aws()).retry and taken < 100:
            world.board.decided(world.attempt(aws(), RETRY))
            taken += 1
        assert 2 <= taken <= 4
        assert world.standing(gcp()).retry
        await world.run(2)
        assert world.standing(aws()).retry, "every second earns one"
