"""Requests that no client should send: refused with a mend, quickly, with nothing created, and survived."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.limits import Limits
from tests.api.serving import HEADERS, Server, serving

MEGABYTE = 1_000_000


def twelve_mistakes() -> dict[str, Any]:
    return {
        "startAt": "nowhere",
        "timeoutSeconds": -1,
        "colour": "red",
        "steps": [
            {"id": "a", "type": "TASK", "provider": "AMAZON", "functionId": "f", "next": "b"},
            {"id": "b", "type": "TASK", "provider": "AWS", "timeout": "soon", "next": "z"},
            {"id": "b", "type": "TASQUE"},
            {"id": "c", "type": "CHOICE", "choices": [{"variable": "x", "operator": "is", "value": 1}]},
            {"id": "d", "type": "PARALLEL", "branches": []},
            {"id": "e", "type": "WAIT"},
        ],
    }


HOSTILE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "malformed JSON": (b'{"workflow": {', HEADERS, 400),
    "no JSON at all": (b"hello", HEADERS, 400),
    "an empty body": (b"", HEADERS, 400),
    "text": (b"{}", {"content-type": "text/plain"}, 415),
    "a form": (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415),
    "no content type": (b"{}", {}, 415),
    "another charset": (b"{}", {"content-type": "application/json; charset=latin-1"}, 415),
    "a compressed body": (b"{}", {**HEADERS, "content-encoding": "gzip"}, 415),
    "50 MB": (b" " * (50 * MEGABYTE), HEADERS, 413),
    "10,000-deep lists": (b"[" * 10_000 + b"]" * 10_000, HEADERS, 400),
    "10,000-deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, HEADERS, 400),
    "NaN": (b'{"workflowId": "flow", "input": {"x": NaN}}', HEADERS, 400),
    "Infinity": (b'{"workflowId": "flow", "input": {"x": -Infinity}}', HEADERS, 400),
    "a number too large": (b'{"workflowId": "flow", "input": {"x": 1e999}}', HEADERS, 400),
    "a member named twice": (b'{"workflowId": "flow", "workflowId": "other"}', HEADERS, 400),
    "half a surrogate pair": (b'{"workflowId": "flow", "input": {"x": "\\ud800"}}', HEADERS, 400),
    "bytes that are no UTF-8": (b'{"workflowId": "\xff"}', HEADERS, 400),
    "a list": (b"[]", HEADERS, 400),
    "null": (b"null", HEADERS, 400),
    "a definition that is a list": (b'{"workflow": []}', HEADERS, 400),
    "12 mistakes": (json.dumps({"workflow": twelve_mistakes()}).encode(), HEADERS, 400),
    "100,000 steps": (
        json.dumps({"workflow": {"id": "w", "startAt": "a", "steps": [{}] * 100_000}}).encode(),
        HEADERS,
        400,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_it_is_refused_with_a_mend_and_creates_nothing(light: Server, name: str) -> None:
    content, headers, status = HOSTILE[name]
    async with asyncio.timeout(10):  # a second is what is promised; machines differ
        answer = await light.client.post("/executions", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["error"]
    assert problem["detail"].endswith((".", "}"))
    assert all(one["mend"] for one in problem["problems"])
    assert await light.listed() == []
    assert (await light.client.get("/health")).status_code == 200


async def test_a_definition_with_twelve_mistakes_gets_twelve_problems_in_order(light: Server) -> None:
    answer = await light.client.post("/executions", json={"workflow": twelve_mistakes()})
    problems = answer.json()["problems"]
    assert len(problems) >= 12
    assert all(problem["pointer"].startswith("/workflow") for problem in problems)
    assert "12" in answer.json()["detail"] or len(problems) > 12


async def test_fifty_megabytes_without_a_length_are_refused_as_they_come(light: Server) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * MEGABYTE

    answer = await light.client.post("/executions", content=chunks(), headers=HEADERS)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert (await light.client.get("/health")).status_code == 200


async def test_a_body_that_says_it_is_too_large_is_refused_before_any_of_it_is_sent(light: Server) -> None:
    reader, writer = await asyncio.open_connection(*light.address)
    writer.write(
        b"POST /executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n"
    )
    async with asyncio.timeout(10):
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_body_that_trickles_is_given_up() -> None:
    async with serving(limits=Limits(body_seconds=0.2)) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(
            b"POST /executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(10):
            said = await reader.read()
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in said
        writer.close()


async def test_a_head_that_trickles_is_hung_up_on() -> None:
    async with serving(limits=Limits(head_seconds=0.2)) as server:
        for begun in (b"", b"GET /health HTTP/1.1\r\nHost: loc"):
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(begun)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()


@pytest.mark.parametrize(
    "head", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000]
)
async def test_what_is_not_http_or_has_a_huge_head_gets_a_problem(light: Server, head: bytes) -> None:
    reader, writer = await asyncio.open_connection(*light.address)
    writer.write(head)
    async with asyncio.timeout(10):
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"urn:sidestep:problem:not-http" in said
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        (
            b"POST /executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ),
    ],
    ids=["a long header in one piece", "a long path in one piece", "two framings"],
)
async def test_a_head_that_is_too_large_or_can_be_read_in_two_ways_ends_its_connection(
    light: Server, head: bytes
) -> None:
    reader, writer = await asyncio.open_connection(*light.address)
    writer.write(head + b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"urn:sidestep:problem:not-http" in said
    assert said.count(b"HTTP/1.1 ") == 1
    writer.close()


async def test_a_foreign_host_name_is_refused_and_its_own_names_are_not(light: Server) -> None:
    port = light.address[1]
    for name in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST."):
        answer = await light.client.get("/health", headers={"host": name})
        assert answer.status_code == 200, name
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost:x", "[::1", ""):
        answer = await light.client.get("/health", headers={"host": name})
        assert answer.status_code == 400, name
        assert answer.json()["type"] == "urn:sidestep:problem:foreign-host"


async def test_a_host_name_that_is_allowed_is_served() -> None:
    async with serving(allowed_hosts=("sidestep.internal",)) as server:
        for name, status in (("sidestep.internal:3000", 200), ("other.internal", 400)):
            answer = await server.client.get("/health", headers={"host": name})
            assert answer.status_code == status


async def test_a_foreign_web_page_can_change_nothing(light: Server) -> None:
    body = {"workflow": light.functions.workflow("echo")}
    for origin in ("https://evil.example", "null", "http://[::1"):
        answer = await light.client.post("/executions", json=body, headers={"origin": origin})
        assert answer.status_code == 403, origin
    assert await light.listed() == []
    preflight = await light.client.options(
        "/executions", headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_too_many_requests_at_once_are_told_to_come_back_and_health_is_still_served() -> None:
    async with serving(limits=Limits(requests=1)) as server:
        execution_id = await server.create("held")
        async with server.client.stream("GET", f"/executions/{execution_id}/events"):
            busy = await server.client.get("/executions")
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            assert (await server.client.get("/livez")).status_code == 200


async def test_bodies_held_at_once_are_bounded() -> None:
    async with serving(limits=Limits(buffered_bytes=1_000)) as server:
        body = {"workflow": server.functions.workflow("echo"), "input": {"x": "x" * 2_000}}
        answer = await server.client.post("/executions", json=body)
        assert answer.status_code == 503
        assert await server.create("echo")


async def test_paths_and_methods_that_do_not_exist_are_problems(light: Server) -> None:
    missing = await light.client.get("/nothing/here")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:sidestep:problem:no-such-path")
    method = await light.client.delete("/executions")
    assert (method.status_code, method.headers["allow"]) == (405, "GET, POST")
    assert "GET, POST" in method.json()["detail"]


async def test_every_answer_forbids_sniffing_and_caching(light: Server) -> None:
    for path in ("/health", "/executions", "/nothing"):
        answer: httpx.Response = await light.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
