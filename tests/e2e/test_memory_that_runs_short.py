"""A real server under more work than it has memory for: it refuses in time, lives, and loses nothing."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.roles import Program

MIB = 1 << 20
LIMIT = 160 * MIB
CEILING = LIMIT * 5 // 4
MOST = 6_000
"""Creations that are sent at most; without a bound, so many would take several times the limit."""

REFUSALS = 200
CLIENTS = 40


def memory_of(pid: int, name: str) -> int:
    """A line of the process's status, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


class Slow:
    """A function that answers nobody until it is `released`."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.url = ""
        self.calls: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.calls[request.headers["Idempotency-Key"]] += 1
        await self.released.wait()
        return web.json_response({"done": True})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Slow"]:
        app = web.Application(client_max_size=4 * MIB)
        app.router.add_post("/slow", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.released.set()
            await runner.cleanup()


async def counted(client: httpx.AsyncClient) -> dict[str, int]:
    """The store's executions by status."""
    page = (await client.get("/metrics")).text
    return {
        status: int(float(count))
        for status, count in re.findall(r'^sidestep_executions\{status="(\w+)"\} (\S+)$', page, re.MULTILINE)
        if float(count)
    }


async def flood(client: httpx.AsyncClient, body: bytes) -> tuple[list[str], list[httpx.Response]]:
    """Create from many clients at once until enough was refused; the ids that were acknowledged, and the
    refusals.
    """
    acknowledged: list[str] = []
    refused: list[httpx.Response] = []
    left = iter(range(MOST))

    async def one_after_the_other() -> None:
        for _ in left:
            if len(refused) >= REFUSALS:
                return
            answer = await client.post(
                "/executions", content=body, headers={"content-type": "application/json"}
            )
            if answer.status_code == 201:
                acknowledged.append(answer.json()["executionId"])
            else:
                refused.append(answer)

    await asyncio.gather(*(one_after_the_other() for _ in range(CLIENTS)))
    return acknowledged, refused


def body_of(slow: Slow, values: int) -> bytes:
    step = {"id": "call", "type": "TASK", "provider": "HTTP", "functionId": f"{slow.url}/slow"}
    flow: dict[str, Any] = {"id": "slow", "startAt": "call", "steps": [{**step, "timeout": 300_000}]}
    return json.dumps({"workflow": flow, "input": {"values": [["value"] * 8] * values}}).encode()


async def flooded(server: Program, client: httpx.AsyncClient, slow: Slow, before: int = 0) -> int:
    """How many executions there are after a flood that was refused in the end, with `before` from earlier."""
    acknowledged, refused = await flood(client, body_of(slow, 300))
    assert len(acknowledged) > CLIENTS
    assert len(refused) >= REFUSALS
    for answer in refused:
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    kinds = Counter(answer.json()["type"].rpartition(":")[2] for answer in refused)
    assert kinds["memory-full"] > REFUSALS // 2, kinds
    assert memory_of(server.pid, "VmHWM") < CEILING
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert "memory" in ready.json()["note"]
    # Nothing of what was refused is there.
    assert sum((await counted(client)).values()) == before + len(acknowledged)
    return before + len(acknowledged)


async def completed(client: httpx.AsyncClient, count: int) -> None:
    while await counted(client) != {"COMPLETED": count}:
        await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_a_flood_is_refused_before_memory_runs_out_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    async with Slow().running() as slow:
        server = Program(
            "server",
            *("serve", "--port", "0"),
            folder=tmp_path,
            variables={
                "SIDESTEP_STORE": "sqlite:flood.db",
                "SIDESTEP_MEMORY_LIMIT": str(LIMIT),
                "SIDESTEP_CONCURRENCY": "100000",
                "SIDESTEP_PROVIDERS__HTTP__ORIGINS": slow.url,
                "SIDESTEP_PROVIDERS__HTTP__MAX_CONNECTIONS": "10000",
            },
        )
        try:
            url = (await server.start())["server"]
            assert memory_of(server.pid, "VmRSS") < LIMIT * 0.9
            limits = httpx.Limits(max_connections=CLIENTS)
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as client:
                first = await flooded(server, client, slow)
                slow.released.set()
                await completed(client, first)
                # What was freed stays resident; it can be used again all the same.
                slow.released.clear()
                second = await flooded(server, client, slow, before=first)
                assert second - first > first // 3
                slow.released.set()
                await completed(client, second)
                again = await client.post(
                    "/executions",
                    content=body_of(slow, 1),
                    headers={"content-type": "application/json", "prefer": "wait=20"},
                )
                assert again.status_code == 201
                assert again.json()["status"] == "COMPLETED"
            assert memory_of(server.pid, "VmHWM") < CEILING
            assert max(slow.calls.values()) == 1
            assert server.log.count("it takes on nothing more until") == 2
            assert await server.end() == 0
        finally:
            await server.close()
