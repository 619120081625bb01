"""Parents and children with the real engine: whoever dies, each child is made once and each end is heard."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from core.engine.settings import EngineSettings
from core.errors import ExecutionNotFound
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from core.ports.provider import Call
from core.ports.store import Filter, Hold, Record
from tests.engine.harness import CrashPlan, World, audit

BROKEN = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="Broke", cause="no")

Document = dict[str, Any]


def task(name: str, **more: Any) -> Document:
    return {"id": name, "type": "TASK", "provider": "AWS", "functionId": name, **more}


def child(name: str, workflow_id: str, **more: Any) -> Document:
    return {"id": name, "type": "WORKFLOW", "workflowId": workflow_id, **more}


def flow(name: str, *steps: Document) -> Document:
    return {"id": name, "startAt": steps[0]["id"], "steps": list(steps)}


def breaks(*names: str) -> Any:
    """A cloud in which these functions fail."""

    def answer(call: Call) -> Outcome:
        return BROKEN if call.target.function_id in names else succeeded({call.target.function_id: 1})

    return answer


async def records(world: World) -> list[Record]:
    return list((await world.store.find(Filter(), None, 500)).records)


async def all_let_go(world: World) -> None:
    """Run until everything has ended and everybody was told."""

    async def over() -> bool:
        held = [record.hold is not Hold.NONE for record in await records(world)]
        return await world.at_rest() and not any(held)

    await world.run(over)


async def by_workflow(world: World) -> dict[str, list[str]]:
    """The statuses of all executions, by workflow."""
    found: dict[str, list[str]] = {}
    for record in await records(world):
        found.setdefault(record.workflow_id, []).append(record.summary.status)
    return found


async def register(world: World, *documents: Document) -> None:
    await world.open()
    for document in documents:
        await world.workflows.register(document)


async def test_a_parent_waits_for_its_child_without_a_worker_and_gets_its_output() -> None:
    world = World()
    await register(world, flow("kid", {"id": "w", "type": "WAIT", "seconds": 60, "next": "k"}, task("k")))
    parent = await world.submit(flow("top", child("c", "kid", next="t"), task("t")), {"n": 1})
    engine = world.engine()

    async def waits() -> bool:
        return len(await records(world)) == 2 and engine.in_hand == 0

    await world.run(waits, engine)
    assert (await world.store.get(parent)).hold is Hold.NONE
    await world.run(world.at_rest)
    view = await world.executions.view(parent)
    assert view.output == {"n": 1, "did": "t"}
    [step] = [one for one in view.steps if one.step_id == "c"]
    assert step.child_execution_id is not None
    kid = await world.executions.view(step.child_execution_id)
    assert kid.parent is not None
    assert (kid.parent.execution_id, kid.parent.visit) == (parent, "c")
    assert kid.input == {"n": 1}
    assert all(record.hold is Hold.NONE for record in await records(world))


@pytest.mark.parametrize("death", range(46))
async def test_whatever_dies_the_child_is_made_once_and_its_end_is_heard_once(death: int) -> None:
    world = World(breaks("bad"))
    catch = [{"errors": ["Broke"], "next": "t"}]
    await register(world, flow("kid", task("k", next="bad"), task("bad")))
    parent = await world.submit(flow("top", child("c", "kid", catch=catch), task("t")))
    plan = CrashPlan(death)

    async def over() -> bool:
        return plan.dead.is_set() or await world.at_rest()

    await world.run(over, world.engine(plan))
    await all_let_go(world)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["FAILED"]}
    for record in await records(world):
        journal = await world.journal(record.execution_id)
        audit(journal, world.ledger, set())
    kinds = Counter(ev.kind(event) for event in await world.journal(parent))
    assert (kinds["CHILD_STARTED"], kinds["CHILD_ENDED"]) == (1, 1)
    assert kinds["REQUEST_IGNORED"] == 0


@pytest.mark.parametrize("death", range(0, 70, 2))
async def test_whatever_dies_a_cancel_reaches_the_grandchildren(death: int) -> None:
    world = World()
    await register(
        world,
        flow("leaf", {"id": "w", "type": "WAIT", "seconds": 86_400}),
        flow("mid", child("m", "leaf")),
    )
    parent = await world.submit(flow("top", child("c", "mid")))

    async def deep() -> bool:
        return len(await records(world)) == 3

    await world.run(deep)
    assert await world.executions.cancel(parent, actor="ann", reason="enough")
    plan = CrashPlan(death)

    async def over() -> bool:
        return plan.dead.is_set() or await world.at_rest()

    await world.run(over, world.engine(plan))
    await all_let_go(world)
    assert await by_workflow(world) == {
        "top": ["CANCELLED"],
        "mid": ["CANCELLED"],
        "leaf": ["CANCELLED"],
    }


async def test_parent_and_child_run_on_different_workers() -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    await world.submit(
        {
            "id": "top",
            "startAt": "m",
            "steps": [{"id": "m", "type": "MAP", "items": "list", "each": "c"}, child("c", "kid")],
        },
        {"list": list(range(20))},
    )
    busy = [world.engine(), world.engine()]
    other = asyncio.create_task(busy[1].run())
    try:
        await world.run(world.at_rest, busy[0])
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"] * 20}


async def test_a_child_of_a_workflow_that_nobody_registered_fails_the_step_by_name() -> None:
    world = World()
    catch = [{"errors": ["Sidestep.WorkflowNotFound"], "next": "t"}]
    parent = await world.submit(flow("top", child("c", "gone", catch=catch), task("t")))
    await world.run(world.at_rest)
    view = await world.executions.view(parent)
    assert view.status == "COMPLETED"
    assert len(await records(world)) == 1


async def test_a_child_whose_input_is_no_object_fails_the_step_by_name() -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    parent = await world.submit(flow("top", child("c", "kid", input="text")))
    await world.run(world.at_rest)
    view = await world.executions.view(parent)
    assert view.error is not None
    assert view.error.error == "Sidestep.InvalidInput"


async def test_a_child_runs_the_version_that_is_named_and_else_the_newest_at_its_start() -> None:
    world = World()
    await register(world, flow("kid", task("old")), flow("kid", task("new")))
    first = await world.submit(flow("top", child("c", "kid")))
    second = await world.submit(flow("top", child("c", "kid", version=1)))
    await world.run(world.at_rest)
    assert [(await world.executions.view(one)).output for one in (first, second)] == [
        {"did": "new"},
        {"did": "old"},
    ]


async def test_a_workflow_that_runs_itself_ends_at_the_limit_of_depth() -> None:
    world = World()
    await register(world, flow("self", child("c", "self")))
    await world.submit(flow("top", child("c", "self")))
    await world.run(world.at_rest)
    assert await by_workflow(world) == {"top": ["FAILED"], "self": ["FAILED"] * 10}
    for record in await records(world):
        view = await world.executions.view(record.execution_id)
        assert view.error is not None
        assert view.error.error == "Sidestep.ChildDepthExceeded"


async def test_a_child_that_is_cancelled_by_a_person_fails_the_step_and_a_redrive_starts_another() -> None:
    world = World()
    await register(world, flow("kid", {"id": "w", "type": "WAIT", "seconds": 60}))
    parent = await world.submit(flow("top", child("c", "kid")))

    async def made() -> bool:
        return len(await records(world)) == 2

    await world.run(made)
    [kid] = [one.execution_id for one in await records(world) if one.workflow_id == "kid"]
    assert await world.executions.cancel(kid)
    await world.run(world.at_rest)
    view = await world.executions.view(parent)
    assert view.error is not None
    assert view.error.error == "Sidestep.ChildCancelled"
    assert await world.executions.redrive(parent)
    assert await world.executions.redrive(kid)
    await world.run(world.at_rest)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"] * 2}


async def test_a_redriven_child_of_a_parent_that_went_on_is_ignored_by_it() -> None:
    world = World(breaks("k"))
    await register(world, flow("kid", task("k")))
    catch = [{"errors": ["Broke"], "next": "w"}]
    wait = {"id": "w", "type": "WAIT", "seconds": 60}
    parent = await world.submit(flow("top", child("c", "kid", catch=catch), wait))

    async def failed() -> bool:
        return (await world.store.counts()).get("FAILED", 0) == 1

    await world.run(failed)
    for cloud in world.clouds.values():
        cloud.answer = lambda _: succeeded({})
    [kid] = [one.execution_id for one in await records(world) if one.workflow_id == "kid"]
    assert await world.executions.redrive(kid)
    await world.run(world.at_rest)
    journal = await world.journal(parent)
    assert [event.request for event in journal if isinstance(event, ev.RequestIgnored)] == ["child"]
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"]}


async def test_a_paused_child_holds_its_parent_and_a_paused_parent_lets_its_child_go_on() -> None:
    world = World()
    await register(world, flow("kid", {"id": "w", "type": "WAIT", "seconds": 60}))
    parent = await world.submit(flow("top", child("c", "kid", next="t"), task("t")))

    async def made() -> bool:
        return len(await records(world)) == 2

    await world.run(made)
    assert await world.executions.pause(parent)

    async def heard() -> bool:
        kinds = [ev.kind(event) for event in await world.journal(parent)]
        return "CHILD_ENDED" in kinds

    await world.run(heard)
    assert await by_workflow(world) == {"top": ["PAUSED"], "kid": ["COMPLETED"]}
    assert not world.ledger
    assert await world.executions.resume(parent)
    await world.run(world.at_rest)
    assert await world.status(parent) == "COMPLETED"


async def test_a_child_that_ended_is_kept_until_its_parent_was_told() -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    await world.submit(flow("top", child("c", "kid")))
    plan = CrashPlan(None)

    async def ended() -> bool:
        found = await by_workflow(world)
        if found.get("kid") == ["COMPLETED"]:
            plan.dead.set()
        return plan.dead.is_set()

    await world.run(ended, world.engine(plan))
    for record in await records(world):
        if record.workflow_id == "kid" and record.hold is Hold.TICKET:
            with pytest.raises(Exception, match="COMPLETED"):
                await world.store.remove(record.execution_id)
    await all_let_go(world)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"]}
    for record in await records(world):
        assert await world.store.remove(record.execution_id)


async def test_a_child_whose_parent_was_removed_ends_all_the_same() -> None:
    world = World()
    await register(world, flow("kid", {"id": "w", "type": "WAIT", "seconds": 60}))
    parent = await world.submit(flow("top", child("c", "kid", timeoutSeconds=5)))

    async def over() -> bool:
        return (await world.store.counts()).get("FAILED", 0) == 1

    # The parent's time for it ends, and it goes before the child has heard of that.
    await world.run(over)
    await world.run(world.at_rest)
    assert await world.store.remove(parent)
    with pytest.raises(ExecutionNotFound):
        await world.store.get(parent)
    assert await by_workflow(world) == {"kid": ["CANCELLED"]}


async def test_a_worker_that_stops_gives_back_what_it_could_not_tell() -> None:
    world = World(settings=EngineSettings(grace=1.0))
    await register(world, flow("kid", task("k")))
    await world.submit(flow("top", child("c", "kid")))
    engine = world.engine()
    running = asyncio.create_task(engine.run())
    await world.until_sent(1)
    engine.stop()
    for _ in range(10):
        await world.quiet()
        world.clock.advance(0.3)
    await asyncio.wait_for(running, 5)
    await world.run(world.at_rest)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"]}
