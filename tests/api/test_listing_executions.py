import asyncio

import pytest

from tests.api.serving import Server


async def test_pages_are_newest_first_and_hold_every_execution_once(server: Server) -> None:
    made = [await server.create("done") for _ in range(7)]
    seen: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = (await server.client.get("/executions", params=query)).json()
        seen += [row["executionId"] for row in page["executions"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert sorted(seen) == sorted(made)
    assert seen == sorted(made, reverse=True)


async def test_a_row_has_the_summary_and_no_payload(server: Server) -> None:
    execution_id = await server.create("done")
    await server.ended(execution_id)
    (row,) = await server.listed()
    assert row["executionId"] == execution_id
    assert (row["workflowId"], row["status"], row["failedOver"]) == ("flow", "COMPLETED", False)
    assert not {"input", "context", "output", "history"} & set(row)


async def test_filters_keep_what_they_say(server: Server) -> None:
    good = await server.create("done")
    bad = await server.create("own-error")
    step = server.functions.task("s0", "down")
    step["fallbacks"] = [{"provider": "HTTP", "functionId": f"{server.functions.url}/done"}]
    flow = {"id": "other", "startAt": "s0", "steps": [step]}
    moved = (await server.client.post("/executions", json={"workflow": flow})).json()["executionId"]
    for execution_id in (good, bad, moved):
        await server.ended(execution_id)

    async def found(**query: str) -> list[str]:
        page = (await server.client.get("/executions", params=query)).json()
        return [row["executionId"] for row in page["executions"]]

    assert await found(status="FAILED") == [bad]
    assert await found(status="completed", workflowId="flow") == [good]
    assert await found(failedOver="true") == [moved]
    assert await found(failedOver="false") == [bad, good]
    assert await found(workflowId="unknown") == []


async def test_a_span_keeps_what_was_created_in_it_over_all_pages(server: Server) -> None:
    for _ in range(5):
        await server.create("done")
        await asyncio.sleep(0.003)  # their times are to differ
    rows = await server.listed()
    query = {"createdBefore": rows[0]["startedAt"], "createdAfter": rows[3]["startedAt"], "limit": "2"}
    first = (await server.client.get("/executions", params=query)).json()
    query["cursor"] = first["nextCursor"]
    last = (await server.client.get("/executions", params=query)).json()
    ids = [row["executionId"] for page in (first, last) for row in page["executions"]]
    assert (ids, last["nextCursor"]) == ([row["executionId"] for row in rows[1:4]], None)


@pytest.mark.parametrize(
    ("query", "parameter", "mend"),
    [
        ("cursor=abc", "cursor", "nextCursor"),
        ("cursor=", "cursor", "nextCursor"),
        ("limit=0", "limit", "from 1 to 500"),
        ("limit=501", "limit", "from 1 to 500"),
        ("limit=ten", "limit", "from 1 to 500"),
        ("limit=" + "9" * 5000, "limit", "from 1 to 500"),
        ("limit=1&limit=2", "limit", "once"),
        ("createdBefore=yesterday", "createdBefore", "RFC 3339"),
        ("createdAfter=2026-01-01T00:00:00+01:00", "createdAfter", "%2B"),
        ("status=COMPLETE", "status", "COMPLETED"),
        ("failedOver=yes", "failedOver", "true or false"),
        ("workflowId=", "workflowId", "give it a value"),
        ("limits=3", "limits", "'limit'"),
        ("%00=3", "\\x00", "Leave it out"),
    ],
)
async def test_a_query_that_cannot_be_used_is_refused_with_a_mend(
    light: Server, query: str, parameter: str, mend: str
) -> None:
    answer = await light.client.get(f"/executions?{query}")
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert mend in problem["mend"]
    if not parameter.startswith("\\"):
        assert problem["parameter"] == parameter


async def test_a_call_that_takes_no_query_ignores_none(light: Server) -> None:
    execution_id = await light.create("done")
    for path in (f"/executions/{execution_id}", "/providers"):
        answer = await light.client.get(path, params={"verbose": "1"})
        assert answer.status_code == 400
        assert "takes none" in answer.json()["problems"][0]["mend"]


async def test_a_history_is_read_in_stretches_without_gap_or_repeat(server: Server) -> None:
    execution_id = await server.create("echo", "done")
    whole = (await server.ended(execution_id))["history"]
    seen = []
    after = 0
    while True:
        page = (
            await server.client.get(
                f"/executions/{execution_id}/history", params={"after": after, "limit": 3}
            )
        ).json()
        seen += page["events"]
        if page["nextAfter"] is None:
            break
        after = page["nextAfter"]
    assert seen == whole
    assert [event["seq"] for event in seen] == list(range(1, len(whole) + 1))
    missing = await server.client.get("/executions/unknown/history")
    assert missing.status_code == 404
