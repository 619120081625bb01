"""Random graphs, answers and deaths, while people pause, resume, cancel, redrive and settle at random."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.engine.settings import EngineSettings
from core.errors import Conflict
from core.graph.model import TaskStep
from core.machine.transitions import PARKED, PAUSED, TERMINAL
from tests.engine.harness import CrashPlan, World, audit
from tests.engine.test_crashes import FAULTS, answering
from tests.strategies import workflows

KINDS = ("pause", "resume", "cancel", "redrive", "completed", "failed", "retry", "failover")

FITTING = {
    PAUSED: ("resume",),
    PARKED: ("completed", "failed", "retry", "failover"),
    **dict.fromkeys(TERMINAL, ("redrive",)),
}
"""What a sensible person asks for in a status."""


class People:
    """Who ask, one thing at a time, each twice with the same message id, as a client that retries does."""

    def __init__(self, world: World, execution_id: str, wishes: list[str | None]) -> None:
        self.world = world
        self.execution_id = execution_id
        self.wishes = wishes
        self.taken: list[str] = []

    async def ask(self) -> None:
        """The next wish; None is whatever fits the status."""
        if not self.wishes:
            return
        wish = self.wishes.pop()
        if wish is None:
            fitting = FITTING.get(await self.world.status(self.execution_id), ("pause",))
            wish = fitting[len(self.wishes) % len(fitting)]
        message_id = f"m{len(self.wishes)}"
        try:
            taken = [await self._send(wish, message_id) for _ in range(2)]
        except Conflict:
            return
        assert taken == [True, False]
        self.taken.append(message_id)
        event(f"{wish} was taken")

    async def _send(self, wish: str, message_id: str) -> bool:
        executions, given_ = self.world.executions, {"actor": "ann", "message_id": message_id}
        match wish:
            case "pause":
                return await executions.pause(self.execution_id, **given_)
            case "resume":
                return await executions.resume(self.execution_id, **given_)
            case "cancel":
                return await executions.cancel(self.execution_id, **given_)
            case "redrive":
                return await executions.redrive(self.execution_id, **given_)
            case "completed":
                return await executions.resolve(self.execution_id, verdict="completed", output={}, **given_)
            case "failed":
                return await executions.resolve(self.execution_id, verdict="failed", **given_)
            case "retry":
                return await executions.resolve(self.execution_id, verdict="retry", **given_)
            case _:
                return await executions.resolve(self.execution_id, verdict="failover", **given_)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    document=workflows(),
    plan=st.lists(st.none() | st.integers(0, len(FAULTS) - 1), min_size=1, max_size=8),
    deaths=st.lists(st.integers(0, 25), max_size=5),
    wishes=st.lists(st.none() | st.sampled_from(KINDS), min_size=1, max_size=12),
)
def test_whatever_people_ask_and_whatever_dies_every_request_is_told_once_and_nothing_is_lost(
    document: dict[str, Any], plan: list[int | None], deaths: list[int], wishes: list[str | None]
) -> None:
    asyncio.run(_ask_and_die(document, plan, deaths, wishes))


async def _ask_and_die(
    document: dict[str, Any], plan: list[int | None], deaths: list[int], wishes: list[str | None]
) -> None:
    world = World(answering(plan), settings=EngineSettings(visit_budget=200))
    execution_id = await world.submit(document, {"n": 0})
    people = People(world, execution_id, wishes)

    async def still() -> bool:
        return await world.at_rest() and not await world.store.inbox(execution_id)

    for death in deaths:
        crash = CrashPlan(death)

        async def over(crash: CrashPlan = crash) -> bool:
            await people.ask()
            return crash.dead.is_set() or await still()

        await world.run(over, world.engine(crash))
    await world.run(still)
    while people.wishes:
        await people.ask()
        await world.run(still)
    if await world.status(execution_id) == PAUSED:
        await world.executions.resume(execution_id)
        await world.run(still)
    status = await world.status(execution_id)
    event(f"in the end: {status}")
    assert status == PARKED or status in TERMINAL
    journal = await world.journal(execution_id)
    told = Counter(getattr(one, "message_id", None) for one in journal)
    assert all(told[message_id] == 1 for message_id in people.taken), "a request was lost, or taken twice"
    money = {
        step.id
        for step in world.workflows.read(document).steps.values()
        if isinstance(step, TaskStep) and step.effects == "atMostOnce"
    }
    audit(journal, world.ledger, money)
    view = await world.executions.view(execution_id)
    assert view.status == status
    assert {step.status for step in view.steps}.isdisjoint(
        {"RUNNING", "PENDING"} if status in TERMINAL else ()
    )
