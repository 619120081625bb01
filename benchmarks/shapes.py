"""What the shape of work costs: the length of an execution, the items of a MAP, the shards of a store."""

import math
from dataclasses import dataclass
from typing import Any

from benchmarks.generator import Wanted
from benchmarks.line import STEPS
from benchmarks.site import Setup, cost, creation, line, rate, site
from benchmarks.sizes import Sizes
from benchmarks.throughput import numbered

MAP_AT_ONCE = 64
OVERHEAD = 3
"""About so many steps cost as much as a creation and an end: short executions are to take no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`size` steps, items or shards; CPU is microseconds of all processes. `each_us` is that of one step (or
    item), the creation and the end shared out among them; `slope_us` what one more costs, by the difference
    to the row before: the creation has no part in it. None: there is no row before.
    """

    size: int
    executions: int
    per_second: float
    each_us: float
    slope_us: float | None


async def lengths(store: str, port: int, sizes: Sizes) -> list[Shape]:
    """Executions of so many steps, one after the other, on one server."""
    async with site(Setup(store), port) as one:
        await one.run(Wanted(creation(line(port), numbered()), sizes.at_once, sizes.warm))
        rows: list[Shape] = []
        for size in sizes.lengths:
            count = _count(sizes.length_steps, size + OVERHEAD, sizes.length_at_once)
            wanted = Wanted(creation(line(port, size), numbered()), sizes.length_at_once, count=count)
            rows.append(_shape(size, [await one.run(wanted)], rows))
        return rows


async def maps(store: str, port: int, sizes: Sizes) -> list[Shape]:
    """Executions that are a MAP of so many items each, so many at once that about 64 items are under way."""
    async with site(Setup(store), port) as one:
        await one.run(Wanted(creation(line(port), numbered()), sizes.at_once, sizes.warm))
        rows: list[Shape] = []
        for size in sizes.items:
            at_once = max(1, MAP_AT_ONCE // size)
            count = _count(sizes.map_items, size + OVERHEAD, at_once)
            body = creation(_map(port), {"list": list(range(size))})
            rows.append(_shape(size, [await one.run(Wanted(body, at_once, count=count))], rows))
        return rows


async def shards(store: str, port: int, sizes: Sizes) -> list[Shape]:
    """Executions of ten steps on stores of so many shards."""
    rows: list[Shape] = []
    for size in sizes.shards:
        setup = Setup(store, settings={"SIDESTEP_REDIS__SHARDS": str(size)})
        body = creation(line(port), numbered())
        async with site(setup, port) as one:
            await one.run(Wanted(body, sizes.at_once, sizes.warm))
            runs = [
                await one.run(Wanted(body, sizes.at_once, sizes.seconds)) for _ in range(sizes.repetitions)
            ]
        rows.append(
            Shape(
                size=size,
                executions=sum(run.count for run in runs),
                per_second=rate(runs, STEPS),
                each_us=sum(cost(runs, STEPS)),
                slope_us=None,
            )
        )
    return rows


def _map(port: int) -> dict[str, Any]:
    call = {"id": "call", "type": "TASK", "provider": "HTTP", "functionId": f"http://127.0.0.1:{port}/fn"}
    each = {"id": "all", "type": "MAP", "items": "list", "each": "call", "input": {"of": "map"},
            "maxConcurrency": MAP_AT_ONCE, "results": "reference"}  # fmt: skip
    return {"id": "map", "startAt": "all", "steps": [each, call]}


def _count(steps: int, size: int, at_once: int) -> int:
    """So many executions make about so many steps, and keep all of those at once busy."""
    return at_once * max(1, math.ceil(steps / (size * at_once)))


def _shape(size: int, runs: list[Any], before: list[Shape]) -> Shape:
    whole = sum(cost(runs))
    slope = None
    if before:
        last = before[-1]
        slope = (whole - last.each_us * last.size) / (size - last.size)
    return Shape(
        size=size,
        executions=sum(run.count for run in runs),
        per_second=rate(runs, size),
        each_us=whole / size,
        slope_us=slope,
    )
