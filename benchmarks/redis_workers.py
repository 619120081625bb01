"""A Redis server, worker processes and a way to create executions, for measurements of many processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis import Redis as PlainRedis

from adapters.clock import HostClock
from adapters.stores.redis.client import Redis
from adapters.stores.redis.store import RedisStore
from core.engine.definitions import Definitions
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.workflows import Workflows

TOGETHER = 200
"""How many creations share their round trips."""


@asynccontextmanager
async def workers(
    url: str, count: int, port: int, **settings: object
) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """`sidestep worker`, so many times, while the block runs."""
    given = {f"SIDESTEP_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {
        **os.environ,
        "SIDESTEP_STORE": url,
        "SIDESTEP_PROVIDERS__HTTP__ORIGINS": f"http://127.0.0.1:{port}",
        **given,
    }
    command = [sys.executable, "-m", "cli.main", "worker"]
    started = [
        subprocess.Popen(  # noqa: ASYNC220 - starting one takes no time
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for worker in started:
            worker.send_signal(signal.SIGTERM)
        for worker in started:
            try:
                await asyncio.to_thread(worker.wait, 20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


class Client:
    """Creates executions and counts them, as an API process does; it drives none."""

    def __init__(self, store: RedisStore, executions: Executions, workflows: Workflows) -> None:
        self.store = store
        self.executions = executions
        self._workflows = workflows

    async def create(self, document: Mapping[str, Any], count: int, input_: Mapping[str, Any]) -> list[str]:
        """Create `count` executions; their ids."""
        workflow = self._workflows.read(dict(document))
        made: list[str] = []
        while len(made) < count:
            batch = min(TOGETHER, count - len(made))
            created = await asyncio.gather(*(self.executions.create(workflow, input_) for _ in range(batch)))
            made += [one.execution_id for one in created]
        return made

    async def until(self, status: str, count: int, seconds: float) -> float:
        """Wait until so many have the status; how long that took."""
        began = time.perf_counter()
        async with asyncio.timeout(seconds):
            while (await self.store.counts()).get(status, 0) < count:  # noqa: ASYNC110 - a measurement
                await asyncio.sleep(0.1)
        return time.perf_counter() - began


@asynccontextmanager
async def client(url: str, shards: int) -> AsyncIterator[Client]:
    """An open store without an engine."""
    clock = HostClock()
    store = RedisStore(Redis(url, timeout=10), clock, shards=shards)
    await store.open()
    try:
        definitions = Definitions(store)
        workflows = Workflows(store, definitions, {}, Board({}, clock, LocalLink(store, clock)), clock)
        yield Client(store, Executions(store, definitions, workflows, clock), workflows)
    finally:
        await store.close()


def commands(url: str) -> dict[str, int]:
    """How often each command was called so far, those that scripts call included."""
    with PlainRedis.from_url(url) as connection:
        stats: dict[str, Any] = connection.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(one["calls"]) for name, one in stats.items()}


def used_memory(url: str) -> int:
    """Bytes that the server uses."""
    with PlainRedis.from_url(url) as connection:
        return int(connection.info("memory")["used_memory"])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """The resident memory of a process now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system has no /proc/PID/status")


def print_json(result: object) -> None:
    """For programs."""
    print(json.dumps(result, indent=2))
