import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx

from api.limits import Limits
from tests.api.serving import Server, serving


async def messages(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, as a browser would see them."""
    message: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        if not line and "data" in message:
            yield message
            message = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            message[name] = value


async def read(
    server: Server, path: str, most: int = 10_000, headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Up to `most` events; then the reader hangs up."""
    seen: list[dict[str, Any]] = []
    async with server.client.stream("GET", path, headers=headers or {}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for message in messages(answer):
            seen.append(message)
            if len(seen) == most:
                break
    return seen


async def test_a_stream_tells_the_history_as_it_happens_and_ends_with_the_execution(server: Server) -> None:
    execution_id = await server.create("held", "done")
    seen: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(20),
        server.client.stream("GET", f"/executions/{execution_id}/events") as answer,
    ):
        async for message in messages(answer):
            seen.append(message)
            if message["event"] == "ATTEMPT_STARTED":
                server.functions.release.set()
    told = [json.loads(message["data"]) for message in seen]
    assert told == (await server.ended(execution_id))["history"]
    assert [message["id"] for message in seen] == [str(event["seq"]) for event in told]
    assert [message["event"] for message in seen] == [event["type"] for event in told]
    assert seen[-1]["event"] == "WORKFLOW_COMPLETED"


async def test_a_reader_who_comes_back_again_and_again_misses_and_repeats_nothing(server: Server) -> None:
    execution_id = await server.create("echo", "held", "done")
    path = f"/executions/{execution_id}/events"
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not seen or seen[-1]["event"] != "WORKFLOW_COMPLETED":
            resume = {"last-event-id": seen[-1]["id"]} if seen else {}
            seen += await read(server, path, 2, resume)
            if len(seen) > 6:
                server.functions.release.set()
    whole = (await server.ended(execution_id))["history"]
    assert [int(message["id"]) for message in seen] == [event["seq"] for event in whole]


async def test_after_and_last_event_id_begin_where_they_say(light: Server) -> None:
    execution_id = await light.create("done")
    last = (await light.ended(execution_id))["history"][-1]["seq"]
    path = f"/executions/{execution_id}/events"
    assert [message["id"] for message in await read(light, f"{path}?after={last - 1}")] == [str(last)]
    both = await read(light, f"{path}?after=0", headers={"last-event-id": str(last - 1)})
    assert [message["id"] for message in both] == [str(last)]


async def test_there_is_nothing_to_come_back_for_after_the_last_event(light: Server) -> None:
    execution_id = await light.create("done")
    last = (await light.ended(execution_id))["history"][-1]["seq"]
    path = f"/executions/{execution_id}/events"
    answer = await light.client.get(path, headers={"last-event-id": str(last)})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_streams_of_nothing_and_from_nowhere_are_refused(light: Server) -> None:
    execution_id = await light.create("done")
    path = f"/executions/{execution_id}/events"
    assert (await light.client.get("/executions/unknown/events")).status_code == 404
    assert (await light.client.get(path, headers={"last-event-id": "x"})).status_code == 400
    assert (await light.client.get(f"{path}?after=-1")).status_code == 400


async def test_a_quiet_stream_says_that_it_is_there() -> None:
    async with serving(limits=Limits(keep_alive_seconds=0.01)) as server:
        execution_id = await server.create("held")
        async with (
            asyncio.timeout(20),
            server.client.stream("GET", f"/executions/{execution_id}/events") as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith(":"):
                    return
        raise AssertionError("the stream ended")


async def test_no_more_streams_than_allowed_and_a_place_is_free_again_afterwards() -> None:
    async with serving(limits=Limits(streams=2)) as server:
        execution_id = await server.create("held")
        path = f"/executions/{execution_id}/events"
        # A refused stream holds no place.
        for _ in range(5):
            assert (await server.client.get("/executions/unknown/events")).status_code == 404
        async with server.client.stream("GET", path), server.client.stream("GET", path):
            full = await server.client.get(path)
            assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        async with asyncio.timeout(20):
            while not await read_or_full(server, path):
                pass


async def read_or_full(server: Server, path: str) -> bool:
    async with server.client.stream("GET", path) as answer:
        await answer.aiter_raw().__anext__()
        return answer.status_code == 200


async def test_the_stop_of_the_server_ends_a_stream_in_order() -> None:
    async with serving() as server:
        execution_id = await server.create("held")
        client = httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)
        async with client.stream("GET", f"/executions/{execution_id}/events") as answer:
            reading = messages(answer)
            await anext(reading)
            server.runtime.closing.set()
            rest = [message async for message in reading]
            assert all(message["event"] != "WORKFLOW_COMPLETED" for message in rest)
        await client.aclose()


async def test_a_reader_that_reads_nothing_is_hung_up_on_and_loses_its_place() -> None:
    async with serving(limits=Limits(stall_seconds=0.2, streams=1), data_limit=1 << 20) as server:
        # More than the buffers of two sockets hold.
        body = {"workflow": server.functions.workflow(*["big"] * 20)}
        answer = await server.client.post("/executions", json=body, headers={"prefer": "wait=20"})
        assert answer.json()["status"] == "COMPLETED"
        path = f"/executions/{answer.json()['executionId']}/events"
        reader, writer = await stalled(server.address, path)
        assert (await server.client.get(path)).status_code == 503
        async with asyncio.timeout(20):
            while not await read_or_full(server, path):
                pass
        # What it did not read before is cut off.
        cut = await reader.read()
        assert b"WORKFLOW_COMPLETED" not in cut
        writer.close()


async def stalled(address: tuple[str, int], path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has asked for `path`, has seen the answer begin, and reads no further."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, address)
    reader, writer = await asyncio.open_connection(sock=connection, limit=1_024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readline()
    return reader, writer
