"""Machines in the States Language know no ids: the path of the request gives them one."""

from typing import Any

import pytest

from tests.api.serving import Server

MACHINE: dict[str, Any] = {
    "StartAt": "Greet",
    "States": {"Greet": {"Type": "Pass", "Result": {"hello": "there"}, "End": True}},
}


async def test_a_machine_is_registered_under_the_id_of_the_path(server: Server) -> None:
    answer = await server.client.put("/workflows/orders", json=MACHINE)
    assert (answer.status_code, answer.json()["workflowId"]) == (201, "orders")
    kept = (await server.client.get("/workflows/orders")).json()
    assert kept["definition"] == MACHINE
    again = await server.client.put("/workflows/orders", json=MACHINE)
    assert (again.status_code, again.json()["version"]) == (200, 1)


async def test_one_machine_under_two_ids_is_two_workflows_whose_executions_bear_their_names(
    server: Server,
) -> None:
    for name in ("first", "second"):
        assert (await server.client.put(f"/workflows/{name}", json=MACHINE)).status_code == 201
    for name in ("first", "second", "first"):
        created = await server.client.post("/executions", json={"workflowId": name})
        assert created.json()["workflowId"] == name
        shown = await server.client.get(f"/executions/{created.json()['executionId']}")
        assert shown.json()["workflowId"] == name
        rerun = await server.client.post(f"/executions/{created.json()['executionId']}/rerun", json={})
        repeated = await server.client.get(f"/executions/{rerun.json()['executionId']}")
        assert repeated.json()["workflowId"] == name


async def test_a_machine_that_is_sent_along_goes_by_its_digest(server: Server) -> None:
    created = await server.client.post("/executions", json={"workflow": MACHINE})
    assert created.status_code in (200, 201, 202)
    shown = (await server.client.get(f"/executions/{created.json()['executionId']}")).json()
    assert shown["workflowId"] == created.json()["workflowId"]
    assert shown["workflowId"].startswith("asl-")
    assert len(shown["workflowId"]) == len("asl-") + 16


@pytest.mark.parametrize("name", ["x" * 129, "a\tb"])
async def test_an_id_that_no_workflow_may_have_is_refused_for_a_machine_too(light: Server, name: str) -> None:
    answer = await light.client.put(f"/workflows/{name.replace(chr(9), '%09')}", json=MACHINE)
    assert answer.status_code == 400
    assert (await light.client.get("/workflows")).json()["workflows"] == []


async def test_a_machine_whose_function_cannot_be_called_here_is_refused_where_it_names_it(
    light: Server,
) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:lambda:eu-west-1:111111111111:function:charge",
        "End": True,
    }
    branch = {"StartAt": "Charge/1", "States": {"Charge/1": task}}
    fan = {"Type": "Parallel", "Branches": [branch], "End": True}
    answer = await light.client.put("/workflows/m", json={"StartAt": "Fan", "States": {"Fan": fan}})
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert (problem["pointer"], problem["code"]) == (
        "/States/Fan/Branches/0/States/Charge~11",
        "no-usable-target",
    )


async def test_a_large_machine_is_read_too(light: Server) -> None:
    states: dict[str, Any] = {f"S{at}": {"Type": "Pass", "Next": f"S{at + 1}"} for at in range(1_000)} | {
        "S1000": {"Type": "Succeed"}
    }
    machine = {"StartAt": "S0", "States": states}
    answer = await light.client.post("/workflows/validate", json=machine)
    assert answer.json() == {"valid": True, "problems": []}
    del states["S500"]["Next"]
    answer = await light.client.post("/executions", json={"workflow": machine})
    assert answer.status_code == 400


@pytest.mark.parametrize("given", [[1, 2], "text", 7, None, {"a": 1}])
async def test_a_machine_takes_any_json_as_its_input(server: Server, given: Any) -> None:
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    await server.client.put("/workflows/any", json=machine)
    for named in ({"workflow": machine}, {"workflowId": "any"}):
        created = await server.client.post(
            "/executions", json={**named, "input": given}, headers={"prefer": "wait=5"}
        )
        assert (created.status_code, created.json()["status"]) == (201, "COMPLETED")
        assert created.json()["output"] == given
        rerun = await server.client.post(
            f"/executions/{created.json()['executionId']}/rerun", json={"input": [given]}
        )
        assert rerun.status_code == 201


async def test_the_input_of_a_native_workflow_is_an_object_however_it_is_named(light: Server) -> None:
    flow = light.functions.workflow("done")
    assert (await light.client.put("/workflows/flow", json=flow)).status_code == 201
    for named in ({"workflow": flow}, {"workflowId": "flow"}):
        answer = await light.client.post("/executions", json={**named, "input": [1]})
        assert answer.status_code == 400
        (problem,) = answer.json()["problems"]
        assert (problem["pointer"], problem["code"]) == ("/input", "wrong-type")
        created = await light.client.post("/executions", json={**named, "input": None})
        assert created.status_code == 201
        again = await light.client.post(
            f"/executions/{created.json()['executionId']}/rerun", json={"input": [1]}
        )
        assert again.status_code == 400
