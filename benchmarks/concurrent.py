"""Memory for many executions at once, each with a call under way that the endpoint holds.

`python -m benchmarks.concurrent STORE PORT COUNT` prints one JSON object. The endpoint must hold its answers
for longer than it takes to send COUNT calls.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.line import FIRST, bench

TOGETHER = 500
"""How many creations share their commits."""


def rss_mb() -> float:
    """The resident memory of this process now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system has no /proc/self/status")


async def main(store: str, port: int, count: int) -> None:
    """Start them all, wait until every one has its call under way, measure, and let them end."""
    with tempfile.TemporaryDirectory() as folder:
        async with bench(store, port, Path(folder), steps=1, timeout_ms=300_000) as line:
            gc.collect()
            before, started = rss_mb(), time.perf_counter()
            for _ in range(0, count, TOGETHER):
                await asyncio.gather(*(line.executions.create(line.workflow, FIRST) for _ in range(TOGETHER)))
            async with asyncio.timeout(120):
                while line.engine.in_hand < count:  # noqa: ASYNC110 - a measurement, not a test
                    await asyncio.sleep(0.05)
                await asyncio.sleep(2)
                held = rss_mb()
                while line.engine.in_hand:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.1)
            ended = await line.executions.counts()
            assert ended == {"COMPLETED": count}, ended
            seconds = time.perf_counter() - started
    print(json.dumps({"count": count, "before_mb": before, "held_mb": held, "seconds": seconds}))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
