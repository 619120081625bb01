"""Executions of ten steps through the real server, and through the bare loop: how many, at what cost."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import limit
from benchmarks.accounting import cpu_of
from benchmarks.children import child
from benchmarks.generator import PLACE_OF_NUMBER, Seen, Wanted
from benchmarks.line import STEPS
from benchmarks.site import PATIENCE, PROVIDERS, Run, Setup, Site, cost, creation, line, middle, rate, site
from benchmarks.sizes import Sizes
from tests.redis_servers import start_node


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One row. CPU is microseconds a step: our processes' and the store's. Latency is an execution's of ten
    steps from its creation to its end, alone and among `at_once`, in milliseconds; memory is the PSS of all
    processes under that load, in MB. `executions` is how many were counted.
    """

    name: str
    store: str
    processes: int
    provider: str
    executions: int
    steps_per_second: float
    cpu_us: float
    store_cpu_us: float
    alone_p50_ms: float
    alone_p99_ms: float
    p50_ms: float
    p99_ms: float
    memory_mb: float

    @property
    def whole_us(self) -> float:
        """CPU of all processes, a step."""
        return self.cpu_us + self.store_cpu_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Creations:
    """Creations a second, each durable before it is answered, and their CPU in microseconds. With `driven`
    each was also taken up by the worker, which put it to sleep at its first step.
    """

    store: str
    driven: bool
    count: int
    per_second: float
    cpu_us: float
    store_cpu_us: float
    p99_ms: float


def numbered() -> dict[str, Any]:
    """An input that differs each time."""
    return {"order": PLACE_OF_NUMBER.decode(), "amount": 12.5, "items": [1, 2, 3]}


async def loads(setup: Setup, port: int, sizes: Sizes, providers: tuple[str, ...] = ("HTTP",)) -> list[Load]:
    """One server, a row a provider."""
    async with site(setup, port) as one:
        return [await _load(one, setup, port, sizes, provider) for provider in providers]


async def _load(one: Site, setup: Setup, port: int, sizes: Sizes, provider: str) -> Load:
    body = creation(line(port, provider=provider), numbered())
    await one.run(Wanted(body, sizes.at_once, sizes.warm))
    alone = await one.run(Wanted(body, 1, sizes.alone))
    runs = [await one.run(Wanted(body, sizes.at_once, sizes.seconds)) for _ in range(sizes.repetitions)]
    # Under load, in a run that counts for nothing else: to look takes time from those who are looked at.
    load = asyncio.create_task(one.run(Wanted(body, sizes.at_once, sizes.warm)))
    await asyncio.sleep(sizes.warm / 2)
    memory = one.memory_mb()
    await load
    name = setup.name if provider == PROVIDERS[0] else f"{setup.name}, {provider}"
    return _row(name, setup, provider, alone, runs, memory)


def _row(name: str, setup: Setup, provider: str, alone: Run, runs: list[Run], memory: float) -> Load:
    ours, stores = cost(runs, STEPS)
    return Load(
        name=name,
        store=setup.store,
        processes=setup.processes,
        provider=provider,
        executions=sum(run.count for run in runs),
        steps_per_second=rate(runs, STEPS),
        cpu_us=ours,
        store_cpu_us=stores,
        alone_p50_ms=alone.p50_ms,
        alone_p99_ms=alone.p99_ms,
        p50_ms=middle(runs, "p50_ms"),
        p99_ms=middle(runs, "p99_ms"),
        memory_mb=memory,
    )


async def bare(setup: Setup, port: int, sizes: Sizes, client: str = "wire") -> Load:
    """The limit beside `setup`: the same client and the same append, in as many processes."""
    async with AsyncExitStack() as stack:
        node = None
        if setup.store != "sqlite":
            node = stack.enter_context(start_node(appendfsync=setup.store))
        store = "sqlite" if node is None else f"redis://127.0.0.1:{node.port}"
        origin = f"http://127.0.0.1:{port}"
        loops = [
            await stack.enter_async_context(child("limit", store, origin, client))
            for _ in range(setup.processes)
        ]
        pids = [loop.pid for loop in loops]

        async def run(at_once: int, seconds: float) -> Run:
            each = limit.Wanted(max(1, at_once // len(loops)), seconds)
            used = loops[: max(1, min(at_once, len(loops)))]
            ours, stores = cpu_of(pids), cpu_of([] if node is None else [node.pid])
            seen = await asyncio.gather(*(loop.ask(each, Seen, seconds + PATIENCE) for loop in used))
            return Run(
                sum(part.count for part in seen),
                max(part.seconds for part in seen),
                max(part.p50_ms for part in seen),
                max(part.p99_ms for part in seen),
                cpu_of(pids) - ours,
                cpu_of([] if node is None else [node.pid]) - stores,
            )

        await run(sizes.at_once, sizes.warm / 2)
        alone = await run(1, sizes.alone / 2)
        runs = [await run(sizes.at_once, sizes.seconds * 0.7) for _ in range(sizes.repetitions)]
        return _row(f"bare loop: {setup.name}", setup, client, alone, runs, 0.0)


async def creations(store: str, port: int, sizes: Sizes) -> Creations:
    """How fast one process accepts executions. On Redis it is an API of its own (`--no-worker`); a process on
    SQLite is API and worker in one, so there each waits at its first step, and is driven so far.
    """
    driven = store == "sqlite"
    wait = {"id": "pause", "type": "WAIT", "seconds": 86_400}
    workflow = {"id": "pause", "startAt": "pause", "steps": [wait]} if driven else line(port)
    body = creation(workflow, numbered())
    async with site(Setup(store, worker=driven), port) as one:
        await one.run(Wanted(body, sizes.at_once, sizes.warm / 2, wait=False))
        runs = [
            await one.run(Wanted(body, sizes.at_once, sizes.seconds, wait=False))
            for _ in range(sizes.repetitions)
        ]
    ours, stores = cost(runs)
    return Creations(
        store=store,
        driven=driven,
        count=sum(run.count for run in runs),
        per_second=rate(runs),
        cpu_us=ours,
        store_cpu_us=stores,
        p99_ms=middle(runs, "p99_ms"),
    )
