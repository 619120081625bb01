"""Throughput in short: that it counts what happened, and ends all that it started. No figure is judged."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from benchmarks.boards import boards, scraping
from benchmarks.children import Child, Failed, child, endpoint
from benchmarks.endpoint import Calls
from benchmarks.generator import Wanted
from benchmarks.line import STEPS
from benchmarks.site import PROVIDERS, Setup, creation, line, site
from benchmarks.sizes import TINY
from benchmarks.throughput import Load, bare, creations, loads, numbered

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def counted() -> AsyncIterator[tuple[Child, int]]:
    async with child("endpoint") as one:
        port = int(await one.line(20))
        await one.say("count")
        yield one, port


async def calls_of(one: Child) -> Calls:
    await one.say("calls")
    return msgspec.json.decode(await one.line(20), type=Calls)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def in_shape(row: Load) -> bool:
    figures = (row.executions, row.steps_per_second, row.alone_p50_ms, row.p50_ms)
    return all(figure > 0 for figure in figures) and row.p99_ms >= row.p50_ms


@pytest.mark.parametrize("store", ["sqlite", "everysec"])
async def test_each_execution_that_is_counted_made_all_its_calls(store: str) -> None:
    async with counted() as (seen, port), site(Setup(store), port) as one:
        body = creation(line(port), numbered())
        runs = [
            await one.run(Wanted(body, 4, seconds=0.2)),
            await one.run(Wanted(body, 3, count=7)),
            await one.run(Wanted(body, 1, count=1)),
        ]
        calls = await calls_of(seen)
        assert [run.count for run in runs][1:] == [7, 1]
        assert calls == Calls(sum(run.count for run in runs) * STEPS, calls.total, 0, 0)
        assert all(run.p99_ms >= run.p50_ms > 0 for run in runs)
        assert one.memory_mb() > 1


async def test_two_processes_and_their_redis_are_measured_and_ended_though_it_fails() -> None:
    pids: list[int] = []

    async def measured_until_it_fails(port: int) -> None:
        async with site(Setup("everysec", 2), port) as one:
            assert (await one.run(Wanted(creation(line(port), numbered()), 4, count=8))).count == 8
            pids.extend(one.processes())
            raise RuntimeError("a measurement that fails")

    with endpoint() as port, pytest.raises(RuntimeError, match="that fails"):
        await measured_until_it_fails(port)
    # The supervisor, two servers and redis-server at the least.
    assert len(pids) >= 4
    assert all(gone(pid) for pid in pids)


async def test_every_provider_has_a_row_of_its_own() -> None:
    with endpoint() as port:
        rows = await loads(Setup("sqlite"), port, TINY, PROVIDERS)
    assert [row.provider for row in rows] == list(PROVIDERS)
    assert all(in_shape(row) and row.memory_mb > 0 for row in rows)


@pytest.mark.parametrize(
    ("setup", "client"),
    [(Setup("sqlite"), "wire"), (Setup("always", 2), "wire"), (Setup("everysec"), "aiohttp")],
)
async def test_the_bare_loop_makes_the_same_calls(setup: Setup, client: str) -> None:
    async with counted() as (seen, port):
        row = await bare(setup, port, TINY, client)
        calls = await calls_of(seen)
    assert in_shape(row)
    # Those that are not in the row were to warm up, or alone.
    assert calls.total >= row.executions * STEPS
    assert calls.total % STEPS == 0


@pytest.mark.parametrize("store", ["sqlite", "everysec"])
async def test_creations_are_counted(store: str) -> None:
    with endpoint() as port:
        row = await creations(store, port, TINY)
    assert row.count > 0
    assert row.driven == (store == "sqlite")


async def test_health_on_and_off_both_do_the_work() -> None:
    async with counted() as (seen, port):
        row = await boards("everysec", port, TINY)
        calls = await calls_of(seen)
    assert row.executions > 0
    assert calls.total == calls.keys >= row.executions * STEPS


async def test_metrics_are_read_beside_a_load() -> None:
    with endpoint() as port:
        assert (await scraping("sqlite", port, TINY)).executions > 0


async def test_an_execution_that_fails_is_no_figure() -> None:
    with endpoint() as port:
        async with site(Setup("sqlite"), port) as one:
            step = {"id": "no", "type": "FAIL", "error": "Made.Up", "cause": "to see it"}
            body = creation({"id": "fails", "startAt": "no", "steps": [step]})
            with pytest.raises(Failed, match="an execution is FAILED"):
                await one.run(Wanted(body, 2, count=4))
            with pytest.raises(Failed, match="the server answered 4"):
                await one.run(Wanted("{}", 2, count=4))
            # And what comes after is not disturbed by it.
            assert (await one.run(Wanted(creation(line(port)), 2, count=2))).count == 2
