"""Workers and an API on one Redis, ended and started again under load, in order and without mercy."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.app import LocalCloud
from localcloud.client import connect
from localcloud.settings import LocalCloudSettings
from tests.cli.running import alive, eventually, servers
from tests.e2e.roles import Program, create, ended, ready, running, sent
from tests.e2e.test_kill import free_port
from tests.redis_servers import Node, start_node

LEASE = 2.0
PACE = 0.03
"""Seconds between two creations: a load that two cores carry beside the starts of processes."""


def order(delay_ms: int, *steps: str) -> dict[str, Any]:
    """A line of calls that take `delay_ms` each."""
    line: list[dict[str, Any]] = [
        {"id": name, "type": "TASK", "provider": "AWS", "functionId": "slow-func"} for name in steps
    ]
    for step, after in zip(line, steps[1:], strict=False):
        step["next"] = after
    flow = {"id": f"order-{len(steps)}", "startAt": steps[0], "steps": line}
    return {"workflow": flow, "input": {"delayMs": delay_ms}}


@pytest.fixture
def redis() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest.fixture
async def clouds() -> AsyncIterator[LocalCloud]:
    async with LocalCloud(LocalCloudSettings(port=0)) as running_clouds:
        yield running_clouds


@pytest.fixture
def variables(redis: Node, clouds: LocalCloud) -> dict[str, str]:
    """What switches a server to Redis, and the clouds on loopback."""
    return {**clouds.environment(), "SIDESTEP_STORE": redis.url, "SIDESTEP_LEASE_SECONDS": str(LEASE)}


async def runs_of(clouds: LocalCloud) -> Counter[str]:
    """How often each idempotency key really ran."""
    async with connect(clouds.control_url) as control:
        return Counter(run["idempotencyKey"] for run in await control.ledger())


@pytest.mark.timeout(240)
async def test_a_rolling_restart_under_load_loses_nothing_and_interrupts_nothing(
    tmp_path: Path, clouds: LocalCloud, variables: dict[str, str]
) -> None:
    port = free_port()
    workers = [Program(f"worker-{one}", "worker", folder=tmp_path, variables=variables) for one in "ab"]
    api = Program("api", "serve", "--no-worker", "--port", str(port), folder=tmp_path, variables=variables)
    created: list[asyncio.Task[str]] = []
    rolled = asyncio.Event()
    async with (
        running(*workers, api),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        await ready(client)

        async def load() -> None:
            while not rolled.is_set():
                body = order(100, "reserve", "charge", "ship")
                created.append(asyncio.create_task(create(client, body, f"order-{len(created)}")))
                await asyncio.sleep(PACE)

        loading = asyncio.create_task(load())
        for program in (*workers, api):
            acknowledged = len(created)
            assert await program.end(signal.SIGTERM) == 0, program.log
            await program.start()
            # Something came in meanwhile, so that this restart was one under load.
            async with asyncio.timeout(60):
                while len(created) <= acknowledged:
                    await asyncio.sleep(0.01)
        rolled.set()
        await loading
        ids = await asyncio.gather(*created)
        assert len(set(ids)) == len(ids)
        async with asyncio.timeout(60):
            views = [await ended(client, one) for one in ids]
    assert Counter(view["status"] for view in views) == {"COMPLETED": len(ids)}
    happened = Counter(event["type"] for view in views for event in view["history"])
    assert happened["ATTEMPT_INTERRUPTED"] == 0
    keys = {one["idempotencyKey"] for view in views for step in view["steps"] for one in step["attempts"]}
    assert await runs_of(clouds) == dict.fromkeys(keys, 1)
    assert len(keys) == 3 * len(ids)


@pytest.mark.timeout(120)
async def test_calls_that_outlast_the_grace_time_are_given_back_at_once_and_not_lost(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    variables |= {"SIDESTEP_GRACE_SECONDS": "0.2", "SIDESTEP_LEASE_SECONDS": "60"}
    port = free_port()
    first, second = (Program(name, "worker", folder=tmp_path, variables=variables) for name in "ab")
    api = Program("api", "serve", "--no-worker", "--port", str(port), folder=tmp_path, variables=variables)
    async with (
        running(first, api),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        await ready(client)
        execution_id = await create(client, order(4_000, "long"), "long")
        await sent(client, execution_id)
        assert await first.end(signal.SIGTERM) == 0
        try:
            await second.start()
            async with asyncio.timeout(30):
                # Far below the lease of a minute: it was given back, and did not have to lapse.
                view = await ended(client, execution_id)
        finally:
            await second.close()
    assert view["status"] == "COMPLETED"
    types = [event["type"] for event in view["history"]]
    assert types.count("ATTEMPT_INTERRUPTED") == 1


@pytest.mark.timeout(120)
async def test_what_a_killed_worker_held_is_taken_over_within_its_lease_and_two_seconds(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    port = free_port()
    first, second = (Program(name, "worker", folder=tmp_path, variables=variables) for name in "ab")
    api = Program("api", "serve", "--no-worker", "--port", str(port), folder=tmp_path, variables=variables)
    async with (
        running(first, second, api),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        await ready(client)
        # Calls that outlast the taking over, so that whatever the killed worker had is seen to be taken.
        ids = await asyncio.gather(*(create(client, order(5_000, "long"), f"n{one}") for one in range(60)))
        for one in ids:
            await sent(client, one)
        killed_at = time.time()
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        async with asyncio.timeout(60):
            views = [await ended(client, one) for one in ids]
    assert Counter(view["status"] for view in views) == {"COMPLETED": len(ids)}
    taken = [
        datetime.fromisoformat(event["timestamp"]).timestamp() - killed_at
        for view in views
        for event in view["history"]
        if event["type"] == "ATTEMPT_INTERRUPTED"
    ]
    assert 0 < len(taken) < len(ids), "one worker had everything: the kill proved nothing"
    assert max(taken) <= LEASE + 2
    assert min(taken) >= 0


@pytest.mark.timeout(120)
async def test_several_processes_serve_one_port_and_outlive_the_death_of_one(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    port = free_port()
    service = Program(
        "service", "serve", "--processes", "2", "--port", str(port), folder=tmp_path, variables=variables
    )
    async with (
        running(service),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        await ready(client)
        pids = servers(service.pid)
        assert len(pids) == 2
        assert "sidestep_processes 2\n" in (await client.get("/metrics")).text
        ids = await asyncio.gather(
            *(create(client, order(300, "one", "two"), f"n{one}") for one in range(30))
        )
        os.kill(pids[0], signal.SIGKILL)
        async with asyncio.timeout(60):
            views = [await ended(client, one) for one in ids]
        assert Counter(view["status"] for view in views) == {"COMPLETED": len(ids)}
        eventually(lambda: len(servers(service.pid)) == 2, "the killed process is started again")
        pids = servers(service.pid)
        assert await service.end(signal.SIGTERM) == 0, service.log
        assert not any(alive(pid) for pid in pids)
