"""Memory for many executions at once, each with a call under way that the endpoint holds.

`python -m benchmarks.concurrent [STORE ...] [--executions N] [--json]` measures each store (`sqlite` and
`redis` unless told) in a process of its own: what it has before and with all of them in hand, how long it
takes until each has its call under way, and once the answers come, how long until all have completed.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from api.bootstrap import build
from api.runtime import Runtime
from api.settings import HttpSection, ProvidersSection, Settings
from benchmarks.held import many_files

STORES = ("sqlite", "redis")
EXECUTIONS = 10_000
TOGETHER = 500
"""How many creations share their commits."""

FIRST = {"order": "A-1001", "amount": 12.5, "items": [1, 2, 3]}
PATIENCE = 120.0
"""Seconds for each stage, at most."""


def resident() -> int:
    """The resident memory of this process now, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system has no /proc/self/status")


def settings_for(store: str, port: int) -> Settings:
    """Of a server that may hold all of them. On a busy machine it takes seconds until so many connections are
    taken; no call is to fail over that, and no lease to lapse.
    """
    origin = f"http://127.0.0.1:{port}"
    http = HttpSection(origins=(origin,), max_connections=60_000, connect_timeout_ms=60_000)
    return Settings(
        store=store,
        concurrency=100_000,
        memory_limit=1 << 40,
        lease_seconds=60.0,
        providers=ProvidersSection(http=http),
    )


def document(port: int) -> dict[str, Any]:
    """One call that is held."""
    target = {"provider": "HTTP", "functionId": f"http://127.0.0.1:{port}/fn", "timeout": 600_000}
    return {"id": "held", "startAt": "call", "steps": [{"id": "call", "type": "TASK", **target}]}


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it. Raises TimeoutError."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"{what} took longer than {PATIENCE:g} s")
        await asyncio.sleep(0.02)


def under_way(runtime: Runtime) -> int:
    """Calls that were sent and have no answer."""
    return sum(provider.in_flight for provider in runtime.board.report().providers)


async def child(store: str, port: int, count: int) -> None:
    """Start them all, wait until each has its call under way, have them answered; prints a JSON object."""
    many_files()
    runtime = build(settings_for(store, port))
    await runtime.start()
    try:
        await until(lambda: runtime.open, "opening the store")
        workflow = runtime.workflows.read(document(port))
        first = await runtime.executions.create(workflow, FIRST)
        await until(lambda: under_way(runtime) == 1, "the first call")
        gc.collect()
        before, began = resident(), time.perf_counter()
        for made in range(1, count, TOGETHER):
            several = range(min(TOGETHER, count - made))
            await asyncio.gather(*(runtime.executions.create(workflow, FIRST) for _ in several))
        await until(lambda: under_way(runtime) == count, "starting all calls")
        started = time.perf_counter() - began
        gc.collect()
        held = resident()
        print("held", flush=True)
        began, cpu = time.perf_counter(), time.process_time()
        await until(lambda: runtime.in_hand == 0, "completing all")
        drained, cpu = time.perf_counter() - began, time.process_time() - cpu
        ended = await runtime.executions.counts()
        assert ended == {"COMPLETED": count}, ended
        assert first.execution_id
        gc.collect()
        result = {
            "executions": count,
            "before_mb": before / 1e6,
            "peak_mb": held / 1e6,
            "kib_each": (held - before) / 1024 / (count - 1),
            "after_mb": resident() / 1e6,
            "seconds_to_start": started,
            "seconds_to_complete": drained,
            "cpu_seconds_to_complete": cpu,
        }
    finally:
        await runtime.stop()
    print(json.dumps(result), flush=True)


@contextmanager
def _process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
            process.stdin.close()
            process.wait(60)
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a measuring process ended early; what it wrote above says why")
    return line


@contextmanager
def _url(store: str) -> Iterator[str]:
    """The store's URL; of `redis`, one that is started here."""
    if store == "redis":
        from tests.redis_servers import start_node  # noqa: PLC0415 - needed for this store only

        with start_node(appendonly="yes", appendfsync="everysec") as node:
            yield node.url
        return
    with TemporaryDirectory() as folder:
        yield f"sqlite:{folder}/concurrent.db" if store == "sqlite" else store


def measure(store: str, executions: int = EXECUTIONS) -> dict[str, float]:
    """What so many executions at once cost on `sqlite`, `redis`, `memory:` or another URL.

    Megabytes (10**6) of the process before, with all of them in hand (`peak_mb`), and after they completed;
    KiB an execution; seconds until each had its call under way, and, once the answers came, until all had
    completed.
    """
    with _process("benchmarks.held") as endpoint, _url(store) as url:
        port = int(_line(endpoint))
        with _process("benchmarks.concurrent", "--child", url, port, executions) as process:
            assert _line(process) == "held\n"
            assert endpoint.stdin is not None
            endpoint.stdin.write("\n")
            endpoint.stdin.flush()
            measured: dict[str, float] = json.loads(_line(process))
    return measured


def table(measured: dict[str, dict[str, float]]) -> str:
    """As Markdown."""
    rows = [
        "| store | executions | before MB | peak MB | KiB each | after MB | s to start | s to complete |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {store} | {one['executions']:,.0f} | {one['before_mb']:.0f} | {one['peak_mb']:.0f} "
        f"| {one['kib_each']:.1f} | {one['after_mb']:.0f} | {one['seconds_to_start']:.1f} "
        f"| {one['seconds_to_complete']:.1f} |"
        for store, one in measured.items()
    ]
    return "\n".join(rows)


def main() -> None:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.concurrent", description=__doc__)
    parser.add_argument("stores", nargs="*", default=STORES, metavar="STORE")
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        import uvloop  # noqa: PLC0415 - the measuring process's loop

        store, port, count = chosen.child
        uvloop.run(child(store, int(port), int(count)))
        return
    measured = {store: measure(store, chosen.executions) for store in chosen.stores}
    print(json.dumps(measured, indent=2) if chosen.json else table(measured))


if __name__ == "__main__":
    main()
