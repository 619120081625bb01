"""The store's contract: tickets, claims, epochs, leases and timers."""

import asyncio

import pytest

from core.errors import NotOwner
from core.ports.doorbell import Topic
from core.ports.store import Claim, Committed, Hold, Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import Rings, StoreBase, message, new, release, step


class ClaimsContract(StoreBase):
    """Who may drive what, and since when."""

    async def test_tickets_are_handed_out_oldest_first_up_to_the_limit(self, store: Store) -> None:
        ids = [(await store.create(new())).execution_id for _ in range(5)]
        assert [claim.execution_id for claim in await self.claim_all(store, limit=2)] == ids[:2]
        assert [claim.execution_id for claim in await self.claim_all(store)] == ids[2:]
        assert await self.claim_all(store) == ()

    async def test_a_claimed_execution_is_not_handed_out_while_its_lease_lasts(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        assert claim.lease_until == pytest.approx(clock.monotonic() + self.lease, abs=self.unit)
        await self.pass_time(clock, 9)
        assert await self.claim_all(store, "other") == ()
        assert (await store.get("x1")).hold is Hold.TICKET

    async def test_a_lapsed_claim_goes_to_another_with_a_higher_epoch(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        first = await self.claim_one(store)
        await self.pass_time(clock, 10.5)
        second = await self.claim_one(store, "other")
        assert second.epoch > first.epoch
        assert (await store.get("x1")).epoch == second.epoch
        with pytest.raises(NotOwner):
            await store.commit(step(first, 1))
        assert (await store.commit(step(second, 1))).released is False

    async def test_two_claims_at_once_never_get_the_same_execution(self, store: Store) -> None:
        for _ in range(20):
            await store.create(new())
        rounds = await asyncio.gather(*(self.claim_all(store, f"o{i}", 3) for i in range(10)))
        claimed = [claim.execution_id for claims in rounds for claim in claims]
        assert len(claimed) == len(set(claimed)) == 20

    async def test_a_renewed_claim_does_not_lapse(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        for _ in range(3):
            await self.pass_time(clock, 6)
            (claim,) = (await store.renew((claim,), self.lease)).claims
        assert await self.claim_all(store, "other") == ()
        assert claim.lease_until == pytest.approx(clock.monotonic() + self.lease, abs=self.unit)
        await self.pass_time(clock, 10.5)
        assert len(await self.claim_all(store, "other")) == 1

    async def test_a_renewal_leaves_out_what_was_lost(self, store: Store, clock: ManualClock) -> None:
        for id_ in ("x1", "x2", "x3", "x4"):
            await store.create(new(id_))
        first, second, third, fourth = await self.claim_all(store)
        await release(store, second, 1)
        await store.give_back(third)
        stranger = Claim("no such", 1, fourth.lease_until)
        wrong = Claim(fourth.execution_id, fourth.epoch - 1, fourth.lease_until)
        renewed = await store.renew((first, second, third, stranger, wrong), self.lease)
        assert [claim.execution_id for claim in renewed.claims] == ["x1"]
        await self.pass_time(clock, 10.5)
        taken = await self.claim_all(store, "other")
        assert {claim.execution_id for claim in taken} == {"x1", "x3", "x4"}
        assert (await store.renew((first, fourth), self.lease)).claims == ()

    async def test_a_lapsed_claim_that_nobody_took_can_be_renewed(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        await self.pass_time(clock, 11)
        assert len((await store.renew((claim,), self.lease)).claims) == 1
        assert await self.claim_all(store, "other") == ()

    async def test_a_claim_given_back_goes_to_the_next_who_asks(self, store: Store) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        rings = Rings(store)
        await store.give_back(claim)
        assert rings.of(Topic.WORK) == ["x1"]
        with pytest.raises(NotOwner):
            await store.commit(step(claim, 1))
        again = await self.claim_one(store, "other")
        assert again.epoch > claim.epoch

    async def test_giving_back_a_lost_claim_changes_nothing(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        old = await self.claim_one(store)
        await self.pass_time(clock, 10.5)
        owner = await self.claim_one(store, "other")
        await store.give_back(old)
        await store.give_back(Claim("no such", 1, 0.0))
        assert await self.claim_all(store, "third") == ()
        await release(store, owner, 1)
        await store.give_back(owner)
        assert await self.claim_all(store, "third") == ()

    async def test_an_owner_whose_lease_lapsed_may_commit_until_another_is_made(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        await self.pass_time(clock, 11)
        await store.commit(step(claim, 1))
        await self.claim_one(store, "other")
        with pytest.raises(NotOwner):
            await store.commit(step(claim, 2))

    async def test_a_lease_may_be_shorter_than_the_one_before(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        (claim,) = (await store.claim("o", 1, 30 * self.unit)).claims
        await store.give_back(claim)
        (claim,) = (await store.claim("o", 1, 20 * self.unit)).claims
        await store.renew((claim,), 5 * self.unit)
        await self.pass_time(clock, 6)
        assert len(await self.claim_all(store, "other")) == 1

    async def test_nobody_commits_without_a_claim(self, store: Store) -> None:
        await store.create(new("x1"))
        for epoch in (0, 1, 7):
            with pytest.raises(NotOwner):
                await store.commit(step(Claim("x1", epoch, 0.0), 1))
        assert (await store.get("x1")).version == 1

    async def test_a_released_execution_is_held_by_nothing_and_never_handed_out(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        committed = await release(store, await self.claim_one(store), 1)
        assert (committed.released, committed.inbox) == (True, False)
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms) == (Hold.NONE, None)
        await self.pass_time(clock, 20)
        assert (await store.claim("o", 5, self.lease)).claims == ()

    async def test_a_released_owner_is_no_owner(self, store: Store) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        await release(store, claim, 1)
        with pytest.raises(NotOwner):
            await store.commit(step(claim, 1))
        await store.deliver("x1", message("m"))
        with pytest.raises(NotOwner):
            await store.commit(step(claim, 1))

    async def test_an_owner_that_is_letting_go_commits_nothing_more(self, store: Store) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        made = await asyncio.gather(
            release(store, claim, 1), store.commit(step(claim, 1, events=0)), return_exceptions=True
        )
        assert [type(answer) for answer in made] == [Committed, NotOwner]
        assert (await store.get("x1")).hold is Hold.NONE

    async def test_a_timer_hands_out_its_execution_when_it_is_due_and_not_before(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        due = self.in_ms(clock, 5)
        await release(store, claim, 1, due)
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms) == (Hold.TIMER, due)
        waiting = await store.claim("o", 5, self.lease)
        assert (waiting.claims, waiting.next_timer_ms) == ((), due)
        await self.pass_time(clock, 6)
        taken = await store.claim("o", 5, self.lease)
        assert [claim.execution_id for claim in taken.claims] == ["x1"]
        assert taken.next_timer_ms is None
        assert taken.claims[0].epoch > claim.epoch
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms) == (Hold.TICKET, None)
        assert await self.claim_all(store) == ()

    async def test_timers_fire_in_the_order_of_their_time(self, store: Store, clock: ManualClock) -> None:
        for id_ in ("x1", "x2", "x3"):
            await store.create(new(id_))
        first, second, third = await self.claim_all(store)
        at = self.in_ms(clock, 0)
        unit = round(1000 * self.unit)
        await release(store, first, 1, at + 30 * unit)
        await release(store, second, 1, at + 10 * unit)
        await release(store, third, 1, at + 20 * unit)
        assert (await store.claim("o", 5, self.lease)).next_timer_ms == at + 10 * unit
        await self.pass_time(clock, 25)
        assert [claim.execution_id for claim in await self.claim_all(store)] == ["x2", "x3"]
        assert (await store.claim("o", 5, self.lease)).next_timer_ms == at + 30 * unit

    async def test_due_timers_are_not_starved_by_newer_tickets(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        await release(store, await self.claim_one(store), 1, self.in_ms(clock, 1))
        await self.pass_time(clock, 2)
        await store.claim("o", 0, self.lease)
        for _ in range(3):
            await store.create(new())
        assert [claim.execution_id for claim in await self.claim_all(store, limit=1)] == ["x1"]

    async def test_a_timer_is_over_once_its_execution_was_released_anew(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        await release(store, await self.claim_one(store), 1, self.in_ms(clock, 5))
        await store.deliver("x1", message("m"))
        claim = await self.claim_one(store)
        await store.commit(step(claim, 1, events=0, consumed=("m",), release=True))
        await self.pass_time(clock, 10)
        taken = await store.claim("o", 5, self.lease)
        assert (taken.claims, taken.next_timer_ms) == ((), None)

    async def test_a_timer_in_the_past_is_due_at_once(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        await release(store, await self.claim_one(store), 1, self.in_ms(clock, -1))
        assert len(await self.claim_all(store)) == 1

    async def test_an_owner_woken_by_a_timer_keeps_its_ticket_through_a_commit(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1"))
        await release(store, await self.claim_one(store), 1, self.in_ms(clock, 1))
        await self.pass_time(clock, 2)
        claim = await self.claim_one(store)
        await store.commit(step(claim, 1))
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms, record.epoch) == (Hold.TICKET, None, claim.epoch)
        await store.close()
        await store.open()
        assert await store.get("x1") == record

    async def test_a_timer_claim_given_back_is_a_ticket(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        await release(store, await self.claim_one(store), 1, self.in_ms(clock, 1))
        await self.pass_time(clock, 2)
        await store.give_back(await self.claim_one(store))
        assert (await store.get("x1")).hold is Hold.TICKET
        assert len(await self.claim_all(store)) == 1

    async def test_what_holds_an_execution_survives_a_reopening(
        self, store: Store, clock: ManualClock
    ) -> None:
        for id_ in ("x1", "x2", "x3", "x4"):
            await store.create(new(id_))
        _owned, waits, done, _idle = await self.claim_all(store)
        due = self.in_ms(clock, 50)
        await release(store, waits, 1, due)
        await release(store, done, 1)
        await store.close()
        await store.open()
        await self.pass_time(clock, 10.5)  # a host of several processes waits for the lease
        again = await store.claim("o", 10, self.lease)
        assert sorted(claim.execution_id for claim in again.claims) == ["x1", "x4"]
        assert again.next_timer_ms == due
        await self.pass_time(clock, 51)
        assert "x2" in {claim.execution_id for claim in await self.claim_all(store)}

    async def test_epochs_grow_over_a_reopening(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1"))
        claim = await self.claim_one(store)
        await store.commit(step(claim, 1))
        await store.close()
        await store.open()
        await self.pass_time(clock, 10.5)
        assert (await self.claim_one(store)).epoch > claim.epoch
