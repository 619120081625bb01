"""The engine: claims executions, drives each in a task, renews what it holds, gives it back at the end."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core.engine.attempts import Attempts
from core.engine.complaints import Complaints
from core.engine.definitions import Definitions
from core.engine.driver import Driver, LeaseLost
from core.engine.endings import Endings
from core.engine.means import Means, chance
from core.engine.posting import Post
from core.engine.settings import EngineSettings
from core.engine.site import NOWHERE, Site
from core.engine.waiting import WaitingRoom
from core.engine.workflows import Workflows
from core.errors import JournalUnreadable, StoreError, StoreUnavailable
from core.machine.run import Rules
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.evaluator import Evaluator
from core.ports.health import HealthBoard
from core.ports.provider import Provider
from core.ports.store import Claim, Loaded, Store

log = logging.getLogger("sidestep.engine")

CLAIM_BATCH = 256
"""The most executions asked for at once, so that a backlog is shared and the loop stays responsive."""

LEFT_TO_OTHERS = 5.0
"""Seconds for which a worker that is cut off leaves all work to the others. What it claims after them needs
no cloud, or waits: where every worker is cut off, cancels and timers must not wait with it.
"""


def _all(wanted: int) -> int:
    return wanted


class Engine:
    """A worker. Any number of them may share a store; an execution has one owner at a time.

    `claimable` is asked before each claim how many it may be of so many: 0 to claim nothing for now. `post`
    delivers what executions say to others, if not the store.
    """

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        providers: Mapping[str, Provider],
        board: HealthBoard,
        clock: Clock,
        settings: EngineSettings | None = None,
        owner: str | None = None,
        evaluator: Evaluator | None = None,
        site: Site = NOWHERE,
        entropy: Callable[[], int] | None = None,
        endings: Endings | None = None,
        claimable: Callable[[int], int] = _all,
        post: Post | None = None,
    ) -> None:
        self.owner = owner or f"worker-{secrets.token_hex(6)}"
        self._store = store
        self._settings = settings or EngineSettings()
        self._claimable = claimable
        self._board = board
        self._clock = clock
        self._drivers: dict[str, Driver] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._renewed_at = self._left_at = clock.monotonic()
        self._complaints = Complaints(log, clock)
        # Half of them at most: the other half is for what can go on.
        waiting = WaitingRoom(self._settings.concurrency // 2)
        if post is None:
            workflows = Workflows(store, definitions, providers, board, clock)
            post = Post(store, definitions, workflows, clock, self._settings)
        self._means = Means(
            owner=self.owner,
            store=store,
            definitions=definitions,
            attempts=Attempts(providers, clock, board, self._settings, site),
            post=post,
            board=board,
            clock=clock,
            settings=self._settings,
            rules=Rules(
                skew_ms=self._settings.skew_ms,
                data_budget=self._settings.data_budget,
                data_limit=self._settings.data_limit,
                secret=site.secret,
            ),
            complaints=self._complaints,
            waiting=waiting,
            endings=endings or Endings(),
            evaluator=evaluator,
            entropy=entropy or chance(),
        )

    @property
    def in_hand(self) -> int:
        """How many executions this engine drives now."""
        return len(self._drivers)

    def drives(self, execution_id: str) -> bool:
        """Whether this engine has it in hand now."""
        return execution_id in self._drivers

    async def run(self) -> None:
        """Work until `stop` is called and what was under way is finished or given back."""
        quiet = [
            self._store.doorbell.subscribe(Topic.WORK, self._ring_work),
            self._store.doorbell.subscribe(Topic.INBOX, self._ring_inbox),
            self._board.watch(self._look),
        ]
        renewals = asyncio.create_task(self._renew_for_ever())
        try:
            while not self._stopping:
                await self._claim_once()
            await self._drain()
        finally:
            for end in quiet:
                end()
            await _cancelled([renewals, *self._tasks.values()])

    def stop(self) -> None:
        """Claim nothing more. `run` returns after the grace time at the latest."""
        self._stopping = True
        self._wake.set()

    def _ring_work(self, _execution_id: str) -> None:
        self._wake.set()

    def _look(self) -> None:
        for driver in self._drivers.values():
            driver.look()

    def _ring_inbox(self, execution_id: str) -> None:
        driver = self._drivers.get(execution_id)
        if driver is not None:
            driver.ring()

    async def _claim_once(self) -> None:
        """Take what there is room for, then wait until there may be more."""
        self._wake.clear()
        if self._clock.monotonic() - self._renewed_at > self._settings.lease / 2:
            # This process was stopped or starved: keep what is ours before it looks like nobody's.
            await self._renew()
        if self._board.cut_off() and self._clock.monotonic() - self._left_at < LEFT_TO_OTHERS:
            leave = self._board.queue((), self._wake.set)
            try:
                await self._wait_for_work(None)
            finally:
                leave()
            return
        self._left_at = self._clock.monotonic()
        room = min(CLAIM_BATCH, self._settings.concurrency - len(self._drivers))
        if room > 0:
            room = self._claimable(room)
        next_timer_ms = None
        if room > 0:
            try:
                taken = await self._store.claim(self.owner, room, self._settings.lease, self._settings.poll)
            except StoreUnavailable as error:
                self._complaints.say("the store is away, so no work can be claimed", error)
            else:
                for claim in taken.claims:
                    self._start(claim, taken.journals.get(claim.execution_id))
                if taken.waited or len(taken.claims) == room:
                    # There may be more; let what was just claimed run first.
                    await asyncio.sleep(0)
                    return
                next_timer_ms = taken.next_timer_ms
        await self._wait_for_work(next_timer_ms)

    async def _wait_for_work(self, next_timer_ms: int | None) -> None:
        seconds = self._settings.poll
        if next_timer_ms is not None:
            seconds = min(seconds, max(0.0, (next_timer_ms - self._clock.now_ms()) / 1000))
        take_back = self._clock.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            take_back()

    def _start(self, claim: Claim, loaded: Loaded | None) -> None:
        former = self._tasks.get(claim.execution_id)
        if former is not None:
            # Our own lease lapsed and the claim came back to us: the newer epoch drives.
            former.cancel()
        driver = Driver(claim, self._means, loaded)
        self._drivers[claim.execution_id] = driver
        self._tasks[claim.execution_id] = asyncio.create_task(self._drive(claim.execution_id, driver))

    async def _drive(self, execution_id: str, driver: Driver) -> None:
        try:
            await driver.run()
        except LeaseLost:
            log.warning("execution %s has another owner now; it was let go", execution_id)
        except JournalUnreadable as error:
            # Its claim lapses, and a worker of the version that wrote it goes on.
            log.warning("execution %s is left to a newer worker: %s", execution_id, error)
        except Exception:
            # Its claim lapses, and whoever takes it next tries again: no error of ours ends an execution.
            log.exception("execution %s cannot be driven; it is left until its lease lapses", execution_id)
        finally:
            if self._drivers.get(execution_id) is driver:
                del self._drivers[execution_id]
                self._tasks.pop(execution_id, None)
            if len(self._drivers) == self._settings.concurrency - 1 or self._stopping:
                self._wake.set()

    async def _renew_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._settings.lease / 3)
            try:
                await self._renew()
            except Exception:
                log.exception("leases could not be renewed; trying again")

    async def _renew(self) -> None:
        """Prolong every lease that is held, and let go of what has another owner."""
        self._renewed_at = self._clock.monotonic()
        held = {driver.claim.execution_id: driver for driver in self._drivers.values()}
        try:
            renewed = await self._store.renew(
                tuple(driver.claim for driver in held.values()), self._settings.lease
            )
        except StoreError as error:
            self._complaints.say("leases could not be renewed", error)
            return
        kept = {claim.execution_id: claim for claim in renewed.claims}
        for execution_id, driver in held.items():
            claim = kept.get(execution_id)
            if claim is not None and claim.epoch == driver.claim.epoch:
                driver.claim = claim
                if execution_id in renewed.mail:
                    # Its ring was missed, or is on its way.
                    driver.ring()
            elif self._drivers.get(execution_id) is driver and not driver.releasing:
                log.warning("the lease of execution %s was lost", execution_id)
                self._tasks[execution_id].cancel()

    async def _drain(self) -> None:
        """Let calls under way end, within the grace time; give back the rest."""
        for driver in self._drivers.values():
            driver.draining = True
            driver.ring()
        tasks = list(self._tasks.values())
        if not tasks:
            return
        grace = asyncio.create_task(self._clock.sleep(self._settings.grace))
        everything = asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait((grace, everything), return_when=asyncio.FIRST_COMPLETED)
        left = dict(self._drivers)
        await _cancelled([grace, everything, *tasks])
        if left:
            log.warning("%d executions are given back with calls under way", len(left))
        # Together, since a host that is far away or slow must not make the stop last.
        returned = (self._store.give_back(driver.claim) for driver in left.values())
        for error in await asyncio.gather(*returned, return_exceptions=True):
            if isinstance(error, BaseException):
                self._complaints.say("a claim could not be given back and lapses by itself", error)


async def _cancelled(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
