"""A process dies at each of its acts in turn, in the middle of a sidestep, a hedge, a queue, a probe."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import pytest
from msgspec.structs import replace

from core.engine.recovery import rebuild
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.settings import DEFAULTS, FailoverSettings
from core.graph.model import Target, TaskStep, Workflow
from core.machine import events as ev
from core.machine import snapshot
from core.machine.evolve import evolve
from core.machine.state import blank
from core.ports.provider import Call
from tests.engine.harness import CrashPlan, audit, line
from tests.engine.outage import Door, Outage, Slow, outage

ACTS = 40
"""More acts than any of these has; a plan that is never met is a run without a crash."""

QUICK = replace(DEFAULTS, open_seconds=1.0, probe_every_seconds=0.2, hedge_share=1.0, overdue_samples=1_000)

Prepare = Callable[[Outage], Awaitable[list[str]]]


def breaks(_call: Call) -> Outcome:
    """It ran, and nobody heard of it."""
    return Outcome(
        executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset", cause="ran"
    )


async def a_sidestep(world: Outage) -> list[str]:
    world.down("AWS")
    return await world.submitted(2, "b", effects="atMostOnce")


async def an_ambiguous_sidestep(world: Outage) -> list[str]:
    world.clouds["AWS"].answer = breaks
    return await world.submitted(2, "b")


async def a_hedge(world: Outage) -> list[str]:
    await world.submitted(60, effects="pure")
    await world.run(world.at_rest)
    await world.run(lambda: world.board.view().of(Target("AWS", "a")).p95_ms)
    world.ledger.clear()
    world.clouds["AWS"].gate = Slow(world.clock, 3.0)
    world.clouds["GCP"].gate = Slow(world.clock, 1.0)
    return [await world.submit(line("a", effects="pure", hedge=True))]


async def a_queue(world: Outage) -> list[str]:
    await world.fail_until_open()
    world.clouds["GCP"].gate = Slow(world.clock, 0.3)
    return await world.submitted(3, "b", effects="atMostOnce")


async def a_probe(world: Outage) -> list[str]:
    await world.fail_until_open()
    world.up("AWS")
    await world.submitted(1, effects="atMostOnce")
    await world.run(lambda: world.board.view().of(Target("AWS", "a")).probe)
    once = await world.submitted(1, effects="atMostOnce")
    return [*once, *await world.submitted(2)]


CASES: Mapping[str, tuple[Prepare, FailoverSettings]] = {
    "a sidestep": (a_sidestep, QUICK),
    "an ambiguous sidestep": (an_ambiguous_sidestep, QUICK),
    "a hedge": (a_hedge, QUICK),
    "a queue": (a_queue, replace(QUICK, fallback_room=1)),
    "a probe": (a_probe, QUICK),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("acts", [range(first, first + 10) for first in range(0, ACTS, 10)], ids=str)
async def test_wherever_it_dies_nothing_is_lost_and_nothing_runs_twice_unsaid(case: str, acts: range) -> None:
    prepare, settings = CASES[case]
    for act in acts:
        async with outage(settings) as world:
            ids = await prepare(world)
            crash = CrashPlan(act)

            async def over(crash: CrashPlan = crash, world: Outage = world) -> bool:
                return crash.dead.is_set() or await world.at_rest()

            await world.run(over, world.engine(crash))
            await world.run(world.at_rest)
            for execution_id in ids:
                await _check(world, execution_id)


async def _check(world: Outage, execution_id: str) -> None:
    journal = await world.journal(execution_id)
    state = await rebuild(world.store, execution_id, await world.store.load(execution_id), world.definitions)
    steps = state.workflow.steps.values()
    once = {step.id for step in steps if isinstance(step, TaskStep) and step.effects == "atMostOnce"}
    audit(journal, world.ledger, once)
    started = [event for event in journal if isinstance(event, ev.AttemptStarted)]
    roles = Counter(event.role for event in started)
    doubtful = [
        event
        for event in journal
        if isinstance(event, ev.AttemptInterrupted | ev.AttemptAbandoned)
        or (isinstance(event, ev.AttemptFailed) and event.outcome.ambiguous)
    ]
    mine = {event.key for event in started}
    runs = sum(sent.ran for sent in world.ledger if sent.key in mine)
    assert runs <= 1 + len(doubtful), "it ran again, and the journal does not say why"
    if once:
        assert roles["probe"] == roles["hedge"] == 0
    assert state.status == ("PARKED" if once and doubtful else "COMPLETED")
    _replay(journal, execution_id, state.workflow)


def _replay(journal: list[ev.AnyEvent], execution_id: str, workflow: Workflow) -> None:
    """From every prefix, through a snapshot, the rest folds to the same."""
    states = [blank(execution_id, workflow)]
    for event in journal:
        states.append(evolve(states[-1], event))
    for number, state in enumerate(states):
        again = snapshot.restore(snapshot.dump(state), workflow)
        assert again == state
        for event in journal[number:]:
            again = evolve(again, event)
        assert again == states[-1]


async def test_a_hedge_is_two_runs_at_most_though_its_worker_dies_between_the_two_answers() -> None:
    async with outage(QUICK) as world:
        (execution_id,) = await a_hedge(world)
        slow, quick = Door(), Door()
        world.clouds["AWS"].gate, world.clouds["GCP"].gate = slow, quick
        crash = CrashPlan(None)
        await world.run(lambda: len(world.ledger) == 2, world.engine(crash))
        crash.dead.set()
        quick.stay_open()
        await world.quiet()
        slow.stay_open()
        await world.run(world.at_rest)
        journal = await world.journal(execution_id)
        assert sum(isinstance(event, ev.AttemptInterrupted) for event in journal) == 2
        assert await world.status(execution_id) == "COMPLETED"
        audit(journal, world.ledger, set())
