"""What the board keeps, shows and forgets."""

import gc
import weakref

from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.failover.outcome import succeeded
from core.failover.settings import FailoverSettings
from tests.engine.health.rig import ABANDONED, REFUSED, WELL, Rig, aws, gcp, rig


async def test_a_view_is_the_same_value_until_something_has_changed() -> None:
    async with rig() as world:
        world.send(aws()).ended(WELL, 5)
        view = world.board.view()
        world.send(aws()).ended(WELL, 5)
        await world.run(0.3)
        assert world.board.view() is view
        for number in range(5):
            world.send(gcp(f"f{number}")).ended(REFUSED, 1)
        changed = world.board.view()
        assert changed is not view
        assert (view.of(gcp()).state, changed.of(gcp()).state) == ("CLOSED", "OPEN")


async def test_quantiles_are_shown_once_enough_answers_are_known() -> None:
    async with rig() as world:
        await world.run(0.15, lambda _: world.call(aws(), after=0.02))
        await world.run(1.2)
        assert world.standing(aws()).p95_ms is None
        await world.run(5, lambda _: world.call(aws(), after=0.02))
        await world.run(1.2)
        standing = world.standing(aws())
        assert standing.p95_ms is not None
        assert 19 <= standing.p95_ms <= 32
        assert standing.overdue_ms == world.settings.overdue_floor_ms


async def test_a_function_that_is_not_called_any_more_is_forgotten() -> None:
    async with rig() as world:
        world.send(aws("once")).ended(WELL, 5)
        open_call = world.send(aws("long"))
        for _ in range(5):
            world.send(aws("broken", "eu-west-1")).ended(REFUSED, 1)
        await world.run(590, step=0.5)
        assert {one.target.function_id for one in world.place(aws()).functions} == {"once", "long"}
        await world.run(15, step=0.5)
        assert {one.target.function_id for one in world.place(aws()).functions} == {"long"}
        assert aws("once") not in world.board.view().functions
        open_call.ended(WELL, 600_000)
        assert world.place(aws("broken", "eu-west-1")).functions, "its breaker is not done with it"


async def test_functions_beyond_the_limit_stand_for_their_place_only() -> None:
    async with rig() as world:
        board = Board(
            {}, world.clock, LocalLink(world.store, world.clock), most_functions=2, entropy=lambda: 0.5
        )
        for number in range(5):
            world.send(aws(f"f{number}"), "sidestep", board=board).ended(WELL, 5)
        assert len(board.view().functions) == 2
        place = world.place(aws(), board)
        assert (len(place.functions), place.breaker.calls) == (2, 5)


async def test_a_board_keeps_no_output_of_a_function() -> None:
    class Large(dict[str, int]):
        """An output that can be watched."""

    async with rig() as world:
        output = Large()
        watch = weakref.ref(output)
        world.send(aws()).ended(succeeded(output), 5)
        del output
        gc.collect()
        assert watch() is None
        recent = world.board.report().providers[0].recent
        assert (recent[0].ok, recent[0].target) == (True, aws())


async def test_a_call_that_was_given_up_counts_as_failed_only_where_it_was_overdue() -> None:
    async with rig() as world:
        world.send(aws(), "hedge").ended(ABANDONED, 5)
        report = world.board.report().providers[0]
        assert (report.calls, report.failures, report.signals) == (1, 0, {"abandoned": 1})
        stuck = world.send(aws())
        await world.run(31)
        stuck.ended(ABANDONED, 31_000)
        assert world.board.report().providers[0].failures == 1


async def test_counts_of_kinds_of_calls_are_told() -> None:
    async with rig(settings=FailoverSettings()) as world:
        world.send(aws()).ended(REFUSED, 1)
        world.board.sidestepped(aws(), gcp())
        world.send(gcp(), "sidestep").ended(WELL, 5)
        world.send(gcp(), "hedge").ended(WELL, 5)
        world.send(gcp(), "rehearsal").ended(WELL, 5)
        world.board.parked(gcp())
        one, other = world.board.report().providers[:2]
        assert (one.calls, one.failures, one.sidesteps_out, one.sidesteps_in) == (1, 1, 1, 0)
        assert (other.calls, other.sidesteps_in, other.hedges, other.rehearsals) == (3, 1, 1, 1)
        assert other.parked == 1
        assert other.signals == {"ok": 3}
        assert world.board.sidesteps == {("AWS", "GCP"): 1}


async def test_a_call_ends_once() -> None:
    async with rig() as world:
        flight = world.send(aws())
        flight.ended(REFUSED, 1)
        flight.ended(REFUSED, 1)
        assert world.breaker(aws()).failures == 1
        assert world.board.report().providers[0].in_flight == 0


async def test_regions_that_nobody_calls_any_more_are_forgotten_where_there_are_many() -> None:
    def regions(world: Rig) -> int:
        return sum(len(one.places) for one in world.board.report().providers if one.name == "AWS")

    async with rig() as world:
        for number in range(60):
            world.send(aws("once", f"region-{number}")).ended(WELL, 5)
        assert regions(world) >= 60
        await world.run(640, step=2.0)
        assert regions(world) < 10
        assert world.state(aws("once", "region-1")) == "CLOSED"
