"""A replica whose calls fail at two providers at once, beside others: it leaves the work to them, and finds
out by itself when it is over.
"""

from collections.abc import Iterable

import pytest

from core.engine.health.board import Board
from core.graph.model import Target
from tests.engine.health.rig import AWAY, REFUSED, TIMED_OUT, WELL, Rig, aws, gcp, rig

PROVIDERS = ("AWS", "GCP")


async def cut(world: Rig, board: Board | None = None) -> None:
    """Let this replica's calls fail at both, as often as it takes."""
    await world.step()
    for number in range(5):
        for cloud in (aws, gcp):
            world.send(cloud(f"f{number}"), board=board).ended(REFUSED, 1)
    assert (board or world.board).report().isolated is not None


async def met(world: Rig) -> None:
    """Let the replicas hear of each other."""
    await world.until(lambda: all(board.report().replicas > 1 for board in world.boards), 3)


def static_rooms(world: Rig, names: Iterable[str] = ("charge", "f0")) -> set[int]:
    regions = (None, "eu-west-9")
    targets = [Target(cloud, name, region) for cloud in PROVIDERS for name in names for region in regions]
    return {world.standing(target).static_room for target in targets}


async def test_beside_others_a_replica_that_is_cut_off_has_no_room_for_calls_that_would_only_fail() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        assert not world.board.cut_off()
        await cut(world)
        assert world.board.cut_off()
        assert static_rooms(world) == {0}
        assert not world.boards[1].cut_off()
        assert world.standing(Target("HTTP", "charge")).state == "CLOSED"


async def test_alone_it_calls_on_with_little_room_and_probes_nothing() -> None:
    async with rig(1) as world:
        await cut(world)
        assert not world.board.cut_off()
        assert 0 not in static_rooms(world)
        await world.run(10, step=0.05)
        assert world.board.report().isolated is not None
        assert not [cloud.probed for cloud in world.clouds.values() if cloud.probed]


async def test_who_waits_asks_again_when_it_begins_and_when_it_is_over() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        rung: list[str] = []
        world.board.queue((aws(),), lambda: rung.append("a step"))
        world.board.queue((), lambda: rung.append("an engine"))
        await cut(world)
        assert rung == ["a step", "an engine"]
        world.board.queue((), lambda: rung.append("an engine"))
        world.probes(WELL)
        await world.until(lambda: not world.board.cut_off(), 2)
        assert rung == ["a step", "an engine", "an engine"]


async def test_it_probes_both_providers_once_a_second_and_one_answer_ends_it() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        await cut(world)
        await world.run(10.5)
        for name in PROVIDERS:
            assert 9 <= len(world.clouds[name].probed) <= 11
        world.clouds["GCP"].outcome = WELL
        await world.until(lambda: world.board.report().isolated is None, 1.2)
        assert not world.board.cut_off()
        assert {world.state(target) for target in (aws(), gcp(), aws("f0"))} == {"CLOSED"}
        await world.run(2.2)
        events = [one.event for one in reversed(await world.board.events(None, 10))]
        assert [one.kind for one in events] == ["REPLICA_ISOLATED", "REPLICA_REJOINED"]
        assert events[1].why == "probes are answered again"
        assert sum(world.board.openings.values()) == 0


async def test_others_that_hold_the_permits_do_not_keep_it_from_asking() -> None:
    async with rig(2) as world:
        await met(world)
        for name in PROVIDERS:
            assert await world.links[1].permit((name, None), "r1", 60.0)
        await cut(world)
        await world.until(lambda: world.board.report().isolated is None, 1.2)


async def test_a_probe_that_hangs_keeps_no_other_from_ending_it() -> None:
    async with rig(2) as world:
        await met(world)
        world.clouds["AWS"].takes = 3600.0
        await cut(world)
        await world.until(lambda: world.board.report().isolated is None, 1.2)
        await cut(world)
        await world.until(lambda: world.board.report().isolated is None, 6)


async def test_a_front_door_that_answers_while_calls_vanish_does_not_make_it_flap() -> None:
    async with rig(2) as world:
        await met(world)
        pauses = []
        for _ in range(8):
            await cut(world)
            pauses.append(await world.until(lambda: not world.board.cut_off(), 40, step=0.05))
            # Work is tried for a while, and comes to nothing.
            await world.run(2, step=0.05)
        assert pauses == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30], abs=0.2)
        await world.run(10, step=0.05)
        await cut(world)
        assert await world.until(lambda: not world.board.cut_off(), 40, step=0.05) < 1.2


async def test_an_answered_call_ends_it_as_ever_and_is_believed() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        for _ in range(3):
            await cut(world)
            await world.run(2, step=0.05)
            assert world.board.cut_off()
            world.send(gcp()).ended(WELL, 5)
            assert not world.board.cut_off()
        for cloud in world.clouds.values():
            cloud.probed.clear()
        await cut(world)
        await world.run(5.5, step=0.05)
        assert len(world.clouds["AWS"].probed) >= 4


async def test_what_a_probe_before_it_was_sent_says_does_not_end_it() -> None:
    async with rig(2) as world:
        await met(world)
        world.clouds["AWS"].takes = world.clouds["GCP"].takes = 0.5
        await cut(world)
        await world.until(lambda: world.clouds["AWS"].under_way, 1.2)
        world.send(gcp()).ended(WELL, 5)
        assert not world.board.cut_off()
        await world.step()
        world.probes(REFUSED)
        await cut(world)
        world.probes(WELL)
        await world.run(0.6)
        assert world.board.cut_off()
        await world.until(lambda: not world.board.cut_off(), 2)


async def test_a_third_provider_that_answers_its_probe_says_that_the_way_out_is_fine() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        world.send(Target("HTTP", "idle")).ended(WELL, 5)
        await world.step()
        await cut(world)
        await world.run(3)
        assert world.board.cut_off()
        world.clouds["HTTP"].outcome = WELL
        await world.until(lambda: not world.board.cut_off(), 1.2)


@pytest.mark.parametrize("how", ["the others are gone", "the link is lost", "probes cannot be made"])
async def test_where_nobody_can_do_its_work_or_tell_it_the_end_it_goes_on_as_if_alone(how: str) -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        rung: list[str] = []
        await cut(world)
        world.board.queue((), lambda: rung.append("an engine"))
        match how:
            case "the others are gone":
                await world.boards[1].stop()
            case "the link is lost":
                world.links[0].cut = AWAY
            case _:
                for cloud in world.clouds.values():
                    cloud.raises = RuntimeError("a defect")
        await world.until(lambda: not world.board.cut_off(), 8)
        assert world.board.report().isolated is not None
        assert 0 not in static_rooms(world)
        assert rung
        world.send(gcp()).ended(WELL, 5)
        assert world.board.report().isolated is None


async def test_a_probe_that_could_not_be_made_once_is_made_again() -> None:
    async with rig(2) as world:
        await met(world)
        world.probes(REFUSED)
        world.clouds["AWS"].raises = RuntimeError("a defect")
        await cut(world)
        await world.until(lambda: not world.board.cut_off(), 1.2)
        assert world.board.report().isolated is not None
        world.clouds["AWS"].raises = None
        await world.until(world.board.cut_off, 1.2)
        assert static_rooms(world) == {0}


async def test_others_that_come_make_it_leave_the_work_to_them() -> None:
    async with rig(1) as world:
        world.probes(REFUSED)
        await cut(world)
        link = type(world.links[0])(world.store, world.clock, world.commons)
        late = world.new_board("late", link)
        await late.start()
        try:
            assert not world.board.cut_off()
            await world.until(world.board.cut_off, 1.5)
            assert static_rooms(world) == {0}
            world.probes(WELL)
            await world.until(lambda: not world.board.cut_off(), 1.5)
        finally:
            await late.stop()


@pytest.mark.parametrize("back", PROVIDERS)
async def test_all_replicas_come_back_when_one_of_the_clouds_does(back: str) -> None:
    async with rig(3) as world:
        await met(world)
        world.probes(TIMED_OUT)
        for board in world.boards:
            await cut(world, board)
        await world.run(120, step=0.1)
        assert all(board.cut_off() for board in world.boards)
        world.clouds[back].outcome = WELL
        await world.until(lambda: not any(board.cut_off() for board in world.boards), 1.5)
        assert {board.report().isolated for board in world.boards} == {None}
