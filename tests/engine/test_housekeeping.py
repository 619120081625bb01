"""Retention and the other sweeps, over real stores and a clock that only the test moves."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from core.engine.housekeeping import EVERY, Housekeeping, Pace, Retention, Sweep
from core.engine.ids import first_id_at, new_execution_id
from core.errors import StoreUnavailable
from core.machine.transitions import EXECUTION_STATUSES, TERMINAL
from core.ports.store import Batch, Commit, Filter, Message, NewExecution, Page, Store, Summary
from core.testing.clock import ManualClock

START_MS = 1_700_000_000_000
DAY = 86_400


async def put(store: Store, status: str, created_ms: int, touched_ms: int) -> str:
    """An execution of this status, created and last touched at these times."""
    execution_id = new_execution_id(created_ms)
    batch = Batch(data=b"", count=1)
    new = NewExecution(
        execution_id=execution_id,
        workflow_id="flow",
        digest="digest",
        definition=b"{}",
        created_at_ms=created_ms,
        batch=batch,
        summary=Summary(status="PENDING"),
    )
    await store.create(new)
    (claim,) = (await store.claim("test", 1, 10)).claims
    commit = Commit(
        execution_id=execution_id,
        version=1,
        epoch=claim.epoch,
        commit_id=f"c-{execution_id}",
        at_ms=touched_ms,
        batch=batch,
        summary=Summary(status=status),
        release=True,
    )
    await store.commit(commit)
    return execution_id


@contextlib.asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def pass_over(housekeeping: Housekeeping, clock: ManualClock, passes: int = 1) -> None:
    """Let the sweeps do so many passes, by moving the clock whenever they all sleep."""
    ends = clock.monotonic() + passes * EVERY + EVERY / 2
    task = asyncio.create_task(housekeeping.run())
    try:
        while clock.monotonic() < ends:
            await settled(clock)
            assert not task.done()
            clock.advance(max(0.001, min(clock.next_wake_in or 1, ends - clock.monotonic())))
        await settled(clock)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(clock: ManualClock) -> None:
    """Return once the sweeps sleep (there are two at most in these tests, or three)."""
    async with asyncio.timeout(10):
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            before = clock.sleepers
            await asyncio.sleep(0.001)
            if clock.sleepers == before and before >= 2:
                return


async def ids(store: Store) -> set[str]:
    return {record.execution_id for record in (await store.find(Filter(), None, 500)).records}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_ended_longer_ago_than_its_status_is_kept_is_removed_and_counted(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(START_MS)
    store = MemoryStore(clock) if kind == "memory" else SqliteStore(str(tmp_path / "test.db"), clock)
    async with opened(store):
        old = START_MS - 40 * DAY * 1000
        for _ in range(70):
            await put(store, "COMPLETED", old, old + 5)
        kept = {
            await put(store, "FAILED", old, old + 5),
            await put(store, "COMPLETED", old, START_MS - DAY * 1000),
            await put(store, "RUNNING", old, old + 5),
        }
        housekeeping = Housekeeping(store, clock, Retention(completed=30 * DAY, failed=60 * DAY))
        with caplog.at_level(logging.INFO, "sidestep.housekeeping"):
            await pass_over(housekeeping, clock)
        assert await ids(store) == kept
        assert dict(+housekeeping.removed) == {"COMPLETED": 70}
        lines = [record.getMessage() for record in caplog.records if "removed" in record.getMessage()]
        assert len(lines) == 1
        assert lines[0].startswith("retention: removed 70 COMPLETED in ")


async def test_without_a_setting_everything_is_kept_for_ever() -> None:
    clock = ManualClock(START_MS)
    async with opened(MemoryStore(clock)) as store:
        execution_id = await put(store, "COMPLETED", 1_000, 2_000)
        await pass_over(Housekeeping(store, clock, sweeps=(Sweep("other", _nothing),)), clock, passes=3)
        assert await ids(store) == {execution_id}


async def _nothing(_pace: Pace) -> None:
    return None


ages = st.integers(0, 100 * DAY)
kept_for = st.none() | st.integers(1, 80 * DAY)
executions = st.lists(st.tuples(st.sampled_from(EXECUTION_STATUSES), ages, ages, st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(executions, kept_for, kept_for, kept_for, kept_for)
def test_retention_removes_what_is_old_enough_and_never_what_lives(
    drawn: list[tuple[str, int, int, bool]],
    completed: int | None,
    failed: int | None,
    cancelled: int | None,
    timed_out: int | None,
) -> None:
    by_status = {"COMPLETED": completed, "FAILED": failed, "CANCELLED": cancelled, "TIMED_OUT": timed_out}
    clock = ManualClock(START_MS)

    async def check() -> None:
        async with opened(MemoryStore(clock)) as store:
            kept, old, revived = set(), set(), set()
            for status, one, other, revive in drawn:
                created, touched = (START_MS - age * 1000 for age in sorted((one, other), reverse=True))
                execution_id = await put(store, status, created, touched)
                age = by_status.get(status)
                if revive and status in TERMINAL:
                    revived.add(execution_id)
                elif age is None or touched + age * 1000 >= START_MS + 2 * EVERY * 1000:
                    kept.add(execution_id)
                elif touched + age * 1000 < START_MS:
                    old.add(execution_id)
                # Between the two, it depends on the moment of the pass.
            for execution_id in revived:
                redrive = Message(message_id="again", kind="redrive")
                await store.deliver(execution_id, redrive, revive=True)
            retention = Retention(
                completed=completed, failed=failed, cancelled=cancelled, timed_out=timed_out
            )
            housekeeping = Housekeeping(store, clock, retention, sweeps=(Sweep("other", _nothing),))
            await pass_over(housekeeping, clock)
            left = await ids(store)
            assert revived <= left
            assert not old & left
            assert kept <= left
            assert sum(housekeeping.removed.values()) == len(drawn) - len(left)

    asyncio.run(check())


class Leaving(MemoryStore):
    """A store that is away as often as a test says, whenever a page is asked for."""

    away = 0

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("gone for a moment")
        return await super().find(wanted, cursor, limit)


async def test_a_store_that_is_away_ends_a_pass_and_not_the_housekeeping() -> None:
    clock = ManualClock(START_MS)
    store = Leaving(clock)
    async with opened(store):
        await put(store, "FAILED", 1_000, 2_000)
        store.away = 2
        housekeeping = Housekeeping(store, clock, Retention(failed=DAY))
        await pass_over(housekeeping, clock, passes=2)
        assert (store.away, dict(+housekeeping.removed)) == (0, {})
        await pass_over(housekeeping, clock, passes=1)
        assert dict(+housekeeping.removed) == {"FAILED": 1}


async def test_a_sweep_that_fails_comes_again_and_disturbs_no_other() -> None:
    clock = ManualClock(START_MS)
    calls: list[float] = []

    async def broken(_pace: Pace) -> str | None:
        calls.append(clock.monotonic())
        raise RuntimeError("a defect")

    async with opened(MemoryStore(clock)) as store:
        await put(store, "FAILED", 1_000, 2_000)
        housekeeping = Housekeeping(store, clock, Retention(failed=DAY), sweeps=(Sweep("broken", broken),))
        await pass_over(housekeeping, clock, passes=3)
        assert len(calls) == 3
        assert dict(+housekeeping.removed) == {"FAILED": 1}


async def test_one_worker_at_a_time_does_a_sweep_and_another_takes_over_from_a_dead_one() -> None:
    clock = ManualClock(START_MS)
    swept: list[str] = []

    def sweep(name: str) -> Callable[[Pace], object]:
        async def run(_pace: Pace) -> None:
            swept.append(name)

        return run

    async with opened(MemoryStore(clock)) as store:
        first, second = (
            Housekeeping(store, clock, sweeps=(Sweep("other", sweep(name)),), owner=name)  # type: ignore[arg-type] # returns an awaitable of None
            for name in ("first", "second")
        )
        await pass_over(first, clock, passes=2)
        await pass_over(second, clock, passes=1)
        assert swept == ["first", "first"]
        await pass_over(second, clock, passes=4)
        assert set(swept[2:]) == {"second"}


async def test_a_pass_rests_as_long_as_its_work_took() -> None:
    clock = ManualClock(START_MS)

    async def keep() -> bool:
        return False

    pace = Pace(clock, keep, 0.05)
    clock.advance(4)
    turn = asyncio.create_task(pace.turn())
    while not clock.sleepers:
        await asyncio.sleep(0)
    assert clock.next_wake_in == pytest.approx(4)
    clock.advance(4)
    assert await turn is True
    clock.advance(20)
    turn = asyncio.create_task(pace.turn())
    while not clock.sleepers:
        await asyncio.sleep(0)
    clock.advance(20)
    assert await turn is False  # the duty is asked for again, and another has it


def test_the_first_id_of_a_millisecond_is_below_each_of_it_and_above_those_before() -> None:
    for ms in (0, 1, START_MS, (1 << 48) - 1):
        first = first_id_at(ms)
        assert len(first) == 28
        assert all(new_execution_id(ms, shard) > first for shard in (0, 7, 63))
        assert ms == 0 or new_execution_id(ms - 1, 63) < first
