"""Random graphs, random answers, random deaths: what must hold of every execution."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.engine.settings import EngineSettings
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import TaskStep
from core.machine import snapshot
from core.machine.evolve import evolve
from core.machine.state import blank
from core.ports.provider import Call
from tests.engine.harness import CrashPlan, World, audit
from tests.strategies import workflows

FAULTS = (
    Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="refused", error="Sidestep.Unavailable"),
    Outcome(
        executed=Executed.NO,
        scope=Scope.SATURATION,
        signal="throttled",
        error="Sidestep.Throttled",
        retry_here=True,
    ),
    Outcome(executed=Executed.NO, scope=Scope.CALLER, signal="http-400", error="Sidestep.Rejected"),
    Outcome(
        executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="reset", error="Sidestep.Reset", cause="ran"
    ),
    Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="timeout", error="Sidestep.Timeout"),
    Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="ValueError"),
    Outcome(executed=Executed.YES, scope=Scope.RESPONSE, signal="corrupt", error="Sidestep.BadResponse"),
)


def answering(plan: list[int | None]) -> Any:
    """Each call takes the next answer of the plan, round and round; None is a success."""
    count = 0

    def answer(_call: Call) -> Outcome:
        nonlocal count
        chosen = plan[count % len(plan)]
        count += 1
        return succeeded({"n": count}) if chosen is None else FAULTS[chosen]

    return answer


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    document=workflows(),
    plan=st.lists(st.none() | st.integers(0, len(FAULTS) - 1), min_size=1, max_size=8),
    deaths=st.lists(st.integers(0, 25), max_size=5),
)
def test_whatever_dies_every_execution_ends_or_is_parked(
    document: dict[str, Any], plan: list[int | None], deaths: list[int]
) -> None:
    asyncio.run(_live_and_die(document, plan, deaths))


async def _live_and_die(document: dict[str, Any], plan: list[int | None], deaths: list[int]) -> None:
    world = World(answering(plan), settings=EngineSettings(visit_budget=200))
    execution_id = await world.submit(document, {"n": 0})
    for death in deaths:
        crash = CrashPlan(death)

        async def over(crash: CrashPlan = crash) -> bool:
            return crash.dead.is_set() or await world.at_rest()

        await world.run(over, world.engine(crash))
    await world.run(world.at_rest)
    money = {
        step.id
        for step in world.workflows.read(document).steps.values()
        if isinstance(step, TaskStep) and step.effects == "atMostOnce"
    }
    audit(await world.journal(execution_id), world.ledger, money)
    view = await world.executions.view(execution_id)
    assert view.status in {"COMPLETED", "FAILED", "PARKED"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    document=workflows(),
    plan=st.lists(st.none() | st.integers(0, len(FAULTS) - 1), min_size=1, max_size=8),
    pause=st.integers(1, 30),
)
def test_a_snapshot_taken_anywhere_is_the_state_that_was_folded(
    document: dict[str, Any], plan: list[int | None], pause: int
) -> None:
    asyncio.run(_fold_from_snapshots(document, plan, pause))


async def _fold_from_snapshots(document: dict[str, Any], plan: list[int | None], pause: int) -> None:
    world = World(answering(plan), settings=EngineSettings(visit_budget=100))
    execution_id = await world.submit(document)
    await world.run(world.at_rest)
    workflow = world.workflows.read(document)
    state = shortcut = blank(execution_id, workflow)
    for number, event in enumerate(await world.journal(execution_id)):
        if number % pause == 0:
            shortcut = snapshot.restore(snapshot.dump(shortcut), workflow)
        state, shortcut = evolve(state, event), evolve(shortcut, event)
        assert shortcut == state
