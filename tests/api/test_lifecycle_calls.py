import asyncio

from tests.api.serving import HEADERS, Server


async def test_a_pause_and_a_resume_are_taken_once_for_each_key(server: Server) -> None:
    execution_id = await server.create("held", "done")
    path = f"/executions/{execution_id}"
    await server.functions.called.wait()
    key = {"idempotency-key": "k"}
    asked = (server.client.post(f"{path}/pause", json={"reason": "audit"}, headers=key) for _ in range(2))
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 202]
    assert {answer.json()["accepted"] for answer in answers} == {"now", "before"}
    while (await server.client.get(path)).json()["status"] != "PAUSED":
        await asyncio.sleep(0.01)
    assert (await server.client.post(f"{path}/resume", json={}, headers=key)).status_code == 202
    server.functions.release.set()
    assert (await server.ended(execution_id))["status"] == "COMPLETED"


async def test_what_the_status_forbids_is_a_409_and_what_is_unknown_a_404(server: Server) -> None:
    execution_id = await server.create("done")
    await server.ended(execution_id)
    for action, body in (("pause", {}), ("resume", {}), ("redrive", {}), ("resolve", {"as": "retry"})):
        answer = await server.client.post(f"/executions/{execution_id}/{action}", json=body)
        assert (answer.status_code, "COMPLETED" in answer.json()["detail"]) == (409, True), action
        assert (await server.client.post(f"/executions/unknown/{action}", json=body)).status_code == 404


async def test_a_failed_execution_is_redriven_and_rerun(server: Server) -> None:
    execution_id = await server.create("own-error")
    assert (await server.ended(execution_id))["status"] == "FAILED"
    assert (await server.client.post(f"/executions/{execution_id}/redrive")).status_code == 202
    path = f"/executions/{execution_id}/rerun"
    once, again = [
        await server.client.post(path, json={"input": {"a": 1}}, headers={"idempotency-key": "r"})
        for _ in range(2)
    ]
    assert (once.status_code, once.headers["location"]) == (201, again.headers["location"])
    assert (await server.ended(once.json()["executionId"]))["input"] == {"a": 1}


async def test_only_what_has_ended_can_be_removed(server: Server) -> None:
    live = await server.create("held")
    assert (await server.client.delete(f"/executions/{live}")).status_code == 409
    server.functions.release.set()
    await server.ended(live)
    while (gone := await server.client.delete(f"/executions/{live}")).status_code == 409:
        await asyncio.sleep(0.01)
    assert gone.status_code == 204
    assert (await server.client.delete(f"/executions/{live}")).status_code == 404
    assert await server.listed() == []


async def test_bodies_that_cannot_be_used_change_nothing(light: Server) -> None:
    execution_id = await light.create("held")
    for action, body in (
        ("pause", {"reason": 7}),
        ("resolve", {}),
        ("resolve", {"as": "x"}),
        ("resolve", {"as": "retry", "output": 0}),
        ("resolve", {"as": "failed", "output": {}}),
        ("resolve", {"as": "completed", "error": "Oops"}),
        ("resolve", {"as": "failover", "cause": ""}),
        ("rerun", {"input": 1}),
    ):
        answer = await light.client.post(f"/executions/{execution_id}/{action}", json=body)
        assert (answer.status_code, len(answer.json()["problems"])) == (400, 1), action
    bad = await light.client.post(f"/executions/{execution_id}/pause", content=b"[]", headers=HEADERS)
    assert bad.status_code == 400


async def test_a_caller_that_waits_is_answered_when_the_execution_is_paused(server: Server) -> None:
    body = {"workflow": server.functions.workflow("held", "done")}
    waiting = asyncio.create_task(server.client.post("/executions", json=body, headers={"prefer": "wait=60"}))
    await server.functions.called.wait()
    (one,) = await server.listed()
    assert (await server.client.post(f"/executions/{one['executionId']}/pause")).status_code == 202
    async with asyncio.timeout(20):
        answer = await waiting
    assert (answer.headers["preference-applied"], answer.json()["status"]) == ("wait", "PAUSED")


async def test_the_definition_of_an_execution_is_what_it_was_created_with(server: Server) -> None:
    execution_id = await server.create("done")
    await server.ended(execution_id)
    path = f"/executions/{execution_id}"
    told = (await server.client.get(f"{path}/definition")).json()
    assert told["digest"] == (await server.client.get(path)).json()["digest"]
    assert [step["id"] for step in told["definition"]["steps"]] == ["s0"]
    assert (await server.client.get("/executions/unknown/definition")).status_code == 404


async def test_a_key_whose_execution_was_removed_says_so(server: Server) -> None:
    made = await server.create("done", idempotency_key="k")
    await server.ended(made)
    while (await server.client.delete(f"/executions/{made}")).status_code == 409:
        await asyncio.sleep(0.01)
    body = {"workflow": server.functions.workflow("done"), "input": {}}
    for extra in ({}, {"prefer": "wait=1"}):
        again = await server.client.post("/executions", json=body, headers={"idempotency-key": "k", **extra})
        assert again.status_code == 410, again.text
        assert made in again.json()["detail"]
