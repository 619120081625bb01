"""The contract of the payload port: every adapter passes it.

A binding is a fixture::

    class TestMyPayloads(PayloadsContract):
        @pytest.fixture
        def unopened(self):
            return MyPayloads(...)
"""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.errors import InvalidInput, PayloadNotFound, StoreUnavailable
from core.ports.payloads import MAX_PART, Payloads


async def keys_of(payloads: Payloads, *, limit: int = 100, group: str | None = None) -> list[str]:
    """Every key, page by page."""
    keys: list[str] = []
    cursor: str | None = None
    while True:
        page = await payloads.list(cursor, limit, group)
        assert len(page.entries) <= limit
        keys += [entry.key for entry in page.entries]
        cursor = page.next_cursor
        if cursor is None:
            return keys


@pytest.mark.asyncio
class PayloadsContract:
    """Every sentence of `core.ports.payloads`, as a test."""

    @pytest.fixture
    def unopened(self) -> Payloads:
        """A new, empty place that was not opened yet."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def payloads(self, unopened: Payloads) -> AsyncIterator[Payloads]:
        await unopened.open()
        yield unopened
        await unopened.close()

    @pytest.mark.parametrize("data", [b"", b"{}", bytes(range(256)) * 5_000])
    async def test_what_was_put_is_got(self, payloads: Payloads, data: bytes) -> None:
        await payloads.put("group/name", data)
        assert await payloads.get("group/name") == data

    async def test_a_missing_key_is_not_found(self, payloads: Payloads) -> None:
        await payloads.put("group/other", b"x")
        for key in ("group/name", "nobody/name"):
            with pytest.raises(PayloadNotFound):
                await payloads.get(key)
            with pytest.raises(PayloadNotFound):
                await payloads.stamp(key)

    async def test_a_repeated_put_changes_nothing_but_the_time(self, payloads: Payloads) -> None:
        await payloads.put("group/name", b"x")
        first = await payloads.stamp("group/name")
        second = first
        async with asyncio.timeout(10):
            while second == first:  # object stores count in seconds
                await asyncio.sleep(0.05)
                await payloads.put("group/name", b"x")
                second = await payloads.stamp("group/name")
        assert second > first
        assert await payloads.get("group/name") == b"x"
        assert await keys_of(payloads) == ["group/name"]

    async def test_writers_of_one_key_leave_it_whole(self, payloads: Payloads) -> None:
        data = b"same" * 50_000
        await asyncio.gather(*(payloads.put("group/name", data) for _ in range(10)))
        assert await payloads.get("group/name") == data

    async def test_what_was_deleted_is_gone_and_may_come_again(self, payloads: Payloads) -> None:
        await payloads.put("group/name", b"x")
        await payloads.delete("group/name")
        with pytest.raises(PayloadNotFound):
            await payloads.get("group/name")
        await payloads.delete("group/name")
        assert await keys_of(payloads) == []
        await payloads.put("group/name", b"x")
        assert await payloads.get("group/name") == b"x"

    async def test_a_deletion_beside_a_put_of_the_same_group_loses_nothing(self, payloads: Payloads) -> None:
        async def come_and_go(number: int) -> None:
            for _ in range(10):
                await payloads.put(f"group/gone-{number}", b"x")
                await payloads.delete(f"group/gone-{number}")

        async def stay(number: int) -> None:
            await payloads.put(f"group/kept-{number}", b"y")

        await asyncio.gather(*map(come_and_go, range(4)), *map(stay, range(8)))
        assert await keys_of(payloads) == [f"group/kept-{number}" for number in range(8)]

    async def test_pages_show_every_entry_once(self, payloads: Payloads) -> None:
        put = [f"group-{number % 5}/name-{number:02}" for number in range(23)]
        await asyncio.gather(*(payloads.put(key, b"x") for key in put))
        for limit in (1, 4, 23, 100):
            keys = await keys_of(payloads, limit=limit)
            assert sorted(keys) == sorted(put)
            groups = [key.partition("/")[0] for key in keys]
            changes = sum(one != other for one, other in itertools.pairwise(groups))
            assert changes == 4, "a group's entries stand together"

    async def test_a_group_is_listed_alone(self, payloads: Payloads) -> None:
        for key in ("group/a", "group/b", "group/c", "grou/a", "group-2/a"):
            await payloads.put(key, b"x")
        assert await keys_of(payloads, limit=2, group="group") == ["group/a", "group/b", "group/c"]
        assert await keys_of(payloads, group="nobody") == []

    async def test_a_listing_goes_on_after_its_cursor_was_deleted(self, payloads: Payloads) -> None:
        for number in range(6):
            await payloads.put(f"group/{number}", b"x")
        page = await payloads.list(None, 3)
        for entry in page.entries:
            await payloads.delete(entry.key)
        rest = await payloads.list(page.next_cursor, 10)
        assert [entry.key for entry in rest.entries] == ["group/3", "group/4", "group/5"]

    async def test_a_listing_tells_the_times_of_the_place(self, payloads: Payloads) -> None:
        await payloads.put("group/name", b"x")
        (entry,) = (await payloads.list(None, 10)).entries
        assert abs(entry.written_at_ms - await payloads.stamp("group/name")) < 1_000

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "name",
            "group/",
            "/name",
            "../name",
            "group/..",
            "group/.hidden",
            "group/a/b",
            "group/a\\b",
            "group/a\0b",
            "group/a\n",
            "gr oup/a",
            "/etc/passwd",
            "group/ü",
            f"group/{'a' * (MAX_PART + 1)}",
        ],
    )
    async def test_what_is_no_key_is_refused(self, payloads: Payloads, key: str) -> None:
        for act in (payloads.put(key, b"x"), payloads.get(key), payloads.delete(key), payloads.stamp(key)):
            with pytest.raises(InvalidInput):
                await act

    async def test_the_longest_key_works(self, payloads: Payloads) -> None:
        key = f"{'g' * MAX_PART}/{'n' * MAX_PART}"
        await payloads.put(key, b"x")
        assert await payloads.get(key) == b"x"
        assert await keys_of(payloads) == [key]

    async def test_what_was_put_is_there_after_a_restart(self, payloads: Payloads) -> None:
        await payloads.put("group/name", b"x")
        await payloads.close()
        await payloads.open()
        assert await payloads.get("group/name") == b"x"

    async def test_a_closed_place_is_away(self, payloads: Payloads) -> None:
        await payloads.close()
        await payloads.close()
        with pytest.raises(StoreUnavailable):
            await payloads.put("group/name", b"x")
        with pytest.raises(StoreUnavailable):
            await payloads.get("group/name")

    async def test_areas_do_not_see_each_other(self, payloads: Payloads) -> None:
        one, other = payloads.inside("one"), payloads.inside("other")
        await one.open()
        await other.open()
        await one.put("group/name", b"x")
        with pytest.raises(PayloadNotFound):
            await other.get("group/name")
        assert await keys_of(other) == await keys_of(payloads) == []
        assert await keys_of(one) == ["group/name"]
        await one.close()
        await other.close()

    async def test_the_place_is_told_in_words(self, payloads: Payloads) -> None:
        assert payloads.place
