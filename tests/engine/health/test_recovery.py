"""The way back: probes, the ramp, and what opens it again."""

import pytest

from core.failover.outcome import Outcome, succeeded
from core.failover.roles import PROBE
from core.graph.model import Target
from tests.engine.health.rig import (
    AWAY,
    BUG,
    NOT_DEPLOYED,
    REFUSED,
    THROTTLED,
    TIMED_OUT,
    WELL,
    Rig,
    aws,
    gcp,
    rig,
)


async def opened(world: Rig, target: Target | None = None) -> None:
    """Open the breaker of a function, and of its place, of which it is the only one."""
    for _ in range(5):
        world.send(target or aws()).ended(REFUSED, 1)
        await world.step()
    assert world.state(target or aws()) == "OPEN"


async def test_probes_and_a_ramp_lead_back_to_closed() -> None:
    async with rig() as world:
        await opened(world)
        began = world.clock.monotonic()
        await world.until(lambda: world.state(aws()) == "HALF_OPEN", 6, step=0.05)
        assert world.clock.monotonic() - began >= 4.9
        assert world.standing(aws()).share == 0
        await world.until(lambda: world.state(aws()) == "RAMPING", 90, step=0.05)
        # Probes went on all the while, one a second at most; calls come back a minute after the opening.
        assert world.clock.monotonic() - began >= 59
        assert 30 < len(world.clouds["AWS"].probed) < 130
        await world.until(lambda: world.place(aws()).breaker.share == 0.25, 40, step=0.05)
        await world.until(
            lambda: world.state(aws()) == "CLOSED", 40, lambda _: world.call(aws(), after=0.01), step=0.05
        )
        kinds = await world.kinds()
        for kind in ("BREAKER_OPENED", "BREAKER_HALF_OPEN", "BREAKER_RAMPING", "BREAKER_CLOSED"):
            assert kinds.count(kind) == 2, "one of the place, one of its only function"


async def test_what_was_counted_before_it_opened_counts_no_more_afterwards() -> None:
    async with rig() as world:
        late = [world.send(aws()) for _ in range(20)]
        await opened(world)
        assert world.place(aws()).breaker.failures == 5
        await world.until(lambda: world.state(aws()) == "HALF_OPEN", 6, step=0.05)
        for flight in late:
            flight.ended(REFUSED, 5_000)
        for breaker in (world.place(aws()).breaker, world.breaker(aws())):
            assert (breaker.calls, breaker.failures) == (0, 0)


async def test_a_failed_probe_opens_it_again_for_longer() -> None:
    async with rig() as world:
        world.clouds["AWS"].outcome = REFUSED
        world.clouds["AWS"].takes = 0.3
        await opened(world)
        await world.until(lambda: world.place(aws()).breaker.state == "HALF_OPEN", 6, step=0.05)
        await world.until(lambda: world.place(aws()).breaker.state == "OPEN", 1, step=0.05)
        again = world.place(aws()).breaker
        assert "a probe failed: Sidestep.Refused" in again.why
        assert again.next_probe_ms is not None
        assert again.next_probe_ms - again.since_ms == 10_000
        # A failed probe is no opening of its own: nothing moved.
        assert world.board.openings["AWS"] == 2


async def test_a_ramp_that_meets_failures_opens_again() -> None:
    async with rig() as world:
        await opened(world)
        await world.until(lambda: world.state(aws()) == "RAMPING", 90, step=0.05)
        for _ in range(5):
            await world.step()
            world.send(aws()).ended(REFUSED, 1)
        assert world.state(aws()) == "OPEN"


async def test_a_dead_target_that_is_called_rarely_opens_again_though_it_fails_in_several_stages() -> None:
    async with rig() as world:
        await opened(world)
        await world.until(lambda: world.state(aws()) == "RAMPING", 90, step=0.05)
        for _ in range(5):
            world.send(aws()).ended(REFUSED, 1)
            await world.run(6)
        assert world.state(aws()) in {"OPEN", "HALF_OPEN"}


async def test_no_stage_of_a_ramp_passes_on_calls_that_nobody_answered() -> None:
    async with rig() as world:
        await opened(world)
        await world.until(lambda: world.place(aws()).breaker.state == "RAMPING", 90, step=0.05)
        began = world.place(aws()).breaker.share
        for _ in range(100):
            world.send(aws())
        await world.run(1)
        assert world.place(aws()).breaker.share == began


async def test_no_stage_of_a_function_passes_on_calls_that_nobody_answered() -> None:
    async with rig() as world:
        world.send(aws("fine")).ended(WELL, 5)
        for _ in range(5):
            world.send(aws("gone")).ended(NOT_DEPLOYED, 1)
        await world.until(lambda: world.breaker(aws("gone")).state == "RAMPING", 90, step=0.05)
        for _ in range(100):
            world.send(aws("gone"))
        await world.run(1)
        assert world.breaker(aws("gone")).share == world.settings.ramp[0]
        assert world.place(aws()).breaker.state == "CLOSED"


async def half_open(world: Rig) -> None:
    await opened(world)
    await world.until(lambda: world.standing(aws()).probe, 8, step=0.01)


async def successes(world: Rig) -> int:
    await world.settle()
    return world.shared()["AWS", None].successes


@pytest.mark.parametrize(
    ("outcome", "state", "counted"),
    [(WELL, "HALF_OPEN", 1), (BUG, "HALF_OPEN", 1), (REFUSED, "OPEN", 0), (THROTTLED, "HALF_OPEN", 1)],
    ids=["works", "bug", "refused", "throttled"],
)
async def test_a_real_call_may_be_the_probe_and_then_its_outcome_counts(
    outcome: Outcome, state: str, counted: int
) -> None:
    async with rig() as world:
        await half_open(world)
        flight = world.send(aws(), PROBE)
        assert not world.standing(aws()).probe, "one at a time"
        assert not world.standing(aws("another")).probe
        # While it is under way nothing else counts.
        await world.run(1.5)
        assert await successes(world) == 0
        flight.ended(outcome, 1_500)
        assert world.place(aws()).breaker.state == state
        assert await successes(world) == counted


async def test_a_real_call_that_is_overdue_is_a_failed_probe_at_once() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws()))
        await half_open(world)
        world.send(aws(), PROBE)
        await world.until(lambda: world.place(aws()).breaker.state == "OPEN", 0.7)
        assert "overdue" in world.place(aws()).breaker.why


async def test_where_no_real_call_comes_the_cheapest_one_counts() -> None:
    async with rig() as world:
        await half_open(world)
        assert await successes(world) == 0
        await world.run(1.2)
        assert await successes(world) == 1


async def test_a_probe_that_was_decided_and_never_sent_gives_its_permit_back() -> None:
    async with rig() as world:
        await half_open(world)
        world.board.decided(world.attempt(aws(), PROBE))
        assert not world.standing(aws()).probe
        await world.until(lambda: world.standing(aws()).probe, 40, step=0.05)


async def test_a_place_is_probed_by_its_canary_which_really_runs() -> None:
    async with rig(canaries={"AWS": aws("canary")}) as world:
        for number in range(5):
            world.send(aws(f"f{number}")).ended(REFUSED, 1)
            await world.step()
        await world.until(lambda: world.clouds["AWS"].invoked, 8, step=0.05)
        call = world.clouds["AWS"].invoked[0]
        assert (call.target, call.payload, call.attempt) == (aws("canary"), {"sidestep": "canary"}, 1)
        await world.until(lambda: len(world.clouds["AWS"].invoked) == 3, 8, step=0.05)
        assert len({call.idempotency_key for call in world.clouds["AWS"].invoked}) == 3
        assert await successes(world) == 3
        assert world.clouds["AWS"].probed == []


async def test_a_provider_without_traffic_is_probed_and_a_failure_opens_nothing() -> None:
    async with rig() as world:
        world.send(aws()).ended(succeeded({}), 5)
        world.clouds["AWS"].outcome = TIMED_OUT
        await world.run(29, step=0.05)
        assert world.clouds["AWS"].probed == []
        await world.run(5, step=0.05)
        assert len(world.clouds["AWS"].probed) == 1
        report = world.board.report().providers[0]
        assert (report.state, report.probes) == ("CLOSED", 1)
        assert report.why == "the last probe failed: Sidestep.Timeout"
        assert await world.kinds() == []
        world.send(aws()).ended(WELL, 5)
        assert world.board.report().providers[0].why == ""


async def test_two_functions_that_hang_open_their_place_once_a_probe_fails_too() -> None:
    async with rig() as world:
        pair = [aws("a"), aws("b")]
        await world.run(5, lambda number: world.call(pair[number % 2]))
        await world.run(0.1)

        def hangs(number: int) -> None:
            if number % 10 == 0:
                world.call(pair[number // 10 % 2], TIMED_OUT, 10)

        await world.run(1.1, hangs)
        assert world.clouds["AWS"].probed, "a probe was to settle it"
        assert world.place(aws()).breaker.state in ("CLOSED", "SUSPECT")
        world.clouds["AWS"].outcome = TIMED_OUT
        await world.until(lambda: world.place(aws()).breaker.state == "OPEN", 3, hangs)


async def test_a_process_that_makes_no_calls_probes_nothing() -> None:
    async with rig() as world:
        board = world.board
        board._probing = False
        await opened(world)
        await world.run(8, step=0.05)
        assert world.place(aws()).breaker.state == "HALF_OPEN"
        assert world.clouds["AWS"].probed == []


async def test_a_probe_goes_out_although_the_link_is_away() -> None:
    async with rig() as world:
        world.links[0].cut = AWAY
        await opened(world)
        await world.until(lambda: world.clouds["AWS"].probed, 8, step=0.05)


async def test_an_adapter_that_raises_proves_nothing_and_leaves_the_probe_to_a_real_call() -> None:
    async with rig() as world:
        world.clouds["AWS"].raises = RuntimeError("a defect")
        await opened(world)
        await world.until(lambda: world.standing(aws()).probe, 8, step=0.05)
        assert world.place(aws()).breaker.state == "HALF_OPEN"


async def test_another_place_is_not_touched() -> None:
    async with rig() as world:
        await opened(world)
        assert world.state(gcp()) == "CLOSED"
