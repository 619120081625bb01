"""The store's contract about what comes after an execution's end, and about upkeep."""

import asyncio

import pytest

from core.errors import ExecutionEnded, ExecutionLive, ExecutionNotFound, WorkflowNotFound
from core.ports.store import Filter, Hold, Idempotency, Snapshot, Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import StoreBase, message, new, step


class RemovalContract(StoreBase):
    """Messages to the ended, removal, reconciling, duties."""

    async def ended(self, store: Store, execution_id: str, *, status: str = "FAILED") -> None:
        """An execution that ended, and that nobody owns."""
        await store.create(new(execution_id))
        (claim,) = [one for one in await self.claim_all(store) if one.execution_id == execution_id]
        done = await store.commit(step(claim, 1, status=status, release=True))
        assert done.released

    async def test_a_message_can_revive_the_ended(self, store: Store) -> None:
        await self.ended(store, "x1")
        with pytest.raises(ExecutionEnded):
            await store.deliver("x1", message("m1"))
        assert await store.deliver("x1", message("m2"), revive=True)
        assert not await store.deliver("x1", message("m2"), revive=True)
        assert (await store.get("x1")).hold is Hold.TICKET
        claim = await self.claim_one(store)
        assert [one.message_id for one in (await store.load("x1")).inbox] == ["m2"]
        done = await store.commit(step(claim, 2, status="RUNNING", consumed=("m2",)))
        assert not done.inbox
        assert await store.counts() == {"RUNNING": 1}
        assert await store.deliver("x1", message("m1"))

    async def test_the_claim_of_the_revived_has_a_new_epoch(self, store: Store) -> None:
        await store.create(new("x1"))
        first = await self.claim_one(store)
        await store.commit(step(first, 1, status="FAILED", release=True))
        await store.deliver("x1", message("m1"), revive=True)
        assert (await self.claim_one(store)).epoch > first.epoch

    async def test_what_was_removed_is_gone_from_everywhere(self, store: Store) -> None:
        await self.ended(store, "x1")
        await self.ended(store, "x2")
        await store.save_snapshot("x1", Snapshot(version=2, format=1, data=b"state"))
        assert await store.remove("x1")
        for read in (store.get("x1"), store.load("x1"), store.inbox("x1"), store.history("x1", 0, 10)):
            with pytest.raises(ExecutionNotFound):
                await read
        with pytest.raises(ExecutionNotFound):
            await store.deliver("x1", message("m1"), revive=True)
        for wanted in (Filter(), Filter(status="FAILED"), Filter(workflow_id="flow")):
            page = await store.find(wanted, None, 10)
            assert [record.execution_id for record in page.records] == ["x2"]
        assert await store.counts() == {"FAILED": 1}
        assert await self.claim_all(store) == ()

    async def test_removing_again_does_nothing(self, store: Store) -> None:
        await self.ended(store, "x1")
        assert await store.remove("x1")
        assert not await store.remove("x1")
        assert not await store.remove("never")
        assert await store.counts() == {}

    async def test_of_many_who_remove_one_execution_one_did_it(self, store: Store) -> None:
        await self.ended(store, "x1")
        await self.ended(store, "x2")
        done = await asyncio.gather(*(store.remove("x1") for _ in range(10)))
        assert sorted(done) == [False] * 9 + [True]
        assert await store.counts() == {"FAILED": 1}

    async def test_the_living_are_not_removed(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        with pytest.raises(ExecutionLive):
            await store.remove("x1")
        claim = await self.claim_one(store)
        await store.commit(step(claim, 1))
        with pytest.raises(ExecutionLive):
            await store.remove("x1")
        at = self.in_ms(clock, 50)
        await store.commit(step(claim, 2, events=0, release=True, wake_at_ms=at))
        with pytest.raises(ExecutionLive):
            await store.remove("x1")
        await self.ended(store, "x2")
        await store.deliver("x2", message("m1"), revive=True)
        with pytest.raises(ExecutionLive):
            await store.remove("x2")
        assert await store.counts() == {"RUNNING": 1, "FAILED": 1}

    async def test_the_ended_belong_to_their_owner_until_it_lets_go(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        ended = await store.commit(step(claim, 1, status="COMPLETED"))
        assert not ended.released
        assert (await store.get("x1")).hold is Hold.TICKET
        assert len((await store.renew((claim,), self.lease)).claims) == 1
        with pytest.raises(ExecutionEnded):
            await store.deliver("x1", message("m1"))
        with pytest.raises(ExecutionLive):
            await store.remove("x1")
        assert await self.claim_all(store, "other") == ()
        # Whoever takes it over after its owner's death can let it go.
        await self.pass_time(clock, 11)
        (heir,) = await self.claim_all(store, "other")
        assert (await store.reconcile(None, 100)).mended == ()
        done = await store.commit(step(heir, 2, status="COMPLETED", release=True))
        assert done.released
        assert (await store.get("x1")).hold is Hold.NONE
        assert await store.remove("x1")

    async def test_a_definition_goes_with_its_last_execution(self, store: Store) -> None:
        for execution_id in ("x1", "x2"):
            await self.ended(store, execution_id)
        await store.remove("x1")
        assert await store.definition("digest", "x2")
        await store.remove("x2")
        with pytest.raises(WorkflowNotFound):
            await store.definition("digest")
        await store.create(new("x3"))
        assert await store.definition("digest", "x3")

    async def test_the_definition_of_a_registered_workflow_stays(self, store: Store) -> None:
        await store.put_workflow("flow", "digest", b"{}", 1)
        await self.ended(store, "x1")
        await store.remove("x1")
        assert (await store.get_workflow("flow")).definition == b"{}"
        assert await store.definition("digest") == b"{}"

    async def test_a_key_outlives_the_execution_that_it_made(self, store: Store, clock: ManualClock) -> None:
        key = Idempotency(caller="c", key="k", fingerprint="f", expires_at_ms=self.now_ms(clock) + 3_600_000)
        await store.create(new("x1", idempotency=key))
        claim = await self.claim_one(store)
        await store.commit(step(claim, 1, status="COMPLETED", release=True))
        await store.remove("x1")
        again = await store.create(new("x2", idempotency=key))
        assert (again.execution_id, again.fresh) == ("x1", False)
        assert await store.counts() == {}

    async def test_reconciling_finds_nothing_to_mend_in_what_acts_have_left(
        self, store: Store, clock: ManualClock
    ) -> None:
        await self.ended(store, "x0")
        for i in range(1, 7):
            await store.create(new(f"x{i}"))
        claims = await self.claim_all(store, limit=3)
        await store.commit(step(claims[0], 1, release=True, wake_at_ms=self.in_ms(clock, 90)))
        await store.commit(step(claims[1], 1, release=True))
        await store.deliver("x5", message("m1"))
        cursor, rounds = None, 0
        while rounds == 0 or cursor is not None:
            seen = await store.reconcile(cursor, 2)
            assert seen.mended == ()
            cursor, rounds = seen.cursor, rounds + 1
            assert rounds < 100

    async def test_a_duty_has_one_leader_at_a_time(self, store: Store, clock: ManualClock) -> None:
        assert await store.lead("sweep", "a", 10 * self.unit)
        assert not await store.lead("sweep", "b", 10 * self.unit)
        assert await store.lead("other", "b", 10 * self.unit)
        await self.pass_time(clock, 6)
        assert await store.lead("sweep", "a", 10 * self.unit)
        await self.pass_time(clock, 6)
        assert not await store.lead("sweep", "b", 10 * self.unit)
        await self.pass_time(clock, 5)
        assert await store.lead("sweep", "b", 10 * self.unit)
        assert not await store.lead("sweep", "a", 10 * self.unit)

    async def test_an_empty_store_is_not_full(self, store: Store) -> None:
        assert store.full() is None
