"""Sagas with the real engine: whoever dies, what completed is undone once, newest first."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.engine.settings import EngineSettings
from core.errors import NotPossible
from core.failover.outcome import succeeded
from core.graph.model import TaskStep
from core.machine import events as ev
from core.machine import snapshot
from core.machine.evolve import evolve
from core.machine.state import blank
from core.ports.store import Hold
from tests.engine.harness import CrashPlan, World, audit
from tests.engine.test_children import breaks, by_workflow, child, flow, records, register, task
from tests.engine.test_crashes import FAULTS, answering
from tests.strategies import workflows

Document = dict[str, Any]

COMPENSABLE = ("TASK", "PARALLEL", "MAP")


@st.composite
def sagas(draw: st.DrawFn) -> Document:
    """A random definition some of whose steps are undone by steps of their own."""
    document = draw(workflows(max_depth=2))
    if draw(st.integers(0, 3)):
        # Most fail in the end, so that there is something to undo.
        whole = {"id": "whole", "type": "PARALLEL", "branches": [document["startAt"]], "next": "doomed"}
        document["steps"] += [whole, {"id": "doomed", "type": "FAIL"}]
        document["startAt"] = "whole"
    added = []
    for step in document["steps"]:
        if step["type"] in COMPENSABLE and draw(st.integers(0, 3)):
            step["compensate"] = f"undo-{step['id']}"
            added.append(
                {
                    "id": f"undo-{step['id']}",
                    "type": "TASK",
                    "provider": "AWS",
                    "functionId": f"undo-{step['id']}",
                    "effects": draw(st.sampled_from(("idempotent", "atMostOnce", "pure"))),
                    "retries": draw(st.integers(0, 2)),
                    **({"fallbackProvider": "GCP"} if draw(st.booleans()) else {}),
                }
            )
    document["steps"] += added
    return document


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    document=sagas(),
    plan=st.lists(st.none() | st.integers(0, len(FAULTS) - 1), min_size=1, max_size=8),
    deaths=st.lists(st.integers(0, 30), max_size=5),
    verdicts=st.lists(st.sampled_from(("completed", "failed", "retry")), min_size=1, max_size=4),
    cancelled_after=st.none() | st.integers(0, 6),
)
def test_whatever_fails_and_dies_what_completed_is_undone_once_and_newest_first(
    document: Document,
    plan: list[int | None],
    deaths: list[int],
    verdicts: list[str],
    cancelled_after: int | None,
) -> None:
    asyncio.run(_live_and_undo(document, plan, deaths, verdicts, cancelled_after))


async def _live_and_undo(
    document: Document,
    plan: list[int | None],
    deaths: list[int],
    verdicts: list[str],
    cancelled_after: int | None,
) -> None:
    world = World(answering(plan), settings=EngineSettings(visit_budget=200))
    execution_id = await world.submit(document, {"n": 0})

    async def over(crash: CrashPlan | None = None) -> bool:
        if cancelled_after is not None and len(world.ledger) >= cancelled_after:
            await _cancel(world, execution_id)
        still = await world.at_rest() and not await world.store.inbox(execution_id)
        return (crash is not None and crash.dead.is_set()) or still

    for death in deaths:
        crash = CrashPlan(death)
        await world.run(partial(over, crash), world.engine(crash))
    await world.run(over)
    for number in range(200):
        view = await world.executions.view(execution_id)
        if view.status != "PARKED":
            break
        # A person settles what is parked, in the end for good.
        verdict: Any = verdicts[number % len(verdicts)] if number < 20 else "completed"
        parked = view.parked_steps[0].visit
        output: object = {} if verdict == "completed" else None
        await world.executions.resolve(execution_id, step=parked, verdict=verdict, output=output)
        await world.run(over)
    workflow = world.workflows.read(document)
    journal = await world.journal(execution_id)
    money = {
        step.id
        for step in workflow.steps.values()
        if isinstance(step, TaskStep) and step.effects == "atMostOnce"
    }
    audit(journal, world.ledger, money)
    _check(journal, workflow.steps)
    told = await world.executions.view(execution_id)
    assert not any(step.status in {"RUNNING", "PENDING", "PARKED"} for step in told.steps)
    state = blank(execution_id, workflow)
    for event in journal:
        state = evolve(state, event)
        assert snapshot.restore(snapshot.dump(state), workflow) == state


async def _cancel(world: World, execution_id: str) -> None:
    if await world.status(execution_id) in {"PENDING", "RUNNING", "PARKED"}:
        await world.executions.cancel(execution_id)


def _check(journal: list[ev.AnyEvent], steps: Any) -> None:
    kinds = [ev.kind(event) for event in journal]
    done = [
        event.visit
        for event in journal
        if isinstance(event, ev.StepCompleted)
        and getattr(steps[event.step_id], "compensate", None)
        and not event.visit.startswith("~undo/")
    ]
    began = [event.undoes for event in journal if isinstance(event, ev.StepStarted) and event.undoes]
    scopes = list(dict.fromkeys(began))
    ended = Counter(
        event.visit
        for event in journal
        if isinstance(event, ev.StepCompleted | ev.StepFailed | ev.StepCancelled)
        and event.visit.startswith("~undo/")
    )
    if "WORKFLOW_COMPLETED" in kinds or not done:
        assert not began
        assert "COMPENSATION_STARTED" not in kinds
        return
    assert kinds.count("COMPENSATION_STARTED") == 1
    assert scopes == done[::-1], "not what completed, newest first"
    assert len(ended) == len(done)
    assert all(count == 1 for count in ended.values()), "something was undone twice"
    assert kinds[-1] in {"WORKFLOW_FAILED", "WORKFLOW_CANCELLED", "WORKFLOW_TIMED_OUT", "REQUEST_IGNORED"}


def order(*, undo: str = "undo-pay") -> Document:
    return flow(
        "order",
        task("reserve", compensate="release", next="pay"),
        task("pay", compensate=undo, next="ship"),
        task("ship"),
        task("release"),
        task(undo),
    )


@pytest.mark.parametrize("death", range(52))
async def test_a_crash_in_the_middle_of_undoing_goes_on_where_it_was(death: int) -> None:
    world = World(breaks("ship"))
    execution_id = await world.submit(order())
    plan = CrashPlan(death)

    async def over() -> bool:
        return plan.dead.is_set() or await world.at_rest()

    await world.run(over, world.engine(plan))
    await world.run(world.at_rest)
    journal = await world.journal(execution_id)
    audit(journal, world.ledger, set())
    undone = [event.undoes for event in journal if isinstance(event, ev.StepStarted) and event.undoes]
    assert undone == ["pay", "reserve"]
    view = await world.executions.view(execution_id)
    assert view.status == "FAILED"
    assert view.error is not None
    assert view.error.error == "Broke"
    assert view.compensating is not None
    assert (view.compensating.undone, view.compensating.left) == (2, 0)
    assert (view.compensating.because.status, view.compensating.because.error) == ("FAILED", "Broke")


async def test_two_workers_undo_it_once() -> None:
    world = World(breaks("ship"))
    execution_id = await world.submit(order())
    other = asyncio.create_task(world.engine().run())
    try:
        await world.run(world.at_rest)
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
    assert [sent.key.removeprefix(execution_id) for sent in world.ledger] == [
        "/reserve/1",
        "/pay/1",
        "/ship/1",
        "/~undo/2/undo-pay/1",
        "/~undo/1/release/1",
    ]


async def test_what_cannot_be_undone_waits_for_a_person_and_is_shown() -> None:
    world = World(breaks("ship", "undo-pay"))
    execution_id = await world.submit(order())
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "PARKED"
    assert view.compensating is not None
    assert (view.compensating.undone, view.compensating.left) == (0, 2)
    [parked] = view.parked_steps
    assert "undo" in parked.reason
    await world.executions.resolve(execution_id, verdict="failed", actor="ann", reason="paid back by hand")
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "FAILED"
    assert view.compensating is not None
    assert (view.compensating.undone, view.compensating.given_up) == (1, 1)


async def test_one_that_was_undone_is_rerun_and_not_redriven() -> None:
    world = World(breaks("ship"))
    execution_id = await world.submit(order())
    await world.run(world.at_rest)
    with pytest.raises(NotPossible, match="rerun"):
        await world.executions.redrive(execution_id)
    for cloud in world.clouds.values():
        cloud.answer = lambda _: succeeded({})
    again = await world.executions.rerun(execution_id)
    await world.run(world.at_rest)
    assert await world.status(again.execution_id) == "COMPLETED"


async def test_a_redrive_that_was_taken_stays_taken_when_what_it_did_was_undone() -> None:
    world = World(breaks("reserve"))
    execution_id = await world.submit(order())
    await world.run(world.at_rest)
    for cloud in world.clouds.values():
        cloud.answer = breaks("ship")
    assert await world.executions.redrive(execution_id, message_id="again")
    await world.run(world.at_rest)
    assert (await world.executions.view(execution_id)).compensating is not None
    assert not await world.executions.redrive(execution_id, message_id="again")
    with pytest.raises(NotPossible, match="rerun"):
        await world.executions.redrive(execution_id, message_id="another")


async def test_a_cancel_that_comes_while_it_is_undone_changes_nothing() -> None:
    world = World(breaks("ship"))
    gate = asyncio.Event()
    execution_id = await world.submit(order())

    def hold() -> bool:
        undoing = any("~undo" in sent.key for sent in world.ledger)
        if len(world.ledger) == 3 and not undoing:
            world.clouds["AWS"].gate = gate
        return undoing

    engine = world.engine()
    running = asyncio.create_task(engine.run())
    while not hold():
        await asyncio.sleep(0)
        world.clock.advance(0.001)
    assert await world.executions.cancel(execution_id)
    await world.quiet()
    gate.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "FAILED"
    kinds = [ev.kind(event) for event in await world.journal(execution_id)]
    assert kinds.count("REQUEST_IGNORED") == 1


@pytest.mark.parametrize("death", range(0, 90, 3))
async def test_a_parent_that_fails_undoes_its_completed_children_and_those_under_way_undo_themselves(
    death: int,
) -> None:
    world = World(breaks("late"))
    wait = {"id": "wait", "type": "WAIT", "seconds": 60}
    await register(
        world,
        flow("quick", task("a")),
        flow("slow", task("b", compensate="undo-b", next="wait"), wait, task("undo-b")),
    )
    fan = {"id": "fan", "type": "PARALLEL", "branches": ["q", "s"]}
    await world.submit(
        flow(
            "top",
            fan,
            child("q", "quick", compensate="undo-q", next="pause"),
            {"id": "pause", "type": "WAIT", "seconds": 10, "next": "late"},
            task("late"),
            child("s", "slow"),
            task("undo-q"),
        )
    )
    plan = CrashPlan(death)

    async def over() -> bool:
        held = [record.hold is not Hold.NONE for record in await records(world)]
        return plan.dead.is_set() or (await world.at_rest() and not any(held))

    await world.run(over, world.engine(plan))
    plan.dead.clear()
    await world.run(over)
    assert await by_workflow(world) == {"top": ["FAILED"], "quick": ["COMPLETED"], "slow": ["CANCELLED"]}
    ran = Counter(sent.key.split("/")[-2] for sent in world.ledger if sent.ran)
    assert ran["undo-q"] >= 1
    assert ran["undo-b"] >= 1
    for record in await records(world):
        audit(await world.journal(record.execution_id), world.ledger, set())


async def test_a_whole_step_that_could_not_undo_is_told_as_failed_when_it_is_tried_again() -> None:
    world = World(breaks("ship", "x"))
    both = {"id": "undo-pay", "type": "PARALLEL", "branches": ["x", "y"]}
    steps = [step for step in order()["steps"] if step["id"] != "undo-pay"]
    execution_id = await world.submit(flow("order", *steps, both, task("x"), task("y")))
    await world.run(world.at_rest)
    for cloud in world.clouds.values():
        cloud.answer = lambda _: succeeded({})
    await world.executions.resolve(execution_id, verdict="retry")
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    told = {step.visit: (step.status, step.undoes) for step in view.steps if step.step_id == "undo-pay"}
    assert told == {
        "~undo/2/undo-pay": ("FAILED", "pay"),
        "~undo/2/undo-pay~2": ("COMPLETED", "pay"),
    }
    assert view.status == "FAILED"
