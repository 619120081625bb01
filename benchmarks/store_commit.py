"""What a creation and a commit cost in each store, at 64 in flight: `python -m benchmarks.store_commit`.

A creation makes an execution whose definition the store has; a commit appends three events (600 bytes) and
moves the current step on; every tenth releases. The acts of 64 executions come all at once, or apart, as the
calls of steps end. CPU is told of this process (the store, and a loop that does nothing else) and of
redis-server. The last lines are the limit: one script that appends and sets one field, over the same wire,
which is no store.
"""

import argparse
import asyncio
import json
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from msgspec.structs import replace

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.offload import OffloadingStore
from adapters.stores.redis.client import Redis, Script
from adapters.stores.redis.store import RedisStore
from adapters.stores.sqlite import SqliteStore
from core.engine.ids import any_shard, new_execution_id
from core.ports.store import Batch, Claim, Commit, NewExecution, Store, Summary
from tests.redis_servers import Node

IN_FLIGHT = 64
EXECUTIONS = 1_280
STEPS = 10
WAITING = 100_000

APART = 0.016
"""Seconds between two commits of an execution at most, in the lines that say `apart`: 8 ms of a call on
average. Then commits meet by chance, as they do in a server, and few go in one write.
"""

_BARE = Script(
    "bare",
    "redis.call('RPUSH', KEYS[1] .. 'j', ARGV[1]) redis.call('HSET', KEYS[1] .. 'x', 'v', ARGV[2]) return 1",
)


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of act: how many a second, and microseconds of CPU each, here and in the server."""

    store: str
    act: str
    per_second: float
    client_us: float
    server_us: float


def server_cpu(pid: int) -> float:
    """Seconds that all threads of a process have run so far, to the nanosecond (Linux)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


async def measure(
    store: str, act: str, count: int, work: Callable[[], Awaitable[None]], server_pid: int | None = None
) -> Cost:
    """The cost of `work`, which does the act `count` times."""
    before = 0.0 if server_pid is None else server_cpu(server_pid)
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    server = 0.0 if server_pid is None else server_cpu(server_pid) - before
    return Cost(
        store=store,
        act=act,
        per_second=count / wall,
        client_us=1e6 * cpu / count,
        server_us=1e6 * server / count,
    )


async def apart(
    store: str, act: str, count: int, work: Callable[[], Awaitable[None]], server_pid: int | None = None
) -> Cost:
    """The cost of `work`, which pauses before each act, without that of the pauses."""

    async def pauses() -> None:
        for _ in range(STEPS):
            await pause(APART)

    idle = await measure(store, act, count, lambda: in_flight([pauses] * (count // STEPS)))
    cost = await measure(store, act, count, work, server_pid)
    return replace(cost, client_us=cost.client_us - idle.client_us)


def new(execution_id: str) -> NewExecution:
    """A creation of the usual size."""
    return NewExecution(
        execution_id=execution_id,
        workflow_id="flow",
        digest="d" * 64,
        definition=b"{}" * 500,
        created_at_ms=1_790_000_000_000,
        batch=Batch(data=b"c" * 400, count=1),
        summary=Summary(status="PENDING"),
    )


async def pause(most: float) -> None:
    """Between two acts of one execution: at `most` seconds, by chance."""
    if most:
        await asyncio.sleep(random.random() * most)  # noqa: S311 - no secret


async def drive(store: Store, claim: Claim, most: float = 0.0) -> None:
    """All commits of an execution, one after the other."""
    for step in range(STEPS):
        await pause(most)
        last = step == STEPS - 1
        await store.commit(
            Commit(
                execution_id=claim.execution_id,
                version=1 + 3 * step,
                epoch=claim.epoch,
                commit_id=f"worker-0123456789ab.{claim.epoch}.{step}",
                at_ms=1_790_000_000_000 + step,
                batch=Batch(data=b"e" * 600, count=3),
                summary=Summary(status="COMPLETED" if last else "RUNNING", current_step=f"s{step}"),
                release=last,
            )
        )


async def in_flight(acts: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Do all, `IN_FLIGHT` at a time."""
    left = iter(acts)

    async def some() -> None:
        for act in left:
            await act()

    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))


async def costs(name: str, store: Store, server_pid: int | None = None) -> list[Cost]:
    """Of a creation, a claim and a commit in a store, which is opened and closed."""
    await store.open()
    try:
        ids = [new_execution_id(1_790_000_000_000, any_shard(store.shards)) for _ in range(EXECUTIONS)]
        await store.create(new(new_execution_id(1, 0)))

        async def create() -> None:
            await in_flight([partial(store.create, new(id_)) for id_ in ids])

        claims: list[Claim] = []

        async def claim() -> None:
            while len(claims) <= EXECUTIONS:
                claims.extend((await store.claim("bench", 256, 60.0, 1.0)).claims)

        half = EXECUTIONS // 2
        return [
            await measure(name, "creation", EXECUTIONS, create, server_pid),
            await measure(name, "claim", EXECUTIONS, claim, server_pid),
            await measure(
                name,
                "commit",
                half * STEPS,
                lambda: in_flight([partial(drive, store, claim) for claim in claims[:half]]),
                server_pid,
            ),
            await apart(
                name,
                "commit, apart",
                half * STEPS,
                lambda: in_flight([partial(drive, store, claim, APART) for claim in claims[half:]]),
                server_pid,
            ),
        ]
    finally:
        await store.close()


async def bare(name: str, url: str, server_pid: int) -> list[Cost]:
    """The limit: one minimal script a commit, by the same client."""
    redis = Redis(url)
    await redis.open()
    try:

        async def line(number: int, most: float = 0.0) -> None:
            for step in range(STEPS):
                await pause(most)
                await redis.script(_BARE, (f"bare:{number}:",), (b"e" * 600, step))

        half, acts = EXECUTIONS // 2, EXECUTIONS // 2 * STEPS
        together = [partial(line, number) for number in range(half)]
        spread = [partial(line, number, APART) for number in range(half)]
        return [
            await measure(name, "bare append", acts, lambda: in_flight(together), server_pid),
            await apart(name, "bare append, apart", acts, lambda: in_flight(spread), server_pid),
        ]
    finally:
        await redis.close()


@asynccontextmanager
async def redis_server(fsync: str) -> AsyncIterator[Node]:
    """A redis-server with an append-only file, `everysec` or `always`."""
    node = Node({"appendonly": "yes", "appendfsync": fsync, "save": '""'}).start()
    try:
        yield node
    finally:
        node.close()


async def redis_costs(fsync: str) -> list[Cost]:
    """Of the Redis store, behind the layer that every process has around it, and the limit."""
    name = f"redis {fsync}"
    clock = SystemClock()
    async with redis_server(fsync) as node:
        store = OffloadingStore(RedisStore(Redis(node.url), clock), None, clock)
        return [*await costs(name, store, node.pid), *await bare(name, node.url, node.pid)]


async def waiting(folder: Path) -> str:
    """What executions that only wait cost in SQLite, in a sentence."""
    store = SqliteStore(folder / "waiting.db", SystemClock())
    await store.open()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for start in range(0, WAITING, 500):
        ids = [f"w{start + i:09d}" for i in range(500)]
        await asyncio.gather(*(store.create(new(id_)) for id_ in ids))
        for claim in (await store.claim("bench", 500, 60.0)).claims:
            commit = Commit(
                execution_id=claim.execution_id,
                version=1,
                epoch=claim.epoch,
                commit_id=f"{claim.execution_id}/wait",
                at_ms=1,
                batch=Batch(data=b"", count=0),
                summary=Summary(status="RUNNING"),
                release=True,
                wake_at_ms=4_000_000_000_000 + int(claim.execution_id[1:]),
            )
            await store.commit(commit)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    start_at = time.perf_counter()
    for _ in range(1_000):
        await store.claim("bench", 10, 60.0)
    claim_us = 1e3 * (time.perf_counter() - start_at)
    await store.close()
    start_at = time.perf_counter()
    await store.open()
    opened_ms = 1e3 * (time.perf_counter() - start_at)
    await store.close()
    return (
        f"sqlite: {WAITING:,} waiting on timers take {grown / 1024:.0f} MiB more (up to 64 of them page "
        f"cache), {claim_us:.1f} us a claim, {opened_ms:.0f} ms to open"
    )


def table(measured: Sequence[Cost]) -> str:
    """As Markdown."""
    rows = [
        "| store | act | a second | us of CPU here | in redis-server |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.store} | {one.act} | {one.per_second:,.0f} | {one.client_us:.1f} | {one.server_us:.1f} |"
        for one in measured
    ]
    return "\n".join(rows)


async def main(stores: Sequence[str], *, as_json: bool) -> None:
    """Measure each of the stores, and print."""
    clock = SystemClock()
    measured: list[Cost] = []
    told = ""
    with tempfile.TemporaryDirectory() as folder:
        for name in stores:
            match name.split():
                case ["memory"]:
                    measured += await costs(name, MemoryStore(clock))
                case ["sqlite"]:
                    measured += await costs(name, SqliteStore(Path(folder) / "commits.db", clock))
                case ["waiting"]:
                    told = await waiting(Path(folder))
                case ["redis", fsync]:
                    measured += await redis_costs(fsync)
                case _:
                    raise SystemExit(f"there is no store {name!r}: choose of {', '.join(STORES)}")
    if as_json:
        print(json.dumps(msgspec.to_builtins(measured), indent=2))
    else:
        print("\n".join(part for part in (table(measured), told) if part))


STORES = ("memory", "sqlite", "redis everysec", "redis always", "waiting")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", default=STORES, help=f"some of {', '.join(STORES)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    uvloop.run(main(chosen.stores, as_json=chosen.json))
