"""What replicas tell one another, and what happens where they cannot."""

import pytest

from core.failover.breaker import Phase
from core.graph.model import Target
from tests.engine.health.rig import AWAY, REFUSED, WELL, Rig, aws, gcp, rig


def refuse(world: Rig, replica: int = 0, calls: int = 5) -> None:
    for number in range(calls):
        world.send(aws(f"f{number}"), board=world.boards[replica]).ended(REFUSED, 1)


async def test_what_one_replica_opens_is_refused_at_the_other_at_once() -> None:
    async with rig(2) as world:
        await world.step()
        refuse(world)
        before = world.clock.monotonic()
        await world.settle()
        assert world.clock.monotonic() == before
        assert world.state(aws(), world.boards[1]) == "OPEN"
        assert "failed" in world.standing(aws(), world.boards[1]).why
        assert world.boards[1].openings.get("AWS", 0) == 0, "it was not this one that opened it"
        await world.run(2.2)
        assert await world.kinds() == ["BREAKER_OPENED"]


def mostly_refused(world: Rig, number: int, functions: int) -> None:
    """One call a second at each replica, of which two of three fail; where it is one function, another one is
    called that works.
    """
    if number % 10 == 0:
        for index, board in enumerate(world.boards):
            works = (number // 10 + index) % 3 == 0
            world.send(aws(f"f{index % functions}"), board=board).ended(WELL if works else REFUSED, 5)
            if functions == 1:
                world.send(aws("well"), board=board).ended(WELL, 5)
                world.send(aws("well"), board=board).ended(WELL, 5)


@pytest.mark.parametrize("functions", [1, 4])
async def test_twenty_replicas_see_together_what_none_sees_alone(functions: int) -> None:
    async with rig(1) as world:
        await world.run(20, lambda number: mostly_refused(world, number, functions), step=0.1)
        assert await world.kinds() == []
    async with rig(20) as world:

        def opened() -> bool:
            own = world.breaker(aws("f0")).state if functions == 1 else "OPEN"
            place = world.place(aws()).breaker.state
            return (own, place) == ("OPEN", "CLOSED" if functions == 1 else "OPEN")

        mostly_refused(world, 0, functions)
        took = await world.until(
            opened, 10, lambda number: mostly_refused(world, number, functions), step=0.1
        )
        assert took <= 5
        await world.settle()
        assert {world.state(aws("f0"), board) for board in world.boards} == {"OPEN"}
        assert world.board.report().replicas == 20


@pytest.mark.parametrize("canaries", [{}, {"AWS": aws("canary")}], ids=["cheapest call", "canary"])
async def test_one_replica_probes_at_a_time_and_one_probe_a_second_goes_out(
    canaries: dict[str, Target],
) -> None:
    async with rig(4, canaries=canaries) as world:
        for cloud in world.clouds.values():
            cloud.takes = 0.1
        await world.step()
        # Five functions: it is the place that is probed.
        for number in range(5):
            for board in world.boards:
                world.send(aws(f"f{number}"), board=board).ended(REFUSED, 1)
        await world.until(lambda: world.state(aws()) == "HALF_OPEN", 6, step=0.05)
        began = world.clock.monotonic()
        await world.run(20, step=0.05)
        cloud = world.clouds["AWS"]
        assert cloud.most_at_once == 1
        asked = len(cloud.probed) + len(cloud.invoked)
        assert 8 <= asked <= (world.clock.monotonic() - began) + 1


async def test_replicas_that_take_turns_probe_no_more_often_than_one() -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        refuse(world)
        await world.until(lambda: world.clouds["AWS"].invoked, 6, step=0.05)
        await world.run(0.5, step=0.05)
        late = world.new_board("late", type(world.links[0])(world.store, world.clock, world.commons))
        await late.start()
        try:
            await world.run(10, step=0.05)
            assert 8 <= len(world.clouds["AWS"].invoked) <= 12
        finally:
            await late.stop()


async def test_one_replica_that_is_cut_off_opens_nothing_and_tells_nothing() -> None:
    async with rig(2) as world:
        cut_off, other = world.boards
        world.probes(REFUSED)
        await world.run(3, lambda number: world.call((aws(), gcp())[number % 2], board=cut_off))
        await world.run(2, step=0.05)
        world.links[0].told.clear()

        def all_fails(number: int) -> None:
            world.send((aws(), gcp())[number % 2], board=cut_off).ended(REFUSED, 1)

        await world.run(1, all_fails)
        said = len(world.links[0].said)
        await world.run(5, all_fails)
        assert "cut off" in str(cut_off.report().isolated)
        assert other.report().isolated is None
        assert {world.state(target, other) for target in (aws(), gcp())} == {"CLOSED"}
        # Here they are called throttled, and only where nothing else is left.
        assert {world.state(target, cut_off) for target in (aws(), gcp())} == {"OPEN"}
        assert {world.place(target).breaker.state for target in (aws(), gcp())} == {"CLOSED"}
        assert sum(cut_off.openings.values()) == 0
        assert all(breaker.phase is not Phase.OPEN for breaker in world.shared().values())
        assert await world.kinds() == ["REPLICA_ISOLATED"]
        assert all(not tallies for tallies in world.links[0].said[said:])


async def test_what_was_opened_a_moment_before_the_second_provider_failed_is_taken_back() -> None:
    async with rig(2) as world:
        world.probes(REFUSED)
        await world.run(1, lambda number: world.call((aws(), gcp())[number % 2]))
        await world.run(0.1)
        refuse(world)
        await world.run(1)
        assert world.state(aws(), world.boards[1]) == "OPEN"
        for number in range(5):
            world.send(gcp(f"f{number}")).ended(REFUSED, 1)
        await world.settle()
        assert world.board.report().isolated is not None
        assert world.state(aws(), world.boards[1]) == "CLOSED"
        assert world.board.openings["AWS"] == 0
        await world.run(3)
        assert await world.kinds() == ["REPLICA_ISOLATED"]


async def test_a_replica_is_cut_off_although_it_calls_one_function_only() -> None:
    async with rig() as world:
        used = [aws(f"f{number}") for number in range(6)]
        await world.run(3, lambda number: world.call(used[number % 6]))
        await world.run(0.1)
        # Every workflow begins with the same function, and gets no further.
        for _ in range(5):
            await world.step()
            world.send(used[0]).ended(REFUSED, 1)
        assert world.breaker(used[0]).state == "OPEN"
        assert world.place(aws()).breaker.state == "CLOSED"
        for _ in range(5):
            await world.step()
            world.send(gcp("f0")).ended(REFUSED, 1)
        assert world.board.report().isolated is not None
        assert world.breaker(used[0]).state == "CLOSED"
        await world.run(3)
        assert await world.kinds() == ["REPLICA_ISOLATED"]


async def test_a_second_provider_that_fails_long_after_the_first_is_opened() -> None:
    async with rig() as world:
        refuse(world)
        await world.run(3)
        for number in range(5):
            world.send(gcp(f"f{number}")).ended(REFUSED, 1)
        assert world.board.report().isolated is None
        assert world.state(gcp()) == "OPEN"


async def test_an_answer_ends_the_isolation_and_ordinary_judging_goes_on() -> None:
    async with rig() as world:
        for number in range(5):
            world.send(aws(f"f{number}")).ended(REFUSED, 1)
            world.send(gcp(f"f{number}")).ended(REFUSED, 1)
        for number in range(30):
            await world.step()
            for cloud in (aws, gcp):
                world.send(cloud(f"f{number % 5}")).ended(REFUSED, 1)
        assert world.board.report().isolated is not None
        await world.step()
        world.send(gcp()).ended(WELL, 5)
        await world.settle()
        assert world.board.report().isolated is None
        await world.run(0.2)
        assert {world.state(target) for target in (aws(), gcp())} == {"CLOSED"}
        for number in range(4):
            world.send(gcp(f"f{number}")).ended(REFUSED, 1)
        refuse(world, calls=4)
        assert {world.state(target) for target in (aws(), gcp())} == {"CLOSED"}, "that time is forgotten"
        refuse(world, calls=1)
        await world.settle()
        assert world.state(aws()) == "OPEN"
        await world.run(2.2)
        assert await world.kinds() == ["REPLICA_ISOLATED", "REPLICA_REJOINED", "BREAKER_OPENED"]


async def test_two_providers_are_down_indeed_where_a_third_one_answers() -> None:
    async with rig() as world:
        other = Target("HTTP", "still there")
        for number in range(5):
            await world.step()
            world.send(aws(f"f{number}")).ended(REFUSED, 1)
            world.call(gcp(f"f{number}"), REFUSED, 0.2)
            world.send(other).ended(WELL, 5)
        await world.run(0.3)
        assert world.board.report().isolated is None
        assert {world.state(target) for target in (aws(), gcp())} == {"OPEN"}


async def test_a_replica_without_its_link_decides_alone_and_tells_it_afterwards() -> None:
    async with rig(2) as world:
        alone, other = world.boards
        await world.run(1.5)
        world.links[0].cut = AWAY
        await world.run(2.5)
        assert "decides alone" in str(alone.report().alone)
        assert other.report().alone is None
        refuse(world)
        await world.run(1)
        assert world.state(aws(), alone) == "OPEN"
        assert world.state(aws(), other) == "CLOSED"
        world.links[0].cut = None
        await world.run(2.5)
        assert alone.report().alone is None
        assert world.state(aws(), other) == "OPEN"
        assert await world.kinds() == ["BREAKER_OPENED"]


async def test_of_two_that_went_apart_the_one_that_changed_more_wins() -> None:
    async with rig(2) as world:
        alone, other = world.boards
        await world.run(1.5)
        world.links[0].cut = AWAY
        refuse(world)
        await world.run(8)
        assert world.place(aws(), alone).breaker.state == "HALF_OPEN"
        refuse(world, 1)
        await world.settle()
        assert world.state(aws(), other) == "OPEN"
        world.links[0].cut = None
        await world.run(4)
        assert world.place(aws(), other).breaker.state == world.place(aws(), alone).breaker.state
        assert world.place(aws(), other).breaker.state == "HALF_OPEN"


async def test_of_two_that_went_apart_the_one_that_changed_less_gives_way() -> None:
    async with rig(2) as world:
        alone, other = world.boards
        await world.run(1.5)
        world.links[0].cut = AWAY
        refuse(world, 1)
        await world.run(4)
        refuse(world)
        await world.until(lambda: world.place(aws(), other).breaker.state == "HALF_OPEN", 2)
        assert world.place(aws(), alone).breaker.state == "OPEN"
        world.links[0].cut = None
        took = await world.until(lambda: world.place(aws(), alone).breaker.state == "HALF_OPEN", 3)
        assert took < 3


async def test_what_the_link_forgot_is_told_again() -> None:
    async with rig() as world:
        refuse(world)
        await world.settle()
        world.commons.breakers.clear()
        await world.run(2)
        assert world.shared()["AWS", None].phase is Phase.OPEN


async def test_a_board_that_stops_tells_what_it_had_not_told_yet() -> None:
    async with rig(2) as world:
        await world.step()
        refuse(world)
        await world.board.stop()
        events = await world.boards[1].events(None, 10)
        assert [one.event.kind for one in events] == ["BREAKER_OPENED"]


async def test_a_new_replica_starts_with_what_the_others_know() -> None:
    async with rig() as world:
        refuse(world)
        until = world.clock.now_ms() + 60_000
        await world.board.override("GCP", "DRAINED", reason="works", actor="ann", until_ms=until)
        await world.settle()
        link = type(world.links[0])(world.store, world.clock, world.commons)
        late = world.new_board("late", link)
        await late.start()
        try:
            assert world.state(aws(), late) == "OPEN"
            assert world.state(gcp(), late) == "DRAINED"
        finally:
            await late.stop()


async def test_a_defect_in_the_link_ends_no_task() -> None:
    async with rig() as world:
        world.links[0].cut = RuntimeError("a defect")
        refuse(world)
        await world.run(8)
        assert world.place(aws()).breaker.state == "HALF_OPEN"
        assert "its link failed" in str(world.board.report().alone)
        world.links[0].cut = None
        await world.run(12)
        assert world.board.report().alone is None
        assert ("AWS", None) in world.shared()
