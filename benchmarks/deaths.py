"""Kill -9 with many executions under way, and a restart: what was lost, what was repeated, how long it took.

The endpoint holds each call for a moment and counts calls by idempotency key and attempt. The server is
killed when two fifths of all steps were called, and started again at once. A step is called again only where
its call was under way at that moment, so that there can be as many repetitions as there were executions.
"""

import asyncio
import time
from dataclasses import dataclass

import msgspec

from benchmarks.children import Child, Failed, child
from benchmarks.endpoint import Calls
from benchmarks.generator import Wanted
from benchmarks.line import STEPS
from benchmarks.site import Setup, Site, creation, line, site
from benchmarks.sizes import Sizes
from benchmarks.throughput import numbered
from rehearsals.reading import get, session

KILLED_AT = 0.4
_PAUSE = 0.02
_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """`completed` of `executions`; `repeated` calls of a step that had been called before, `sent_twice` of
    them as the same attempt; seconds from the kill until the new server was ready, and until all had ended.
    `lease` is how long an owner that is silent keeps its executions, where others could have them.
    """

    store: str
    executions: int
    completed: int
    called_at_kill: int
    repeated: int
    sent_twice: int
    lease: float
    ready: float
    seconds: float


async def death(store: str, sizes: Sizes) -> Death:
    """Kill the server of this store in the middle of its work."""
    async with child("endpoint", sizes.hold) as held:
        port = int(await held.line(20))
        await held.say("count")
        setup = Setup(store, settings={"SIDESTEP_LEASE_SECONDS": str(sizes.lease)})
        async with site(setup, port) as one:
            count = sizes.killed
            body = creation(line(port), numbered())
            await one.run(Wanted(body, min(count, sizes.at_once), count=count, wait=False))
            called = await _called(held, KILLED_AT * count * STEPS)
            one.server.kill()
            began = time.monotonic()
            one.server.start()
            await one.server.document()
            ready = time.monotonic() - began
            seconds = await _all_ended(one, began)
            completed = await _completed(one)
            calls = await _calls(held)
    if calls.keys < completed * STEPS:
        raise Failed(f"{completed} executions completed, of whose steps {calls.keys} were ever called.")
    return Death(
        store=store,
        executions=count,
        completed=completed,
        called_at_kill=called,
        repeated=calls.repeated,
        sent_twice=calls.sent_twice,
        lease=sizes.lease,
        ready=ready,
        seconds=seconds,
    )


async def _calls(held: Child) -> Calls:
    await held.say("calls")
    return msgspec.json.decode(await held.line(20), type=Calls)


async def _called(held: Child, keys: float) -> int:
    """Wait until so many steps were called. Raises TimeoutError."""
    async with asyncio.timeout(_SECONDS):
        while (calls := await _calls(held)).keys < keys:  # noqa: ASYNC110 - a measurement, of other processes
            await asyncio.sleep(_PAUSE)
    return calls.total


async def _all_ended(one: Site, began: float) -> float:
    """Wait until nothing is open; how long after the kill that was. Raises TimeoutError."""
    async with session() as http, asyncio.timeout(_SECONDS):
        for status in ("PENDING", "RUNNING"):
            path = f"/executions?status={status}&limit=1"
            while (await get(http, [one.url], path))["executions"]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(_PAUSE)
    return time.monotonic() - began


async def _completed(one: Site) -> int:
    found, cursor = 0, ""
    async with session() as http:
        while True:
            page = await get(http, [one.url], f"/executions?status=COMPLETED&limit=500{cursor}")
            found += len(page["executions"])
            if page["nextCursor"] is None:
                return found
            cursor = f"&cursor={page['nextCursor']}"
