"""kill -9 of a real server among parents, children and what undoes both: each is done, and undone, once."""

import asyncio
import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.app import LocalCloud
from localcloud.client import connect
from localcloud.settings import LocalCloudSettings
from tests.e2e.roles import Program, create, ready, running
from tests.e2e.test_kill import free_port, server, statuses
from tests.redis_servers import start_node

PARENTS = 40


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "TASK", "provider": "AWS", "functionId": "slow-func", **more}


CHILD = {"id": "order", "startAt": "pick", "steps": [task("pick", next="pack"), task("pack")]}

TRIP = {
    "id": "trip",
    "startAt": "book",
    "steps": [
        task("book", compensate="unbook", next="order"),
        {"id": "order", "type": "WORKFLOW", "workflowId": "order", "compensate": "unorder", "next": "doomed"},
        {"id": "doomed", "type": "FAIL", "error": "Doomed"},
        task("unbook"),
        task("unorder"),
    ],
}


@pytest.mark.timeout(180)
async def test_every_child_is_made_once_and_all_that_was_done_is_undone_once(tmp_path: Path) -> None:
    async with LocalCloud(LocalCloudSettings(port=0)) as clouds:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        async with server(tmp_path, port, clouds) as process, httpx.AsyncClient(base_url=base) as client:
            (await client.put("/workflows/order", json=CHILD)).raise_for_status()
            asked = {"workflow": TRIP, "input": {"delayMs": 100}}
            answers = await asyncio.gather(*(client.post("/executions", json=asked) for _ in range(PARENTS)))
            parents = {answer.raise_for_status().json()["executionId"] for answer in answers}
            async with asyncio.timeout(60):
                while sum((await statuses(client)).values()) < PARENTS + PARENTS // 4:
                    await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
        async with server(tmp_path, port, clouds) as process, httpx.AsyncClient(base_url=base) as client:
            async with asyncio.timeout(60):
                while (await statuses(client))["FAILED"] < PARENTS // 4:
                    await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
        async with server(tmp_path, port, clouds), httpx.AsyncClient(base_url=base, timeout=30) as client:
            async with asyncio.timeout(90):
                while (found := await statuses(client)) != {"FAILED": PARENTS, "COMPLETED": PARENTS}:
                    assert sum(found.values()) <= 2 * PARENTS, "a child was made twice"
                    await asyncio.sleep(0.05)
            views = [(await client.get(f"/executions/{one}")).json() for one in sorted(parents)]
        async with connect(clouds.control_url) as control:
            ledger = await control.ledger()
    audit(views, ledger)


@pytest.mark.timeout(180)
async def test_parents_and_children_on_different_workers_survive_the_death_of_one(tmp_path: Path) -> None:
    port = free_port()
    async with LocalCloud(LocalCloudSettings(port=0)) as clouds:
        with start_node() as redis:
            variables = {
                **clouds.environment(),
                "SIDESTEP_STORE": redis.url,
                "SIDESTEP_LEASE_SECONDS": "2",
            }
            one, two = (Program(name, "worker", folder=tmp_path, variables=variables) for name in "ab")
            api = Program(
                "api", "serve", "--no-worker", "--port", str(port), folder=tmp_path, variables=variables
            )
            async with (
                running(one, two, api),
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
            ):
                await ready(client)
                (await client.put("/workflows/order", json=CHILD)).raise_for_status()
                asked = {"workflow": TRIP, "input": {"delayMs": 100}}
                parents = await asyncio.gather(
                    *(create(client, asked, f"trip-{number}") for number in range(PARENTS))
                )
                async with asyncio.timeout(60):
                    while (await statuses(client))["FAILED"] < PARENTS // 8:
                        await asyncio.sleep(0.01)
                await one.end(signal.SIGKILL)
                async with asyncio.timeout(90):
                    while (found := await statuses(client)) != {"FAILED": PARENTS, "COMPLETED": PARENTS}:
                        assert sum(found.values()) <= 2 * PARENTS, "a child was made twice"
                        await asyncio.sleep(0.05)
                views = [(await client.get(f"/executions/{one}")).json() for one in sorted(parents)]
        async with connect(clouds.control_url) as control:
            ledger = await control.ledger()
    for view in views:
        [child] = {step["childExecutionId"] for step in view["steps"]} - {None}
        assert child.rpartition("-")[2] == view["executionId"].rpartition("-")[2], "not in its parent's shard"
    audit(views, ledger)


def audit(views: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> None:
    """Who was undone in which order, and whether what ran twice is told as interrupted."""
    runs = Counter(run["idempotencyKey"] for run in ledger)
    interrupted = 0
    for view in views:
        assert view["error"]["error"] == "Doomed"
        assert view["compensating"]["undone"] == 2
        steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for step in view["steps"]:
            steps[step["stepId"]].append(step)
        assert all(len(visits) == 1 for visits in steps.values()), "a step was visited twice"
        assert steps["unorder"][0]["undoes"] == "order"
        assert steps["unorder"][0]["endedAt"] <= steps["unbook"][0]["startedAt"]
        assert steps["order"][0]["childExecutionId"]
        for name in ("book", "unbook", "unorder"):
            [step] = steps[name]
            assert step["status"] == "COMPLETED"
            cut = [one for one in step["attempts"] if one["status"] == "INTERRUPTED"]
            interrupted += len(cut)
            ran = runs[step["attempts"][0]["idempotencyKey"]]
            assert ran >= 1
            assert ran == 1 or cut, f"{name} ran {ran} times, and the journal does not say why"
    assert interrupted, "the kills met no call under way: they proved nothing"
