"""What a commit costs in each embedded store, at 64 in flight: `python -m benchmarks.store_commit`."""

import asyncio
import resource
import tempfile
import time
from pathlib import Path

from adapters.clock import SystemClock
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from core.ports.store import Batch, Claim, Commit, NewExecution, Store, Summary

IN_FLIGHT = 64
ROUNDS = 30
STEPS = 10
WAITING = 100_000


def _new(execution_id: str) -> NewExecution:
    return NewExecution(
        execution_id=execution_id,
        workflow_id="flow",
        digest="d" * 64,
        definition=b"{}" * 500,
        created_at_ms=1,
        batch=Batch(data=b"c" * 400, count=1),
        summary=Summary(status="PENDING"),
    )


async def _drive(store: Store, claim: Claim) -> None:
    for step in range(STEPS):
        last = step == STEPS - 1
        await store.commit(
            Commit(
                execution_id=claim.execution_id,
                version=1 + 3 * step,
                epoch=claim.epoch,
                commit_id=f"{claim.execution_id}/{step}",
                at_ms=step,
                batch=Batch(data=b"e" * 600, count=3),
                summary=Summary(status="COMPLETED" if last else "RUNNING", current_step=f"s{step}"),
                release=last,
            )
        )


async def _commits(name: str, store: Store) -> None:
    await store.open()
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(ROUNDS):
        ids = [f"x{number:06d}{i:04d}" for i in range(IN_FLIGHT)]
        await asyncio.gather(*(store.create(_new(id_)) for id_ in ids))
        claims = (await store.claim("bench", IN_FLIGHT, 60.0)).claims
        await asyncio.gather(*(_drive(store, claim) for claim in claims))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    acts = ROUNDS * IN_FLIGHT * (STEPS + 1)
    print(
        f"{name:7} {acts / wall:9,.0f} creations and commits a second, {1e6 * cpu / acts:6.1f} us CPU each, "
        f"{IN_FLIGHT} in flight"
    )
    await store.close()


async def _waiting(folder: Path) -> None:
    store = SqliteStore(folder / "waiting.db", SystemClock())
    await store.open()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for start in range(0, WAITING, 500):
        ids = [f"w{start + i:09d}" for i in range(500)]
        await asyncio.gather(*(store.create(_new(id_)) for id_ in ids))
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
    print(
        f"sqlite  {WAITING:,} waiting on timers: {grown / 1024:.0f} MiB more (up to 64 of them page cache), "
        f"{claim_us:.1f} us a claim, {opened_ms:.0f} ms to open"
    )


async def main() -> None:
    """Print a line for each measurement."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        await _commits("memory", MemoryStore(clock))
        await _commits("sqlite", SqliteStore(Path(folder) / "commits.db", clock))
        await _waiting(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
