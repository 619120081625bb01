"""The store's contract: creation, idempotency keys, definitions and workflow versions, facts."""

import asyncio

import pytest

from core.errors import ExecutionNotFound, IdempotencyConflict, StoreUnavailable, WorkflowNotFound
from core.ports.doorbell import Topic
from core.ports.store import Filter, Hold, Idempotency, Record, Store, Summary
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import DEFINITION, Rings, StoreBase, new


class CreationContract(StoreBase):
    """What comes into being, and once."""

    def key(
        self, clock: ManualClock, name: str = "key", fingerprint: str = "print", caller: str = "caller"
    ) -> Idempotency:
        return Idempotency(
            caller=caller, key=name, fingerprint=fingerprint, expires_at_ms=self.in_ms(clock, 100)
        )

    async def test_a_new_execution_is_recorded_as_it_was_given(self, store: Store) -> None:
        created = await store.create(new("x1", workflow_id="w", digest="d", created_at_ms=7, events=2))
        assert (created.execution_id, created.fresh) == ("x1", True)
        assert await store.get("x1") == Record(
            execution_id="x1",
            workflow_id="w",
            digest="d",
            summary=Summary(status="PENDING"),
            created_at_ms=7,
            updated_at_ms=7,
            version=2,
            epoch=0,
            hold=Hold.TICKET,
        )

    async def test_a_creation_writes_the_journal_the_definition_and_the_ticket(self, store: Store) -> None:
        await store.create(new("x1", data=b"\x00\xff first"))
        loaded = await store.load("x1")
        assert (loaded.version, loaded.batches, loaded.snapshot, loaded.inbox) == (
            1,
            (b"\x00\xff first",),
            None,
            (),
        )
        assert await store.definition("digest") == DEFINITION
        assert (await self.claim_one(store)).execution_id == "x1"

    async def test_a_creation_without_events_is_legal(self, store: Store) -> None:
        await store.create(new("x1", events=0))
        loaded = await store.load("x1")
        assert (loaded.version, loaded.batches) == (0, ())

    async def test_the_same_id_again_returns_it_and_changes_nothing(self, store: Store) -> None:
        await store.create(new("x1"))
        before = await store.get("x1")
        again = await store.create(new("x1", workflow_id="other", status="RUNNING", data=b"other"))
        assert (again.execution_id, again.fresh) == ("x1", False)
        assert await store.get("x1") == before
        assert (await store.load("x1")).batches == (b"created",)
        assert await store.counts() == {"PENDING": 1}
        assert len(await self.claim_all(store)) == 1

    async def test_the_same_key_and_request_return_the_first_execution(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1", idempotency=self.key(clock)))
        again = await store.create(new("x2", idempotency=self.key(clock)))
        assert (again.execution_id, again.fresh) == ("x1", False)
        with pytest.raises(ExecutionNotFound):
            await store.get("x2")
        assert len(await self.claim_all(store)) == 1

    async def test_the_same_key_with_another_request_is_a_conflict_and_creates_nothing(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1", idempotency=self.key(clock)))
        with pytest.raises(IdempotencyConflict):
            await store.create(new("x2", idempotency=self.key(clock, fingerprint="other")))
        assert len((await store.find(Filter(), None, 10)).records) == 1
        assert (await store.create(new("x3", idempotency=self.key(clock)))).execution_id == "x1"

    async def test_a_key_belongs_to_its_caller(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1", idempotency=self.key(clock, caller="ann")))
        other = await store.create(new("x2", idempotency=self.key(clock, caller="bob", fingerprint="other")))
        assert (other.execution_id, other.fresh) == ("x2", True)

    async def test_a_key_is_kept_until_it_expires_and_then_forgotten(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.create(new("x1", idempotency=self.key(clock)))
        await self.pass_time(clock, 99)
        with pytest.raises(IdempotencyConflict):
            await store.create(new("x2", idempotency=self.key(clock, fingerprint="other")))
        await self.pass_time(clock, 2)
        fresh = await store.create(new("x3", idempotency=self.key(clock, fingerprint="other")))
        assert (fresh.execution_id, fresh.fresh) == ("x3", True)
        again = await store.create(new("x4", idempotency=self.key(clock, fingerprint="other")))
        assert again.execution_id == "x3"

    async def test_many_expired_keys_can_all_be_used_again(self, store: Store, clock: ManualClock) -> None:
        for i in range(80):
            await store.create(new(idempotency=self.key(clock, f"k{i}")))
        await self.pass_time(clock, 101)
        for i in range(80):
            created = await store.create(new(idempotency=self.key(clock, f"k{i}", fingerprint="other")))
            assert created.fresh

    async def test_a_thousand_creations_at_once_with_one_key_make_one_execution(
        self, store: Store, clock: ManualClock
    ) -> None:
        key = self.key(clock)
        made = await asyncio.gather(*(store.create(new(idempotency=key)) for _ in range(1_000)))
        assert len({created.execution_id for created in made}) == 1
        assert sum(created.fresh for created in made) == 1
        assert await store.counts() == {"PENDING": 1}

    async def test_keys_survive_a_reopening(self, store: Store, clock: ManualClock) -> None:
        await store.create(new("x1", idempotency=self.key(clock)))
        await store.close()
        await store.open()
        again = await store.create(new("x2", idempotency=self.key(clock)))
        assert (again.execution_id, again.fresh) == ("x1", False)

    async def test_a_creation_rings_for_work_once_it_can_be_read(self, store: Store) -> None:
        rings = Rings(store)
        await store.create(new("x1"))
        assert rings.of(Topic.WORK) == ["x1"]
        await store.create(new("x1"))
        assert rings.of(Topic.WORK) == ["x1"]

    async def test_an_unknown_execution_is_not_found_by_any_method(self, store: Store) -> None:
        for reading in (store.get("no"), store.load("no"), store.history("no", 0, 10), store.inbox("no")):
            with pytest.raises(ExecutionNotFound):
                await reading

    async def test_a_definition_is_kept_once_by_its_digest(self, store: Store) -> None:
        await store.create(new(digest="d", definition=b"first"))
        await store.create(new(digest="d", definition=b"first"))
        assert await store.definition("d") == b"first"
        with pytest.raises(WorkflowNotFound):
            await store.definition("other")

    async def test_workflow_versions_count_from_one(self, store: Store) -> None:
        first = await store.put_workflow("w", "d1", b"one", 10)
        second = await store.put_workflow("w", "d2", b"two", 20)
        assert (first.version, first.digest, first.definition, first.created_at_ms) == (1, "d1", b"one", 10)
        assert second.version == 2
        assert await store.get_workflow("w") == second
        assert await store.get_workflow("w", 1) == first
        assert await store.workflow_versions("w") == (second, first)
        assert await store.definition("d1") == b"one"

    async def test_the_newest_content_again_is_the_same_version(self, store: Store) -> None:
        first = await store.put_workflow("w", "d1", b"one", 10)
        assert await store.put_workflow("w", "d1", b"one", 99) == first
        await store.put_workflow("w", "d2", b"two", 20)
        back = await store.put_workflow("w", "d1", b"one", 30)
        assert (back.version, back.created_at_ms) == (3, 30)

    async def test_registering_at_once_leaves_no_gap_and_no_double(self, store: Store) -> None:
        made = await asyncio.gather(*(store.put_workflow("w", f"d{i}", b"x", i) for i in range(20)))
        assert sorted(version.version for version in made) == list(range(1, 21))

    async def test_an_unknown_workflow_or_version_is_not_found(self, store: Store) -> None:
        await store.put_workflow("w", "d1", b"one", 10)
        for reading in (
            store.get_workflow("no"),
            store.get_workflow("w", 2),
            store.get_workflow("w", 0),
            store.workflow_versions("no"),
        ):
            with pytest.raises(WorkflowNotFound):
                await reading

    async def test_workflows_are_listed_by_id_in_their_newest_version(self, store: Store) -> None:
        for id_ in ("b", "a", "c"):
            await store.put_workflow(id_, f"{id_}1", b"one", 1)
        newest = await store.put_workflow("b", "b2", b"two", 2)
        listed = await store.workflows(None, 2)
        assert [version.workflow_id for version in listed] == ["a", "b"]
        assert listed[1] == newest
        assert [version.workflow_id for version in await store.workflows("b", 10)] == ["c"]
        assert await store.workflows("c", 10) == ()

    async def test_a_fact_is_what_was_put_last(self, store: Store) -> None:
        assert await store.get_fact("uri") is None
        await store.put_fact("uri", b"one")
        await store.put_fact("uri", b"\x00two")
        assert await store.get_fact("uri") == b"\x00two"
        await store.close()
        await store.open()
        assert await store.get_fact("uri") == b"\x00two"

    async def test_a_fact_that_is_kept_is_the_first_for_all_who_ask(self, store: Store) -> None:
        asked = await asyncio.gather(*(store.keep_fact("secret", b"%d" % number) for number in range(8)))
        assert len(set(asked)) == 1
        assert await store.get_fact("secret") == asked[0]
        await store.put_fact("secret", b"another")
        assert await store.keep_fact("secret", b"mine") == b"another"

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        await store.create(new("x1"))
        await store.close()
        await store.close()
        for call in (store.create(new()), store.get("x1"), store.claim("o", 1, 1.0), store.counts()):
            with pytest.raises(StoreUnavailable):
                await call
        await store.open()
        assert (await store.get("x1")).execution_id == "x1"

    async def test_an_unopened_store_says_so(self, unopened: Store) -> None:
        with pytest.raises(StoreUnavailable):
            await unopened.create(new())
        await unopened.close()
