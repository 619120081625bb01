"""What waits for an expression holds nothing else up, and load makes it wait, too."""

import asyncio
from typing import Any

from core.data.flow import Answer, Flow, Frame, Request
from core.engine.evaluating import evaluated
from core.machine.run import Asked
from tests.engine.harness import World

SLOW = "{% $uppercase(name) & '' %}"


class Held:
    """An evaluator that answers once it is let, and moves the clock by `takes` seconds each time."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.under_way = self.most = self.asked = 0
        self.world: World | None = None
        self.takes = 0.0

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:
        del request, key
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.let.wait()
        if self.world is not None and self.takes:
            self.world.clock.advance(self.takes)
        self.under_way -= 1
        return Answer(value={"seen": self.asked})


async def test_an_execution_has_a_few_requests_with_the_evaluator_however_many_it_wants() -> None:
    held = Held()
    request = Request(kind="enter", flow=Flow(language="native"), frame=Frame(data={}))
    wanted: dict[Asked, Request] = {(f"v{number}", "enter", 0): request for number in range(500)}
    answers = asyncio.create_task(evaluated(held, wanted, "w"))
    await asyncio.sleep(0)
    held.let.set()
    found = await answers
    assert held.most <= 8
    assert list(found) == list(wanted)[: len(found)]
    assert 0 < len(found) < len(wanted), "the rest is asked for after what these lead to"


async def test_a_call_is_sent_while_another_branch_waits_for_an_expression() -> None:
    held = Held()
    world = World(evaluator=held)
    document = {
        "id": "w",
        "startAt": "both",
        "steps": [
            {"id": "both", "type": "PARALLEL", "branches": ["call", "made"]},
            {"id": "call", "type": "TASK", "provider": "AWS", "functionId": "f"},
            {"id": "made", "type": "PASS", "output": {"x": SLOW}},
        ],
    }
    await world.submit(document, {"name": "ann"})
    engine = world.engine()
    task = asyncio.create_task(engine.run())
    try:
        await world.until_sent(1)
        assert held.asked == 1
        assert not held.let.is_set()
        held.let.set()
        await world.quiet()
    finally:
        engine.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await world.run(world.at_rest)
    assert (await world.store.counts()) == {"COMPLETED": 1}
    assert len(world.ledger) == 1


async def test_a_long_line_of_expressions_can_be_cancelled() -> None:
    held = Held()
    held.let.set()
    world = World(evaluator=held)
    held.world, held.takes = world, 0.3
    steps: list[dict[str, Any]] = [
        {"id": "made", "type": "PASS", "output": {"x": SLOW}, "next": "again"},
        {
            "id": "again",
            "type": "CHOICE",
            "choices": [{"variable": "over", "operator": "eq", "value": True, "next": "end"}],
            "default": "made",
        },
        {"id": "end", "type": "SUCCEED"},
    ]
    execution_id = await world.submit({"id": "w", "startAt": "made", "steps": steps}, {"name": "a"})

    async def cancelled() -> bool:
        if held.asked >= 20:
            status = await world.status(execution_id)
            if status == "RUNNING":
                await world.executions.cancel(execution_id)
            return status == "CANCELLED"
        return False

    await world.run(cancelled)
    assert held.asked < 1_000
