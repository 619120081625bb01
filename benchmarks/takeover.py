"""`python -m benchmarks.takeover [--executions 1000] [--lease 10] [--json]`: a worker dies, or sleeps.

One worker drives all executions, each with a call under way. It is killed, and the time is taken until
another worker has sent every call again. Then the same with a worker that is stopped (SIGSTOP) past its
lease and woken after the others have finished its work: it must change nothing and send nothing.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.children import machine
from benchmarks.line import FIRST
from benchmarks.redis_workers import client, print_json, workers
from tests.redis_servers import start_node

SHARDS = 64
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Held:
    """An endpoint that counts calls by idempotency key, and answers none before it is told to."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._open = asyncio.Event()
        self._changed = asyncio.Event()

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self._open.set()

    def hold(self) -> None:
        """Hold calls from now on, and forget the ones that were."""
        self._open.clear()
        self.calls.clear()

    async def reached(self, keys: int, times: int, seconds: float) -> float:
        """Wait until so many keys were called so many times each; how long that took."""
        began = time.perf_counter()
        async with asyncio.timeout(seconds):
            while sum(count >= times for count in self.calls.values()) < keys:
                self._changed.clear()
                await self._changed.wait()
        return time.perf_counter() - began

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                await reader.readexactly(int(fields.get("content-length", "0")))
                self.calls[fields["idempotency-key"]] += 1
                self._changed.set()
                await self._open.wait()
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def held() -> AsyncIterator[tuple[Held, int]]:
    """The endpoint and its port."""
    endpoint = Held()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=4096)
    try:
        yield endpoint, int(server.sockets[0].getsockname()[1])
    finally:
        endpoint.release()
        server.close()


def call(port: int) -> dict[str, Any]:
    """One HTTP step, which may be repeated."""
    step = {
        "id": "call",
        "type": "TASK",
        "provider": "HTTP",
        "functionId": f"http://127.0.0.1:{port}/fn",
        "timeout": 120_000,
        "effects": "idempotent",
    }
    return {"id": "held", "startAt": "call", "steps": [step]}


def settings(lease: float, concurrency: int) -> dict[str, float]:
    """A worker's: how long its lease is, and how much it takes."""
    return {
        "lease_seconds": lease,
        "concurrency": concurrency,
        "providers__http__max_connections": 4096,
    }


async def killed(executions: int, lease: float) -> dict[str, float]:
    """Seconds from the kill until another worker had sent every call again."""
    node = start_node()
    try:
        async with held() as (endpoint, port), client(node.url, SHARDS) as creator:
            async with workers(node.url, 1, port, **settings(lease, executions)) as (first,):
                await creator.create(call(port), executions, FIRST)
                await endpoint.reached(executions, 1, 120)
                async with workers(node.url, 1, port, **settings(lease, 2 * executions)) as (second,):
                    # The first has no room left: once this is called, the second is at work.
                    await creator.create(call(port), 1, FIRST)
                    await endpoint.reached(executions + 1, 1, 60)
                    first.kill()
                    seconds = await endpoint.reached(executions, 2, 6 * lease + 60)
                    endpoint.release()
                    await creator.until("COMPLETED", executions + 1, 120)
                    assert second.poll() is None
            assert first.wait() == -signal.SIGKILL
            most = max(endpoint.calls.values())
    finally:
        node.stop()
    return {"executions": executions, "lease": lease, "seconds": seconds, "most_calls_of_one_key": most}


async def stopped(executions: int, lease: float) -> dict[str, float]:
    """What a worker did that was stopped past its lease and woken: calls sent, events appended."""
    node = start_node()
    try:
        async with (
            held() as (endpoint, port),
            client(node.url, SHARDS) as creator,
            workers(node.url, 1, port, **settings(lease, executions)) as (first,),
        ):
            made = await creator.create(call(port), executions, FIRST)
            await endpoint.reached(executions, 1, 120)
            first.send_signal(signal.SIGSTOP)
            try:
                async with workers(node.url, 1, port, **settings(lease, 2 * executions)):
                    await endpoint.reached(executions, 2, 6 * lease + 60)
                    endpoint.release()
                    await creator.until("COMPLETED", executions, 120)
                    calls = endpoint.calls.total()
                    events = [(await creator.store.get(one)).version for one in made]
            finally:
                first.send_signal(signal.SIGCONT)
            # It is alone now: when this is done, it has woken and seen what became of its work.
            await creator.create(call(port), 1, FIRST)
            await creator.until("COMPLETED", executions + 1, 120)
            sent = endpoint.calls.total() - calls - 1
            after = [(await creator.store.get(one)).version for one in made]
            assert first.poll() is None
    finally:
        node.stop()
    appended = sum(later - earlier for later, earlier in zip(after, events, strict=True))
    return {"executions": executions, "lease": lease, "sent": sent, "appended": appended}


async def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000)
    parser.add_argument("--lease", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    kill = await killed(chosen.executions, chosen.lease)
    stop = await stopped(min(chosen.executions, 200), chosen.lease)
    if chosen.json:
        print_json({"machine": machine(), "killed": kill, "stopped": stop})
        return 0
    print(
        f"A worker was killed while it drove {kill['executions']:,} executions (lease {chosen.lease:g} s): "
        f"all were taken over after {kill['seconds']:.2f} s."
    )
    print(
        f"A worker with {stop['executions']:,} executions was stopped past its lease and woken: it sent "
        f"{stop['sent']} calls and appended {stop['appended']} events to what others had finished."
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
