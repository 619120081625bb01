"""Expressions of workflows that run on a real server: beside it, within bounds, once."""

import asyncio
from typing import Any

import pytest

from adapters.evaluator.pool import EvaluatorPool
from tests.api.serving import Server
from tests.evaluator.evaluating import alive

ENDLESS = "{% ($f := function() { $f() }; $f()) %}"


def workflow(*steps: dict[str, Any], workflow_id: str = "flow") -> dict[str, Any]:
    return {"id": workflow_id, "startAt": steps[0]["id"], "steps": list(steps)}


async def created(server: Server, definition: dict[str, Any], data: dict[str, Any] | None = None) -> str:
    answer = await server.client.post("/executions", json={"workflow": definition, "input": data or {}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["executionId"])


async def test_expressions_decide_and_compute(light: Server) -> None:
    definition = workflow(
        {"id": "total", "type": "PASS", "output": {"total": "{% $sum(lines.price) %}"}, "next": "large"},
        {
            "id": "large",
            "type": "CHOICE",
            "choices": [{"condition": "{% total > 100 %}", "next": "yes"}],
            "default": "no",
        },
        {"id": "yes", "type": "PASS", "output": {"note": "{% 'total: ' & $string(total) %}"}},
        {"id": "no", "type": "PASS", "result": {"note": "small"}},
    )
    lines = {"lines": [{"price": 100}, {"price": 20}]}
    ended = await light.ended(await created(light, definition, lines))
    assert ended["status"] == "COMPLETED", ended
    assert ended["output"] == {**lines, "total": 120, "note": "total: 120"}


@pytest.mark.parametrize(
    "expression", [ENDLESS, "{% $match('" + "a" * 40 + "!', /^(a+)+$/) %}", "{% $pad('', 4000000000) %}"]
)
async def test_a_hostile_expression_fails_its_own_execution_and_the_server_goes_on(
    light: Server, expression: str
) -> None:
    hostile = workflow({"id": "bad", "type": "PASS", "output": {"x": expression}}, workflow_id="hostile")
    honest = workflow({"id": "good", "type": "PASS", "output": {"x": "{% 1 + 1 %}"}}, workflow_id="honest")
    bad = [await created(light, hostile) for _ in range(4)]
    async with asyncio.timeout(20):
        good = await light.ended(await created(light, honest))
        assert (good["status"], good["output"]["x"]) == ("COMPLETED", 2)
        for execution_id in bad:
            ended = await light.ended(execution_id)
            assert ended["status"] == "FAILED"
            assert ended["error"]["error"] == "Sidestep.ExpressionFailed"


async def test_the_processes_of_expressions_end_with_the_server(light: Server) -> None:
    definition = workflow({"id": "sum", "type": "PASS", "output": {"x": "{% $sum([1, 2]) %}"}})
    assert (await light.ended(await created(light, definition)))["output"]["x"] == 3
    evaluator = light.runtime.evaluator
    assert isinstance(evaluator, EvaluatorPool)
    (pid,) = evaluator.pids
    await light.runtime.stop()
    assert not alive(pid)
