"""`python -m benchmarks.scaling [--json]`: what more workers and more shards cost on Redis.

For each row a new server with append-only every second, and executions of ten HTTP steps that were created
before the workers started. Commands are Redis's own count: those that clients send, and those that scripts
call within. Idle is measured before there is any work, for all workers together.
"""

import argparse
import asyncio
import sys
import time

from benchmarks.children import endpoint, machine
from benchmarks.line import FIRST, STEPS, document
from benchmarks.redis_workers import client, commands, cpu_seconds, print_json, workers
from tests.redis_servers import start_node

ROWS = ((1, 64), (2, 64), (4, 64), (8, 64), (2, 1), (2, 8))
"""Workers and shards."""

SENT = frozenset({"evalsha", "eval", "xreadgroup", "wait", "subscribe", "unsubscribe", "ping", "publish_"})
"""What a worker sends itself; all else is called within its scripts."""

OURS = frozenset({"info", "zcard", "hgetall", "hello", "client", "auth", "select", "command", "config"})
"""What the measuring process sends or has counted, and what connecting costs."""

IDLE_SECONDS = 4.0


def spent(before: dict[str, int], after: dict[str, int]) -> tuple[int, int]:
    """Commands that clients sent, and that scripts called, between two readings."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    sent = sum(count for name, count in grown.items() if name in SENT)
    within = sum(count for name, count in grown.items() if name not in SENT | OURS)
    return sent, within


async def row(count: int, shards: int, port: int, executions: int) -> dict[str, float]:
    """One row of the table."""
    node = start_node()
    try:
        async with client(node.url, shards) as creator:
            async with workers(node.url, count, port) as idle:
                await asyncio.sleep(4)
                before, cpu = commands(node.url), sum(cpu_seconds(one.pid) for one in idle)
                server = cpu_seconds(node.pid)
                await asyncio.sleep(IDLE_SECONDS)
                idle_sent, idle_within = spent(before, commands(node.url))
                idle_cpu = sum(cpu_seconds(one.pid) for one in idle) - cpu
                idle_server = cpu_seconds(node.pid) - server
            await creator.create(document(port), executions, FIRST)
            before, server = commands(node.url), cpu_seconds(node.pid)
            async with workers(node.url, count, port) as busy:
                while (await creator.executions.counts()).get("PENDING") == executions:  # noqa: ASYNC110 - a measurement
                    await asyncio.sleep(0.02)
                began = time.perf_counter()
                await creator.until("COMPLETED", executions, 300)
                seconds = time.perf_counter() - began
                cpu = sum(cpu_seconds(one.pid) for one in busy)
                server = cpu_seconds(node.pid) - server
                sent, within = spent(before, commands(node.url))
    finally:
        node.stop()
    steps = executions * STEPS
    return {
        "workers": count,
        "shards": shards,
        "steps_per_second": steps / seconds,
        "sent_per_step": sent / steps,
        "within_per_step": within / steps,
        "idle_sent_per_second": idle_sent / IDLE_SECONDS,
        "idle_within_per_second": idle_within / IDLE_SECONDS,
        "idle_cpu_percent": 100 * idle_cpu / IDLE_SECONDS,
        "worker_cpu_ms_per_step": 1000 * cpu / steps,
        "redis_cpu_ms_per_step": 1000 * server / steps,
        "idle_redis_cpu_ms_per_second": 1000 * idle_server / IDLE_SECONDS,
    }


def table(rows: list[dict[str, float]]) -> str:
    """The rows as Markdown."""
    lines = [
        f"Machine: {machine()}. Redis with append-only every second, ten HTTP steps an execution.",
        "",
        (
            "| workers | shards | steps/s | commands sent a step | called within a step "
            "| worker CPU ms a step | Redis CPU ms a step | idle: sent a second "
            "| idle: called within a second | idle: Redis CPU ms a second |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['workers']} | {one['shards']} | {one['steps_per_second']:,.0f} "
        f"| {one['sent_per_step']:.2f} | {one['within_per_step']:.1f} "
        f"| {one['worker_cpu_ms_per_step']:.2f} | {one['redis_cpu_ms_per_step']:.3f} "
        f"| {one['idle_sent_per_second']:.1f} | {one['idle_within_per_second']:.0f} "
        f"| {one['idle_redis_cpu_ms_per_second']:.1f} |"
        for one in rows
    ]
    return "\n".join(lines)


async def main() -> int:
    """Measure every row, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--executions", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    with endpoint() as port:
        for count, shards in ROWS:
            print(f"measuring {count} workers on {shards} shards ...", file=sys.stderr)
            rows.append(await row(count, shards, port, chosen.executions))
    if chosen.json:
        print_json({"machine": machine(), "rows": rows})
    else:
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
