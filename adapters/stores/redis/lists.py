"""Listings over all shards: pages, counts, and the reconciler's walk."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from adapters.stores import rules
from adapters.stores.redis import answers
from adapters.stores.redis.acts import Acts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import LONGEST_NUMBER, Keys
from core.errors import InvalidInput
from core.machine.transitions import EXECUTION_STATUSES
from core.ports.store import Filter, Page, Reconciled, Record

_log = logging.getLogger("sidestep.stores.redis")

_LOOKED_AT_ONCE = 500
"""Records that one call looks at where an index alone does not answer a filter."""

_FEWEST = 8
"""Ids that are asked of a shard at a time, at least."""


class _Feed(msgspec.Struct):
    """One shard's ids, newest last, and where to go on (None: there are no more)."""

    base: str
    bound: bytes | None
    ids: list[bytes] = []


class Lists:
    """What is shown of many executions."""

    def __init__(self, redis: Redis, acts: Acts, keys: Keys) -> None:
        self._redis = redis
        self._acts = acts
        self._keys = keys

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """As the port says; what is deleted meanwhile is left out."""
        rules.check_limit(limit)
        rules.check_text(cursor, wanted.status, wanted.workflow_id)
        plan = await self._plan(wanted)
        bound = b"+" if cursor is None else b"(" + cursor.encode()
        ids = await self._newest([_Feed(base, bound) for base in self._keys.bases], plan, limit + 1)
        records = await self.records(ids[:limit])
        more = len(ids) > limit
        return Page(tuple(records), ids[limit - 1] if more else None)

    async def records(self, ids: Sequence[str]) -> list[Record]:
        """Those of the executions that exist."""
        values = await asyncio.gather(*map(self.record, ids))
        return [record for record in values if record is not None]

    async def record(self, execution_id: str) -> Record | None:
        """The execution's, where it exists."""
        key = self._keys.record(execution_id)
        return answers.record(execution_id, await self._redis.call(key, "HMGET", key, *answers.RECORD_FIELDS))

    async def counts(self) -> dict[str, int]:
        """As the port says."""
        said = await self._acts.everywhere("counts", EXECUTION_STATUSES, write=False)
        sums = {
            status: sum(answer[place] for answer in said) for place, status in enumerate(EXECUTION_STATUSES)
        }
        return {status: count for status, count in sums.items() if count}

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:
        """As the port says. The walk goes over shards, and in each over statuses; an execution that changes
        its status meanwhile was just seen to be alive.
        """
        walk, after = _place(cursor)
        end = self._keys.shards * len(EXECUTION_STATUSES)
        left, mended = limit, []
        while walk < end and left > 0:
            shard, status = divmod(walk, len(EXECUTION_STATUSES))
            index, lower = f"st:{EXECUTION_STATUSES[status]}", f"({after}" if after else "-"
            base = self._keys.bases[shard]
            said = await self._acts.run("reconcile", base, index, lower, left, self._acts.ring)
            mended += [execution_id.decode() for execution_id in said[2:]]
            if said[0] < left:
                walk, after = walk + 1, ""
            else:
                after = said[1].decode()
            left -= said[0]
        if mended:
            _log.warning("executions that nothing would have woken were given tickets: %s", ", ".join(mended))
        return Reconciled(f"{walk}:{after}" if walk < end else None, tuple(mended))

    async def _plan(self, wanted: Filter) -> "_Plan":
        """Walk the shortest of the indexes that hold what is asked for, and look the rest up in the records.

        Without a filter the statuses together are the index of all.
        """
        ways = _ways(wanted)
        indexes = [way.index for way in ways if way.index]
        if len(indexes) > 1:
            sizes = await asyncio.gather(*map(self._size, indexes))
            indexes = [min(zip(sizes, indexes, strict=True))[1]]
        checks = [word for way in ways if way.index not in indexes for word in (way.field, way.value)]
        return _Plan(tuple(indexes or (f"st:{status}" for status in EXECUTION_STATUSES)), tuple(checks))

    async def _size(self, index: str) -> int:
        keys = [f"{base}{index}" for base in self._keys.bases]
        return sum(await asyncio.gather(*(self._redis.call(key, "ZCARD", key) for key in keys)))

    async def _newest(self, feeds: list[_Feed], plan: "_Plan", count: int) -> list[str]:
        """The `count` highest ids of all feeds, highest first."""
        portion = max(_FEWEST, min(count, 2 * count // len(feeds) + 1)) if len(feeds) > 1 else count
        found: list[str] = []
        while len(found) < count:
            dry = [feed for feed in feeds if not feed.ids and feed.bound is not None]
            if dry:
                await asyncio.gather(*(self._fill(feed, plan, portion) for feed in dry))
                continue
            feed = max(feeds, key=lambda feed: feed.ids[-1] if feed.ids else b"")
            if not feed.ids:
                break
            found.append(feed.ids.pop().decode())
        return found

    async def _fill(self, feed: _Feed, plan: "_Plan", portion: int) -> None:
        words = (*plan.indexes, *plan.checks)
        said = await self._acts.run(
            "page",
            feed.base,
            feed.bound or b"",
            portion,
            _LOOKED_AT_ONCE,
            len(plan.indexes),
            *words,
            write=False,
        )
        onward = [index[0] for index in said if index[0] is not None]
        # What lies below the place where an index was left is not complete yet.
        floor = max(onward, default=b"")
        feed.bound = b"(" + floor if onward else None
        feed.ids = sorted(
            execution_id for index in said for execution_id in index[1:] if execution_id >= floor
        )


class _Way(msgspec.Struct, frozen=True):
    """One thing that is asked for: the index of what has it (empty: none), and how a record shows it."""

    index: str
    field: str
    value: str


class _Plan(msgspec.Struct, frozen=True):
    """The indexes to walk, and what their records must hold besides: fields and values."""

    indexes: tuple[str, ...]
    checks: tuple[str, ...]


def _ways(wanted: Filter) -> list[_Way]:
    """What is asked for. That an execution has not failed over is in no index."""
    ways = []
    if wanted.failed_over is not None:
        ways.append(_Way("fo" if wanted.failed_over else "", "f", "1" if wanted.failed_over else ""))
    if wanted.workflow_id is not None:
        ways.append(_Way(f"wf:{wanted.workflow_id}", "w", wanted.workflow_id))
    if wanted.status is not None:
        ways.append(_Way(f"st:{wanted.status}", "s", wanted.status))
    return ways


def _place(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return 0, ""
    number, colon, after = cursor.partition(":")
    if not colon or not number.isascii() or not number.isdigit() or len(number) > LONGEST_NUMBER:
        raise InvalidInput(f"{cursor!r} is no place to go on from")
    return int(number), after
