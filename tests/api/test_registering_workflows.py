from typing import Any

from tests.api.serving import HEADERS, Server


async def test_a_definition_is_kept_by_version_and_the_same_again_is_the_same(server: Server) -> None:
    first = server.functions.workflow("echo")
    second = server.functions.workflow("done")
    codes = []
    for flow in (first, first, second, first):
        answer = await server.client.put("/workflows/flow", json=flow)
        codes.append((answer.status_code, answer.json()["version"]))
    assert codes == [(201, 1), (200, 1), (201, 2), (201, 3)]

    versions = (await server.client.get("/workflows/flow/versions")).json()
    assert [kept["version"] for kept in versions["versions"]] == [3, 2, 1]
    newest = (await server.client.get("/workflows/flow")).json()
    assert (newest["version"], newest["definition"]) == (3, first)
    older = (await server.client.get("/workflows/flow", params={"version": 2})).json()
    assert (older["version"], older["definition"]) == (2, second)
    assert older["digest"] != newest["digest"]


async def test_a_new_version_says_where_it_is(light: Server) -> None:
    flow = light.functions.workflow("echo", workflow_id="Bestellung für Müller")
    answer = await light.client.put("/workflows/Bestellung für Müller", json=flow)
    assert answer.status_code == 201
    there = await light.client.get(answer.headers["location"])
    assert there.json()["definition"] == flow


async def test_workflows_are_listed_by_id_in_pages(server: Server) -> None:
    names = [f"flow-{at}" for at in range(5)]
    for name in reversed(names):
        await server.client.put(
            f"/workflows/{name}", json=server.functions.workflow("done", workflow_id=name)
        )
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = (await server.client.get("/workflows", params=query)).json()
        seen += [kept["workflowId"] for kept in page["workflows"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == names


async def test_a_definition_goes_under_its_own_id_alone(light: Server) -> None:
    answer = await light.client.put("/workflows/other", json=light.functions.workflow("echo"))
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["pointer"] == "/id"
    assert (await light.client.get("/workflows")).json()["workflows"] == []


async def test_a_definition_that_cannot_run_is_not_kept(light: Server) -> None:
    flow = light.functions.workflow("echo")
    flow["steps"][0]["next"] = "nowhere"
    answer = await light.client.put("/workflows/flow", json=flow)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Invalid workflow definition"
    assert [problem["pointer"] for problem in answer.json()["problems"]] == ["/steps/0/next"]
    for path in ("/workflows/flow", "/workflows/flow/versions"):
        missing = await light.client.get(path)
        assert (missing.status_code, missing.json()["error"]) == (404, "Workflow not found")


async def test_validation_lists_problems_and_hints_and_keeps_nothing(light: Server) -> None:
    async def validate(document: Any) -> Any:
        answer = await light.client.post("/workflows/validate", json=document)
        assert answer.status_code == 200
        return answer.json()

    flow = light.functions.workflow("echo")
    assert await validate(flow) == {"valid": True, "problems": []}
    flow["steps"][0]["nxt"] = "nowhere"
    wrong = await validate(flow)
    assert wrong["valid"] is False
    assert wrong["problems"][0]["pointer"] == "/steps/0/nxt"
    assert "next" in wrong["problems"][0]["mend"]
    assert (await validate(["no", "object"]))["valid"] is False
    assert (await light.client.get("/workflows")).json()["workflows"] == []


async def test_a_large_definition_is_read_as_a_small_one_is(light: Server) -> None:
    flow = light.functions.workflow(*["done"] * 500)
    answer = await light.client.post("/workflows/validate", json=flow)
    assert answer.json() == {"valid": True, "problems": []}
    assert (await light.client.put("/workflows/flow", json=flow)).status_code == 201
    flow["steps"][499]["next"] = "nowhere"
    refused = await light.client.post("/executions", json={"workflow": flow})
    assert [problem["pointer"] for problem in refused.json()["problems"]] == ["/workflow/steps/499/next"]


async def test_validation_of_what_cannot_be_read_is_refused(light: Server) -> None:
    answer = await light.client.post("/workflows/validate", content=b"{", headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]) == (400, "Unreadable request body")
