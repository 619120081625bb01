"""A canary that cannot be called as it is set says nothing of its place."""

import logging

import pytest

from core.failover.outcome import Executed, Outcome, Scope
from tests.engine.health.rig import NOT_DEPLOYED, REFUSED, TIMED_OUT, WELL, Rig, aws, rig

CREDENTIALS = Outcome(
    executed=Executed.NO,
    scope=Scope.CREDENTIALS,
    signal="credentials-refused",
    error="Sidestep.CredentialsRefused",
)
WRONG = [NOT_DEPLOYED, CREDENTIALS]


async def asked(world: Rig) -> None:
    """Open the place by calls of several functions, and wait until its canary was called."""
    for number in range(5):
        world.send(aws(f"f{number}")).ended(REFUSED, 1)
        await world.step()
    await world.until(lambda: world.clouds["AWS"].invoked, 8, step=0.05)


def why(world: Rig) -> str:
    return world.place(aws()).breaker.why


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "canary" in one.getMessage()]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.signal)
async def test_a_wrong_canary_leaves_an_outage_to_the_cheapest_call(wrong: Outcome) -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        cloud = world.clouds["AWS"]
        cloud.canary, cloud.outcome = wrong, TIMED_OUT
        await asked(world)
        await world.until(lambda: why(world) == "a probe failed: Sidestep.Timeout", 5, step=0.05)
        assert world.place(aws()).breaker.state == "OPEN"
        assert cloud.probed[0][1] == aws("f4")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.signal)
async def test_a_wrong_canary_does_not_keep_a_place_shut(wrong: Outcome) -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        cloud = world.clouds["AWS"]
        cloud.canary, cloud.outcome = wrong, WELL
        await asked(world)
        await world.until(lambda: world.place(aws()).breaker.state == "RAMPING", 90, step=0.05)
        assert cloud.probed


async def test_where_nothing_was_called_yet_a_wrong_canary_proves_nothing() -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        cloud = world.clouds["AWS"]
        cloud.canary = NOT_DEPLOYED
        world.send(aws("f")).ended(NOT_DEPLOYED, 5)
        await world.run(45, step=0.05)
        assert len(cloud.invoked) == len(cloud.probed)
        assert world.board.report().providers[0].why == ""


async def test_a_wrong_canary_is_told_once_a_minute_with_its_setting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "sidestep.health")
    async with rig(canaries={"AWS": aws("canary")}) as world:
        cloud = world.clouds["AWS"]
        cloud.canary = NOT_DEPLOYED
        await asked(world)
        await world.until(lambda: len(cloud.invoked) >= 5, 20, step=0.05)
        (told,) = warnings(caplog)
        assert told.startswith("AWS: ")
        assert "SIDESTEP_PROVIDERS__AWS__CANARY" in told
        assert "Sidestep.404" in told
        await world.until(lambda: len(warnings(caplog)) == 2, 150, step=0.05)


async def test_a_canary_that_meets_the_outage_itself_still_decides() -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        cloud = world.clouds["AWS"]
        cloud.canary = REFUSED
        await asked(world)
        await world.until(lambda: why(world) == "a probe failed: Sidestep.Refused", 5, step=0.05)
        assert cloud.probed == []
