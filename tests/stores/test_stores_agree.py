"""Memory and SQLite do the same under any sequence of acts, and what they hand out is what may be had."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import TIMER_WINDOW, SqliteStore
from core.errors import SidestepError
from core.ports.store import Claim, Claims, Commit, Filter, Hold, Idempotency, Snapshot, Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import Rings, message, new, step

IDS = [f"x{i}" for i in range(6)]
STATUSES = ["PENDING", "RUNNING", "PAUSED", "COMPLETED"]
MESSAGES = ["m1", "m2", "m3"]

ids = st.sampled_from(IDS)


class StoresAgree(RuleBasedStateMachine):
    """Every act is done on both stores; answers, errors, rings and all that can be read must be equal.

    Claims are also held against a third account, kept here: who may own what, from the records alone.
    """

    timer_window: ClassVar[int] = TIMER_WINDOW
    limits: ClassVar[st.SearchStrategy[int]] = st.integers(1, 4)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.path = self.folder / "store.db"
        self.memory = MemoryStore(self.clock)
        self.sqlite = self.runner.run(self.make())
        self.rings = [Rings(self.memory), Rings(self.sqlite)]
        self.claims: list[Claim] = []
        self.live: dict[str, Claim] = {}
        self.highest: dict[str, int] = {}
        self.commits: list[Commit] = []

    async def make(self) -> SqliteStore:
        store = SqliteStore(self.path, self.clock, timer_window=self.timer_window)
        await self.memory.open()
        await store.open()
        return store

    def teardown(self) -> None:
        self.runner.run(self.sqlite.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def both(self, act: Callable[[Store], Awaitable[Any]]) -> Any:
        """What both stores answered, or None where both raised the same."""

        async def attempt(store: Store) -> Any:
            try:
                return await act(store)
            except SidestepError as error:
                return error

        memory, sqlite = (self.runner.run(attempt(store)) for store in (self.memory, self.sqlite))
        if isinstance(memory, SidestepError):
            assert type(memory) is type(sqlite)
            assert str(memory) == str(sqlite)
            return None
        assert memory == sqlite
        return memory

    @rule(
        id_=ids,
        key=st.none() | st.sampled_from(["k1", "k2"]),
        fingerprint=st.sampled_from(["f1", "f2"]),
        lasts=st.integers(0, 30),
        events=st.integers(0, 2),
        workflow_id=st.sampled_from(["w1", "w2"]),
    )
    def create(
        self, id_: str, key: str | None, fingerprint: str, lasts: int, events: int, workflow_id: str
    ) -> None:
        record = None
        if key is not None:
            expires = self.clock.now_ms() + 1000 * lasts
            record = Idempotency(caller="c", key=key, fingerprint=fingerprint, expires_at_ms=expires)
        wanted = new(id_, workflow_id=workflow_id, events=events, idempotency=record)
        self.both(lambda store: store.create(wanted))

    @rule(data=st.data(), lease=st.sampled_from([1.0, 5.0]))
    def claim(self, data: st.DataObject, lease: float) -> None:
        limit = data.draw(self.limits)
        may = self.may_be_claimed()

        async def act(store: Store) -> Claims:
            taken = await store.claim("owner", limit, lease)
            for execution_id, journal in taken.journals.items():
                assert journal == await store.load(execution_id), (
                    "whoever is given a journal need not read it"
                )
            return msgspec.structs.replace(taken, journals={})

        taken: Claims = self.both(act)
        got = [claim.execution_id for claim in taken.claims]
        assert len(got) == len(set(got)) == min(limit, len(may))
        assert set(got) <= may
        for claim in taken.claims:
            assert claim.epoch > self.highest.get(claim.execution_id, 0)
            self.highest[claim.execution_id] = claim.epoch
            self.live[claim.execution_id] = claim
        self.claims += taken.claims

    def may_be_claimed(self) -> set[str]:
        page = self.runner.run(self.memory.find(Filter(), None, 500))
        may = set()
        for record in page.records:
            owner = self.live.get(record.execution_id)
            if record.hold is Hold.TICKET:
                if owner is None or owner.lease_until <= self.clock.monotonic():
                    may.add(record.execution_id)
            elif record.wake_at_ms is not None and record.wake_at_ms <= self.clock.now_ms():
                may.add(record.execution_id)
        return may

    @rule(
        data=st.data(),
        off=st.sampled_from([0, 0, 0, 0, 0, 1, -1]),
        events=st.integers(0, 3),
        status=st.sampled_from(STATUSES),
        failed_over=st.booleans(),
        consumed=st.lists(st.sampled_from(MESSAGES), max_size=3),
        release=st.booleans(),
        wake=st.none() | st.integers(-5, 20),
    )
    def commit(
        self,
        data: st.DataObject,
        off: int,
        events: int,
        status: str,
        failed_over: bool,
        consumed: list[str],
        release: bool,
        wake: int | None,
    ) -> None:
        claims = self.claims[-6:] or [Claim("x0", 1, 0.0)]
        claim = data.draw(st.sampled_from(claims))
        try:
            version = self.runner.run(self.memory.get(claim.execution_id)).version + off
        except SidestepError:
            version = 0
        self.do_commit(
            step(
                claim,
                version,
                events=events,
                data=b"e" * events,
                status=status,
                failed_over=failed_over,
                consumed=tuple(consumed),
                release=release,
                wake_at_ms=None if wake is None else self.clock.now_ms() + 1000 * wake,
            ),
            claim,
        )

    def do_commit(self, wanted: Commit, claim: Claim | None) -> None:
        owner = self.live.get(wanted.execution_id)
        committed = self.both(lambda store: store.commit(wanted))
        if committed is None:
            return
        if claim is not None:
            assert owner is not None
            assert owner.epoch == wanted.epoch
            self.commits.append(wanted)
            if committed.released:
                del self.live[wanted.execution_id]

    @rule(data=st.data())
    def commit_again(self, data: st.DataObject) -> None:
        if self.commits:
            self.do_commit(data.draw(st.sampled_from(self.commits[-3:])), None)

    @rule(data=st.data(), lease=st.sampled_from([1.0, 5.0]))
    def renew(self, data: st.DataObject, lease: float) -> None:
        claims = data.draw(st.lists(st.sampled_from(self.claims[-6:]), max_size=3)) if self.claims else []
        for claim in self.both(lambda store: store.renew(tuple(claims), lease)).claims:
            assert self.live[claim.execution_id].epoch == claim.epoch
            self.live[claim.execution_id] = claim

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.claims:
            claim = data.draw(st.sampled_from(self.claims[-6:]))
            self.both(lambda store: store.give_back(claim))
            owner = self.live.get(claim.execution_id)
            if owner is not None and owner.epoch == claim.epoch:
                del self.live[claim.execution_id]

    @rule(id_=ids, message_id=st.sampled_from(MESSAGES))
    def deliver(self, id_: str, message_id: str) -> None:
        self.both(lambda store: store.deliver(id_, message(message_id, body=[1])))

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 10.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(id_=ids, version=st.integers(1, 6))
    def save_snapshot(self, id_: str, version: int) -> None:
        kept = Snapshot(version=version, format=1, data=b"s")
        self.both(lambda store: store.save_snapshot(id_, kept))

    @rule(workflow_id=st.sampled_from(["a", "b"]), digest=st.sampled_from(["d1", "d2"]))
    def put_workflow(self, workflow_id: str, digest: str) -> None:
        at_ms = self.clock.now_ms()
        self.both(lambda store: store.put_workflow(workflow_id, digest, digest.encode(), at_ms))
        self.both(lambda store: store.workflow_versions(workflow_id))
        self.both(lambda store: store.workflows(None, 5))

    @rule()
    def reopen(self) -> None:
        """Owners are gone; whatever had a ticket can be had by others. Epochs not yet written start over."""
        self.runner.run(self.memory.close())
        self.runner.run(self.sqlite.close())
        self.sqlite = self.runner.run(self.make())
        self.rings = [self.rings[0], Rings(self.sqlite)]
        self.rings[0].heard.clear()
        self.live.clear()
        self.claims.clear()
        page = self.runner.run(self.memory.find(Filter(), None, 500))
        self.highest = {record.execution_id: record.epoch for record in page.records}

    @rule(
        status=st.none() | st.sampled_from(STATUSES),
        workflow_id=st.none() | st.sampled_from(["w1", "w2"]),
        failed_over=st.none() | st.booleans(),
        cursor=st.none() | ids,
        limit=st.integers(1, 3),
    )
    def find(
        self,
        status: str | None,
        workflow_id: str | None,
        failed_over: bool | None,
        cursor: str | None,
        limit: int,
    ) -> None:
        wanted = Filter(status=status, workflow_id=workflow_id, failed_over=failed_over)
        self.both(lambda store: store.find(wanted, cursor, limit))

    @rule(id_=ids, after=st.integers(0, 8), limit=st.integers(1, 5))
    def history(self, id_: str, after: int, limit: int) -> None:
        self.both(lambda store: store.history(id_, after, limit))

    @invariant()
    def everything_that_can_be_read_is_equal(self) -> None:
        page = self.both(lambda store: store.find(Filter(), None, 500))
        for record in page.records:
            self.both(lambda store, id_=record.execution_id: store.load(id_))  # type: ignore[misc] # the default binds the id
        self.both(lambda store: store.counts())
        assert self.rings[0].heard == self.rings[1].heard


class StoresAgreeWithFewTimersInMemory(StoresAgree):
    timer_window = 2
    limits = st.just(100)


TestStoresAgree = StoresAgree.TestCase
TestStoresAgree.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestFewTimersInMemory = StoresAgreeWithFewTimersInMemory.TestCase
TestFewTimersInMemory.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)
