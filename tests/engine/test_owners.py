"""Who owns an execution: leases, takeovers, stops."""

import asyncio

from adapters.stores.memory import MemoryStore
from core.engine.definitions import Definitions
from core.engine.executions import Executions
from core.engine.workflows import Workflows
from core.ports.store import Commit, Committed
from core.testing.clock import ManualClock
from tests.engine.harness import CrashPlan, World, audit, line


async def test_a_second_engine_takes_over_after_the_lease_and_says_what_was_interrupted() -> None:
    world = World()
    execution_id = await world.submit(line("a", "b"))
    plan = CrashPlan(None)
    first = world.engine(plan)
    world.clouds["AWS"].gate = asyncio.Event()
    await world.run(lambda: len(world.ledger) == 1, first)
    plan.dead.set()
    world.clouds["AWS"].gate = None
    await world.run(world.at_rest)
    journal = await world.journal(execution_id)
    assert [type(event).__name__ for event in journal].count("AttemptInterrupted") == 1
    audit(journal, world.ledger, set())


async def test_a_stopping_engine_lets_calls_end_and_gives_the_rest_back() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b"))
    engine = world.engine()
    task = asyncio.create_task(engine.run())
    await world.until_sent(1)
    engine.stop()
    await world.quiet()
    assert not task.done()
    gate.set()
    await asyncio.wait_for(task, 5)
    kinds = [type(event).__name__ for event in await world.journal(execution_id)]
    assert kinds[-4:] == ["AttemptSucceeded", "StepCompleted", "StepStarted", "RetryScheduled"]
    before = world.clock.monotonic()
    await world.run(world.at_rest)
    assert world.clock.monotonic() - before < 1, "the next engine had to wait for the lease"
    assert "AttemptInterrupted" not in [type(e).__name__ for e in await world.journal(execution_id)]


async def test_an_engine_that_slept_past_its_lease_sends_nothing_and_changes_nothing() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b"))
    sleeper = world.engine()
    task = asyncio.create_task(sleeper.run())
    await world.until_sent(1)
    # Another process takes over while the first is stopped: the lease lapses without a renewal.
    world.clock._elapsed_ns += 60 * 10**9
    claims = await world.store.claim("other", 1, 10)
    assert [claim.execution_id for claim in claims.claims] == [execution_id]
    gate.set()
    await world.quiet()
    assert len(world.ledger) == 1
    assert len(await world.journal(execution_id)) == 4
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_engine_that_slept_past_its_lease_goes_on_with_what_nobody_took() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b", effects="atMostOnce"))
    task = asyncio.create_task(world.engine().run())
    await world.until_sent(1)
    # New work wakes it before the timer of its renewals does.
    world.clock._elapsed_ns += 60 * 10**9
    await world.submit({"id": "other", "startAt": "s", "steps": [{"id": "s", "type": "SUCCEED"}]})
    await world.quiet()
    gate.set()
    await world.quiet()
    assert await world.status(execution_id) == "COMPLETED"
    assert len(world.ledger) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_driver_renews_a_lapsed_lease_before_it_decides() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    execution_id = await world.submit(line("a", "b", effects="atMostOnce"))
    task = asyncio.create_task(world.engine().run())
    await world.until_sent(1)
    # The answer is there before anything else of the stopped process runs again.
    world.clock._elapsed_ns += 60 * 10**9
    gate.set()
    await world.quiet()
    assert await world.status(execution_id) == "COMPLETED"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Noting(MemoryStore):
    """Notes the ids of commits."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.ids: list[tuple[int, str]] = []

    async def commit(self, commit: Commit) -> Committed:
        self.ids.append((commit.epoch, commit.commit_id))
        return await super().commit(commit)


async def test_two_owners_who_are_given_the_same_epoch_never_use_the_same_commit_id() -> None:
    # A failover that forgot a claim hands its epoch out again; a repeated id would be taken for a repetition.
    seen = []
    for _ in range(2):
        world = World()
        world.store = noting = Noting(world.clock)
        world.definitions = Definitions(noting)
        world.workflows = Workflows(noting, world.definitions, world.clouds, world.board, world.clock)
        world.executions = Executions(noting, world.definitions, world.workflows, world.clock, world.settings)
        await world.submit(line("a"))
        await world.run(world.at_rest)
        seen.append(noting.ids)
    first, second = seen
    assert [epoch for epoch, _ in first] == [epoch for epoch, _ in second]
    assert not {id_ for _, id_ in first} & {id_ for _, id_ in second}
