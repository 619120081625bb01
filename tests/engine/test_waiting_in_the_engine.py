"""What people and time limits do to an execution that waits for room at a full fallback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from core.failover.outcome import Executed, Outcome, Scope
from core.failover.settings import DEFAULTS
from tests.engine.harness import audit, line
from tests.engine.outage import Door, Outage, outage

LOST = Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset")


@asynccontextmanager
async def crowded(document: dict[str, Any]) -> AsyncIterator[tuple[Outage, Door, str]]:
    """AWS is down, the fallback's only place is taken, and an execution of `document` waits for it."""
    async with outage(replace(DEFAULTS, fallback_room=1)) as world:
        await world.fail_until_open()
        door = world.clouds["GCP"].gate = Door()
        task = asyncio.create_task(world.engine().run())
        await world.submitted(1, "b")
        await world.quiet()
        execution_id = await world.submit(document)
        await world.quiet()
        assert world.calls("GCP") == 1
        try:
            yield world, door, execution_id
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def pass_time(world: Outage, seconds: float) -> None:
    over = world.later(seconds)
    while not over():
        world.clock.advance(0.05)
        await world.quiet()


async def test_what_waits_can_be_cancelled_at_once() -> None:
    async with crowded(line("b", effects="atMostOnce")) as (world, door, execution_id):
        await world.executions.cancel(execution_id, actor="ann")
        await world.quiet()
        assert await world.status(execution_id) == "CANCELLED"
        door.stay_open()
        await world.quiet()
        assert world.calls("GCP") == 1


async def test_what_waits_can_be_paused_and_goes_on_with_the_time_that_it_had() -> None:
    async with crowded(line("b", timeout=5_000, deadline=5_000)) as (world, door, execution_id):
        await world.executions.pause(execution_id)
        await world.quiet()
        assert await world.status(execution_id) == "PAUSED"
        door.stay_open()
        await pass_time(world, 60)
        assert world.calls("GCP") == 1, "there is room, but it rests"
        await world.executions.resume(execution_id)
        await world.quiet()
        assert await world.status(execution_id) == "COMPLETED"
        (only,) = await world.attempts(execution_id)
        assert only.timeout_ms == 5_000


async def test_what_waits_ends_at_the_executions_time_limit() -> None:
    document = {**line("b", deadline=60_000), "timeoutSeconds": 5}
    async with crowded(document) as (world, _, execution_id):
        await pass_time(world, 4.9)
        assert await world.status(execution_id) == "RUNNING"
        await pass_time(world, 0.2)
        assert await world.status(execution_id) == "TIMED_OUT"


async def test_what_waits_past_its_deadline_fails_without_a_call_and_says_so() -> None:
    document = line("b", timeout=2_000, deadline=2_000, effects="atMostOnce")
    async with crowded(document) as (world, door, execution_id):
        await pass_time(world, 2.1)
        view = await world.executions.view(execution_id)
        assert view.status == "FAILED"
        assert view.error is not None
        assert view.error.error == "Sidestep.DeadlineExceeded"
        assert "waited for room" in view.error.cause
        door.stay_open()
        await world.quiet()
        assert world.calls("GCP") == 1


async def test_beside_a_parked_branch_one_that_waits_goes_on_and_only_then_a_person_is_waited_for() -> None:
    document = {
        "id": "both",
        "startAt": "both",
        "steps": [
            {"id": "both", "type": "PARALLEL", "branches": ["once", "b"]},
            {
                "id": "once",
                "type": "TASK",
                "provider": "HTTP",
                "functionId": "https://x.example/",
                "effects": "atMostOnce",
            },
            *line("b", effects="atMostOnce")["steps"],
        ],
    }
    async with crowded(line("b")) as (world, door, _):
        world.clouds["HTTP"].answer = lambda _call: LOST
        execution_id = await world.submit(document)
        await world.quiet()
        assert await world.status(execution_id) == "RUNNING"
        await pass_time(world, 3)
        door.stay_open()
        await world.quiet()
        assert await world.status(execution_id) == "PARKED"
        audit(await world.journal(execution_id), world.ledger, {"once", "b"})
