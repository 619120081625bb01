"""kill -9 of a real server in the middle of 200 executions, audited against the clouds' ledger."""

import asyncio
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.app import LocalCloud
from localcloud.client import connect
from localcloud.settings import LocalCloudSettings
from tests.cli.running import environment

EXECUTIONS = 200


def order(number: int) -> dict[str, Any]:
    """Three steps of 150 ms; in every fourth execution the middle one must never run twice."""
    effects = "atMostOnce" if number % 4 == 0 else "idempotent"
    steps: list[dict[str, Any]] = [
        {"id": name, "type": "TASK", "provider": "AWS", "functionId": "slow-func", "fallbackProvider": "GCP"}
        for name in ("reserve", "charge", "ship")
    ]
    steps[0]["next"], steps[1]["next"] = "charge", "ship"
    steps[1]["effects"] = effects
    return {
        "workflow": {"id": f"order-{effects}", "startAt": "reserve", "steps": steps},
        "input": {"delayMs": 150, "order": number},
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def server(folder: Path, port: int, clouds: LocalCloud) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server process that answers; killed without mercy when the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "cli.main", "serve", "--port", str(port)),
        cwd=folder,
        env=environment(**clouds.environment()),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
            while True:
                assert process.returncode is None, "the server ended by itself"
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def statuses(client: httpx.AsyncClient) -> Counter[str]:
    """How many executions there are of each status."""
    found: Counter[str] = Counter()
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "500", **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/executions", params=query)).raise_for_status().json()
        found.update(one["status"] for one in page["executions"])
        cursor = page["nextCursor"]
    return found


@pytest.mark.timeout(180)
async def test_nothing_acknowledged_is_lost_and_every_second_run_is_explained(tmp_path: Path) -> None:
    async with LocalCloud(LocalCloudSettings(port=0)) as clouds:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        async with server(tmp_path, port, clouds) as process, httpx.AsyncClient(base_url=base) as client:
            answers = await asyncio.gather(
                *(client.post("/executions", json=order(number)) for number in range(EXECUTIONS))
            )
            acknowledged = {answer.raise_for_status().json()["executionId"] for answer in answers}
            async with asyncio.timeout(60):
                while (await statuses(client))["RUNNING"] < EXECUTIONS / 4:
                    await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
        assert len(acknowledged) == EXECUTIONS
        async with server(tmp_path, port, clouds), httpx.AsyncClient(base_url=base, timeout=30) as client:
            async with asyncio.timeout(90):
                while sum((counts := await statuses(client)).values()) != sum(
                    counts[one] for one in ("COMPLETED", "PARKED")
                ):
                    await asyncio.sleep(0.05)
            views = [(await client.get(f"/executions/{one}")).json() for one in sorted(acknowledged)]
        async with connect(clouds.control_url) as control:
            ledger = await control.ledger()
    audit(views, ledger)


def audit(views: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> None:
    """Who ran what, how often, and whether the journal says why."""
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in ledger:
        runs[run["idempotencyKey"]].append(run)
    interrupted = 0
    for view in views:
        assert view["status"] in {"COMPLETED", "PARKED"}, view
        for step in view["steps"]:
            attempts = step["attempts"]
            cut = [one for one in attempts if one["status"] == "INTERRUPTED"]
            interrupted += len(cut)
            numbers = [one["attempt"] for one in attempts]
            assert len(set(numbers)) == len(numbers)
            for key in {one["idempotencyKey"] for one in attempts}:
                ran = len(runs[key])
                if view["workflowId"] == "order-atMostOnce" and step["stepId"] == "charge":
                    assert ran <= 1, f"{key} ran {ran} times"
                assert ran <= 1 or cut, f"{key} ran {ran} times, and the journal does not say why"
                assert ran >= 1 or step["status"] != "COMPLETED"
        if view["status"] == "PARKED":
            assert view["workflowId"] == "order-atMostOnce"
            assert any(step["parkedBecause"] for step in view["steps"])
    assert interrupted, "the kill met no call under way: it proved nothing"
