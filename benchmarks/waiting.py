"""`python -m benchmarks.waiting [--counts 1000,10000,100000] [--json]`: executions that only wait, on Redis.

Each has one WAIT step of an hour. Memory is the worker's once all wait, and Redis's for each of them. Then
executions with a WAIT of a few seconds run together with executions of HTTP steps, and the journals tell how
late their timers fired.
"""

import argparse
import asyncio
import sys
from datetime import datetime
from statistics import quantiles
from typing import Any

from benchmarks.children import endpoint, machine
from benchmarks.line import FIRST, document
from benchmarks.redis_workers import Client, client, print_json, rss_mb, used_memory, workers
from tests.redis_servers import start_node

SHARDS = 64
TIMED = 2_000
SECONDS = 8


def waiting(seconds: int) -> dict[str, Any]:
    """One WAIT, and the end."""
    step = {"id": "pause", "type": "WAIT", "seconds": seconds}
    return {"id": f"wait-{seconds}", "startAt": "pause", "steps": [step]}


async def memory(count: int, port: int) -> dict[str, float]:
    """A worker's and Redis's memory with so many waiting."""
    node = start_node()
    try:
        async with client(node.url, SHARDS) as creator, workers(node.url, 1, port) as (worker,):
            await creator.create(waiting(3_600), 1, FIRST)
            await creator.until("RUNNING", 1, 30)
            empty, before = used_memory(node.url), rss_mb(worker.pid)
            made = await creator.create(waiting(3_600), count, FIRST)
            await creator.until("RUNNING", count + 1, 300)
            while (await creator.store.get(made[-1])).hold != "timer":  # noqa: ASYNC110 - a measurement
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            return {
                "count": count,
                "worker_before_mb": before,
                "worker_mb": rss_mb(worker.pid),
                "redis_bytes_each": (used_memory(node.url) - empty) / count,
            }
    finally:
        node.stop()


async def lateness(port: int) -> dict[str, float]:
    """How late timers fire while the machine is busy with other executions (seconds)."""
    node = start_node()
    try:
        async with client(node.url, SHARDS) as creator, workers(node.url, 2, port):
            timed = await creator.create(waiting(SECONDS), TIMED, FIRST)
            load = asyncio.create_task(_load(creator, port))
            sample = timed[:: TIMED // 500]
            await asyncio.gather(*(creator.executions.wait(id_, 120) for id_ in sample))
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
            late = [await _late(creator, id_) for id_ in sample]
    finally:
        node.stop()
    cuts = quantiles(late, n=100)
    return {"timers": len(late), "p50": cuts[49], "p99": cuts[98], "max": max(late)}


async def _load(creator: Client, port: int) -> None:
    while True:
        await creator.create(document(port), 50, FIRST)
        await asyncio.sleep(0.5)


async def _late(creator: Client, execution_id: str) -> float:
    told = await creator.executions.history(execution_id, 0, 100)
    at = {event.type: datetime.fromisoformat(event.timestamp) for event in told}
    return (at["STEP_COMPLETED"] - at["STEP_STARTED"]).total_seconds() - SECONDS


async def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    with endpoint() as port:
        for count in map(int, chosen.counts.split(",")):
            print(f"measuring {count:,} that wait ...", file=sys.stderr)
            rows.append(await memory(count, port))
        print("measuring timers under load ...", file=sys.stderr)
        late = await lateness(port)
    if chosen.json:
        print_json({"machine": machine(), "waiting": rows, "late_seconds": late})
        return 0
    print("| waiting | worker MB before | worker MB | Redis bytes each |\n|---|---|---|---|")
    for one in rows:
        print(
            f"| {one['count']:,} | {one['worker_before_mb']:.0f} | {one['worker_mb']:.0f} "
            f"| {one['redis_bytes_each']:,.0f} |"
        )
    print(
        f"\nOf {TIMED:,} timers under load, {late['timers']:.0f} looked at: late by {late['p50']:.2f} s "
        f"(p50), {late['p99']:.2f} s (p99), {late['max']:.2f} s (most)."
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
