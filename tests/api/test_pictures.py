"""`GET /workflows/{id}/graph`: a registered workflow drawn, in three forms."""

from typing import Any

from tests.api.serving import Server


async def registered(server: Server, **more: Any) -> None:
    flow = {**server.functions.workflow("echo"), **more}
    assert (await server.client.put("/workflows/flow", json=flow)).status_code == 201


async def test_a_workflow_is_drawn_as_mermaid_unless_asked_otherwise(light: Server) -> None:
    await registered(light)
    drawn = await light.client.get("/workflows/flow/graph")
    assert drawn.status_code == 200
    assert drawn.headers["content-type"] == "text/plain; charset=utf-8"
    assert drawn.text.startswith("flowchart TD\n")


async def test_an_svg_may_style_itself_and_do_nothing_else(light: Server) -> None:
    await registered(light, name="<script>alert(1)</script>")
    drawn = await light.client.get("/workflows/flow/graph", params={"format": "svg"})
    assert drawn.headers["content-type"] == "image/svg+xml"
    policy = drawn.headers["content-security-policy"].split("; ")
    assert set(policy) == {"default-src 'none'", "style-src 'unsafe-inline'", "sandbox"}
    assert drawn.headers["x-content-type-options"] == "nosniff"
    assert "<title>&lt;script&gt;" in drawn.text
    assert "<script" not in drawn.text


async def test_nodes_and_edges_come_as_json_and_versions_can_be_chosen(light: Server) -> None:
    await registered(light)
    await registered(light, name="renamed")
    query = {"format": "json"}
    drawn = (await light.client.get("/workflows/flow/graph", params=query)).json()
    assert set(drawn) == {"title", "nodes", "edges", "groups"}
    assert drawn["title"] == "renamed"
    older = (await light.client.get("/workflows/flow/graph", params={**query, "version": "1"})).json()
    assert older["title"] != "renamed"


async def test_what_is_not_there_or_not_known_is_told(light: Server) -> None:
    assert (await light.client.get("/workflows/flow/graph")).status_code == 404
    await registered(light)
    assert (await light.client.get("/workflows/flow/graph", params={"version": 9})).status_code == 404
    wrong = await light.client.get("/workflows/flow/graph", params={"format": "png"})
    assert wrong.status_code == 400
    assert wrong.json()["problems"][0]["parameter"] == "format"


async def test_more_steps_than_a_picture_holds_are_refused_as_svg_alone(light: Server) -> None:
    steps = [{"id": f"s{n}", "type": "PASS", "next": f"s{n + 1}"} for n in range(2_000)]
    steps.append({"id": "s2000", "type": "SUCCEED"})
    flow = {"id": "flow", "startAt": "s0", "steps": steps}
    assert (await light.client.put("/workflows/flow", json=flow)).status_code == 201
    refused = await light.client.get("/workflows/flow/graph", params={"format": "svg"})
    assert refused.status_code == 400
    assert "2001 steps" in refused.json()["detail"]
    assert (await light.client.get("/workflows/flow/graph")).status_code == 200
