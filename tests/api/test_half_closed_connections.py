"""Callers that say what they want and then close their sending side, as `nc -N` does."""

import asyncio
import json
from collections.abc import Iterator

import pytest
import uvloop

from api.limits import Limits
from tests.api.serving import serving

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """Each kind of event loop."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


def post(document: object, prefer: str = "") -> bytes:
    body = json.dumps(document).encode()
    lines = [
        "POST /executions HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Prefer: {prefer}"] if prefer else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def said_to(address: tuple[str, int], sent: bytes) -> bytes:
    """All that the server says, until it closes, to a caller that sends this and its end at once."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def test_a_whole_request_is_answered_and_then_the_connection_closes(runner: asyncio.Runner) -> None:
    async def story() -> None:
        async with serving() as server:
            # It waits for the function, so the caller has closed long before the answer begins.
            request = post({"workflow": server.functions.workflow("echo")}, prefer="wait=10")
            said = await said_to(server.address, request)
            assert said.startswith(b"HTTP/1.1 201 ")
            created = json.loads(said.partition(b"\r\n\r\n")[2])
            assert [one["executionId"] for one in await server.listed()] == [created["executionId"]]

    runner.run(story())


def test_requests_sent_in_one_go_are_all_answered(runner: asyncio.Runner) -> None:
    async def story() -> None:
        async with serving() as server:
            request = post({"workflow": server.functions.workflow("echo")})
            said = await said_to(server.address, request * 3)
            assert said.count(b"HTTP/1.1 201 ") == 3
            assert len(await server.listed()) == 3

    runner.run(story())


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: loc", post({})[:-1]])
def test_without_a_whole_request_it_closes_at_once(runner: asyncio.Runner, sent: bytes) -> None:
    async def story() -> None:
        async with serving(limits=Limits(head_seconds=3_600, body_seconds=3_600)) as server:
            assert await said_to(server.address, sent) == b""
            assert await server.listed() == []

    runner.run(story())
