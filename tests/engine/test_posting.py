"""Sending what stands in an outbox, one message at a time."""

import asyncio

import pytest

from adapters.stores.memory import MemoryStore
from core.engine.facts import fits
from core.engine.posting import Post, Told
from core.errors import StoreUnavailable
from core.graph.model import WorkflowStep
from core.machine import events as ev
from core.machine.run import Tell
from core.machine.state import Outgoing
from core.ports.store import Created, NewExecution
from tests.engine.harness import World
from tests.engine.test_children import all_let_go, by_workflow, child, flow, records, register, task
from tests.machine.helpers import Machine

KID = "01hf7yat00ffffffffffffffff-0"


def tell(kind: str, receiver: str = KID, **more: object) -> Tell:
    message = Outgoing(kind=kind, execution_id=receiver, visit="c", step_id="c", workflow_id="kid", data={})
    fields = {name: getattr(message, name) for name in message.__struct_fields__} | more
    return Tell(f"{kind}/{KID}", Outgoing(**fields), "top-0", 0, "ann")


def post(world: World) -> Post:
    return Post(world.store, world.definitions, world.workflows, world.clock, world.settings)


async def test_a_child_is_created_once_however_often_that_is_sent() -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    assert [await post(world).send(tell("create")) for _ in range(3)] == [Told(f"create/{KID}")] * 3
    [record] = await records(world)
    assert record.execution_id == KID
    [created] = await world.journal(KID)
    assert isinstance(created, ev.WorkflowCreated)
    assert (created.parent, created.parent_visit, created.depth, created.caller) == ("top-0", "c", 1, "ann")


@pytest.mark.parametrize("kind", ["cancel", "ended"])
async def test_a_message_counts_once(kind: str) -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    await post(world).send(tell("create"))
    for _ in range(3):
        await post(world).send(tell(kind))
    [message] = await world.store.inbox(KID)
    assert message.kind == {"cancel": "cancel", "ended": "child"}[kind]
    assert message.actor == "execution top-0"


@pytest.mark.parametrize("kind", ["cancel", "ended"])
async def test_what_nobody_is_there_to_hear_counts_as_sent(kind: str) -> None:
    world = World()
    await register(world, flow("kid", task("k")))
    assert await post(world).send(tell(kind)) == Told(f"{kind}/{KID}")
    await post(world).send(tell("create"))
    await all_let_go(world)
    assert await world.status(KID) == "COMPLETED"
    assert await post(world).send(tell(kind)) == Told(f"{kind}/{KID}")
    assert await world.store.inbox(KID) == ()


async def test_a_child_that_cannot_be_made_has_failed_by_name() -> None:
    world = World()
    await world.open()
    told = await post(world).send(tell("create"))
    assert told.refused is not None
    assert (told.refused.step_id, told.refused.error) == ("c", "Sidestep.WorkflowNotFound")


async def test_a_child_that_nobody_could_run_here_has_failed_by_name() -> None:
    world = World(refused={"AWS": "it is not configured"})
    await world.open()
    document = flow("kid", task("k"))
    other = World()
    workflow = other.workflows.read(document)
    await world.store.put_workflow("kid", workflow.digest, workflow.source, 0)
    told = await post(world).send(tell("create"))
    assert told.refused is not None
    assert told.refused.error == "Sidestep.InvalidDefinition"


def test_a_refusal_that_comes_when_nobody_waits_for_the_child_is_dropped() -> None:
    machine = Machine(WorkflowStep(id="c", workflow_id="kid"))
    child_id = machine.state.visits["c"].child
    assert child_id is not None
    ended = ev.ChildEnded(visit="c", step_id="c", child_id=child_id, status="FAILED")
    other = ev.ChildEnded(visit="c", step_id="c", child_id="another", status="FAILED")
    assert fits(machine.state, ended)
    assert not fits(machine.state, other)
    machine.tell(ended)
    machine.decide()
    assert not fits(machine.state, ended)


async def test_each_child_is_asked_for_once_where_nothing_goes_wrong() -> None:
    asked: list[str] = []

    class Counting(MemoryStore):
        async def create(self, new: NewExecution) -> Created:
            asked.append(new.execution_id)
            # Some take longer than others, so that what was decided meanwhile could ask again.
            for _ in range(len(asked) % 7):
                await asyncio.sleep(0)
            return await super().create(new)

    world = World(make_store=Counting)
    await register(world, flow("kid", task("k")))
    walk = {"id": "m", "type": "MAP", "items": "list", "each": "c"}
    await world.submit(
        {"id": "top", "startAt": "m", "steps": [walk, child("c", "kid")]}, {"list": list(range(50))}
    )
    await all_let_go(world)
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"] * 50}
    assert len(asked) == len(set(asked)) == 51


async def test_a_store_that_is_away_is_asked_again() -> None:
    refusals = [StoreUnavailable("away")] * 5

    class Away(MemoryStore):
        async def create(self, new: NewExecution) -> Created:
            if "kid" in new.workflow_id and refusals:
                raise refusals.pop()
            return await super().create(new)

    world = World(make_store=Away)
    await register(world, flow("kid", task("k")))
    await world.submit(flow("top", child("c", "kid")))
    await all_let_go(world)
    assert not refusals
    assert await by_workflow(world) == {"top": ["COMPLETED"], "kid": ["COMPLETED"]}
