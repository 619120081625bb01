"""A definition that was read before is not read again, and what is said of a request stays the same."""

import json
from typing import Any

import pytest

from tests.api.serving import HEADERS, Server

AROUND: dict[str, bytes] = {
    "a member that there is not": b'{"workflow": %s, "inputs": {}}',
    "an input that is no object": b'{"workflow": %s, "input": [1]}',
    "a version without a name": b'{"workflow": %s, "version": 3}',
    "a name besides": b'{"workflow": %s, "workflowId": "x"}',
    "a member named twice": b'{"workflow": %s, "input": {"a": 1, "a": 2}}',
    "the workflow named twice": b'{"workflow": %s, "workflow": {}}',
    "the workflow named twice, the other way round": b'{"workflow": {}, "workflow": %s}',
    "bytes that are no UTF-8": b'{"workflow": %s, "input": {"a": "\xff"}}',
    "a number too large": b'{"workflow": %s, "input": {"a": 1e999}}',
    "too deep": b'{"workflow": %s, "input": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}",
    "an end that comes too early": b'{"workflow": %s, "input": {',
    "something behind it": b'{"workflow": %s} {}',
}


def text_of(server: Server) -> bytes:
    return json.dumps(server.functions.workflow("echo", "echo")).encode()


async def said(server: Server, body: bytes) -> tuple[int, Any]:
    answer = await server.client.post("/executions", content=body, headers=HEADERS)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", AROUND)
async def test_what_is_wrong_around_it_is_told_alike_before_and_after_it_is_known(
    light: Server, name: str
) -> None:
    text = text_of(light)
    body = AROUND[name] % text
    before = await said(light, body)
    assert before[0] == 400
    created, _ = await said(light, b'{"workflow": %s}' % text)
    assert created == 201
    assert light.runtime.workflows.read_before(text) is not None
    assert await said(light, body) == before
    assert len(await light.listed()) == 1


async def test_a_known_definition_runs_with_the_input_that_comes_with_it(light: Server) -> None:
    text = text_of(light)
    inputs: list[dict[str, Any]] = [{}, {"a": 1}, {"copy": json.loads(text)}, {"b": "x:y\\z"}]
    for given in inputs:
        body = b'{"input": %s, "workflow": %s}' % (json.dumps(given).encode(), text)
        status, created = await said(light, body)
        assert status == 201
        view = (await light.client.get(f"/executions/{created['executionId']}")).json()
        assert view["input"] == given


async def test_a_key_is_of_the_same_request_whether_its_definition_was_known_or_not(light: Server) -> None:
    text = text_of(light)
    ids = set()
    for body in (
        b'{"workflow": %s, "input": {"a": 1}}',
        b'{"input": {"a": 1}, "workflow": %s}',
        b'{"input": {"a": 1}, "workflow":%s }',
    ):
        answer = await light.client.post(
            "/executions", content=body % text, headers={**HEADERS, "idempotency-key": "k"}
        )
        assert answer.status_code == 201
        ids.add(answer.json()["executionId"])
    assert len(ids) == 1


async def test_a_definition_that_cannot_run_here_is_refused_each_time(light: Server) -> None:
    document = {
        "id": "w",
        "startAt": "a",
        "steps": [{"id": "a", "type": "TASK", "provider": "GCP", "functionId": "f"}],
    }
    answers = [await said(light, json.dumps({"workflow": document}).encode()) for _ in range(3)]
    assert [status for status, _ in answers] == [400] * 3
    assert answers[0] == answers[1] == answers[2]


async def test_the_framework_would_answer_the_same(light: Server) -> None:
    """What is answered directly is a route like the others, too: the document lists it."""
    document = (await light.client.get("/openapi.json")).json()
    assert "post" in document["paths"]["/executions"]
    assert "get" in document["paths"]["/executions/{execution_id}"]
    for path in ("/executions/nobody", "/executions/%6eobody", "/executions/no%2Fbody/", "/executions//"):
        answer = await light.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await light.client.get("/executions/nobody")).json()["type"].endswith("execution-not-found")
    assert (await light.client.get("/executions/no%2Fbody")).json()["type"].endswith("no-such-path")
