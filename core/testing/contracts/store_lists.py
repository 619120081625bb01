"""The store's contract: listings, filters, cursors, counts."""

import itertools

import pytest

from core.errors import InvalidInput
from core.ports.store import Filter, Hold, Page, Store
from core.testing.clock import ManualClock
from core.testing.contracts.store_base import StoreBase, new, release, step


def _ids(page: Page) -> list[str]:
    return [record.execution_id for record in page.records]


class ListsContract(StoreBase):
    """What is shown of many executions."""

    async def test_a_listing_is_newest_first_and_paged_by_the_last_id(self, store: Store) -> None:
        for i in (3, 1, 5, 2, 4):
            await store.create(new(f"x{i}"))
        page = await store.find(Filter(), None, 2)
        assert (_ids(page), page.next_cursor) == (["x5", "x4"], "x4")
        page = await store.find(Filter(), page.next_cursor, 2)
        assert (_ids(page), page.next_cursor) == (["x3", "x2"], "x2")
        page = await store.find(Filter(), page.next_cursor, 2)
        assert (_ids(page), page.next_cursor) == (["x1"], None)

    async def test_a_full_last_page_has_no_cursor(self, store: Store) -> None:
        for i in range(4):
            await store.create(new(f"x{i}"))
        assert (await store.find(Filter(), None, 4)).next_cursor is None
        assert (await store.find(Filter(), "x2", 2)).next_cursor is None

    async def test_a_cursor_need_not_name_an_execution(self, store: Store) -> None:
        for i in range(3):
            await store.create(new(f"x{i}"))
        assert _ids(await store.find(Filter(), "x1zzz", 5)) == ["x1", "x0"]
        assert _ids(await store.find(Filter(), "", 5)) == []
        assert _ids(await store.find(Filter(), "\U0010ffff", 5)) == ["x2", "x1", "x0"]

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert await store.find(Filter(), None, 50) == Page((), None)
        assert await store.counts() == {}

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_limit_out_of_bounds_is_refused(self, store: Store, limit: int) -> None:
        with pytest.raises(InvalidInput):
            await store.find(Filter(), None, limit)
        with pytest.raises(InvalidInput):
            await store.workflows(None, limit)

    async def test_filters_keep_what_matches_all_of_them(self, store: Store) -> None:
        kinds = [(w, s, f) for w in ("a", "b") for s in ("PENDING", "RUNNING") for f in (False, True)]
        for i in range(24):
            workflow_id, status, failed_over = kinds[i % 8]
            await store.create(
                new(f"x{i:02d}", workflow_id=workflow_id, status=status, failed_over=failed_over)
            )
        asked = itertools.product((None, "a", "b", "none"), (None, "RUNNING", "FAILED"), (None, False, True))
        for want_workflow, want_status, want_failed_over in asked:
            wanted = Filter(status=want_status, workflow_id=want_workflow, failed_over=want_failed_over)
            expected = [
                f"x{i:02d}"
                for i in reversed(range(24))
                if want_workflow in (None, kinds[i % 8][0])
                and want_status in (None, kinds[i % 8][1])
                and want_failed_over in (None, kinds[i % 8][2])
            ]
            page = await store.find(wanted, None, 5)
            found = _ids(page)
            while page.next_cursor is not None:
                page = await store.find(wanted, page.next_cursor, 5)
                found += _ids(page)
            assert found == expected

    async def test_listings_and_counts_follow_every_commit(self, store: Store) -> None:
        await store.create(new("x1"))
        await store.create(new("x2"))
        assert await store.counts() == {"PENDING": 2}
        first, second = await self.claim_all(store)
        await store.commit(step(first, 1, failed_over=True))
        assert _ids(await store.find(Filter(status="RUNNING", failed_over=True), None, 5)) == ["x1"]
        await store.commit(step(first, 2, status="COMPLETED", release=True))
        await store.commit(step(second, 1))
        assert await store.counts() == {"COMPLETED": 1, "RUNNING": 1}
        assert _ids(await store.find(Filter(status="PENDING"), None, 5)) == []
        assert _ids(await store.find(Filter(failed_over=True), None, 5)) == []
        assert _ids(await store.find(Filter(status="COMPLETED"), None, 5)) == ["x1"]
        await store.close()
        await store.open()
        assert await store.counts() == {"COMPLETED": 1, "RUNNING": 1}

    async def test_a_listing_shows_what_a_single_read_shows(self, store: Store, clock: ManualClock) -> None:
        for i in range(4):
            await store.create(new(f"x{i}"))
        _owned, timer, none, back = await self.claim_all(store)
        await release(store, timer, 1, self.in_ms(clock, 5))
        await release(store, none, 1)
        await store.give_back(back)
        page = await store.find(Filter(), None, 10)
        assert page.records == tuple([await store.get(f"x{i}") for i in (3, 2, 1, 0)])
        assert [record.hold for record in page.records] == [
            Hold.TICKET,
            Hold.NONE,
            Hold.TIMER,
            Hold.TICKET,
        ]
