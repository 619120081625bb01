"""POST /workflows/test: what comes of a workflow on supplied answers. Nothing is kept or called."""

import asyncio
from typing import Any

import pytest

from tests.api.serving import Server


def flow(**more: Any) -> dict[str, Any]:
    charge = {"id": "charge", "type": "TASK", "provider": "AWS", "functionId": "charge-card", **more}
    return {"id": "order", "startAt": "charge", "steps": [charge]}


async def asked(server: Server, body: Any) -> tuple[int, dict[str, Any]]:
    answer = await server.client.post("/workflows/test", json=body)
    return answer.status_code, answer.json()


async def test_a_trial_answers_with_outcome_steps_and_history(server: Server) -> None:
    # AWS is not configured here: a trial needs no provider.
    status, told = await asked(
        server,
        {"workflow": flow(), "input": {"amount": 12}, "mocks": {"charge": [{"output": {"receipt": "r"}}]}},
    )
    assert status == 200
    assert set(told) == {"status", "output", "context", "stepsEntered", "history"}
    assert (told["status"], told["output"]) == ("COMPLETED", {"amount": 12, "receipt": "r"})
    assert told["stepsEntered"] == ["charge"]
    assert [one["type"] for one in told["history"]][-1] == "WORKFLOW_COMPLETED"
    assert await server.listed() == []
    assert server.functions.calls == []


async def test_a_failure_is_an_answer_with_error_and_cause(server: Server) -> None:
    mocks = {"charge": [{"error": "CardDeclined", "cause": "no funds"}]}
    status, told = await asked(server, {"workflow": flow(), "mocks": mocks})
    assert status == 200
    assert (told["status"], told["error"], told["cause"]) == ("FAILED", "CardDeclined", "no funds")
    assert "output" not in told


async def test_a_machine_in_the_states_language_is_tried_on_any_input(server: Server) -> None:
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {"A": {"Type": "Pass", "Output": "{% $sum($states.input) %}", "End": True}},
    }
    status, told = await asked(server, {"workflow": machine, "input": [1, 2, 3]})
    assert (status, told["output"]) == (200, 6)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/workflow", "missing-field"),
        ([], "", "wrong-type"),
        ({"workflow": flow(), "inputs": {}}, "/inputs", "unknown-field"),
        ({"workflow": flow(), "input": [1]}, "/input", "wrong-type"),
        ({"workflow": flow(), "mocks": {"charge": [{}]}}, "/mocks/charge/0", "one-answer"),
        ({"workflow": flow(), "mocks": {"none": [{"output": 1}]}}, "/mocks/none", "unknown-step"),
        ({"workflow": flow()}, "/mocks/charge", "no-mock"),
        ({"workflow": {"id": "x"}}, "/workflow/startAt", "missing-field"),
        (
            {"workflow": {"StartAt": "A", "States": {"A": {"Type": "Nothing"}}}},
            "/workflow/States/A/Type",
            None,
        ),
    ],
)
async def test_what_cannot_be_tried_is_told_with_its_place(
    server: Server, body: Any, pointer: str, code: str | None
) -> None:
    status, told = await asked(server, body)
    assert status == 400
    found = {one["pointer"]: one["code"] for one in told["problems"]}
    assert pointer in found
    assert code in {None, found[pointer]}


async def test_what_never_comes_is_told_as_such(server: Server) -> None:
    wait = {"id": "w", "type": "WAIT", "signal": "go"}
    body = {"workflow": {"id": "f", "startAt": "w", "steps": [wait]}, "mocks": {"w": [{"timeout": True}]}}
    status, told = await asked(server, body)
    assert (status, told["type"]) == (422, "urn:sidestep:problem:trial-waits-for-ever")
    assert "'w'" in told["detail"]


async def test_trials_side_by_side_do_not_meet(server: Server) -> None:
    answers = await asyncio.gather(
        *(
            asked(
                server, {"workflow": flow(), "input": {"n": n}, "mocks": {"charge": [{"output": {"m": -n}}]}}
            )
            for n in range(20)
        )
    )
    assert [told["output"] for _, told in answers] == [{"n": n, "m": -n} for n in range(20)]


async def test_the_document_tells_of_it(server: Server) -> None:
    document = (await server.client.get("/openapi.json")).json()
    operation = document["paths"]["/workflows/test"]["post"]
    assert {"200", "400", "422", "503"} <= set(operation["responses"])
