"""A ten-step line of HTTP tasks through the engine in this process; the API is not part of it.

Run as a process of its own for each store (`python -m benchmarks.line STORE PORT SECONDS [null]`), so that
one measurement does not warm another; it prints one JSON object. CPU is this process's, user and system, and
leaves out the endpoint's. With `null` nothing is known of health: no breakers, no routing by what was seen,
no counting for metrics (`benchmarks.null_board`).
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from adapters.clock import SystemClock
from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from benchmarks.null_board import NullBoard
from core.engine.definitions import Definitions
from core.engine.engine import Engine
from core.engine.executions import Executions
from core.engine.health.board import Board
from core.engine.health.local_link import LocalLink
from core.engine.settings import EngineSettings
from core.engine.workflows import Workflows
from core.graph.model import Workflow
from core.ports.health import HealthBoard
from core.ports.store import Store

STEPS = 10
IN_FLIGHT = 64
FIRST = {"order": "A-1001", "amount": 12.5, "items": [1, 2, 3]}


def document(port: int, steps: int = STEPS, timeout_ms: int = 30_000) -> dict[str, Any]:
    """The line: each step posts to the static endpoint."""
    line: list[dict[str, Any]] = [
        {
            "id": f"s{number}",
            "type": "TASK",
            "provider": "HTTP",
            "functionId": f"http://127.0.0.1:{port}/fn",
            "timeout": timeout_ms,
        }
        for number in range(steps)
    ]
    for number, step in enumerate(line[:-1]):
        step["next"] = f"s{number + 1}"
    return {"id": "line", "startAt": "s0", "steps": line}


class Bench:
    """An engine over one store, ready to run executions."""

    def __init__(self, executions: Executions, engine: Engine, workflow: Workflow) -> None:
        self.executions = executions
        self.engine = engine
        self.workflow = workflow

    async def one(self) -> float:
        """Run one execution to its end; its latency in milliseconds."""
        before = time.perf_counter()
        created = await self.executions.create(self.workflow, FIRST)
        status = await self.executions.wait(created.execution_id, 60)
        assert status == "COMPLETED", status
        return (time.perf_counter() - before) * 1000

    async def many(self, seconds: float) -> tuple[int, float, float]:
        """Keep IN_FLIGHT executions under way: how many ended, wall seconds, CPU seconds."""
        ends = time.perf_counter() + seconds
        done = 0

        async def keep_going() -> None:
            nonlocal done
            while time.perf_counter() < ends:
                await self.one()
                done += 1

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(keep_going() for _ in range(IN_FLIGHT)))
        return done, time.perf_counter() - wall, time.process_time() - cpu


@asynccontextmanager
async def bench(
    store_name: str, port: int, folder: Path, *, null: bool = False, **of_document: int
) -> AsyncIterator[Bench]:
    """An engine, started, and stopped afterwards; with `null`, without health."""
    clock = SystemClock()
    store: Store = MemoryStore(clock) if store_name == "memory" else SqliteStore(folder / "bench.db", clock)
    provider = HttpProvider(
        HttpConfig(origins=(f"http://127.0.0.1:{port}",), wire=WireConfig(max_connections=20_000))
    )
    definitions = Definitions(store)
    providers = {"HTTP": provider}
    real = Board({}, clock, LocalLink(store, clock), providers=providers)
    board: HealthBoard = NullBoard() if null else real
    workflows = Workflows(store, definitions, providers, board, clock)
    settings = EngineSettings(concurrency=20_000)
    engine = Engine(store, definitions, providers, board, clock, settings)
    await store.open()
    await provider.open()
    if not null:
        await real.start()
    running = asyncio.create_task(engine.run())
    try:
        workflow = workflows.read(document(port, **of_document))
        yield Bench(Executions(store, definitions, workflows, clock, settings), engine, workflow)
    finally:
        engine.stop()
        await running
        await real.stop()
        await provider.close()
        await store.close()


async def through_the_engine(
    store: str, port: int, seconds: float, *, null: bool = False
) -> dict[str, float]:
    """Latency alone, then throughput and CPU with IN_FLIGHT under way."""
    with tempfile.TemporaryDirectory() as folder:
        async with bench(store, port, Path(folder), null=null) as line:
            await line.many(min(1.0, seconds))
            alone = sorted([await line.one() for _ in range(100)])
            done, wall, cpu = await line.many(seconds)
    steps = done * STEPS
    return {
        "steps_per_second": steps / wall,
        "cpu_ms_per_step": cpu * 1000 / steps,
        "executions": done,
        "alone_p50_ms": median(alone),
        "alone_p99_ms": alone[98],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def main(store: str, port: int, seconds: float, board: str = "real") -> None:
    """Measure, and print one JSON object."""
    print(json.dumps(await through_the_engine(store, port, seconds, null=board == "null")))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]))
