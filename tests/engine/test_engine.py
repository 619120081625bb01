import asyncio
from typing import Any

import pytest

from core.engine.settings import EngineSettings
from core.errors import ExecutionEnded, IdempotencyConflict, InvalidDefinition
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import snapshot
from core.ports.provider import Call
from core.ports.store import Filter, Snapshot
from tests.engine.harness import World, line


def aws_is(outcome: Outcome) -> Any:
    return lambda call: outcome if call.target.provider == "AWS" else succeeded({"on": call.target.provider})


REFUSED = Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="refused", error="Sidestep.Unavailable")
LOST = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset", cause="ran"
)


async def test_a_line_of_n_steps_is_n_plus_one_commits_after_the_creation() -> None:
    world = World()
    execution_id = await world.submit(line("a", "b", "c"), {"x": 1})
    await world.run(world.at_rest)
    assert len(await world.store.history(execution_id, 0, 1_000)) == 1 + 3 + 1
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.output == {"x": 1, "did": "c"}
    assert [step.status for step in view.steps] == ["COMPLETED"] * 3


async def test_a_failing_cloud_is_sidestepped_and_the_history_says_why() -> None:
    world = World(aws_is(REFUSED))
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.failed_over
    assert [event.type for event in view.history] == [
        "WORKFLOW_CREATED",
        "WORKFLOW_STARTED",
        "STEP_STARTED",
        "ATTEMPT_STARTED",
        "ATTEMPT_FAILED",
        "FAILED_OVER",
        "ATTEMPT_STARTED",
        "ATTEMPT_SUCCEEDED",
        "STEP_COMPLETED",
        "WORKFLOW_COMPLETED",
    ]
    first, second = view.steps[0].attempts
    assert (first.provider, first.executed, first.error) == ("AWS", "NO", "Sidestep.Unavailable")
    assert (second.provider, second.status) == ("GCP", "COMPLETED")
    assert first.idempotency_key == second.idempotency_key
    page = await world.executions.find(Filter(failed_over=True), None, 10)
    assert [record.execution_id for record in page.records] == [execution_id]


async def test_branches_really_run_side_by_side() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    document = line("a", "b")
    del document["steps"][0]["next"]
    document["startAt"] = "fan"
    document["steps"].append({"id": "fan", "type": "PARALLEL", "branches": ["a", "b"]})
    await world.submit(document)
    await world.run(lambda: len(world.ledger) == 2)
    gate.set()


async def test_an_adapter_that_raises_makes_the_attempt_ambiguous_and_nothing_else() -> None:
    def broken(call: Call) -> Outcome:
        if call.target.provider == "AWS":
            raise RuntimeError("secret in a message")
        return succeeded({})

    world = World(broken)
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.steps[0].attempts[0].executed == "MAYBE"
    assert "secret" not in str(view)


async def test_an_answer_that_cannot_be_kept_is_a_named_error() -> None:
    world = World(lambda _: succeeded({"bad": "\ud800"}))
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "FAILED"
    assert view.error is not None
    assert view.error.error == "Sidestep.BadResponse"


async def test_a_wait_holds_no_worker_and_ends_at_its_time() -> None:
    world = World()
    document = {"id": "w", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 600}]}
    execution_id = await world.submit(document)
    engine = world.engine()
    before = world.clock.now_ms()

    async def waits() -> bool:
        return await world.status(execution_id) == "RUNNING" and engine.in_hand == 0

    await world.run(waits, engine)
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "COMPLETED"
    assert 600_000 <= world.clock.now_ms() - before <= 602_000


async def test_a_cancel_does_not_wait_for_a_long_call() -> None:
    world = World()
    world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a"))

    async def cancel_once_sent() -> bool:
        if world.ledger:
            await world.executions.cancel(execution_id, actor="ann", reason="stop")
        return bool(world.ledger)

    engine = world.engine()
    await world.run(cancel_once_sent, engine)
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "CANCELLED"
    assert not await world.executions.cancel(execution_id), "a second cancel is the first one"


async def test_a_cancel_wakes_an_execution_that_only_waits() -> None:
    world = World()
    execution_id = await world.submit(
        {"id": "w", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 86_400}]}
    )
    engine = world.engine()

    async def waits() -> bool:
        return await world.status(execution_id) == "RUNNING" and engine.in_hand == 0

    await world.run(waits, engine)
    before = world.clock.monotonic()
    await world.executions.cancel(execution_id)
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "CANCELLED"
    assert world.clock.monotonic() - before < 5


async def test_a_parked_execution_can_be_cancelled() -> None:
    world = World(lambda _: LOST)
    execution_id = await world.submit(line("pay", effects="atMostOnce"))
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "PARKED"
    await world.executions.cancel(execution_id)

    async def cancelled() -> bool:
        return await world.status(execution_id) == "CANCELLED"

    await world.run(cancelled)
    assert len(world.ledger) == 1


async def test_an_execution_ends_at_its_time_limit_even_while_it_waits() -> None:
    world = World()
    document = {
        "id": "w",
        "timeoutSeconds": 30,
        "startAt": "w",
        "steps": [{"id": "w", "type": "WAIT", "seconds": 600}],
    }
    execution_id = await world.submit(document)
    before = world.clock.monotonic()
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "TIMED_OUT"
    assert 30 <= world.clock.monotonic() - before <= 32


async def test_what_has_ended_cannot_be_cancelled() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    with pytest.raises(ExecutionEnded):
        await world.executions.cancel(execution_id)


async def test_a_cancel_reaches_an_execution_that_nobody_has_taken_up() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    assert await world.executions.cancel(execution_id)
    assert not await world.executions.cancel(execution_id)
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "CANCELLED"
    assert world.ledger == []


async def test_the_same_key_creates_once_and_another_request_is_refused() -> None:
    world = World()
    await world.open()
    workflow = world.workflows.read(line("a"))
    made = await asyncio.gather(
        *(world.executions.create(workflow, {"n": 1}, idempotency_key="k") for _ in range(50))
    )
    assert len({one.execution_id for one in made}) == 1
    assert sum(one.fresh for one in made) == 1
    with pytest.raises(IdempotencyConflict):
        await world.executions.create(workflow, {"n": 2}, idempotency_key="k")


async def test_definitions_that_no_configured_provider_can_run_are_refused_before_they_start() -> None:
    world = World(refused={"AWS": "it is not configured", "GCP": "it is not configured"})
    with pytest.raises(InvalidDefinition) as refused:
        await world.submit(line("a"))
    assert refused.value.problems[0].code == "no-usable-target"
    with pytest.raises(InvalidDefinition) as foreign:
        await World().submit(line("a", fallbacks=[{"provider": "HTTP", "functionId": "foreign"}]))
    assert [problem.code for problem in foreign.value.problems] == ["target-refused"]
    alone = line("a", functionId="foreign")
    del alone["steps"][0]["fallbackProvider"]
    with pytest.raises(InvalidDefinition) as nowhere:
        await World().submit(alone)
    assert nowhere.value.problems[0].code == "no-usable-target"


async def test_a_target_at_a_provider_that_is_not_configured_is_a_hint_that_names_it() -> None:
    world = World(refused={"AZURE": "AZURE is not configured: set this."})
    document = line("a", fallbacks=[{"provider": "AZURE"}])
    (hint,) = (one for one in world.workflows.validate(document) if one.code == "target-not-configured")
    assert (hint.severity, hint.pointer) == ("hint", "/steps/0")
    assert "AZURE is not configured: set this." in hint.detail
    await world.submit(document)


async def test_a_primary_that_can_never_be_called_goes_to_its_fallback() -> None:
    world = World()
    document = line("a", functionId="foreign", fallbacks=[{"provider": "AZURE", "functionId": "a"}])
    del document["steps"][0]["fallbackProvider"]
    assert [
        hint.severity for hint in world.workflows.validate(document) if hint.code == "target-refused"
    ] == ["hint"]
    execution_id = await world.submit(document)
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "COMPLETED"
    assert {sent.provider for sent in world.ledger} == {"AZURE"}


async def test_every_step_of_a_large_execution_is_shown_as_it_is() -> None:
    world = World()
    names = [f"b{number}" for number in range(400)]
    document = line(*names)
    for step in document["steps"]:
        step.pop("next", None)
    document["steps"].append({"id": "fan", "type": "PARALLEL", "branches": names})
    document["startAt"] = "fan"
    execution_id = await world.submit(document)
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert {step.status for step in view.steps} == {"COMPLETED"}
    assert len(view.steps) == 401
    assert not view.steps_truncated
    assert view.history_truncated
    assert view.history[-1].type == "WORKFLOW_COMPLETED"


async def test_outputs_that_are_too_much_together_end_the_step_by_name() -> None:
    world = World(lambda _: succeeded({"data": "x" * 600}), settings=EngineSettings(data_budget=1_000))
    execution_id = await world.submit(line("a", "b", "c"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.error is not None
    assert (view.error.error, view.error.step_id) == ("Sidestep.DataLimitExceeded", "b")


async def test_a_snapshot_that_cannot_be_used_is_replaced_by_the_whole_journal() -> None:
    world = World()
    execution_id = await world.submit(
        {"id": "w", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 60}]}
    )
    engine = world.engine()

    async def waits() -> bool:
        return await world.status(execution_id) == "RUNNING" and engine.in_hand == 0

    await world.run(waits, engine)
    version = (await world.store.get(execution_id)).version
    kept = Snapshot(version=version, format=999, data=b"of another time")
    await world.store.save_snapshot(execution_id, kept)
    assert (await world.executions.view(execution_id)).status == "RUNNING"
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "COMPLETED"


async def test_a_call_that_an_adapter_gives_up_is_an_outcome() -> None:
    def gives_up(call: Call) -> Outcome:
        if call.target.provider == "AWS":
            raise asyncio.CancelledError
        return succeeded({})

    world = World(gives_up)
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.steps[0].attempts[0].executed == "MAYBE"


async def test_an_answer_that_nests_too_deep_is_called_once_and_is_a_named_error() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"d": deep}
    world = World(lambda _: succeeded(deep))
    execution_id = await world.submit(line("a", onAmbiguous="fail"))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.error is not None
    assert view.error.error == "Sidestep.BadResponse"
    assert len(world.ledger) == 1


async def test_an_unconfigured_primary_is_sidestepped() -> None:
    world = World(refused={"AWS": "it is not configured"})
    execution_id = await world.submit(line("a"))
    await world.run(world.at_rest)
    assert await world.status(execution_id) == "COMPLETED"
    assert {sent.provider for sent in world.ledger} == {"GCP"}


async def test_a_long_execution_leaves_a_snapshot_and_losing_it_changes_nothing() -> None:
    world = World(settings=EngineSettings(visit_budget=2_000))
    more = {"variable": "stop", "operator": "eq", "value": True, "next": "end"}
    document = {
        "id": "loop",
        "startAt": "a",
        "steps": [
            {"id": "a", "type": "WAIT", "seconds": 0, "next": "b"},
            {"id": "b", "type": "TASK", "provider": "AWS", "functionId": "f", "next": "c"},
            {"id": "c", "type": "CHOICE", "choices": [more], "default": "a"},
            {"id": "end", "type": "SUCCEED"},
        ],
    }
    execution_id = await world.submit(document)
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.error is not None
    assert view.error.error == "Sidestep.VisitBudgetExceeded"
    loaded = await world.store.load(execution_id)
    assert loaded.snapshot is not None
    assert loaded.snapshot.version >= snapshot.EVERY
    assert view.history_truncated
    assert len(view.history) == 1_000


async def test_events_are_told_without_gaps_until_the_end() -> None:
    world = World()
    execution_id = await world.submit(line("a", "b"))
    seen: list[int] = []

    async def listen() -> None:
        seen.extend([event.seq async for event in world.executions.events(execution_id) if event])

    listener = asyncio.create_task(listen())
    await world.run(world.at_rest)
    await asyncio.wait_for(listener, 5)
    assert seen == list(range(1, len(await world.journal(execution_id)) + 1))


async def test_waiting_for_an_execution_ends_with_it() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    waiter = asyncio.create_task(world.executions.wait(execution_id, 30))
    await world.run(world.at_rest)
    assert await asyncio.wait_for(waiter, 5) == "COMPLETED"
