"""`python -m benchmarks.fan_out [--store sqlite] [--items 10000] [--lease 10] [--docs FILE]`: a MAP, a death.

A real server drives one MAP of so many items, 100 side by side, each an HTTP call to a static endpoint, its
results by reference. First undisturbed: how long it takes and the server's peak of resident memory (VmHWM).
Then it is killed with -9 when half of the events are written, and started again. From the kill it is measured
until the new process says that it is up, and until the execution has a new event: its state has been read
back by then. On Redis the dead worker's lease has to lapse before, as it may be alive: `--lease` is how long
that is at most.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.children import endpoint, machine
from benchmarks.pages import renew
from benchmarks.redis_workers import print_json
from rehearsals.killing import Server
from rehearsals.reading import get, session
from tests.redis_servers import start_node

STORES: Final = ("sqlite", "redis")
AT_ONCE: Final = 100
_PAUSE: Final = 0.02
_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One store. Seconds and MB (2**20 bytes); `on` is the first event after the kill."""

    store: str
    items: int
    seconds: float
    items_a_second: float
    peak_mb: float
    killed_after: int
    lease: float
    ready: float
    on: float
    peak_after_mb: float
    whole_seconds: float


def document(port: int, items: int) -> dict[str, Any]:
    """The MAP."""
    call = {"id": "call", "type": "TASK", "provider": "HTTP", "functionId": f"http://127.0.0.1:{port}/fn",
            "effects": "pure", "output": {"amount": "$.amount"}}  # fmt: skip
    each = {"id": "all", "type": "MAP", "items": f"{{% [1..{items}] %}}", "each": "call",
            "input": {"line": "{% $item %}"}, "maxConcurrency": AT_ONCE, "results": "reference"}  # fmt: skip
    return {"id": "fan-out", "startAt": "all", "steps": [each, call]}


class Bench:
    """A server and one client."""

    def __init__(self, http: aiohttp.ClientSession, server: Server) -> None:
        self.server = server
        self._http = http

    async def create(self, workflow: dict[str, Any]) -> str:
        """Create an execution; its id."""
        body = {"workflow": workflow, "input": {}}
        async with self._http.post(f"{self.server.url}/executions", json=body) as answer:
            answer.raise_for_status()
            return str((await answer.json())["executionId"])

    async def ended(self, items: int) -> None:
        """Wait until the only execution that is open has completed. Raises TimeoutError."""
        async with asyncio.timeout(_SECONDS):
            while (status := await self._status()) in ("PENDING", "RUNNING"):  # noqa: ASYNC110 - as below
                await asyncio.sleep(_PAUSE)
        if status != "COMPLETED":
            raise RuntimeError(f"the MAP of {items} ended as {status}")

    async def _status(self) -> str:
        page = await get(self._http, [self.server.url], "/executions?limit=1")
        return str(page["executions"][0]["status"])

    async def event(self, mine: str, after: int) -> dict[str, Any] | None:
        """The event behind so many, where there is one."""
        path = f"/executions/{mine}/history?after={after}&limit=1"
        events = (await get(self._http, [self.server.url], path))["events"]
        return dict(events[0]) if events else None

    async def reached(self, mine: str, events: int) -> None:
        """Wait until the history has so many events. Raises TimeoutError."""
        async with asyncio.timeout(_SECONDS):
            while await self.event(mine, events - 1) is None:  # noqa: ASYNC110 - a measurement
                await asyncio.sleep(_PAUSE)

    async def newer(self, mine: str, after: int, moment: float) -> float:
        """When (epoch seconds) the first event behind number `after` was written that is newer than then."""
        async with asyncio.timeout(_SECONDS):
            while True:
                path = f"/executions/{mine}/history?after={after}&limit=500"
                events = (await get(self._http, [self.server.url], path))["events"]
                for event in events:
                    at = datetime.fromisoformat(event["timestamp"]).timestamp()
                    if at > moment:
                        return at
                after = events[-1]["seq"] if events else after
                if not events:
                    await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def _bench(store: str, port: int, lease: float) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        settings = {
            "SIDESTEP_PROVIDERS__HTTP__ORIGINS": f"http://127.0.0.1:{port}",
            "SIDESTEP_LEASE_SECONDS": str(lease),
        }
        if store == "redis":
            settings["SIDESTEP_STORE"] = stack.enter_context(start_node()).url
        server = Server(Path(folder), settings)
        stack.push_async_callback(server.end)
        await server.start()
        yield Bench(await stack.enter_async_context(session()), server)


async def measured(store: str, port: int, items: int, lease: float) -> Measured:
    """Undisturbed, and killed; each on a store of its own."""
    workflow = document(port, items)
    async with _bench(store, port, lease) as bench:
        began = time.perf_counter()
        mine = await bench.create(workflow)
        await bench.ended(items)
        seconds = time.perf_counter() - began
        peak = peak_mb(bench.server.pid)
        history = await get_version(bench, mine)
    async with _bench(store, port, lease) as bench:
        began = time.perf_counter()
        mine = await bench.create(workflow)
        half = history // 2
        await bench.reached(mine, half)
        bench.server.kill()
        killed, since = time.time(), time.perf_counter()
        await bench.server.start()
        ready = time.perf_counter() - since
        on = await bench.newer(mine, half, killed) - killed
        await bench.ended(items)
        whole = time.perf_counter() - began
        after = peak_mb(bench.server.pid)
    return Measured(
        store, items, round(seconds, 2), round(items / seconds), round(peak), half, lease,
        round(ready, 2), round(on, 2), round(after), round(whole, 2),
    )  # fmt: skip


async def get_version(bench: Bench, mine: str) -> int:
    """How many events the history of a MAP that has ended has, by halving."""
    low, high = 0, 1
    while await bench.event(mine, high) is not None:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await bench.event(mine, middle) is not None else (low, middle)
    return high


def peak_mb(pid: int) -> float:
    """The most memory that the process had resident so far."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system has no /proc/PID/status")


def table(found: Sequence[Measured]) -> str:
    """What was measured, as Markdown."""
    rows = [
        "| store | items | s | items/s | peak MB | killed at | lease s | up after s | on after s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.store} | {one.items:,} | {one.seconds:.1f} | {one.items_a_second:,.0f} | {one.peak_mb:.0f} "
        f"| {one.killed_after:,} | {one.lease:g} | {one.ready:.2f} | {one.on:.2f} | {one.peak_after_mb:.0f} |"
        for one in found
    ]
    return "\n".join(rows)


async def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fan_out", description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--lease", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--docs", metavar="FILE", help="renew the table in this page too")
    chosen = parser.parse_args()
    found = []
    with endpoint() as port:
        for store in chosen.store or STORES:
            print(f"measuring a MAP on {store} ...", file=sys.stderr)
            found.append(await measured(store, port, chosen.items, chosen.lease))
    if chosen.json:
        print_json({"machine": machine(), "fan_out": [asdict(one) for one in found]})
    else:
        print(f"{machine()}\n\n{table(found)}")
    if chosen.docs:
        renew(Path(chosen.docs), "fan-out", f"{machine()}.\n\n{table(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
