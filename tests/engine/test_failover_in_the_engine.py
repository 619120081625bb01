"""The engine with a health board that runs: outages, full fallbacks, probes, hedges, the way back."""

import asyncio

from msgspec.structs import replace

from core.engine.settings import EngineSettings
from core.failover.settings import DEFAULTS
from core.graph.model import Target
from core.machine import events as ev
from tests.engine.harness import audit, line
from tests.engine.outage import Door, Slow, outage, refuses, throttles

QUICK = replace(
    DEFAULTS,
    open_seconds=2.0,
    probe_every_seconds=0.2,
    ramp=(0.25, 1.0),
    ramp_calls=8,
    ramp_seconds=1.0,
    ramp_after_seconds=3.0,
)


async def test_in_an_outage_later_executions_do_not_call_the_provider_and_the_journal_says_why() -> None:
    async with outage() as world:
        world.down("AWS")
        await world.all_done(6)
        assert world.state("AWS") == "OPEN"
        before = world.calls("AWS")
        ids = await world.submitted(20)
        await world.run(world.at_rest)
        assert world.calls("AWS") == before
        for execution_id in ids:
            (only,) = await world.attempts(execution_id)
            assert (only.target.provider, only.role) == ("GCP", "sidestep")
            assert "passed over AWS a" in only.reasons[0]
            assert "OPEN" in only.reasons[0]
        assert await world.statuses() == {"COMPLETED": 26}


async def test_what_finds_no_room_at_the_fallback_goes_on_the_moment_there_is_some_oldest_first() -> None:
    async with outage(replace(DEFAULTS, fallback_room=2), EngineSettings(concurrency=12)) as world:
        await world.fail_until_open()
        now = world.clock.now_ms()
        task = asyncio.create_task(world.engine().run())
        for name in ("b", "c", "d"):
            world.ledger.clear()
            door = world.clouds["GCP"].gate = Door()
            ids = await world.submitted(6, name)
            await world.quiet()
            assert world.calls("GCP") == 2
            door.let_in(1)
            await world.quiet()
            assert world.calls("GCP") == 4, "its place, and the one more that it has shown to bear"
            door.stay_open()
            await world.quiet()
            assert [sent.key.partition("/")[0] for sent in world.ledger] == ids
        assert world.clock.now_ms() == now, "nobody waited for a timer, the last no more than the first"
        assert await world.statuses() == {"COMPLETED": 24}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_waits_for_room_does_not_crowd_out_what_can_go_on() -> None:
    settings = EngineSettings(concurrency=4)
    async with outage(replace(DEFAULTS, fallback_room=1), settings) as world:
        await world.fail_until_open()
        door = world.clouds["GCP"].gate = Door()
        await world.submitted(10, "b", deadline=3_600_000)
        task = asyncio.create_task(world.engine().run())
        await world.quiet()
        assert world.calls("GCP") == 1
        well = await world.submit(
            {
                "id": "well",
                "startAt": "w",
                "steps": [
                    {"id": "w", "type": "TASK", "provider": "HTTP", "functionId": "https://x.example/"}
                ],
            }
        )
        await world.quiet()
        assert await world.status(well) == "COMPLETED"
        door.stay_open()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.run(world.at_rest)
        assert await world.statuses() == {"COMPLETED": 17}


async def test_a_worker_that_stops_gives_back_what_waits_and_the_next_one_goes_on_at_once() -> None:
    async with outage(replace(DEFAULTS, fallback_room=1)) as world:
        await world.fail_until_open()
        door = world.clouds["GCP"].gate = Door()
        ids = await world.submitted(4, "b", effects="atMostOnce")
        engine = world.engine()
        task = asyncio.create_task(engine.run())
        await world.quiet()
        engine.stop()
        await world.quiet()
        assert engine.in_hand == 1, "only the call under way is waited for"
        door.stay_open()
        await asyncio.wait_for(task, 5)
        before = world.clock.monotonic()
        await world.run(world.at_rest)
        assert world.clock.monotonic() - before < 1
        assert await world.statuses() == {"COMPLETED": 10}
        for execution_id in ids:
            audit(await world.journal(execution_id), world.ledger, {"b"})
            assert [one.role for one in await world.attempts(execution_id)] == ["sidestep"]


async def test_when_both_are_down_few_call_and_all_complete_once_one_is_back() -> None:
    retries = [{"maxAttempts": 50, "intervalSeconds": 0.5, "backoffRate": 1}]
    async with outage(replace(QUICK, static_room=2)) as world:
        await world.fail_until_open("AWS")
        world.down("GCP")
        for cloud in world.clouds.values():
            cloud.gate = Slow(world.clock, 0.2)
        ids = await world.submitted(30, retries=retries)
        await world.run(world.later(8))
        asked = len(world.ledger)
        assert asked < 200, "thirty that try two targets twice a second would be 960"
        world.up("GCP")
        await world.run(world.at_rest)
        assert await world.statuses() == {"COMPLETED": 36}
        roles = {one.role for execution_id in ids for one in await world.attempts(execution_id)}
        assert "static" in roles


async def test_an_outage_of_both_does_not_end_steps_whose_deadline_outlasts_it() -> None:
    async with outage() as world:
        await world.fail_until_open("AWS")
        world.down("GCP")
        for cloud in world.clouds.values():
            cloud.gate = Slow(world.clock, 0.2)
        ids = await world.submitted(20) + await world.submitted(20, "b", effects="atMostOnce")
        over = world.later(15)

        async def until() -> bool:
            if over() and world.clouds["GCP"].answer is refuses:
                assert (await world.statuses())["RUNNING"] == 40, "none was ended by the outage"
                assert len(world.ledger) < 400, "fewer than one a second each"
                world.up("GCP")
            return await world.at_rest()

        await world.run(until)
        assert await world.statuses() == {"COMPLETED": 46}
        for execution_id in ids:
            audit(await world.journal(execution_id), world.ledger, {"b"})


async def test_a_provider_that_is_well_again_is_probed_ramped_and_used() -> None:
    async with outage(QUICK) as world:
        await world.fail_until_open()
        world.up("AWS")
        await world.submitted(1, effects="atMostOnce")
        await world.run(lambda: world.board.view().of(Target("AWS", "a")).probe)
        once = await world.submit(line("a", effects="atMostOnce"))
        await world.run(world.at_rest)
        (only,) = await world.attempts(once)
        assert (only.target.provider, only.role) == ("GCP", "sidestep"), "never a probe"
        roles: list[tuple[str, str]] = []
        while world.state("AWS") != "CLOSED":
            assert len(roles) < 300, "it never came back"
            execution_id = await world.submit(line("a"))
            await world.run(world.at_rest)
            roles += [(one.target.provider, one.role) for one in await world.attempts(execution_id)]
            world.clock.advance(0.05)
            await world.quiet()
        assert ("AWS", "probe") in roles
        assert ("AWS", "") in roles
        assert roles.count(("GCP", "sidestep")) > roles.count(("AWS", "probe"))
        assert await world.statuses() == {"COMPLETED": 8 + len(roles)}


async def test_the_engines_own_retries_are_bounded_and_then_it_goes_elsewhere_at_once() -> None:
    async with outage(replace(DEFAULTS, retry_share=0.0, retry_floor=1.0, retry_seconds=1.0)) as world:
        world.clouds["AWS"].answer = throttles
        ids = await world.submitted(30)
        await world.run(world.at_rest)
        roles = [one.role for execution_id in ids for one in await world.attempts(execution_id)]
        assert 1 <= roles.count("retry") < 10
        assert roles.count("sidestep") == 30


async def test_a_hedged_call_completes_by_the_faster_and_the_slower_is_given_up() -> None:
    async with outage(replace(DEFAULTS, hedge_share=1.0)) as world:
        steps = {"effects": "pure", "hedge": True}
        await world.submitted(60, **steps)
        await world.run(world.at_rest)
        await world.run(lambda: world.board.view().of(Target("AWS", "a")).p95_ms)
        door = world.clouds["AWS"].gate = Door()
        slow = await world.submit(line("a", **steps))
        await world.run(world.at_rest)
        journal = await world.journal(slow)
        assert [one.role for one in journal if isinstance(one, ev.AttemptStarted)] == ["", "hedge"]
        (given_up,) = [one for one in journal if isinstance(one, ev.AttemptAbandoned)]
        assert given_up.attempt == 1
        assert await world.status(slow) == "COMPLETED"
        audit(journal, world.ledger, set())
        assert [waiting.cancelled() for waiting in door.waiting] == [True], "its connection is closed"


async def test_calls_that_hang_when_a_breaker_opens_are_cut_short_and_go_on_elsewhere() -> None:
    async with outage(DEFAULTS) as world:
        await world.submitted(250)
        await world.run(world.at_rest)
        await world.run(lambda: world.board.view().of(Target("AWS", "a")).overdue_ms == 500)
        door = world.clouds["AWS"].gate = Door()
        ids = await world.submitted(8)
        began = world.clock.monotonic()
        await world.run(world.at_rest)
        assert world.clock.monotonic() - began < 2, "not at their time limits"
        for execution_id in ids:
            journal = await world.journal(execution_id)
            (failed,) = [one for one in journal if isinstance(one, ev.AttemptFailed)]
            assert failed.outcome.signal == "overdue"
            assert [one.role for one in journal if isinstance(one, ev.AttemptStarted)] == ["", "sidestep"]
            audit(journal, world.ledger, set())
            assert await world.status(execution_id) == "COMPLETED"
        assert [waiting.cancelled() for waiting in door.waiting] == [True] * 8, "their connections are closed"
