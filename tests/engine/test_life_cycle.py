"""Requests of people, from the call to the journal."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from adapters.stores.memory import MemoryStore
from core.engine.definitions import Definitions
from core.engine.executions import Executions
from core.engine.ids import shard_of
from core.errors import ExecutionEnded, ExecutionNotFound, IdempotencyConflict, InvalidInput, NotPossible
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from core.machine.journal import SCHEMA_VERSION
from core.ports.provider import Call
from core.ports.store import Batch, Commit, Hold, Summary
from tests.engine.harness import World, audit, line

LOST = Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset")
RAISED = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="ValueError")
ONCE = {"effects": "atMostOnce", "onAmbiguous": "park"}


def first_then(first: Outcome, **by_function: Outcome) -> Callable[[Call], Outcome]:
    """The first call of each function that is named (or of all) fails with `first`; the others work."""
    seen: set[str] = set()

    def answer(call: Call) -> Outcome:
        name = call.target.function_id
        if name not in seen and (not by_function or name in by_function):
            seen.add(name)
            return by_function.get(name, first)
        return succeeded({"did": name})

    return answer


def is_(world: World, execution_id: str, status: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        record = await world.store.get(execution_id)
        return record.summary.status == status and not await world.store.inbox(execution_id)

    return check


async def parked(world: World, *names: str, **changes: Any) -> str:
    execution_id = await world.submit(line(*names, **(ONCE | changes)))
    await world.run(is_(world, execution_id, "PARKED"))
    return execution_id


async def failed(world: World, *names: str) -> str:
    execution_id = await world.submit(line(*names))
    await world.run(is_(world, execution_id, "FAILED"))
    return execution_id


async def test_a_pause_during_a_call_lets_it_end_and_then_nothing_holds_the_execution() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b"))
    asked = False

    async def pause_once_sent() -> bool:
        nonlocal asked
        if world.ledger and not asked:
            asked = True
            await world.executions.pause(execution_id, actor="ann", reason="a look")
        if (await world.status(execution_id)) == "PAUSED":
            gate.set()
        return asked and (await world.store.get(execution_id)).hold is Hold.NONE

    await world.run(pause_once_sent)
    record = await world.store.get(execution_id)
    assert (record.summary.status, record.wake_at_ms) == ("PAUSED", None)
    assert len(world.ledger) == 1
    view = await world.executions.view(execution_id)
    assert view.paused is not None
    assert (view.paused.actor, view.paused.reason) == ("ann", "a look")
    assert [step.status for step in view.steps] == ["COMPLETED", "PENDING"]
    async with asyncio.timeout(5):
        assert await world.executions.wait(execution_id, 60) == "PAUSED", "nothing would come by itself"

    assert await world.executions.resume(execution_id, actor="bob")
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.paused is None
    told = {event.type: event.details for event in view.history}
    assert told["PAUSE_REQUESTED"]["actor"] == "ann"
    assert told["PAUSE_REQUESTED"]["at"].endswith("Z")
    assert told["WORKFLOW_RESUMED"]["actor"] == "bob"


async def test_a_paused_execution_stays_paused_when_its_owner_dies_and_nobody_touches_it() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    await world.executions.pause(execution_id)
    await world.run(is_(world, execution_id, "PAUSED"))
    version = (await world.store.get(execution_id)).version
    world.clock.advance(86_400)
    claims = await world.store.claim("other", 10, 10.0)
    assert not claims.claims
    assert (await world.store.get(execution_id)).version == version


@pytest.mark.parametrize("kind", ["pause", "resume", "redrive", "cancel"])
async def test_a_request_with_the_same_message_id_is_taken_once_even_after_it_was_carried_out(
    kind: str,
) -> None:
    world = World(first_then(RAISED))
    execution_id = await world.submit(line("a"))
    if kind == "resume":
        await world.executions.pause(execution_id)
        await world.run(is_(world, execution_id, "PAUSED"))
    if kind == "redrive":
        await world.run(is_(world, execution_id, "FAILED"))
    ask = getattr(world.executions, kind)
    assert await ask(execution_id, message_id="m1")
    assert not await ask(execution_id, message_id="m1"), "it waits in the inbox"

    async def taken() -> bool:
        return not await world.store.inbox(execution_id)

    await world.run(taken)
    assert not await ask(execution_id, message_id="m1"), "it was carried out"
    await world.run(taken)
    ids = [getattr(event, "message_id", "") for event in await world.journal(execution_id)]
    assert ids.count("m1") == 1


async def test_what_the_status_refuses_is_refused_at_once() -> None:
    world = World(first_then(RAISED))
    live = await world.submit(line("a"))
    for ask in (world.executions.resume, world.executions.redrive):
        with pytest.raises(NotPossible, match="is PENDING"):
            await ask(live)
    with pytest.raises(NotPossible, match="nothing is parked"):
        await world.executions.resolve(live, verdict="retry")
    with pytest.raises(InvalidInput, match="a verdict is one of"):
        await world.executions.resolve(live, verdict="shrug")  # type: ignore[arg-type] # as a hostile caller
    await world.executions.pause(live)
    await world.run(is_(world, live, "PAUSED"))
    with pytest.raises(NotPossible, match="it is paused already"):
        await world.executions.pause(live)
    await world.executions.resume(live)
    await world.run(world.at_rest)
    assert await world.status(live) == "FAILED"
    for ask in (world.executions.pause, world.executions.resume):
        with pytest.raises(ExecutionEnded):
            await ask(live)
    await world.executions.redrive(live)
    await world.run(is_(world, live, "COMPLETED"))
    with pytest.raises(NotPossible, match="all of it completed"):
        await world.executions.redrive(live)
    with pytest.raises(ExecutionNotFound):
        await world.executions.pause("nobody-0")


async def test_a_request_that_lost_a_race_is_told_in_the_journal() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    await world.executions.pause(execution_id, message_id="p1", actor="ann")
    await world.executions.pause(execution_id, message_id="p2", actor="bob")
    await world.run(is_(world, execution_id, "PAUSED"))
    ignored = [one for one in await world.journal(execution_id) if isinstance(one, ev.RequestIgnored)]
    assert [(one.request, one.actor, one.why) for one in ignored] == [
        ("pause", "bob", "it is paused already")
    ]


async def test_a_request_that_finds_the_execution_ended_leaves_it_ended() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a"))
    store = world.store
    engine = world.engine()
    sent = False

    async def race() -> bool:
        nonlocal sent
        if world.ledger and not sent:
            sent = True
            await world.executions.cancel(execution_id)
            await world.executions.pause(execution_id, message_id="late")
            gate.set()
        return sent and await world.at_rest() and not await store.inbox(execution_id)

    await world.run(race, engine)
    assert await world.status(execution_id) == "CANCELLED"
    kinds = [ev.kind(event) for event in await world.journal(execution_id)]
    assert "PAUSE_REQUESTED" in kinds or "REQUEST_IGNORED" in kinds
    assert (await store.get(execution_id)).hold is Hold.NONE


async def test_a_redrive_keeps_what_completed_and_the_step_keeps_its_attempts() -> None:
    world = World(first_then(RAISED, b=RAISED))
    execution_id = await failed(world, "a", "b", "c")
    await world.executions.redrive(execution_id, actor="ann", reason="fixed it")
    await world.run(is_(world, execution_id, "COMPLETED"))
    view = await world.executions.view(execution_id)
    assert view.redrives == 1
    assert view.error is None
    a, b, c = view.steps
    assert [len(step.attempts) for step in (a, b, c)] == [1, 2, 1]
    assert [(one.attempt, one.round, one.status) for one in b.attempts] == [
        (1, 1, "FAILED"),
        (2, 2, "COMPLETED"),
    ]
    assert (b.status, b.error) == ("COMPLETED", None)
    audit(await world.journal(execution_id), world.ledger, set())


async def test_whoever_waits_after_a_redrive_is_told_how_that_ended_and_not_how_the_first_run_did() -> None:
    world = World(first_then(RAISED))
    execution_id = await failed(world, "a")
    await world.executions.redrive(execution_id)
    waiting = asyncio.create_task(world.executions.wait(execution_id, 60))
    told: list[str] = []

    async def watch() -> None:
        told.extend([one.type async for one in world.executions.events(execution_id) if one is not None])

    watching = asyncio.create_task(watch())
    await world.quiet()
    assert not waiting.done()
    await world.run(lambda: watching.done() and waiting.done())
    assert await waiting == "COMPLETED"
    assert told[-1] == "WORKFLOW_COMPLETED"


async def test_a_redriven_execution_can_be_cancelled_again_each_time() -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    assert await world.executions.cancel(execution_id)
    await world.run(is_(world, execution_id, "CANCELLED"))
    for _ in range(2):
        assert not await world.executions.cancel(execution_id)
        await world.executions.redrive(execution_id)
        assert await world.executions.cancel(execution_id), "it comes after the redrive, which waits yet"
        assert not await world.executions.cancel(execution_id)
        await world.run(is_(world, execution_id, "CANCELLED"))
    assert not world.ledger
    kinds = [ev.kind(event) for event in await world.journal(execution_id)]
    assert kinds.count("WORKFLOW_CANCELLED") == 3


async def test_a_resolution_as_completed_gives_the_step_its_output() -> None:
    world = World(first_then(LOST))
    execution_id = await parked(world, "pay")
    view = await world.executions.view(execution_id)
    assert [(one.visit, one.step_id, one.attempts) for one in view.parked_steps] == [("pay", "pay", 1)]
    assert "may have run" in view.parked_steps[0].reason
    await world.executions.resolve(
        execution_id, verdict="completed", output={"paid": 7}, actor="ann", reason="saw it"
    )
    await world.run(is_(world, execution_id, "COMPLETED"))
    view = await world.executions.view(execution_id)
    assert view.output == {"paid": 7}
    resolved = view.steps[0].resolved
    assert resolved is not None
    assert (resolved.verdict, resolved.actor, resolved.reason) == ("completed", "ann", "saw it")
    assert not view.parked_steps


async def test_a_resolution_as_failed_fails_the_step_with_a_name_of_its_own() -> None:
    world = World(first_then(LOST))
    execution_id = await parked(world, "pay")
    await world.executions.resolve(execution_id, verdict="failed", actor="ann")
    await world.run(is_(world, execution_id, "FAILED"))
    view = await world.executions.view(execution_id)
    assert view.error is not None
    assert (view.error.error, view.error.cause) == (
        "Sidestep.ResolvedAsFailed",
        "ann settled it as failed",
    )


@pytest.mark.parametrize(("verdict", "provider"), [("retry", "AWS"), ("failover", "GCP")])
async def test_a_resolution_sends_it_once_more_with_the_same_key(verdict: Any, provider: str) -> None:
    world = World(first_then(LOST))
    execution_id = await parked(world, "pay")
    await world.executions.resolve(execution_id, step="pay", verdict=verdict, actor="ann")
    await world.run(is_(world, execution_id, "COMPLETED"))
    first, second = world.ledger
    assert second.provider == provider
    assert first.key == second.key
    view = await world.executions.view(execution_id)
    assert any("ann settled it" in reason for reason in view.steps[0].attempts[1].reasons)
    assert view.failed_over == (verdict == "failover")


async def test_of_two_people_who_settle_one_parking_the_second_is_told_that_it_was_settled() -> None:
    world = World(lambda _call: LOST)
    execution_id = await parked(world, "pay")
    await world.executions.resolve(execution_id, verdict="retry", actor="ann", message_id="s1")
    await world.executions.resolve(execution_id, verdict="retry", actor="bob", message_id="s2")

    async def settled() -> bool:
        return not await world.store.inbox(execution_id) and await world.at_rest()

    await world.run(settled)
    assert await world.status(execution_id) == "PARKED"
    assert len(world.ledger) == 2, "bob's word was about the first call, not about the second"
    ignored = [one for one in await world.journal(execution_id) if isinstance(one, ev.RequestIgnored)]
    assert [one.actor for one in ignored] == ["bob"]
    assert not await world.executions.resolve(execution_id, verdict="failover", message_id="s1")
    assert await world.executions.resolve(execution_id, verdict="failover", message_id="s3")
    await world.run(settled)
    assert len(world.ledger) == 3, "a word about the parking that is gets its send"


async def test_a_rerun_is_a_new_execution_that_names_the_first() -> None:
    world = World()
    first = await world.submit(line("a"), {"x": 1})
    await world.run(world.at_rest)
    rerun = world.executions.rerun
    same = await rerun(first, actor="ann", reason="once more", caller="c", idempotency_key="k")
    again = await rerun(first, actor="ann", reason="once more", caller="c", idempotency_key="k")
    assert (again.execution_id, again.fresh) == (same.execution_id, False)
    with pytest.raises(IdempotencyConflict):
        await rerun(first, {"x": 2}, caller="c", idempotency_key="k")
    twin = await world.submit(line("a"), {"x": 1})
    with pytest.raises(IdempotencyConflict):
        await rerun(twin, caller="c", idempotency_key="k")
    other = await rerun(first, {"x": 2})
    await world.run(world.at_rest)
    before = await world.executions.view(first)
    view = await world.executions.view(same.execution_id)
    assert (view.rerun_of, view.digest, view.input) == (first, before.digest, {"x": 1})
    created = (await world.journal(same.execution_id))[0]
    assert isinstance(created, ev.WorkflowCreated)
    assert (created.actor, created.reason) == ("ann", "once more")
    assert (await world.executions.view(other.execution_id)).input == {"x": 2}
    assert before.rerun_of is None


def test_a_key_names_its_shard_for_ever_and_keys_are_spread() -> None:
    assert shard_of("ann", "key-1", 64) == shard_of("ann", "key-1", 64) == 38
    assert shard_of("ann", "key-1", 1) == 0
    assert len({shard_of("ann", f"key-{n}", 64) for n in range(1_000)}) == 64


class Spread(MemoryStore):
    """As a host that is spread over 64 shards."""

    @property
    def shards(self) -> int:
        return 64


async def test_the_id_of_a_keyed_creation_bears_the_shard_of_its_key_and_others_any() -> None:
    world = World()
    store = Spread(world.clock)
    await store.open()
    executions = Executions(store, Definitions(store), world.workflows, world.clock)
    workflow = world.workflows.read(line("a"))
    keyed = await executions.create(workflow, {}, caller="ann", idempotency_key="key-1")
    assert keyed.execution_id.endswith("-38")
    again = await executions.create(workflow, {}, caller="ann", idempotency_key="key-1")
    assert again.execution_id == keyed.execution_id
    others = [(await executions.create(workflow, {})).execution_id for _ in range(300)]
    assert len({one.rpartition("-")[2] for one in others}) > 32
    await store.close()


async def test_a_worker_leaves_a_newer_journal_alone_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    execution_id = await world.submit(line("a"))
    claim = (await world.store.claim("newer", 1, 0.5)).claims[0]
    body = {"v": SCHEMA_VERSION + 1, "seq": 2, "at": 0, "epoch": 1, "actor": "n", "commit": "1.1"}
    newer = json.dumps(body | {"events": [{"kind": "FROM_THE_FUTURE"}]}).encode()
    await world.store.commit(
        Commit(
            execution_id=execution_id,
            version=1,
            epoch=claim.epoch,
            commit_id="1.1",
            at_ms=0,
            batch=Batch(data=newer, count=1),
            summary=Summary(status="RUNNING"),
        )
    )
    before = await world.store.history(execution_id, 0, 100)
    with caplog.at_level(logging.INFO):
        engine = world.engine()
        seen: list[int] = []

        async def left() -> bool:
            seen.append(engine.in_hand)
            return bool(caplog.records)

        await world.run(left, engine)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "left to a newer worker" in caplog.text
    assert await world.store.history(execution_id, 0, 100) == before
    assert msgspec.json.decode(before[-1])["v"] == SCHEMA_VERSION + 1
    assert not world.ledger
