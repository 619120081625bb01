"""The store's contract: commits, the inbox, snapshots and history."""

import asyncio

import pytest

from core.errors import ExecutionEnded, ExecutionNotFound, InvalidInput, NotOwner
from core.ports.doorbell import Topic
from core.ports.store import Claim, Hold, Snapshot, Store, Summary
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import Rings, StoreBase, message, new, release, step


class JournalContract(StoreBase):
    """What an execution is made of, and how it grows."""

    async def start(self, store: Store, execution_id: str = "x1") -> Claim:
        await store.create(new(execution_id))
        return await self.claim_one(store)

    async def test_a_commit_appends_and_changes_the_record_in_one_act(self, store: Store) -> None:
        claim = await self.start(store)
        committed = await store.commit(
            step(claim, 1, events=3, data=b"three", current_step="pay", failed_over=True, at_ms=77)
        )
        assert (committed.inbox, committed.released) == (False, False)
        loaded = await store.load("x1")
        assert (loaded.version, loaded.batches) == (4, (b"created", b"three"))
        record = await store.get("x1")
        assert record.summary == Summary(status="RUNNING", current_step="pay", failed_over=True)
        assert (record.version, record.epoch, record.updated_at_ms, record.created_at_ms) == (
            4,
            claim.epoch,
            77,
            1_000,
        )
        assert record.hold is Hold.TICKET

    async def test_commits_follow_one_another(self, store: Store) -> None:
        claim = await self.start(store)
        for version in range(1, 30):
            await store.commit(step(claim, version, data=b"%d" % version))
        loaded = await store.load("x1")
        assert loaded.batches == (b"created", *(b"%d" % version for version in range(1, 30)))

    async def test_a_commit_of_no_events_changes_the_record_alone(self, store: Store) -> None:
        claim = await self.start(store)
        rings = Rings(store)
        await store.commit(step(claim, 1, events=0, data=b"nothing", current_step="pay"))
        await store.commit(step(claim, 1, data=b"one"))
        loaded = await store.load("x1")
        assert (loaded.version, loaded.batches) == (2, (b"created", b"one"))
        assert rings.of(Topic.JOURNAL) == ["x1"]

    async def test_another_version_is_refused_and_changes_nothing(self, store: Store) -> None:
        claim = await self.start(store)
        await store.deliver("x1", message("m"))
        before = await store.get("x1")
        for version in (0, 2, 9):
            with pytest.raises(NotOwner):
                await store.commit(step(claim, version, status="FAILED", consumed=("m",), release=True))
        assert await store.get("x1") == before
        assert len(await store.inbox("x1")) == 1
        assert (await store.load("x1")).version == 1

    async def test_another_epoch_is_refused(self, store: Store) -> None:
        claim = await self.start(store)
        for epoch in (claim.epoch - 1, claim.epoch + 1):
            with pytest.raises(NotOwner):
                await store.commit(step(claim, 1, epoch=epoch))
        assert (await store.get("x1")).version == 1

    async def test_a_repeated_commit_is_a_success_and_happens_once(self, store: Store) -> None:
        claim = await self.start(store)
        wanted = step(claim, 1, events=2, data=b"two")
        first = await store.commit(wanted)
        assert await store.commit(wanted) == first
        assert (await store.load("x1")).batches == (b"created", b"two")
        assert await store.counts() == {"RUNNING": 1}

    async def test_a_repeated_release_is_a_success_whoever_owns_it_now(
        self, store: Store, clock: ManualClock
    ) -> None:
        claim = await self.start(store)
        wanted = step(claim, 1, release=True, wake_at_ms=self.in_ms(clock, 1))
        assert (await store.commit(wanted)).released is True
        assert (await store.commit(wanted)).released is True
        await self.pass_time(clock, 2)
        other = await self.claim_one(store, "other")
        assert (await store.commit(wanted)).released is True
        await store.commit(step(other, 2))
        with pytest.raises(NotOwner):
            await store.commit(wanted)

    async def test_a_repeated_commit_is_known_after_a_reopening(self, store: Store) -> None:
        claim = await self.start(store)
        wanted = step(claim, 1, data=b"one")
        await store.commit(wanted)
        await store.close()
        await store.open()
        await store.commit(wanted)
        assert (await store.load("x1")).batches == (b"created", b"one")

    async def test_of_two_commits_on_one_version_one_wins(self, store: Store) -> None:
        claim = await self.start(store)
        made = await asyncio.gather(
            *(store.commit(step(claim, 1, data=b"%d" % i)) for i in range(5)), return_exceptions=True
        )
        assert sum(isinstance(answer, NotOwner) for answer in made) == 4
        assert len((await store.load("x1")).batches) == 2

    async def test_a_commit_of_an_unknown_execution_is_an_error(self, store: Store) -> None:
        with pytest.raises(ExecutionNotFound):
            await store.commit(step(Claim("no", 1, 0.0), 0))

    async def test_a_commit_rings_for_the_journal(self, store: Store) -> None:
        claim = await self.start(store)
        rings = Rings(store)
        wanted = step(claim, 1)
        await store.commit(wanted)
        await store.commit(wanted)
        with pytest.raises(NotOwner):
            await store.commit(step(claim, 1))
        assert rings.heard == [(Topic.JOURNAL, "x1")]

    async def test_a_message_waits_in_the_inbox_until_it_is_consumed(self, store: Store) -> None:
        claim = await self.start(store)
        first, second = message("m1", body={"n": [1, 2.5, None, True, "ü"]}), message("m2", kind="cancel")
        assert await store.deliver("x1", first) is True
        assert await store.deliver("x1", second) is True
        assert await store.inbox("x1") == (first, second)
        assert (await store.load("x1")).inbox == (first, second)
        committed = await store.commit(step(claim, 1, consumed=("m1", "unknown", "m1")))
        assert committed.inbox is True
        assert await store.inbox("x1") == (second,)
        assert (await store.commit(step(claim, 2, consumed=("m2",)))).inbox is False
        assert await store.inbox("x1") == ()

    async def test_a_message_is_kept_as_it_was_said(self, store: Store) -> None:
        await store.create(new("x1"))
        body = {"big": 2**80, "text": "\u2028 \x00 😀", "deep": [[[{}]]], "": -0.5}
        await store.deliver("x1", message("m", body=body))
        assert (await store.inbox("x1"))[0].body == body

    async def test_a_message_that_is_not_json_is_refused(self, store: Store) -> None:
        await store.create(new("x1"))
        for body in (float("nan"), {1, 2}, b"bytes"):
            with pytest.raises(InvalidInput):
                await store.deliver("x1", message("m", body=body))
        assert await store.inbox("x1") == ()

    async def test_a_message_is_had_once_even_after_it_was_consumed(self, store: Store) -> None:
        claim = await self.start(store)
        await store.deliver("x1", message("m"))
        assert await store.deliver("x1", message("m", body="other")) is False
        await store.commit(step(claim, 1, consumed=("m",)))
        rings = Rings(store)
        assert await store.deliver("x1", message("m")) is False
        assert rings.heard == []
        assert await store.inbox("x1") == ()
        await store.close()
        await store.open()
        assert await store.deliver("x1", message("m")) is False

    async def test_message_ids_belong_to_their_execution(self, store: Store) -> None:
        await store.create(new("x1"))
        await store.create(new("x2"))
        assert await store.deliver("x1", message("m")) is True
        assert await store.deliver("x2", message("m")) is True

    async def test_a_message_to_an_owned_execution_rings_its_owner(self, store: Store) -> None:
        await self.start(store)
        rings = Rings(store)
        await store.deliver("x1", message("m"))
        assert rings.heard == [(Topic.INBOX, "x1")]
        assert await self.claim_all(store) == ()

    async def test_a_message_makes_a_ticket_where_none_is_live(self, store: Store) -> None:
        claim = await self.start(store)
        await release(store, claim, 1)
        rings = Rings(store)
        await store.deliver("x1", message("m1"))
        assert rings.of(Topic.WORK) == ["x1"]
        assert rings.of(Topic.INBOX) == ["x1"]
        assert (await store.get("x1")).hold is Hold.TICKET
        await store.deliver("x1", message("m2"))
        assert rings.of(Topic.WORK) == ["x1"]
        again = await self.claim_one(store)
        assert again.epoch > claim.epoch

    async def test_a_message_ends_a_wait(self, store: Store, clock: ManualClock) -> None:
        claim = await self.start(store)
        await release(store, claim, 1, self.in_ms(clock, 50))
        await store.deliver("x1", message("m"))
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms) == (Hold.TICKET, None)
        taken = await store.claim("o", 5, self.lease)
        assert (len(taken.claims), taken.next_timer_ms) == (1, None)

    async def test_a_release_is_refused_while_messages_wait_but_the_rest_happens(
        self, store: Store, clock: ManualClock
    ) -> None:
        claim = await self.start(store)
        await store.deliver("x1", message("m"))
        committed = await store.commit(
            step(claim, 1, current_step="pay", release=True, wake_at_ms=self.in_ms(clock, 5))
        )
        assert (committed.inbox, committed.released) == (True, False)
        record = await store.get("x1")
        assert (record.hold, record.wake_at_ms, record.version) == (Hold.TICKET, None, 2)
        assert record.summary.current_step == "pay"
        assert await self.claim_all(store, "other") == ()
        committed = await store.commit(step(claim, 2, consumed=("m",), release=True))
        assert (committed.inbox, committed.released) == (False, True)

    async def test_an_ended_execution_takes_no_message_but_knows_those_it_had(self, store: Store) -> None:
        for status in ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"):
            claim = await self.start(store, status)
            await store.deliver(status, message("had"))
            await store.commit(step(claim, 1, status=status, consumed=("had",), release=True))
            with pytest.raises(ExecutionEnded):
                await store.deliver(status, message("m"))
            assert await store.deliver(status, message("had")) is False
            assert await store.inbox(status) == ()
            assert (await store.get(status)).hold is Hold.NONE

    async def test_an_execution_that_a_person_holds_takes_messages(self, store: Store) -> None:
        for status in ("PAUSED", "PARKED"):
            claim = await self.start(store, status)
            await store.commit(step(claim, 1, status=status, release=True))
            assert await store.deliver(status, message("m")) is True
            await self.claim_one(store)

    async def test_a_message_to_an_unknown_execution_is_an_error(self, store: Store) -> None:
        with pytest.raises(ExecutionNotFound):
            await store.deliver("no", message("m"))

    async def test_an_owner_that_lets_go_while_a_message_arrives_leaves_a_ticket(self, store: Store) -> None:
        for i in range(20):
            claim = await self.start(store, f"y{i:03d}")
            committed, _ = await asyncio.gather(
                release(store, claim, 1), store.deliver(claim.execution_id, message("m"))
            )
            if committed.released:
                claim = await self.claim_one(store)
            await store.commit(step(claim, 1, consumed=("m",), release=True))
            assert (await store.get(claim.execution_id)).hold is Hold.NONE

    async def test_a_load_gives_the_newest_snapshot_and_the_batches_after_it(self, store: Store) -> None:
        claim = await self.start(store)
        for version in (1, 3, 5):
            await store.commit(step(claim, version, events=2, data=b"%d" % version))
        snapshot = Snapshot(version=3, format=2, data=b"\x00folded")
        await store.save_snapshot("x1", snapshot)
        loaded = await store.load("x1")
        assert (loaded.version, loaded.snapshot, loaded.batches) == (7, snapshot, (b"3", b"5"))
        newest = Snapshot(version=7, format=2, data=b"all")
        await store.save_snapshot("x1", newest)
        await store.save_snapshot("x1", snapshot)
        loaded = await store.load("x1")
        assert (loaded.snapshot, loaded.batches) == (newest, ())
        assert len(await store.history("x1", 0, 100)) == 4

    async def test_a_snapshot_of_an_unknown_execution_is_an_error(self, store: Store) -> None:
        with pytest.raises(ExecutionNotFound):
            await store.save_snapshot("no", Snapshot(version=1, format=1, data=b""))

    async def test_history_gives_whole_batches_from_the_one_that_holds_the_next_event(
        self, store: Store
    ) -> None:
        claim = await self.start(store)  # event 1
        await store.commit(step(claim, 1, events=3, data=b"2-4"))
        await store.commit(step(claim, 4, events=0, data=b"none"))
        await store.commit(step(claim, 4, events=2, data=b"5-6"))
        assert await store.history("x1", 0, 100) == (b"created", b"2-4", b"5-6")
        assert await store.history("x1", 0, 1) == (b"created",)
        assert await store.history("x1", 0, 2) == (b"created", b"2-4")
        assert await store.history("x1", 1, 3) == (b"2-4",)
        assert await store.history("x1", 3, 4) == (b"2-4", b"5-6")
        assert await store.history("x1", 4, 1) == (b"5-6",)
        assert await store.history("x1", 6, 10) == ()
        assert await store.history("x1", 99, 10) == ()

    async def test_history_refuses_numbers_that_mean_nothing(self, store: Store) -> None:
        await store.create(new("x1"))
        for after, limit in ((-1, 10), (0, 0)):
            with pytest.raises(InvalidInput):
                await store.history("x1", after, limit)

    async def test_a_large_batch_is_kept_byte_by_byte(self, store: Store) -> None:
        claim = await self.start(store)
        data = bytes(range(256)) * 4_000
        await store.commit(step(claim, 1, data=data))
        assert (await store.load("x1")).batches[1] == data
