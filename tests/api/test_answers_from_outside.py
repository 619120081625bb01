"""Signals and callbacks over real HTTP: a function that calls back, people, strangers, and two at once."""

import asyncio
from typing import Any

import httpx
from pydantic import SecretStr

from api.settings import Settings
from tests.api.serving import Server

WAITS = {"id": "waits", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "signal": "go"}]}


async def started(server: Server, workflow: dict[str, Any]) -> str:
    answer = await server.client.post("/executions", json={"workflow": workflow, "input": {}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["executionId"])


async def waits_of(server: Server, execution_id: str) -> list[dict[str, Any]]:
    """What it waits for, once it does."""
    while True:
        answer = await server.client.get(f"/executions/{execution_id}/waits")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        if answer.json()["waits"]:
            found: list[dict[str, Any]] = answer.json()["waits"]
            return found
        await asyncio.sleep(0.01)


def path_of(url: str) -> str:
    return httpx.URL(url).path


async def test_a_signal_ends_a_wait_and_the_same_key_again_changes_nothing(server: Server) -> None:
    execution_id = await started(server, WAITS)
    (wait,) = await waits_of(server, execution_id)
    assert (wait["kind"], wait["name"], wait["stepId"]) == ("signal", "go", "w")
    path, key = f"/executions/{execution_id}/signals/go", {"idempotency-key": "k"}
    answers = [await server.client.post(path, json={"by": "ada"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json()["fresh"] for answer in answers] == [True, False]
    assert answers[0].json() == {
        "executionId": execution_id,
        "signal": "go",
        "messageId": "signal:go:k",
        "fresh": True,
    }
    other = await server.client.post(f"/executions/{execution_id}/signals/a/b c", json=1, headers=key)
    assert (other.status_code in {202, 409}, other.json().get("signal", "a/b c")) == (True, "a/b c")
    assert (await server.ended(execution_id))["output"] == {"by": "ada"}
    assert (await server.client.post(path, json={})).status_code == 409
    assert (await server.client.get(f"/executions/{execution_id}/waits")).json()["waits"] == []


async def test_a_signal_needs_no_body_and_takes_any_json(server: Server) -> None:
    for content, output in ((b"", {"w": None}), (b"7", {"w": 7}), (b'"x"', {"w": "x"}), (b"[1]", {"w": [1]})):
        execution_id = await started(server, WAITS)
        sent = await server.client.post(
            f"/executions/{execution_id}/signals/go",
            content=content,
            headers={"content-type": "application/json"},
        )
        assert sent.status_code == 202, sent.text
        assert (await server.ended(execution_id))["output"] == output


async def test_a_function_is_given_a_token_and_its_callback_is_the_steps_result(server: Server) -> None:
    execution_id = await started(server, callback_flow(server))
    (wait,) = await waits_of(server, execution_id)
    assert wait["kind"] == "callback"
    path = path_of(wait["callbackUrl"])
    for _ in range(2):
        beat = await server.client.post(path, json={"status": "heartbeat"}, headers={"idempotency-key": "k"})
        assert (beat.status_code, beat.json()["fresh"]) == (202, True)
    said = {"status": "success", "output": {"approved": True}}
    answers = await asyncio.gather(*(server.client.post(path, json=said) for _ in range(2)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    view = await server.ended(execution_id)
    assert view["output"] == {"approved": True}
    assert (await server.client.post(path, json=said)).status_code == 409
    token = path.rpartition("/")[2]
    assert token not in (await server.client.get(f"/executions/{execution_id}")).text


def callback_flow(server: Server) -> dict[str, Any]:
    steps = [server.functions.task("s0", "done", **{"await": "callback"}, heartbeatSeconds=600)]
    return {"id": "flow", "startAt": "s0", "steps": steps}


async def test_strangers_tokens_bodies_and_names_are_refused_and_change_nothing(light: Server) -> None:
    execution_id = await started(light, callback_flow(light))
    (wait,) = await waits_of(light, execution_id)
    path = path_of(wait["callbackUrl"])
    text, _, signature = path.rpartition("/")[2].partition(".")
    said = {"status": "success"}
    for token in (f"{text}.{signature[::-1]}", text, "x", "." * 50, "a" * 4_097):
        assert (await light.client.post(f"/callbacks/{token}", json=said)).status_code == 404, token
    for body in ({}, {"status": "done"}, {"status": "heartbeat", "output": 1}, {"status": "success", "x": 1}):
        answer = await light.client.post(path, json=body)
        assert answer.status_code == 400, body
        assert answer.json()["problems"]
    big = {"status": "success", "output": "x" * (256 * 1024)}
    assert (await light.client.post(path, json=big)).status_code == 413
    signals = f"/executions/{execution_id}/signals"
    assert (await light.client.post(f"{signals}/{'n' * 129}", json=1)).status_code == 400
    assert (await light.client.post(f"{signals}/go", json="x" * (256 * 1024))).status_code == 413
    assert (await light.client.post(f"{signals}/go", content=b"{")).status_code in {400, 415}
    assert (await light.client.post("/executions/unknown/signals/go", json=1)).status_code == 404
    assert (await light.client.get("/executions/unknown/waits")).status_code == 404
    assert (await light.client.post(path, json=said)).status_code == 202
    assert (await light.ended(execution_id))["status"] == "COMPLETED"


async def test_the_document_of_the_api_tells_of_these_calls(light: Server) -> None:
    paths = (await light.client.get("/openapi.json")).json()["paths"]
    assert {
        "/callbacks/{token}",
        "/executions/{execution_id}/waits",
        "/executions/{execution_id}/signals/{name}",
    } <= set(paths)


def test_the_secret_of_callbacks_is_never_shown() -> None:
    settings = Settings(
        callback_secret=SecretStr("0123456789abcdef-secret"), public_url="https://sidestep.test/base"
    )
    assert "0123456789abcdef" not in repr(settings)
    assert settings.signing_secret() == b"0123456789abcdef-secret"
    assert settings.public_names() == ("sidestep.test",)
