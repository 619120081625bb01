"""Calls that hang where too few answers are known to call them overdue."""

import pytest

from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.machine import events as ev
from tests.engine.harness import line
from tests.engine.health.rig import (
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
from tests.engine.outage import Door, outage

LONG_MS = 900_000
EXPIRED = Outcome(
    executed=Executed.NO, scope=Scope.CREDENTIALS, signal="unauthorized", error="Sidestep.Unauthorized"
)


def dark(world: Rig, *names: str) -> None:
    """Packets are dropped there: a probe ends at its time limit."""
    for name in names:
        world.clouds[name].outcome, world.clouds[name].takes = TIMED_OUT, 2.0


def well(world: Rig, *names: str) -> None:
    for name in names:
        world.clouds[name].outcome, world.clouds[name].takes = WELL, 0.0


def asked_at(world: Rig, since: float, name: str = "AWS") -> list[int]:
    """After how many seconds it was probed."""
    return [round(at - since) for at, _ in world.clouds[name].probed if at >= since]


async def test_one_call_that_hangs_at_a_dark_place_opens_it_without_any_sample() -> None:
    async with rig() as world:
        dark(world, "AWS")
        began = world.clock.monotonic()
        world.send(aws(), timeout_ms=LONG_MS)
        took = await world.until(lambda: world.place(aws()).breaker.state == "OPEN", within=15)
        assert 10 < took < 12
        assert asked_at(world, began) == [5, 7, 9]
        assert world.place(aws()).breaker.why == "3 probes failed while a call hung for 11 s"
        assert world.state(aws("another")) == "OPEN"
        assert world.standing(aws()).overdue_ms == 5_000
        assert world.clouds["AWS"].invoked == [], "no function ran for it"
        assert world.clouds["AWS"].most_at_once == 1
        assert world.board.openings == {"AWS": 1}
        assert world.shared()["AWS", None].phase.value == "OPEN"
        await world.run(2.5)
        assert await world.kinds() == ["BREAKER_OPENED"]
        # What brings a place back brings this one back.
        well(world, "AWS")
        await world.until(lambda: world.place(aws()).breaker.state == "RAMPING", within=80, step=0.05)


async def test_a_slow_function_at_a_place_that_answers_costs_a_handful_of_probes() -> None:
    async with rig() as world:
        began = world.clock.monotonic()
        flight = world.send(aws(), timeout_ms=LONG_MS)
        await world.run(300, step=0.05)
        assert world.state(aws()) == "CLOSED"
        # Every 30 s a place without calls is asked anyway.
        asked = [one for one in asked_at(world, began) if one % 30 > 1]
        assert asked == pytest.approx([5, 10, 20, 40, 80, 160], abs=2)
        flight.ended(WELL, 300_000)
        await world.run(20, step=0.05)
        assert world.standing(aws()).overdue_ms is None


@pytest.mark.parametrize("answer", [EXPIRED, NOT_DEPLOYED, THROTTLED], ids=lambda one: one.signal)
async def test_a_probe_that_fails_otherwise_is_an_answer(answer: Outcome) -> None:
    async with rig() as world:
        world.clouds["AWS"].outcome = answer
        began = world.clock.monotonic()
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(29, step=0.05)
        assert asked_at(world, began) == [5, 10, 20]
        assert world.state(aws()) == "CLOSED"


async def test_an_adapter_that_raises_opens_nothing_and_is_not_asked_without_end() -> None:
    async with rig() as world:
        world.clouds["AWS"].raises = RuntimeError("a defect")
        began = world.clock.monotonic()
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(29, step=0.05)
        assert asked_at(world, began) == [5, 10, 20]
        assert world.state(aws()) == "CLOSED"


async def test_two_providers_at_once_open_nothing_and_say_that_this_replica_is_cut_off() -> None:
    async with rig() as world:
        dark(world, "AWS", "GCP")
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(1)
        world.send(gcp(), timeout_ms=LONG_MS)
        await world.until(lambda: world.board.report().isolated, within=15)
        await world.run(20, step=0.05)
        assert world.place(aws()).breaker.state == world.place(gcp()).breaker.state == "CLOSED"
        assert world.board.openings.get("AWS", 0) == 0
        assert world.shared() == {}
        assert await world.kinds() == ["REPLICA_ISOLATED"]
        well(world, "AWS", "GCP")
        world.send(gcp()).ended(WELL, 5)
        assert world.board.report().isolated is None


async def test_a_second_provider_without_calls_is_asked_before_the_first_is_opened() -> None:
    async with rig() as world:
        world.send(gcp()).ended(WELL, 5)
        await world.run(40, step=0.05)
        dark(world, "AWS", "GCP")
        world.send(aws(), timeout_ms=LONG_MS)
        await world.until(lambda: world.board.report().isolated, within=15)
        assert world.place(aws()).breaker.state == "CLOSED"


async def test_what_hangs_at_the_fallback_too_opens_no_second_provider() -> None:
    async with rig() as world:
        dark(world, "AWS", "GCP")
        world.send(aws(), timeout_ms=LONG_MS)
        await world.until(lambda: world.state(aws()) == "OPEN", within=15)
        world.send(gcp(), "sidestep", timeout_ms=LONG_MS)
        await world.until(lambda: world.board.report().isolated, within=15)
        assert world.place(gcp()).breaker.state == "CLOSED"


async def test_a_third_provider_that_answers_says_that_two_are_really_dark() -> None:
    async with rig() as world:
        for target in (gcp(), Target("HTTP", "idle")):
            world.send(target).ended(WELL, 5)
        await world.step()
        dark(world, "AWS", "GCP")
        world.send(aws(), timeout_ms=LONG_MS)
        await world.until(lambda: world.place(aws()).breaker.state == "OPEN", within=15)
        assert world.board.report().isolated is None


@pytest.mark.parametrize("how", ["a call", "a probe"])
async def test_an_answer_in_between_starts_over(how: str) -> None:
    async with rig() as world:
        dark(world, "AWS")
        began = world.clock.monotonic()
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(8.5)
        if how == "a call":
            world.send(aws("another")).ended(NOT_DEPLOYED, 5)
        else:
            well(world, "AWS")
            await world.run(1)
            dark(world, "AWS")
        await world.run(7)
        assert world.state(aws()) == "CLOSED"
        await world.until(lambda: world.place(aws()).breaker.state == "OPEN", within=12)
        asked = asked_at(world, began)
        # The next one comes when the call is twice as old as it was at the answer.
        assert [one for one in asked if 9 < one <= 23][:3] in ([17, 19, 21], [18, 20, 22])


async def test_one_function_whose_address_is_dark_opens_no_place_of_others() -> None:
    async with rig() as world:
        world.send(aws("well")).ended(WELL, 5)
        await world.run(1)

        class Partly(type(world.clouds["AWS"])):  # type: ignore[misc]  # the rig's own class
            async def probe(self, target: Target, timeout_ms: int) -> Outcome:
                outcome: Outcome = await super().probe(target, timeout_ms)
                return outcome if target == aws("well") else TIMED_OUT

        world.clouds["AWS"].__class__ = Partly
        world.send(aws("dark"), timeout_ms=LONG_MS)
        await world.run(29, step=0.05)
        assert world.place(aws()).breaker.state == "CLOSED"


async def test_a_call_of_a_function_whose_times_are_known_is_asked_about_by_its_own_threshold() -> None:
    async with rig() as world:
        await world.run(5, lambda _: world.call(aws(), after=4.0))
        await world.run(4.1)
        await world.until(lambda: world.standing(aws()).overdue_ms, within=5)
        before = world.clock.monotonic()
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(11)
        assert 11_500 < (world.standing(aws()).overdue_ms or 0) < 12_700
        assert asked_at(world, before) == []


async def test_a_process_that_was_stopped_asks_nobody_for_what_hung_meanwhile() -> None:
    async with rig() as world:
        world.send(aws(), timeout_ms=LONG_MS)
        await world.run(1)
        before = world.clock.monotonic()
        await world.step(25)
        await world.run(3)
        assert asked_at(world, before) == []


async def test_a_refused_probe_counts_as_a_silent_one_does() -> None:
    async with rig() as world:
        world.clouds["AWS"].outcome = REFUSED
        world.send(aws(), timeout_ms=LONG_MS)
        took = await world.until(lambda: world.place(aws()).breaker.state == "OPEN", within=15)
        assert 9 <= took < 9.5


async def test_an_execution_leaves_a_black_hole_in_seconds_though_nothing_is_known_of_its_function() -> None:
    async with outage() as world:
        world.clouds["AWS"].gate = door = Door()
        world.clouds["AWS"].probed = TIMED_OUT
        began = world.clock.monotonic()
        execution_id = await world.submit(line("a", timeout=LONG_MS, deadline=LONG_MS * 2))
        await world.run(world.at_rest)
        assert world.clock.monotonic() - began < 15
        assert await world.status(execution_id) == "COMPLETED"
        journal = await world.journal(execution_id)
        (failed,) = [one for one in journal if isinstance(one, ev.AttemptFailed)]
        assert failed.outcome.signal == "overdue"
        assert "3 probes failed while a call hung" in failed.outcome.cause
        assert [one.role for one in journal if isinstance(one, ev.AttemptStarted)] == ["", "sidestep"]
        assert [waiting.cancelled() for waiting in door.waiting] == [True], "its connection is closed"


async def test_a_call_that_must_not_run_twice_is_left_to_its_time_limit() -> None:
    async with outage() as world:
        world.clouds["AWS"].gate = door = Door()
        world.clouds["AWS"].probed = TIMED_OUT
        execution_id = await world.submit(
            line("a", timeout=LONG_MS, deadline=LONG_MS * 2, effects="atMostOnce")
        )
        half_a_minute = world.later(30)

        async def until() -> bool:
            if half_a_minute() and not door.open:
                assert world.state("AWS") != "CLOSED"
                assert [waiting.cancelled() for waiting in door.waiting] == [False]
                door.stay_open()
            return await world.at_rest()

        await world.run(until)
        assert await world.status(execution_id) == "COMPLETED"
        assert world.calls("GCP") == 0


async def test_a_slow_call_is_never_cut_where_probes_are_answered() -> None:
    async with outage() as world:
        world.clouds["AWS"].gate = door = Door()
        execution_id = await world.submit(line("a", timeout=LONG_MS, deadline=LONG_MS * 2))
        five_minutes = world.later(300)

        async def until() -> bool:
            if five_minutes() and not door.open:
                assert [waiting.cancelled() for waiting in door.waiting] == [False]
                door.stay_open()
            return await world.at_rest()

        await world.run(until, limit=10_000)
        assert await world.status(execution_id) == "COMPLETED"
        assert (world.calls("AWS"), world.calls("GCP")) == (1, 0)
