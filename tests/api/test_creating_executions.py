import asyncio
from typing import Any

import pytest

from api.limits import Limits
from tests.api.serving import HEADERS, Server, serving


async def test_a_creation_answers_with_its_location_and_completes(server: Server) -> None:
    flow = server.functions.workflow("echo", "done")
    answer = await server.client.post("/executions", json={"workflow": flow, "input": {"n": 1}})
    assert answer.status_code == 201
    created = answer.json()
    assert created == {"executionId": created["executionId"], "workflowId": "flow", "status": "PENDING"}
    assert answer.headers["location"] == f"/executions/{created['executionId']}"
    assert (await server.ended(created["executionId"]))["status"] == "COMPLETED"


async def test_fifty_creations_with_one_key_at_once_make_one_execution(server: Server) -> None:
    body = {"workflow": server.functions.workflow("echo"), "input": {"n": 1}}

    async def once() -> tuple[str, bool]:
        answer = await server.client.post("/executions", json=body, headers={"Idempotency-Key": "order-17"})
        assert answer.status_code == 201
        return answer.json()["executionId"], answer.headers.get("idempotency-replayed") == "true"

    answers = await asyncio.gather(*(once() for _ in range(50)))
    assert len({execution_id for execution_id, _ in answers}) == 1
    assert sum(not replayed for _, replayed in answers) == 1
    await server.ended(answers[0][0])
    assert len(await server.listed()) == 1
    assert len(server.functions.calls) == 1


async def test_a_key_used_for_another_request_is_refused(server: Server) -> None:
    flow = server.functions.workflow("echo")
    key = {"Idempotency-Key": "order-17"}
    first = await server.client.post("/executions", json={"workflow": flow, "input": {"n": 1}}, headers=key)
    other = await server.client.post("/executions", json={"workflow": flow, "input": {"n": 2}}, headers=key)
    assert (first.status_code, other.status_code) == (201, 422)
    assert other.json()["type"] == "urn:sidestep:problem:idempotency-conflict"
    assert len(await server.listed()) == 1


async def test_a_repeated_creation_by_name_is_the_same_execution_though_a_version_was_added(
    server: Server,
) -> None:
    key = {"Idempotency-Key": "order-17"}
    await server.client.put("/workflows/flow", json=server.functions.workflow("echo"))
    first = await server.client.post("/executions", json={"workflowId": "flow"}, headers=key)
    await server.client.put("/workflows/flow", json=server.functions.workflow("done"))
    again = await server.client.post("/executions", json={"workflowId": "flow"}, headers=key)
    assert again.status_code == 201
    assert again.json()["executionId"] == first.json()["executionId"]


async def test_keys_that_are_no_keys_are_refused(light: Server) -> None:
    body = {"workflow": light.functions.workflow("echo")}
    for key in ("", "x" * 256, "caf\u00e9"):
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        answer = await light.client.post("/executions", json=body, headers=headers)
        assert answer.status_code == 400, key
        assert answer.json()["problems"][0]["parameter"] == "Idempotency-Key"
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await light.client.post("/executions", json=body, headers=twice)).status_code == 400
    assert await light.listed() == []


async def test_a_caller_who_prefers_to_wait_gets_the_finished_execution(server: Server) -> None:
    body = {"workflow": server.functions.workflow("echo"), "input": {"n": 1}}
    answer = await server.client.post("/executions", json=body, headers={"Prefer": "respond-async, wait=20"})
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait"
    view = answer.json()
    assert (view["status"], view["output"]) == ("COMPLETED", {"n": 1, "seen": {"n": 1}})


@pytest.mark.parametrize("step", ["echo", "own-error", "over", "choice", "map", "parked", "wait", "big"])
async def test_what_a_wait_is_answered_is_byte_for_byte_what_is_read_later(server: Server, step: str) -> None:
    task = server.functions.task
    over = {"provider": "HTTP", "functionId": f"{server.functions.url}/echo"}
    choices = [{"variable": "n", "operator": "gt", "value": 0.5, "next": "t"}]
    steps: list[dict[str, Any]] = {
        "over": [task("s", "down", fallbacks=[over])],
        "choice": [{"id": "s", "type": "CHOICE", "choices": choices, "default": "t"}, task("t", "echo")],
        "map": [{"id": "s", "type": "MAP", "items": "xs", "each": "t"}, task("t", "echo")],
        "parked": [task("s", "held", effects="atMostOnce", timeout=100)],
        "wait": [{"id": "s", "type": "WAIT", "seconds": 1, "next": "t"}, task("t", "echo")],
    }.get(step, [task("s", step)])
    given = {"n": 1.0, "xs": [1, 2.5e300, {"a": None}, "h\u00e9\u2028"]}
    body = {"workflow": {"id": "flow", "startAt": "s", "steps": steps}, "input": given}
    answer = await server.client.post("/executions", json=body, headers={"Prefer": "wait=20"})
    assert answer.headers.get("preference-applied") == "wait", answer.text
    later = await server.client.get(answer.headers["location"])
    assert answer.content == later.content


async def test_a_wait_that_is_too_short_answers_as_if_nobody_had_waited(light: Server) -> None:
    body = {"workflow": light.functions.workflow("held")}
    answer = await light.client.post("/executions", json=body, headers={"Prefer": "wait=0"})
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers
    assert answer.json()["status"] in ("PENDING", "RUNNING")


async def test_no_more_than_the_allowed_number_wait_and_the_others_are_answered_at_once() -> None:
    async with serving(limits=Limits(waits=1)) as server:
        body = {"workflow": server.functions.workflow("held")}

        async def wait() -> Any:
            return await server.client.post("/executions", json=body, headers={"Prefer": "wait=20"})

        waiting = asyncio.create_task(wait())
        await server.functions.called.wait()
        second = await wait()
        assert "preference-applied" not in second.headers
        server.functions.release.set()
        assert (await waiting).json()["status"] == "COMPLETED"


async def test_a_registered_workflow_runs_by_name_and_version(server: Server) -> None:
    await server.client.put("/workflows/flow", json=server.functions.workflow("echo"))
    await server.client.put("/workflows/flow", json=server.functions.workflow("done"))
    for body, context in (
        ({"workflowId": "flow"}, {"done": True}),
        ({"workflowId": "flow", "version": 1, "input": {"n": 1}}, {"n": 1, "seen": {"n": 1}}),
    ):
        answer = await server.client.post("/executions", json=body, headers={"Prefer": "wait=20"})
        assert answer.json()["context"] == context
    missing = await server.client.post("/executions", json={"workflowId": "flow", "version": 9})
    assert (missing.status_code, missing.json()["error"]) == (404, "Workflow not found")


async def test_everything_wrong_with_a_request_is_listed_at_once(light: Server) -> None:
    flow = light.functions.workflow("echo")
    flow["steps"][0]["next"] = "nowhere"
    body = {"workflow": flow, "inputs": {}, "workflowId": "flow", "version": "one"}
    answer = await light.client.post("/executions", json=body)
    assert answer.status_code == 400
    problems = {problem["pointer"]: problem for problem in answer.json()["problems"]}
    assert set(problems) == {"/inputs", "/workflowId", "/version", "/workflow/steps/0/next"}
    assert problems["/inputs"]["mend"] == "Did you mean 'input'?"
    assert await light.listed() == []


async def test_an_input_that_is_no_object_is_refused(light: Server) -> None:
    await light.client.put("/workflows/flow", json=light.functions.workflow("done"))
    for value in ("[1]", '"text"', "7", "true"):
        content = '{"workflowId": "flow", "input": ' + value + "}"
        answer = await light.client.post("/executions", content=content, headers=HEADERS)
        assert answer.status_code == 400
        assert [problem["pointer"] for problem in answer.json()["problems"]] == ["/input"]


async def test_a_workflow_that_no_configured_cloud_can_run_is_refused_with_the_reason(light: Server) -> None:
    step = {"id": "a", "type": "TASK", "provider": "AWS", "functionId": "f"}
    flow = {"id": "flow", "startAt": "a", "steps": [step]}
    answer = await light.client.post("/executions", json={"workflow": flow})
    assert answer.status_code == 400
    problem = answer.json()["problems"][0]
    assert problem["code"] == "no-usable-target"
    assert "SIDESTEP_PROVIDERS__AWS__" in problem["detail"]
