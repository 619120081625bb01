from api.schemas.bodies import MAX_REASON
from tests.api.serving import HEADERS, Server


async def test_a_cancel_is_accepted_and_stops_the_execution_with_its_reason(server: Server) -> None:
    execution_id = await server.create("held", "done")
    path = f"/executions/{execution_id}/cancel"
    answer = await server.client.post(path, json={"reason": "ordered twice", "actor": "ada"})
    assert answer.status_code in (200, 202)
    assert answer.json()["executionId"] == execution_id
    view = await server.ended(execution_id)
    assert view["status"] == "CANCELLED"
    said = next(event for event in view["history"] if event["type"] == "CANCEL_REQUESTED")
    assert said["details"]["reason"] == "ordered twice"
    assert said["details"]["actor"] == "ada"


async def test_a_second_cancel_changes_nothing(server: Server) -> None:
    execution_id = await server.create("held")
    path = f"/executions/{execution_id}/cancel"
    await server.client.post(path)
    before = await server.ended(execution_id)
    again = await server.client.post(path)
    assert (again.status_code, again.json()["status"]) == (200, "CANCELLED")
    assert await server.ended(execution_id) == before


async def test_a_cancel_under_one_key_is_taken_once_also_after_a_redrive(server: Server) -> None:
    execution_id = await server.create("held", "done")
    path = f"/executions/{execution_id}"
    await server.functions.called.wait()
    key = {"idempotency-key": "k"}
    both = [await server.client.post(f"{path}/cancel", headers=key) for _ in range(2)]
    assert [answer.json()["accepted"] for answer in both] == ["now", "before"]
    assert both[1].status_code == 200
    assert (await server.ended(execution_id))["status"] == "CANCELLED"
    server.functions.release.set()
    assert (await server.client.post(f"{path}/redrive")).status_code == 202
    assert (await server.ended(execution_id))["status"] == "COMPLETED"
    late = await server.client.post(f"{path}/cancel", headers=key)
    assert (late.status_code, late.json()["accepted"], late.json()["status"]) == (200, "before", "COMPLETED")
    assert (await server.client.post(f"{path}/cancel", headers={"idempotency-key": "n"})).status_code == 409


async def test_what_has_ended_otherwise_cannot_be_cancelled(server: Server) -> None:
    execution_id = await server.create("done")
    await server.ended(execution_id)
    answer = await server.client.post(f"/executions/{execution_id}/cancel", json={})
    assert answer.status_code == 409
    assert "COMPLETED" in answer.json()["detail"]
    assert (await server.ended(execution_id))["status"] == "COMPLETED"


async def test_cancels_that_cannot_be_used_stop_nothing(light: Server) -> None:
    execution_id = await light.create("held")
    path = f"/executions/{execution_id}/cancel"
    for body, pointer in (
        ({"reason": 7}, "/reason"),
        ({"reason": "x" * (MAX_REASON + 1)}, "/reason"),
        ({"actor": ["ada"]}, "/actor"),
        ({"resaon": "typo"}, "/resaon"),
    ):
        answer = await light.client.post(path, json=body)
        assert answer.status_code == 400
        assert [problem["pointer"] for problem in answer.json()["problems"]] == [pointer]
    assert (await light.client.post(path, content=b"[]", headers=HEADERS)).status_code == 400
    assert (await light.client.post("/executions/unknown/cancel")).status_code == 404
    assert (await light.client.get(f"/executions/{execution_id}")).json()["status"] == "RUNNING"
