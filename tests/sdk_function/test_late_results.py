"""What the wrapper does for functions whose result comes later."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import azure.functions as func
import pytest
from aiohttp import web
from flask import Request
from werkzeug.test import EnvironBuilder

from sidestep_function import Accepted, Call, call_back, on_azure, on_google, on_lambda

LATE = {"Sidestep-Callback-Token": "a.b", "Sidestep-Callback-Url": "http://127.0.0.1/callbacks/a.b"}


def start(payload: Any, _call: Call) -> Accepted:
    return Accepted(f"?job={payload['job']}", retry_after=3)


def status(query: Mapping[str, str]) -> Any:
    match query.get("job"):
        case "7":
            return {"done": True}
        case "8":
            return Accepted(retry_after=1)
        case _:
            raise LookupError("no such job")


def google(method: str, query: str, body: bytes) -> tuple[int, Mapping[str, str], Any]:
    environ = EnvironBuilder(method=method, data=body, query_string=query).get_environ()
    text, code, headers = on_google(start, status)(Request(environ))
    return code, headers, json.loads(text)


def azure(method: str, query: str, body: bytes) -> tuple[int, Mapping[str, str], Any]:
    request = func.HttpRequest(method, f"http://x/api/f?{query}", body=body)
    response = on_azure(start, status)(request)
    return response.status_code, dict(response.headers), json.loads(response.get_body())


@pytest.mark.parametrize("platform", [google, azure])
def test_an_accepted_job_is_a_202_and_its_status_answers_at_its_address(platform: Any) -> None:
    code, headers, _ = platform("POST", "", b'{"job": 7}')
    told = {name.lower(): value for name, value in headers.items()}
    assert (code, told["location"], told["retry-after"]) == (202, "?job=7", "3")
    assert platform("GET", "job=7", b"")[::2] == (200, {"done": True})
    code, headers, _ = platform("GET", "job=8", b"")
    told = {name.lower(): value for name, value in headers.items()}
    assert (code, told["retry-after"], "location" in told) == (202, "1", False)
    code, headers, body = platform("GET", "job=9", b"")
    told = {name.lower(): value for name, value in headers.items()}
    assert (code, told["sidestep-error"], body["errorType"]) == (500, "function", "LookupError")


def test_the_address_of_the_callback_reaches_the_function_and_stays_out_of_its_logs() -> None:
    seen: list[Call] = []
    custom = {name.lower(): value for name, value in LATE.items()}
    context = type("C", (), {"client_context": type("X", (), {"custom": custom})})
    on_lambda(lambda _, call: seen.append(call))({}, context)
    assert (seen[0].callback_token, seen[0].callback_url) == tuple(LATE.values())
    assert "a.b" not in repr(seen[0])


@pytest.fixture
async def taken() -> AsyncIterator[tuple[str, list[Any]]]:
    """An address that takes callbacks, and what came; `/over` answers 409, `/away` 503."""
    came: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        came.append((await request.json(), request.headers.get("Idempotency-Key")))
        return web.Response(status={"over": 409, "away": 503}.get(request.match_info["name"], 202))

    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", came
    finally:
        await runner.cleanup()


async def test_a_callback_says_what_became_of_it(taken: tuple[str, list[Any]]) -> None:
    base, came = taken
    assert await asyncio.to_thread(call_back, f"{base}/x", "success", output={"a": 1}, key="k")
    assert await asyncio.to_thread(call_back, f"{base}/x", "failure", error="Denied", cause="no")
    assert await asyncio.to_thread(call_back, f"{base}/x", "heartbeat")
    assert came == [
        ({"status": "success", "output": {"a": 1}}, "k"),
        ({"status": "failure", "error": "Denied", "cause": "no"}, None),
        ({"status": "heartbeat"}, None),
    ]
    assert not await asyncio.to_thread(call_back, f"{base}/over", "heartbeat")
    with pytest.raises(OSError, match="503"):
        await asyncio.to_thread(call_back, f"{base}/away", "heartbeat")
    with pytest.raises(ValueError, match="http"):
        call_back("file:///etc/passwd", "heartbeat")
