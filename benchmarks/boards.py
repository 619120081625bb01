"""What breakers, metrics and routing cost: the same load with and without them, taking turns.

The same server, once with its health board and once with one that knows nothing and counts nothing. What
`/metrics` tells is counted by the board, so both are off together. A trace's context (`traceparent`) is a few
bytes that each attempt is sent with, in both; there is no exporter that could be on. What it costs to read
`/metrics` each second is measured beside it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from benchmarks.children import Failed, child
from benchmarks.generator import Wanted
from benchmarks.line import STEPS
from benchmarks.site import Loaded, Run, Setup, clouds, cost, creation, line, site
from benchmarks.sizes import Sizes
from benchmarks.throughput import numbered
from chaos.programs import START_SECONDS, free_port
from tests.redis_servers import start_node


@dataclass(frozen=True, slots=True, kw_only=True)
class OnOff:
    """CPU a step of all processes with something on and off, in microseconds: medians of runs that took
    turns.
    """

    what: str
    executions: int
    on_us: float
    off_us: float

    @property
    def ratio(self) -> float:
        """On against off; 1.0 where a short run counted no time at all."""
        return self.on_us / self.off_us if self.off_us else 1.0


async def boards(store: str, port: int, sizes: Sizes) -> OnOff:
    """Health on against off, each server with a Redis of its own."""
    wanted = Wanted(creation(line(port), numbered()), sizes.at_once, sizes.seconds)
    async with _served("real", store, port) as real, _served("null", store, port) as null:
        for one in (real, null):
            await one.run(wanted)
        on, off = [], []
        for _ in range(sizes.repetitions):
            on.append(await real.run(wanted))
            off.append(await null.run(wanted))
    return _on_off("breakers, metrics and routing", on, off)


@asynccontextmanager
async def _served(board: str, store: str, port: int) -> AsyncIterator[Loaded]:
    listening = free_port()
    with start_node(appendfsync=store) as node:
        given = {"SIDESTEP_STORE": node.url, "SIDESTEP_PORT": str(listening)} | clouds(port)
        async with child("healthless", board, json.dumps(given)) as server:
            if await server.line(START_SECONDS) != "up":
                raise Failed("The server without health said something else than that it is up.")
            async with child("generator", listening) as generator:
                yield Loaded(lambda: server.pid, generator, node)


async def scraping(store: str, port: int, sizes: Sizes) -> OnOff:
    """The real server while `/metrics` is read each second, against one that nobody asks."""
    async with site(Setup(store), port) as one:
        wanted = Wanted(creation(line(port), numbered()), sizes.at_once, sizes.seconds)
        await one.run(wanted)
        on, off = [], []
        for _ in range(sizes.repetitions):
            off.append(await one.run(wanted))
            reading = asyncio.create_task(_read(one.url))
            try:
                on.append(await one.run(wanted))
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    return _on_off("reading /metrics each second", on, off)


def _on_off(what: str, on: list[Run], off: list[Run]) -> OnOff:
    return OnOff(
        what=what,
        executions=sum(run.count for run in on + off),
        on_us=sum(cost(on, STEPS)),
        off_us=sum(cost(off, STEPS)),
    )


async def _read(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/metrics") as answer:
                answer.raise_for_status()
                await answer.read()
            await asyncio.sleep(1.0)
