"""Many acts at random on two processes' stores: one account of what must be true is kept, and compared.

The account is a MemoryStore that is given the same acts in the same order, one at a time, on a clock that
stands, so that no lease lapses and no timer is due; what it holds can be compared whole. A second storm runs
acts at the same time and checks what must hold in any order.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from adapters.stores.memory import MemoryStore
from adapters.stores.redis.store import RedisStore
from core.errors import NotOwner, SidestepError
from core.ports.store import Claim, Commit, Filter, Hold, Idempotency, Snapshot, Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import message, new, step
from tests.redis_servers import Node
from tests.stores.redis_parts import CLOCK, an_id, make

IDS = [f"x{i}" for i in range(12)]
STATUSES = ["PENDING", "RUNNING", "RUNNING", "PAUSED", "COMPLETED", "FAILED"]
ACTS = [
    *(
        "create",
        "claim",
        "claim",
        "commit",
        "commit",
        "commit",
        "commit",
        "commit",
        "commit",
        "again",
        "stale",
    ),
    *("deliver", "deliver", "give_back", "renew", "snapshot", "remove", "history"),
]
FAR = 3_600_000


@pytest_asyncio.fixture
async def stores(server: Node) -> AsyncIterator[list[RedisStore]]:
    server.command("FLUSHALL")
    stores = [make(server, shards=3), make(server, shards=3)]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


class Storm:
    """Does each act on Redis, through either process, and on memory; what they say must be equal."""

    def __init__(self, seed: int, stores: list[RedisStore], memory: MemoryStore) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - replayable on purpose
        self.stores = stores
        self.memory = memory
        self.claims: dict[str, tuple[int, Claim]] = {}  # with the process that made the claim
        self.old: list[tuple[int, Claim]] = []
        self.epochs: Counter[str] = Counter()
        self.memory_epochs: dict[str, int] = {}
        self.commits: list[tuple[int, Commit]] = []

    async def both(self, act: Callable[[Store], Awaitable[Any]], process: int | None = None) -> Any:
        async def attempt(store: Store) -> Any:
            try:
                return await act(store)
            except SidestepError as error:
                return f"{type(error).__name__}: {error}"

        number = self.rng.randrange(2) if process is None else process
        ours, theirs = await attempt(self.stores[number]), await attempt(self.memory)
        assert ours == theirs
        return ours

    async def act(self) -> None:
        name = self.rng.choice(ACTS)
        await getattr(self, name)()

    async def create(self) -> None:
        key = None
        id_ = self.rng.choice(IDS)
        if self.rng.random() < 0.3:
            # A key is looked up in its shard only, as whoever makes the ids sees to.
            shard = self.stores[0]._open().keys.shard(id_)
            key = Idempotency(caller=f"c{shard}", key="k", fingerprint=id_[-1], expires_at_ms=2**45)
        wanted = new(
            id_,
            workflow_id=f"w{self.rng.randrange(2)}",
            digest=f"d{self.rng.randrange(3)}",
            events=self.rng.randrange(3),
            idempotency=key,
        )
        await self.both(lambda store: store.create(wanted))

    async def claim(self) -> None:
        """Redis chooses among shards as it likes: memory claims all that is left and gives the rest back."""
        process = self.rng.randrange(2)
        taken = await self.stores[process].claim("me", self.rng.choice([1, 2, 100]), 1000.0)
        names = {claim.execution_id for claim in taken.claims}
        assert len(names) == len(taken.claims)
        theirs = (await self.memory.claim("me", 1_000, 1000.0)).claims
        assert names <= {claim.execution_id for claim in theirs}
        for claim in theirs:
            if claim.execution_id not in names:
                await self.memory.give_back(claim)
        for claim in taken.claims:
            assert claim.epoch > self.epochs[claim.execution_id]
            self.epochs[claim.execution_id] = claim.epoch
            assert taken.journals[claim.execution_id] == await self.memory.load(claim.execution_id)
            (their,) = [one for one in theirs if one.execution_id == claim.execution_id]
            self.memory_epochs[claim.execution_id] = their.epoch
            self.claims[claim.execution_id] = (process, claim)

    async def commit(self) -> None:
        if not self.claims:
            return
        process, claim = self.rng.choice(list(self.claims.values()))
        version = (await self.memory.get(claim.execution_id)).version
        status = self.rng.choice(STATUSES)
        wanted = step(
            claim,
            version + self.rng.choice([0, 0, 0, 0, 1, -1]),
            events=self.rng.randrange(3),
            status=status,
            current_step=self.rng.choice([None, "a", "b"]),
            failed_over=self.rng.random() < 0.3,
            consumed=tuple(self.rng.sample(["m1", "m2", "m3"], self.rng.randrange(4))),
            release=self.rng.random() < 0.4,
            wake_at_ms=self.rng.choice([None, CLOCK.now_ms() + FAR]),
        )
        await self.do(process, claim, wanted)

    async def do(self, process: int, claim: Claim, wanted: Commit) -> None:
        ours = await self.say(self.stores[process].commit(wanted))
        theirs = await self.say(self.memory.commit(self.theirs(wanted)))
        assert ours == theirs
        if ours is not NotOwner:
            self.commits.append((process, wanted))
            if ours.released and self.claims.get(claim.execution_id) == (process, claim):
                del self.claims[claim.execution_id]
                self.old.append((process, claim))

    def theirs(self, wanted: Commit) -> Commit:
        """Memory counts epochs for itself, since it claimed more than Redis did."""
        ours = self.epochs[wanted.execution_id]
        epoch = self.memory_epochs[wanted.execution_id] if wanted.epoch == ours else -1
        return Commit(**{name: getattr(wanted, name) for name in wanted.__struct_fields__} | {"epoch": epoch})

    async def say(self, act: Awaitable[Any]) -> Any:
        try:
            return await act
        except NotOwner:
            return NotOwner

    async def again(self) -> None:
        """A commit whose reply was lost is repeated."""
        if self.commits:
            process, wanted = self.rng.choice(self.commits[-3:])
            if wanted.execution_id in {record.execution_id for record in await self.records()}:
                await self.do(process, Claim("", 0, 0.0), wanted)

    async def stale(self) -> None:
        """Owners of yesterday change nothing, whatever they try."""
        if not self.old:
            return
        process, claim = self.rng.choice(self.old)
        if claim.execution_id not in {record.execution_id for record in await self.records()}:
            return
        version = (await self.memory.get(claim.execution_id)).version
        store = self.stores[process]
        with pytest.raises(NotOwner):
            await store.commit(step(claim, version, status="FAILED", release=True))
        await store.give_back(claim)
        assert (await store.renew((claim,), 1000.0)).claims == ()

    async def deliver(self) -> None:
        id_, said = self.rng.choice(IDS), message(self.rng.choice(["m1", "m2", "m3", "m4"]), body=[1])
        revive = self.rng.random() < 0.2
        await self.both(lambda store: store.deliver(id_, said, revive=revive))

    async def give_back(self) -> None:
        if self.claims and self.rng.random() < 0.5:
            id_, (process, claim) = self.rng.choice(list(self.claims.items()))
            await self.stores[process].give_back(claim)
            await self.memory.give_back(Claim(id_, self.memory_epochs[id_], 0.0))
            del self.claims[id_]
            self.old.append((process, claim))

    async def renew(self) -> None:
        for process, store in enumerate(self.stores):
            mine = tuple(claim for owner, claim in self.claims.values() if owner == process)
            renewed = await store.renew(mine, 1000.0)
            assert [claim.epoch for claim in renewed.claims] == [claim.epoch for claim in mine]
            waiting = {c.execution_id for c in mine if await self.memory.inbox(c.execution_id)}
            assert renewed.mail == waiting

    async def snapshot(self) -> None:
        id_ = self.rng.choice(IDS)
        kept = Snapshot(version=self.rng.randrange(1, 6), format=1, data=b"s")
        await self.both(lambda store: store.save_snapshot(id_, kept))

    async def remove(self) -> None:
        id_ = self.rng.choice(IDS)
        if await self.both(lambda store: store.remove(id_)) is True:
            # Epochs of an id that is made again start over; our ids are unique outside of tests.
            self.epochs[id_] = 0
            self.old = [one for one in self.old if one[1].execution_id != id_]
            self.commits = [one for one in self.commits if one[1].execution_id != id_]

    async def history(self) -> None:
        id_, after, limit = self.rng.choice(IDS), self.rng.randrange(6), self.rng.randrange(1, 5)
        await self.both(lambda store: store.history(id_, after, limit))

    async def records(self) -> list[Any]:
        return list((await self.memory.find(Filter(), None, 500)).records)

    async def compare(self) -> None:
        """All that can be read is equal, but for epochs."""
        for wanted in (
            Filter(),
            Filter(status="RUNNING"),
            Filter(workflow_id="w1"),
            Filter(failed_over=True),
            Filter(failed_over=False, workflow_id="w0"),
        ):
            pages = [await store.find(wanted, None, 5) for store in (self.stores[0], self.memory)]
            ours, theirs = ([_without_epoch(record) for record in page.records] for page in pages)
            assert ours == theirs
            assert pages[0].next_cursor == pages[1].next_cursor
        for record in await self.records():
            await self.both(lambda store, id_=record.execution_id: store.load(id_))  # type: ignore[misc] # bound at once
            await self.both(
                lambda store, record=record: store.definition(record.digest, record.execution_id)  # type: ignore[misc] # bound at once
            )
        await self.both(lambda store: store.counts())
        mended: list[str] = []
        cursor = None
        while True:
            seen = await self.stores[0].reconcile(cursor, 5)
            mended += seen.mended
            cursor = seen.cursor
            if cursor is None:
                break
        assert mended == []


def _without_epoch(record: Any) -> list[Any]:
    return [getattr(record, name) for name in record.__struct_fields__ if name != "epoch"]


@pytest.mark.parametrize("seed", range(6))
async def test_two_processes_do_what_memory_does(stores: list[RedisStore], seed: int) -> None:
    memory = MemoryStore(ManualClock(start_ms=CLOCK.now_ms()))
    await memory.open()
    storm = Storm(seed, stores, memory)
    for number in range(300):
        await storm.act()
        if number % 25 == 0:
            await storm.compare()
    await storm.compare()


async def test_a_storm_at_once_loses_nothing_and_doubles_nothing(
    stores: list[RedisStore], server: Node
) -> None:
    """Workers of two processes drive executions of ten steps, give back, stop renewing and wait on timers."""
    rng = random.Random(11)  # noqa: S311 - replayable on purpose
    ids = [an_id(3) for _ in range(120)]
    done: Counter[str] = Counter()
    refused = 0

    async def drive(store: RedisStore, claim: Claim, version: int) -> None:
        nonlocal refused
        while True:
            fate = rng.random()
            if fate < 0.05:
                return await store.give_back(claim)
            if fate < 0.08:
                return None  # it dies, and its lease lapses
            version += 1
            final = version > 10
            waits = not final and fate < 0.2
            try:
                committed = await store.commit(
                    step(
                        claim,
                        version - 1,
                        data=b"%d" % version,
                        status="COMPLETED" if final else "RUNNING",
                        release=final or waits,
                        wake_at_ms=CLOCK.now_ms() + rng.randrange(-20, 100) if waits else None,
                        consumed=("m",),
                    )
                )
            except NotOwner:
                refused += 1
                return None
            if committed.released:
                done[claim.execution_id] += final
                return None

    async def work(store: RedisStore, limit: int) -> None:
        while sum(done.values()) < len(ids):
            taken = await store.claim("me", limit, 0.3, 0.05)
            await asyncio.gather(
                *(drive(store, claim, taken.journals[claim.execution_id].version) for claim in taken.claims)
            )

    async def disturb() -> None:
        for id_ in rng.sample(ids, 60):
            await asyncio.sleep(0.002)
            try:
                await rng.choice(stores).deliver(id_, message("m"))
            except SidestepError as error:
                assert "has ended" in str(error) or "there is no" in str(error)  # noqa: PT017 - any other is news

    async with asyncio.timeout(60):
        await asyncio.gather(
            *(stores[i % 2].create(new(id_)) for i, id_ in enumerate(ids)),
            disturb(),
            *(work(stores[i % 2], limit) for i, limit in enumerate((1, 2, 5, 40, 40, 3))),
        )
    assert set(done.values()) == {1}
    assert sorted(done) == sorted(ids)
    for id_ in ids:
        batches = (await stores[0].load(id_)).batches
        assert batches == (b"created", *(b"%d" % version for version in range(2, 12)))
        record = await stores[1].get(id_)
        assert (record.hold, record.version) == (Hold.NONE, 11)
        assert await stores[0].remove(id_)
    left = [name for name in server.command("KEYS", "*") if not name.endswith(("}:t", ":meta"))]
    assert left == []
    for name in server.command("KEYS", "*:t"):
        assert server.command("XLEN", name) == 0
        assert server.command("XPENDING", name, "w")["pending"] == 0
