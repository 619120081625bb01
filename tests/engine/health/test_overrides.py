"""What people say of providers."""

import pytest

from core.data.context import instant
from core.errors import InvalidInput, StoreUnavailable
from core.failover.health import DRAINED, FORCED_CLOSED, FORCED_OPEN
from tests.engine.health.rig import AWAY, HOME, REFUSED, Rig, aws, gcp, rig


async def say(world: Rig, state: str = DRAINED, region: str | None = None, seconds: float = 60) -> None:
    until = world.clock.now_ms() + int(seconds * 1000)
    await world.board.override("AWS", state, reason="works", actor="ann", until_ms=until, region=region)
    await world.settle()


async def test_a_person_drains_a_provider_at_every_replica_at_once() -> None:
    async with rig(2) as world:
        world.send(aws(region="eu-west-1"), board=world.boards[1])
        await say(world)
        for board in world.boards:
            for target in (aws(), aws("new", "us-east-1"), aws(region="eu-west-1")):
                standing = world.standing(target, board)
                assert standing.state == DRAINED
                assert standing.why.endswith("is DRAINED by ann: works")
            assert world.state(gcp(), board) == "CLOSED"
        report = world.boards[1].report().providers[0]
        assert (report.state, report.why, len(report.overrides)) == (DRAINED, "works", 1)
        assert await world.kinds() == ["OVERRIDE_SET"]


async def test_what_is_said_of_a_region_goes_before_what_is_said_of_all() -> None:
    async with rig() as world:
        await say(world, FORCED_OPEN)
        await say(world, FORCED_CLOSED, region="eu-west-1")
        assert world.state(aws(region="eu-west-1")) == FORCED_CLOSED
        assert world.state(aws(region="us-east-1")) == FORCED_OPEN
        assert [one.region for one in world.board.report().providers[0].overrides] == [None, "eu-west-1"]


@pytest.mark.parametrize("called_before", [False, True])
async def test_what_is_said_of_the_region_of_the_settings_holds_where_no_region_is_named(
    called_before: bool,
) -> None:
    async with rig(2) as world:
        if called_before:
            world.send(aws(), board=world.boards[1])
        await say(world, region=HOME)
        for board in world.boards:
            assert world.state(aws(), board) == world.state(aws(region=HOME), board) == DRAINED
            assert world.state(aws(region="eu-west-1"), board) == "CLOSED"
            assert world.state(gcp(), board) == "CLOSED"
        assert await world.board.lift("AWS", region=HOME)
        await world.settle()
        assert {world.state(aws(), board) for board in world.boards} == {"CLOSED"}


async def test_an_override_hides_the_breaker_which_goes_on_beneath_it() -> None:
    async with rig() as world:
        await say(world, FORCED_CLOSED)
        for number in range(5):
            world.send(aws(f"f{number}")).ended(REFUSED, 1)
        assert world.state(aws()) == FORCED_CLOSED
        assert world.place(aws()).breaker.state == "OPEN"
        assert await world.board.lift("AWS")
        assert world.state(aws()) == "OPEN"


async def test_an_override_ends_by_itself_and_one_event_tells_it() -> None:
    async with rig(3) as world:
        await say(world, seconds=5)
        await world.run(4.9)
        assert world.state(aws(), world.boards[2]) == DRAINED
        await world.run(0.2)
        assert {world.state(aws(), board) for board in world.boards} == {"CLOSED"}
        await world.run(2)
        assert await world.kinds() == ["OVERRIDE_SET", "OVERRIDE_EXPIRED"]


async def test_an_override_is_lifted_once() -> None:
    async with rig(2) as world:
        await say(world)
        assert await world.boards[1].lift("AWS", actor="bob")
        await world.settle()
        assert {world.state(aws(), board) for board in world.boards} == {"CLOSED"}
        assert not await world.board.lift("AWS")
        assert not await world.board.lift("GCP")
        events = await world.board.events(None, 10)
        assert [(one.event.kind, one.event.actor) for one in events] == [
            ("OVERRIDE_LIFTED", "bob"),
            ("OVERRIDE_SET", "ann"),
        ]


async def test_the_event_of_an_override_says_until_when_it_holds() -> None:
    async with rig() as world:
        await say(world)
        (said,) = world.board.report().providers[0].overrides
        (event,) = await world.board.events(None, 10)
        assert event.event.why == f"DRAINED until {instant(said.until)}: works"


async def test_an_override_outlives_the_process() -> None:
    async with rig() as world:
        await say(world)
        await world.board.stop()
        link = type(world.links[0])(world.store, world.clock, type(world.commons)())
        reborn = world.new_board("again", link)
        await reborn.start()
        try:
            assert world.state(aws(), reborn) == DRAINED
        finally:
            await reborn.stop()


@pytest.mark.parametrize(
    ("provider", "state", "reason", "seconds"),
    [
        ("AWS", "OPEN", "works", 60),
        ("NOWHERE", DRAINED, "works", 60),
        ("AWS", DRAINED, " ", 60),
        ("AWS", DRAINED, "works", 0),
        ("AWS", DRAINED, "works", 8 * 86_400),
        ("AWS", DRAINED, "x" * 1_001, 60),
    ],
)
async def test_an_override_that_means_nothing_is_refused(
    provider: str, state: str, reason: str, seconds: int
) -> None:
    async with rig() as world:
        until = world.clock.now_ms() + seconds * 1000
        with pytest.raises(InvalidInput):
            await world.board.override(provider, state, reason=reason, actor="", until_ms=until)
        assert await world.kinds() == []


async def test_with_the_link_away_nothing_is_said_and_what_was_said_still_ends() -> None:
    async with rig() as world:
        await say(world, seconds=5)
        world.links[0].cut = AWAY
        with pytest.raises(StoreUnavailable):
            await say(world, FORCED_OPEN)
        assert world.state(aws()) == DRAINED
        await world.run(5.1)
        assert world.state(aws()) == "CLOSED"
        world.links[0].cut = None
        await world.run(3)
        assert await world.kinds() == ["OVERRIDE_SET", "OVERRIDE_EXPIRED"]
