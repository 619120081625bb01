"""Whoever waits in a worker's process for an execution to come to rest learns it from the worker."""

import asyncio
import contextlib

from msgspec.structs import replace

from adapters.stores.memory import MemoryStore
from core.engine.endings import LARGEST, Account, Endings, Rested
from core.failover.outcome import Executed, Outcome
from core.machine.events import WorkflowResumed
from core.machine.journal import Envelope, decode
from core.machine.state import blank
from core.ports.provider import Call
from core.ports.store import Commit, Committed, Message
from tests.engine.harness import World, line


async def test_a_waiter_is_handed_the_state_in_which_an_execution_ended() -> None:
    world = World()
    execution_id = await world.submit(line("a", "b"))
    with world.endings.wait(execution_id) as rest:
        await world.run(rest.done)
        state = rest.result().state
    assert state.status == "COMPLETED"
    assert state.execution_id == execution_id
    assert (await world.store.get(execution_id)).version == state.version


async def test_a_parked_execution_rests_and_rests_again_when_it_has_ended() -> None:
    def doubtful(_: Call) -> Outcome:
        return Outcome(executed=Executed.MAYBE, signal="read-timeout", error="Sidestep.Timeout")

    world = World(doubtful)
    execution_id = await world.submit(line("a", effects="atMostOnce"))
    with world.endings.wait(execution_id) as rest:
        await world.run(rest.done)
        assert rest.result().state.status == "PARKED"
    with world.endings.wait(execution_id) as rest:
        await world.executions.cancel(execution_id, actor="ann", reason="enough")
        await world.run(rest.done)
        assert rest.result().state.status == "CANCELLED"


class Hurried(MemoryStore):
    """Somebody resumes each execution in the moment in which its pause is written down."""

    async def commit(self, commit: Commit) -> Committed:
        if commit.summary.status == "PAUSED":
            await self.deliver(commit.execution_id, Message(message_id="again", kind="resume"))
        return await super().commit(commit)


async def test_an_execution_for_which_a_message_waits_does_not_rest() -> None:
    world = World(make_store=Hurried)
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b"))
    with world.endings.wait(execution_id) as rest:

        async def pause() -> bool:
            if world.ledger and not gate.is_set():
                await world.executions.pause(execution_id, actor="ann", reason="look")
                gate.set()
            return rest.done()

        await world.run(pause)
        assert rest.result().state.status == "COMPLETED"
    assert [type(event) for event in await world.journal(execution_id)].count(WorkflowResumed) == 1


async def test_an_engine_says_which_executions_it_has_in_hand() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a"))
    engine = world.engine()
    seen: list[bool] = [engine.drives(execution_id)]

    async def sent() -> bool:
        if world.ledger and not gate.is_set():
            seen.append(engine.drives(execution_id))
            gate.set()
        return await world.at_rest()

    await world.run(sent, engine)
    await world.quiet()
    assert [*seen, engine.drives(execution_id)] == [False, True, False]


async def test_who_left_is_told_nothing_and_nobody_is_kept_in_mind() -> None:
    endings = Endings()
    rested = Rested(blank("e1", World().workflows.read(line("a"))))
    with endings.wait("e1") as first, endings.wait("e1") as second:
        endings.rest("e1", rested)
        assert first.result() is second.result() is rested
    with endings.wait("e1") as late:
        pass
    endings.rest("e1", rested)
    assert late.cancelled()
    assert not vars(endings)["_waiting"]


async def test_who_waits_from_the_beginning_is_handed_the_journal_as_it_was_written() -> None:
    world = World()
    execution_id = await world.submit(line("a", "b"))
    with world.endings.wait(execution_id) as rest:
        await world.run(rest.done)
    loaded = await world.store.load(execution_id)
    told = rest.result().journal
    assert told is not None
    assert [replace(one, v=1) for one in map(decode, loaded.batches)] == list(told)
    assert sum(len(one.events) for one in told) == loaded.version


async def test_who_comes_later_is_handed_no_journal() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a"))
    late = contextlib.ExitStack()
    rests: list[asyncio.Future[Rested]] = []
    with late:

        async def under_way() -> bool:
            if world.ledger and not rests:
                rests.append(late.enter_context(world.endings.wait(execution_id)))
                gate.set()
            return bool(rests) and rests[0].done()

        await world.run(under_way)
        assert rests[0].result().state.status == "COMPLETED"
        assert rests[0].result().journal is None


async def test_a_journal_that_nobody_waits_for_any_more_is_let_go() -> None:
    world = World()
    cloud = world.clouds["AWS"]
    gates = asyncio.Event(), asyncio.Event()
    cloud.gate = gates[0]
    execution_id = await world.submit(line("a", "b"))
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(world.endings.wait(execution_id))
    rests: list[asyncio.Future[Rested]] = []
    with first, second:

        async def under_way() -> bool:
            if len(world.ledger) == 1 and not gates[0].is_set():
                first.close()
                cloud.gate = gates[1]
                gates[0].set()
            if len(world.ledger) == 2 and not rests:
                rests.append(second.enter_context(world.endings.wait(execution_id)))
                gates[1].set()
            return bool(rests) and rests[0].done()

        await world.run(under_way)
        assert rests[0].result().journal is None


def test_a_journal_that_has_become_large_is_not_kept() -> None:
    account = Account()
    envelope = Envelope(seq=1, at=0, epoch=1, actor="w", commit="1", events=())
    account.add(envelope, LARGEST)
    assert account.whole() == (envelope,)
    account.add(envelope, 1)
    assert account.whole() is None
    account.add(envelope, 0)
    assert account.whole() is None
