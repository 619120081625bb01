"""A MAP in the engine: fan-out, results by reference read a page at a time, and deaths in the middle."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ExecutionNotFound, VisitNotFound
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.ports.provider import Call
from tests.engine.harness import CrashPlan, World


def fan_out(**said: Any) -> dict[str, Any]:
    return {
        "id": "fan",
        "startAt": "each",
        "steps": [
            {"id": "each", "type": "MAP", "items": "items", "each": "do", **said},
            {"id": "do", "type": "TASK", "provider": "AWS", "functionId": "f"},
        ],
    }


def but_the_thirds(call: Call) -> Outcome:
    if call.payload["item"] % 3 == 2:
        return Outcome(executed=Executed.YES, scope=Scope.FUNCTION, error="Third", cause="a third")
    return succeeded({"twice": 2 * call.payload["item"]})


async def test_a_thousand_items_are_walked_and_join_in_order() -> None:
    world = World(lambda call: succeeded({"twice": 2 * call.payload["item"]}))
    execution_id = await world.submit(fan_out(maxConcurrency=40), {"items": list(range(1_000))})
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    assert view.output["each"] == [{"twice": 2 * number} for number in range(1_000)]
    assert len({sent.key for sent in world.ledger}) == len(world.ledger) == 1_000


async def test_results_by_reference_are_read_a_page_at_a_time() -> None:
    world = World(but_the_thirds)
    document = fan_out(results="reference", toleratedFailures={"percent": 50})
    execution_id = await world.submit(document, {"items": list(range(8))})
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.output["each"] == {
        "items": 8,
        "succeeded": 6,
        "failed": 2,
        "results": f"/executions/{execution_id}/results?visit=each",
    }
    first = await world.executions.results(execution_id, "each", -1, 3)
    assert [one.index for one in first.results] == [0, 1, 2]
    assert first.results[1].output == {"twice": 2}
    assert (first.results[2].error, first.results[2].cause) == ("Third", "a third")
    assert first.next_after == 2
    rest = await world.executions.results(execution_id, "each", 2, 100)
    assert [one.index for one in rest.results] == [3, 4, 5, 6, 7]
    assert rest.next_after is None


async def test_what_is_no_map_has_no_results() -> None:
    world = World()
    execution_id = await world.submit(fan_out(), {"items": [1]})
    await world.run(world.at_rest)
    for visit in ("each/0/do", "nowhere", "", "each/x"):
        with pytest.raises(VisitNotFound):
            await world.executions.results(execution_id, visit, -1, 10)
    with pytest.raises(ExecutionNotFound):
        await world.executions.results("01m7yxapqksv3ng8bjnccd45pk-0", "each", -1, 10)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=4), st.integers(1, 4))
def test_whatever_dies_every_item_is_walked_and_none_twice_without_a_reason(
    deaths: list[int], at_once: int
) -> None:
    asyncio.run(_live_and_die(deaths, at_once))


async def _live_and_die(deaths: list[int], at_once: int) -> None:
    world = World(lambda call: succeeded({"n": call.payload["item"]}))
    document = fan_out(maxConcurrency=at_once, results="reference")
    execution_id = await world.submit(document, {"items": list(range(9))})
    for death in deaths:
        crash = CrashPlan(death)

        async def over(crash: CrashPlan = crash) -> bool:
            return crash.dead.is_set() or await world.at_rest()

        await world.run(over, world.engine(crash))
    await world.run(world.at_rest)
    view = await world.executions.view(execution_id)
    assert view.status == "COMPLETED"
    page = await world.executions.results(execution_id, "each", -1, 100)
    assert [one.output for one in page.results] == [{"n": number} for number in range(9)]
    interrupted = sum(event["type"] == "ATTEMPT_INTERRUPTED" for event in _told(view))
    assert len(world.ledger) <= 9 + interrupted


def _told(view: Any) -> list[dict[str, Any]]:
    return [{"type": event.type} for event in view.history]
