"""Housekeeping: what is done to a store in the background, by one worker at a time and never in a hurry.

Each sweep is a duty. Whoever leads it (`Store.lead`) does the pass; the others look again later. Two leaders
for a moment do no harm: a removal and a mending happen once, however often they are asked for.

Pace: after each small batch a sweep rests at least as long as the batch took, so that it takes half of one
connection at most, and less of a store that is slow.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from core.engine.ids import first_id_at
from core.errors import ExecutionLive, StoreError
from core.machine.transitions import CANCELLED, COMPLETED, FAILED, TIMED_OUT
from core.ports.clock import Clock
from core.ports.store import Filter, Record, Store

log = logging.getLogger("sidestep.housekeeping")

BATCH = 32
"""Executions that are removed together: enough to share commits, and few enough to hold nobody up."""

RECONCILED = 200
"""Executions that a step of the reconciler looks at."""

EVERY = 60.0
"""Seconds between two passes of a sweep."""

HOLD = 60.0
"""Seconds for which a leader that was not heard of keeps its duty, beside the pause between two passes."""

REST = 0.05
RECONCILER_REST = 0.2
"""The least seconds of rest after a batch."""

TOLD = 10
"""How many ids one line of the log names."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for which an execution is kept after it ended, by its status; None keeps it for ever."""

    completed: float | None = None
    failed: float | None = None
    cancelled: float | None = None
    timed_out: float | None = None

    def ages(self) -> dict[str, float]:
        """The statuses that are removed at all, with their ages."""
        by_status = {
            COMPLETED: self.completed,
            FAILED: self.failed,
            CANCELLED: self.cancelled,
            TIMED_OUT: self.timed_out,
        }
        return {status: age for status, age in by_status.items() if age is not None}


class Pace:
    """The rhythm of one pass. `turn` between batches: it rests, keeps the duty, and says whether to go on."""

    def __init__(self, clock: Clock, keep: Callable[[], Awaitable[bool]], rest: float) -> None:
        self._clock = clock
        self._keep = keep
        self._rest = rest
        self._kept_at = self._worked_from = clock.monotonic()

    async def turn(self) -> bool:
        """Rest as long as the work since the last turn took. False: another has the duty now, so stop.

        Raises StoreUnavailable.
        """
        await self._clock.sleep(max(self._rest, self._clock.monotonic() - self._worked_from))
        now = self._worked_from = self._clock.monotonic()
        if now - self._kept_at < HOLD / 3:
            return True
        self._kept_at = now
        return await self._keep()


@dataclass(frozen=True, slots=True)
class Sweep:
    """A duty: its name, the seconds between two passes, the least rest, and one pass of it.

    A pass returns what the log is to say of it; None where there was nothing to do. It may raise: the next
    pass comes all the same.
    """

    name: str
    run: Callable[[Pace], Awaitable[str | None]]
    every: float = EVERY
    rest: float = REST


class Housekeeping:
    """Retention, the reconciler, and other sweeps, as one task of a worker."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        retention: Retention | None = None,
        *,
        sweeps: tuple[Sweep, ...] = (),
        owner: str | None = None,
    ) -> None:
        self.removed: Counter[str] = Counter()
        """How many executions this process removed for their age, by status."""
        self.mended = 0
        """How many executions that nothing would have driven on this process gave a ticket."""
        self._store = store
        self._clock = clock
        self._ages = (retention or Retention()).ages()
        self._owner = owner or f"housekeeper-{secrets.token_hex(6)}"
        self._cursor: str | None = None
        own = [Sweep("reconcile", self._reconcile, rest=RECONCILER_REST)]
        if self._ages:
            own.append(Sweep("retention", self._retire))
        self._sweeps = (*own, *sweeps)

    async def run(self) -> None:
        """Sweep until cancelled. Nothing that goes wrong in a pass ends it."""
        async with asyncio.TaskGroup() as group:
            for sweep in self._sweeps:
                group.create_task(self._for_ever(sweep))

    async def _for_ever(self, sweep: Sweep) -> None:
        async def lead() -> bool:
            return await self._store.lead(sweep.name, self._owner, 2 * sweep.every + HOLD)

        while True:
            await self._clock.sleep(sweep.every)
            began = self._clock.monotonic()
            try:
                said = await sweep.run(Pace(self._clock, lead, sweep.rest)) if await lead() else None
            except StoreError as away:
                log.warning("%s: the store is away (%s); the next pass goes on", sweep.name, away)
            except Exception:
                log.exception("%s: this pass failed; the next one is in %g s", sweep.name, sweep.every)
            else:
                if said is not None:
                    log.info("%s: %s in %.1f s", sweep.name, said, self._clock.monotonic() - began)

    async def _retire(self, pace: Pace) -> str | None:
        """Remove what ended longer ago than its status is kept."""
        now = self._clock.now_ms()
        before = Counter(self.removed)
        for status, age in self._ages.items():
            cut_off = now - round(age * 1000)
            if cut_off > 0:
                await self._retire_status(status, cut_off, pace)
        removed = self.removed - before
        if not removed:
            return None
        return "removed " + ", ".join(f"{count} {status}" for status, count in sorted(removed.items()))

    async def _retire_status(self, status: str, cut_off: int, pace: Pace) -> None:
        # What was last touched before the cut-off was created before it, and ids are ordered by time.
        cursor: str | None = first_id_at(cut_off)
        while cursor is not None:
            page = await self._store.find(Filter(status=status), cursor, BATCH)
            old = [record for record in page.records if record.updated_at_ms < cut_off]
            gone = await asyncio.gather(*(self._remove(record) for record in old), return_exceptions=True)
            self.removed[status] += sum(one is True for one in gone)
            for one in gone:
                if isinstance(one, BaseException):
                    raise one
            cursor = page.next_cursor
            if cursor is not None and not await pace.turn():
                return

    async def _remove(self, record: Record) -> bool:
        try:
            return await self._store.remove(record.execution_id)
        except ExecutionLive:
            return False  # it was taken up again since it was listed

    async def _reconcile(self, pace: Pace) -> str | None:
        """Look at every execution, from where the last pass of this process stopped."""
        before = self.mended
        while True:
            done = await self._store.reconcile(self._cursor, RECONCILED)
            self._cursor = done.cursor
            self.mended += len(done.mended)
            if done.mended:
                log.warning(
                    "reconcile: %d executions had something to do and nothing to bring them to a worker, "
                    "which only damage from outside leaves; they go on: %s",
                    len(done.mended),
                    ", ".join(done.mended[:TOLD]),
                )
            if self._cursor is None:
                mended = self.mended - before
                return f"mended {mended} executions" if mended else None
            if not await pace.turn():
                return None
