"""The first system's client works as it is: its requests, its fields, its codes."""

from tests.api.serving import Server


async def test_the_demo_of_the_seed_runs_and_its_history_is_printed(server: Server) -> None:
    flow = {
        "id": "my-flow",
        "startAt": "step1",
        "steps": [
            server.functions.task("step1", "echo", retries=1, timeout=3000, next="step2"),
            {
                "id": "step2",
                "type": "CHOICE",
                "choices": [{"variable": "hello", "operator": "eq", "value": "world", "next": "step3"}],
                "default": "step3",
            },
            server.functions.task("step3", "done"),
        ],
    }
    created = await server.client.post("/executions", json={"workflow": flow, "input": {"hello": "world"}})
    assert created.status_code == 201
    body = created.json()
    assert body["status"] == "PENDING"
    await server.runtime.executions.wait(body["executionId"], 20)

    seen = await server.client.get(f"/executions/{body['executionId']}")
    assert seen.status_code == 200
    execution = seen.json()
    assert execution["executionId"] == body["executionId"]
    assert execution["workflowId"] == "my-flow"
    assert execution["status"] == "COMPLETED"
    assert execution["currentStepId"] is None
    assert execution["context"] == {"hello": "world", "seen": {"hello": "world"}, "done": True}
    assert execution["startedAt"] <= execution["updatedAt"]
    types = [event["type"] for event in execution["history"]]
    wanted = ["WORKFLOW_STARTED", "STEP_STARTED", "STEP_COMPLETED", "WORKFLOW_COMPLETED"]
    assert [kind for kind in types if kind in wanted] == [
        "WORKFLOW_STARTED",
        *["STEP_STARTED", "STEP_COMPLETED"] * 3,
        "WORKFLOW_COMPLETED",
    ]
    started = next(event for event in execution["history"] if event["type"] == "STEP_STARTED")
    assert started["stepId"] == "step1"
    assert started["timestamp"].endswith("Z")
    assert "details" in started


async def test_a_workflow_without_id_or_steps_is_an_invalid_workflow_definition(light: Server) -> None:
    whole = light.functions.workflow("echo")
    for missing in ("id", "steps"):
        flow = {name: value for name, value in whole.items() if name != missing}
        answer = await light.client.post("/executions", json={"workflow": flow, "input": {}})
        assert answer.status_code == 400
        assert answer.json()["error"] == "Invalid workflow definition"
        assert f"/workflow/{missing}" in [problem["pointer"] for problem in answer.json()["problems"]]
    answer = await light.client.post("/executions", json={"input": {}})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid workflow definition")
    assert await light.listed() == []


async def test_an_execution_nobody_created_is_not_found(light: Server) -> None:
    answer = await light.client.get("/executions/unknown")
    assert (answer.status_code, answer.json()["error"]) == (404, "Execution not found")


async def test_health_is_ok_and_says_the_version(light: Server) -> None:
    answer = await light.client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "OK"
    assert answer.json()["version"]
