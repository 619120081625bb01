"""GET /executions/{id}/results: what the items of a MAP gave."""

from typing import Any

from tests.api.serving import Server


def document(server: Server) -> dict[str, Any]:
    task = server.functions.workflow("echo")["steps"][0]
    task.pop("next", None)
    each = {"id": "each", "type": "MAP", "items": "rows", "each": task["id"], "results": "reference"}
    return {"id": "fan", "startAt": "each", "steps": [each, task]}


async def test_a_page_of_results_and_what_is_missing_or_unknown(light: Server) -> None:
    body = {"workflow": document(light), "input": {"rows": [1, 2, 3]}}
    created = await light.client.post("/executions", json=body, headers={"prefer": "wait=20"})
    view = created.json()
    assert view["status"] == "COMPLETED", view["error"]
    path = view["output"]["each"]["results"]
    page = (await light.client.get(path, params={"limit": 2, "visit": "each"})).json()
    assert [one["index"] for one in page["results"]] == [0, 1]
    assert page["nextAfter"] == 1
    rest = (await light.client.get(path.partition("?")[0], params={"visit": "each", "after": 1})).json()
    assert [one["index"] for one in rest["results"]] == [2]
    assert rest["nextAfter"] is None
    missing = await light.client.get(path.partition("?")[0])
    assert missing.status_code == 400
    assert missing.json()["problems"][0]["code"] == "missing-parameter"
    unknown = await light.client.get(path.partition("?")[0], params={"visit": "nowhere"})
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "urn:sidestep:problem:visit-not-found"
