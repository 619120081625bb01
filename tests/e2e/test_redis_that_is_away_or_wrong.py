"""A server whose Redis is away lives and says so; one whose Redis is wrong ends in a sentence."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.running import children
from tests.e2e.roles import Program, ready, running
from tests.e2e.test_kill import free_port
from tests.redis_servers import Node, start_node

FLOW = {"id": "flow", "startAt": "a", "steps": [{"id": "a", "type": "SUCCEED"}]}
PASSWORD = "hunter2"


@pytest.fixture
def redis() -> Iterator[Node]:
    with start_node(requirepass=PASSWORD) as node:
        yield node


def told(*programs: Program) -> str:
    """All that the programs wrote, and the command lines and logs of their children."""
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for one in programs for pid in children(one.pid)]
    return "\n".join([*lines, *(program.log for program in programs)])


async def answered(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.TransportError):
                if (answer := await client.get(path)).status_code == status:
                    return answer
            await asyncio.sleep(0.02)


@pytest.mark.timeout(120)
async def test_a_redis_that_comes_goes_and_comes_back_ends_no_process(tmp_path: Path, redis: Node) -> None:
    redis.kill()
    port = free_port()
    variables = {"SIDESTEP_STORE": redis.url}
    service = Program(
        "service", "serve", "--processes", "2", "--port", str(port), folder=tmp_path, variables=variables
    )
    base = f"http://127.0.0.1:{port}"
    async with running(service), httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        processes = children(service.pid)
        away = await answered(client, "/readyz", 503)
        assert away.json()["error"].startswith("The store has not answered since the start")
        assert (await client.get("/livez")).status_code == 200
        refused = await client.post("/executions", json={"workflow": FLOW})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")

        await asyncio.to_thread(redis.restart)
        await answered(client, "/readyz", 200)
        await completed(client)
        await asyncio.to_thread(redis.kill)
        gone = await answered(client, "/readyz", 503)
        assert gone.json()["error"] == "The store does not answer."
        assert (await client.get("/executions")).status_code == 503

        await asyncio.to_thread(redis.restart)
        await answered(client, "/readyz", 200)
        await completed(client)
        assert children(service.pid) == processes
        assert PASSWORD not in told(service)
        assert await service.end() == 0


async def completed(client: httpx.AsyncClient) -> None:
    """An execution goes through. Both processes have to have their Redis back, so it is asked for again."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.post("/executions", json={"workflow": FLOW}, headers={"prefer": "wait=20"})
            if answer.status_code == 201:
                assert answer.json()["status"] == "COMPLETED"
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_redis_that_evicts_is_refused_at_the_start_in_one_sentence(
    tmp_path: Path, redis: Node, command: str, processes: str
) -> None:
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    where = ("--port", "0") if command == "serve" else ()
    program = Program(
        "it",
        command,
        *where,
        *("--processes", processes),
        folder=tmp_path,
        variables={"SIDESTEP_STORE": redis.url},
    )
    try:
        said = (await program.start())["error"]
        assert await program.wait() == 1
    finally:
        await program.close()
    assert program.log.splitlines() == [said]
    assert "noeviction" in said
    assert PASSWORD not in said


@pytest.mark.timeout(120)
async def test_a_worker_that_expects_other_shards_than_the_first_is_refused_in_a_sentence(
    tmp_path: Path, redis: Node
) -> None:
    port = free_port()
    variables = {"SIDESTEP_STORE": redis.url, "SIDESTEP_REDIS__SHARDS": "8"}
    other = {"SIDESTEP_STORE": redis.url, "SIDESTEP_REDIS__SHARDS": "16"}
    api = Program("api", "serve", "--no-worker", "--port", str(port), folder=tmp_path, variables=variables)
    async with running(api):
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
            await ready(client)
        beside = Program("beside", "worker", folder=tmp_path, variables=other)
        try:
            said = (await beside.start())["error"]
            assert await beside.wait() == 1
            assert beside.log.splitlines() == [said]
            assert "8 shards, not 16" in said
        finally:
            await beside.close()


@pytest.mark.timeout(120)
async def test_workers_tell_of_their_health_on_one_port_and_a_misspelling_once(
    tmp_path: Path, redis: Node
) -> None:
    port = free_port()
    variables = {
        "SIDESTEP_STORE": redis.url,
        "SIDESTEP_WORKER_PORT": str(port),
        "SIDESTEP_GRACE_SECOND": "1",
        "SIDESTEP_SERVICE_HOST": "10.0.0.1",
    }
    workers = Program("workers", "worker", "--processes", "2", folder=tmp_path, variables=variables)
    base = f"http://127.0.0.1:{port}"
    async with running(workers), httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        await ready(client)
        assert (await client.get("/readyz")).json()["role"] == "worker"
        page = (await client.get("/metrics")).text
        assert 'sidestep_engine_restarts_total{process="1"} 0\n' in page
        assert 'sidestep_engine_restarts_total{process="2"} 0\n' in page
        assert (await client.post("/executions", json={"workflow": FLOW})).status_code == 404
        assert await workers.end() == 0
    (warning,) = [line for line in workers.log.splitlines() if "is no setting" in line]
    assert "did you mean SIDESTEP_GRACE_SECONDS?" in warning
    assert PASSWORD not in workers.log
