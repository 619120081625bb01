"""The first region dies, the second takes over, and later the first is taken back: done and measured.

`python -m rehearsals.two_regions` starts, on loopback, region A (a Redis, an API, two workers) and region B
(a Redis that follows A's over a link of some distance, and a second one that follows B's). Under a steady
load it kills everything in A with -9, cuts the link, promotes B's Redis and starts Sidestep there. Later A's
Redis comes back as a replica, and in a planned move A takes over again. Then everything that was
acknowledged is looked for. It does so without and with `SIDESTEP_REDIS__MIN_REPLICAS=1`. Exit code 1: a
promise was broken.

What is not in the times: noticing, and deciding. docs/how-to/two-regions.md is the runbook.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from chaos.audit import audit
from chaos.load import Load
from chaos.programs import NotStarted, Program
from localcloud.client import ControlClient, connect
from rehearsals.losses import Losses, Times, measure
from rehearsals.reading import ready, session, settled, views
from rehearsals.regions import Region, Store
from rehearsals.relay import Relay

_DEATH: Final = 0.28
_RETURN: Final = 0.70
"""Shares of the load's length."""

_LEAST_SECONDS: Final = 40.0
_READY_SECONDS: Final = 30.0
_DRAIN_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Executions a second, the load's length in seconds, and the link's one-way delay in seconds."""

    rate: float
    seconds: float
    delay: float


@dataclass(frozen=True, slots=True)
class World:
    """Both regions, the second Redis of the second one, and the link from it to the first region."""

    first: Region
    second: Region
    control: ControlClient
    link: Relay
    delay: float


async def rehearse(min_replicas: int, sizes: Sizes, folder: Path) -> Losses:
    """Do it once, and end all that was started. Raises NotStarted or TimeoutError where it cannot be done."""
    times = Times()
    async with _world(min_replicas, sizes, folder) as world, session() as http:
        urls = [world.first.url, world.second.url]
        await world.first.start()
        await ready(http, world.first.url, _READY_SECONDS)
        load = Load(http, urls, f"regions-{min_replicas}")
        async with AsyncExitStack() as stack:
            sending = asyncio.create_task(load.send(round(sizes.rate * sizes.seconds), sizes.seconds))
            stack.callback(sending.cancel)
            began = time.monotonic()
            await asyncio.sleep(_DEATH * sizes.seconds)
            await _fail_over(world, times)
            await asyncio.sleep(max(0.0, began + _RETURN * sizes.seconds - time.monotonic()))
            fenced = await _fail_back(world, times, stack)
            await sending
            await load.drain(_DRAIN_SECONDS)
            ended = await settled(http, urls[:1], _SETTLE_SECONDS)
            survived = await views(http, urls[:1])
            runs = await world.control.ledger()
        problems = [*load.wrong[:3], *world.first.problems(), *world.second.problems()]
        if not ended:
            problems.append(f"some executions had not ended {_SETTLE_SECONDS:.0f} s after the load")
        if len(load.acknowledged) < load.submitted:
            problems.append(f"{load.submitted - len(load.acknowledged)} requests were never acknowledged")
        found = audit(load.submitted, load.acknowledged, load.acks, survived, runs, [])
        acks = dict(zip(load.acknowledged.values(), load.acks, strict=True))
        return measure(
            min_replicas, sizes.delay * 1_000, acks, survived, found, times, problems, fenced=fenced
        )


async def _fail_over(world: World, times: Times) -> None:
    """The first region dies; the second takes over."""
    times.killed = time.time()
    world.first.die()
    world.link.cut()
    _say("region A is dead")
    await world.second.store.promote()
    times.promoted = time.time()
    await world.second.start()
    times.up = time.time()
    _say(f"region B is up, {times.up - times.killed:.2f} s after")


async def _fail_back(world: World, times: Times, stack: AsyncExitStack) -> bool:
    """The first region returns as a replica, and then takes over as planned; whether it was fenced."""
    back = await Relay(world.second.store.node.port, world.delay).start()
    stack.push_async_callback(back.close)
    await world.first.store.follow(back.port)
    fenced = await world.first.store.refuses_writes()
    _say("region A's Redis is back as a replica" + ("" if fenced else ", and takes writes"))
    times.leaving = time.time()
    await world.second.stop()
    await world.first.store.caught_up(world.second.store)
    await world.first.store.promote()
    link = await Relay(world.first.store.node.port, world.delay).start()
    stack.push_async_callback(link.close)
    await world.second.store.follow(link.port)
    times.returned = time.time()
    await world.first.start()
    _say(f"region A is up again, {time.time() - times.leaving:.2f} s after B began to stop")
    return fenced


@asynccontextmanager
async def _world(min_replicas: int, sizes: Sizes, folder: Path) -> AsyncIterator[World]:
    """The stores and the clouds, started; the processes of both regions, not started yet."""
    async with AsyncExitStack() as stack:
        clouds = Program("localcloud", ["localcloud", "--port", "0"], folder, {})
        stack.push_async_callback(clouds.end)
        clouds.start()
        where = await clouds.document()
        primary = await _store(stack)
        link = await Relay(primary.node.port, sizes.delay).start()
        stack.push_async_callback(link.close)
        follower = await _store(stack, link.port)
        # With it, MIN_REPLICAS=1 can be kept in the second region from its first second.
        await _store(stack, follower.node.port)
        azure = f"{where['providers']['AZURE']}/api/echo-meta"
        key = str(where["environment"]["SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEY"])
        service = {"notify": {"url": azure, "headers": {"x-functions-key": key}}}
        settings = {
            **{str(name): str(value) for name, value in where["environment"].items()},
            "SIDESTEP_PROVIDERS__HTTP__SERVICES": json.dumps(service),
            "SIDESTEP_REDIS__MIN_REPLICAS": str(min_replicas),
        }
        first, second = (
            Region(name, store, folder, settings) for name, store in (("a", primary), ("b", follower))
        )
        for region in (first, second):
            stack.push_async_callback(region.end)
        async with connect(str(where["control"])) as control:
            yield World(first, second, control, link, sizes.delay)


async def _store(stack: AsyncExitStack, follows: int | None = None) -> Store:
    store = Store(follows)
    stack.push_async_callback(asyncio.to_thread, store.node.close)
    await store.start()
    return store


def table(results: Sequence[Losses]) -> str:
    """The results side by side, as Markdown."""

    def row(name: str, told: Sequence[object]) -> str:
        return f"| {name} | {' | '.join(str(one) for one in told)} |"

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f} s"

    lines = [
        row("`SIDESTEP_REDIS__MIN_REPLICAS`", [one.min_replicas for one in results]),
        row("---", ["---:"] * len(results)),
        row("acknowledged", [one.acknowledged for one in results]),
        row("of these before the death", [one.acknowledged_before for one in results]),
        row("an execution, median before the death", [f"{one.median_before_ms} ms" for one in results]),
        row("**RPO**: acknowledged and lost", [len(one.lost_before) for one in results]),
        row("RPO: lost end of the journals, at most", [f"{one.tail_ms} ms" for one in results]),
        row("calls that no surviving journal holds", [one.unjournaled for one in results]),
        row("run twice, explained by the journal", [one.explained for one in results]),
        row("run twice, not explained", [one.unexplained for one in results]),
        row("`atMostOnce` steps run twice", [one.at_most_once for one in results]),
        row("parked", [one.parked for one in results]),
        row("**RTO**: Redis promoted", [seconds(one.promoted) for one in results]),
        row("RTO: Sidestep up in B", [seconds(one.up) for one in results]),
        row("RTO: first 201 in B", [seconds(one.first_acknowledged) for one in results]),
        row("RTO: first execution ended in B", [seconds(one.first_ended) for one in results]),
        row("open at the death", [one.open_at_death for one in results]),
        row("RTO: all of these taken over", [seconds(one.taken_over) for one in results]),
        row("A's Redis, back, refuses writes", ["yes" if one.fenced else "NO" for one in results]),
        row("fail back: no 201 for", [seconds(one.back_acknowledged) for one in results]),
        row("lost after the death", [len(one.lost_after) for one in results]),
    ]
    broken = [f"BROKEN (MIN_REPLICAS={one.min_replicas}): {what}" for one in results for what in one.broken]
    return "\n".join([*lines, *broken])


def main() -> int:
    """Read the arguments and rehearse, without and with a minimum of replicas."""
    parser = argparse.ArgumentParser(prog="python -m rehearsals.two_regions", description="A region dies.")
    parser.add_argument("--rate", type=float, default=15.0, help="executions a second (default 15)")
    parser.add_argument("--seconds", type=float, default=50.0, help="how long they are sent (default 50)")
    parser.add_argument("--delay-ms", type=float, default=40.0, help="the link's one-way delay (default 40)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    given = parser.parse_args()
    if given.seconds < _LEAST_SECONDS or not 0 < given.rate <= 200 or not 0 <= given.delay_ms <= 1_000:  # noqa: PLR2004 - what one machine can play
        parser.error(
            f"--seconds is {_LEAST_SECONDS:.0f} or more, --rate above 0 and at most 200, --delay-ms 0 to 1000"
        )
    sizes = Sizes(given.rate, given.seconds, given.delay_ms / 1_000)
    results = []
    for min_replicas in (0, 1):
        _say(f"MIN_REPLICAS={min_replicas}")
        with tempfile.TemporaryDirectory(prefix="sidestep-regions-") as folder:
            try:
                results.append(asyncio.run(rehearse(min_replicas, sizes, Path(folder))))
            except (NotStarted, TimeoutError, FileNotFoundError) as problem:
                print(f"The rehearsal could not be done: {problem}", file=sys.stderr)
                return 2 if isinstance(problem, FileNotFoundError) else 1
    if given.json:
        rows = [asdict(one) for one in results]
        print(json.dumps({"ok": not any(one.broken for one in results), "rehearsals": rows}))
    else:
        print(table(results))
    return 1 if any(one.broken for one in results) else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
