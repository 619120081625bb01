"""A store whose large batches and snapshots lie in a place for payloads.

What is over the threshold is written there first, durably, and the journal holds a stub; readers get the
bytes as if they had been in the journal. So a crash between the two leaves a payload that nobody refers to,
and never a reference to nothing; `collect` takes away what is left over.

A name is never given to two contents, so that an owner who lost its execution cannot harm the winner's
payload. And a name is given only for a term of ten minutes: a commit that is repeated later (the store was
away for hours) writes anew. So what is older than an hour and not referred to will never be referred to, and
may go.

The place being away is the store being away (StoreUnavailable): it is waited for and fails no step.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from adapters.stores import payload_place, stubs
from core.errors import (
    ExecutionNotFound,
    IdempotencyConflict,
    JournalUnreadable,
    PayloadNotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from core.ports.clock import Clock
from core.ports.payloads import Payloads
from core.ports.store import (
    Batch,
    Claim,
    Claims,
    Commit,
    Committed,
    Created,
    Filter,
    Loaded,
    Message,
    NewExecution,
    Page,
    Reconciled,
    Record,
    Renewed,
    Snapshot,
    Store,
    WorkflowVersion,
)

log = logging.getLogger("sidestep.payloads")

THRESHOLD = 32 * 1024
TERM_SECONDS = 600
OLD_MS = 3_600_000
"""A payload that nobody refers to is kept this long, which has to be well over TERM_SECONDS."""

PAGE = 200
READS = 16
"""How many payloads one call reads at once."""


class Collected(msgspec.Struct, frozen=True):
    """Where to go on (None: all were looked at), and how many payloads were deleted."""

    cursor: str | None
    deleted: int


class OffloadingStore(Store):
    """`store`, with batches and snapshots of more than `threshold` bytes in `payloads`.

    Without `payloads` everything is kept in the store; one whose journals refer to payloads is refused then.
    """

    def __init__(
        self, store: Store, payloads: Payloads | None, clock: Clock, threshold: int = THRESHOLD
    ) -> None:
        self.doorbell = store.doorbell
        self._store = store
        self._place = payloads
        self._payloads: Payloads | None = None  # the area of this store in it, while open
        self._clock = clock
        self._threshold = threshold

    @property
    def shards(self) -> int:
        """As the port says."""
        return self._store.shards

    async def open(self) -> None:
        """Open both, and see that they belong together.

        Raises StoreMismatch where they do not, ConfigurationError for a place that cannot work.
        """
        await self._store.open()
        self.doorbell = self._store.doorbell
        try:
            if self._place is None:
                await payload_place.check_inline(self._store)
            elif self._payloads is None:
                self._payloads = await payload_place.area_of(self._store, self._place, self._clock)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close both."""
        try:
            await self._store.close()
        finally:
            payloads, self._payloads = self._payloads, None
            if payloads is not None:
                await payloads.close()

    # What may be large.

    async def create(self, new: NewExecution) -> Created:
        """As the port says. What was written for a creation that did not happen is taken away again."""
        data = await self._put("j", new.execution_id, 0, "create", new.batch.data)
        if data is new.batch.data:
            return await self._store.create(new)
        stub = stubs.parse(data)
        try:
            created = await self._store.create(replace(new, batch=replace(new.batch, data=data)))
        except (IdempotencyConflict, StoreFull):
            await self._discard([stub.key])
            raise
        if created.execution_id != new.execution_id:
            await self._discard([stub.key])
        return created

    def commit(self, commit: Commit) -> Coroutine[Any, Any, Committed]:
        """As the port says. What is small is the store's own act, without a layer around it."""
        if commit.batch.count and self._is_large(commit.batch.data):
            return self._commit_large(commit)
        return self._store.commit(commit)

    async def _commit_large(self, commit: Commit) -> Committed:
        batch = commit.batch
        data = await self._put("j", commit.execution_id, commit.version, commit.commit_id, batch.data)
        return await self._store.commit(replace(commit, batch=Batch(data=data, count=batch.count)))

    async def save_snapshot(self, execution_id: str, snapshot: Snapshot) -> None:
        """As the port says."""
        data = await self._put("s", execution_id, snapshot.version, str(snapshot.format), snapshot.data)
        await self._store.save_snapshot(execution_id, replace(snapshot, data=data))

    async def claim(self, owner: str, limit: int, lease_seconds: float, wait_seconds: float = 0.0) -> Claims:
        """As the port says. Journals with payloads elsewhere are left out: their owners load them, each for
        itself, and one that is slow to read holds up none of the others.
        """
        claims = await self._store.claim(owner, limit, lease_seconds, wait_seconds)
        large = [execution_id for execution_id, loaded in claims.journals.items() if _has_stubs(loaded)]
        if not large:
            return claims
        kept = {name: loaded for name, loaded in claims.journals.items() if name not in large}
        return replace(claims, journals=kept)

    async def load(self, execution_id: str) -> Loaded:
        """As the port says. Raises JournalUnreadable where a payload is gone or damaged.

        A snapshot whose payload is lost is empty, which readers take for one of another format.
        """
        loaded = await self._store.load(execution_id)
        if not _has_stubs(loaded):
            return loaded
        snapshot, batches = loaded.snapshot, loaded.batches
        if snapshot is not None and stubs.is_stub(snapshot.data):
            try:
                (data,) = await self._whole(execution_id, (snapshot.data,))
            except JournalUnreadable as lost:
                log.warning("the snapshot of execution %s is lost: %s", execution_id, lost)
                data = b""
            snapshot = replace(snapshot, data=data)
        return replace(loaded, snapshot=snapshot, batches=await self._whole(execution_id, batches))

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        """As the port says. Raises JournalUnreadable where a payload is gone or damaged."""
        batches = await self._store.history(execution_id, after, limit)
        return await self._whole(execution_id, batches)

    async def remove(self, execution_id: str) -> bool:
        """As the port says; its payloads go after it. What cannot be deleted now is collected later."""
        removed = await self._store.remove(execution_id)
        group = stubs.group_of(execution_id)
        if removed and self._payloads is not None and group is not None:
            try:
                cursor: str | None = None
                while True:
                    page = await self._payloads.list(cursor, PAGE, group)
                    await self._delete(entry.key for entry in page.entries)
                    cursor = page.next_cursor
                    if cursor is None:
                        break
            except StoreError as away:
                log.warning("payloads of execution %s are left for later: %s", execution_id, away)
        return removed

    # Collection.

    async def sweep(self, turn: Callable[[], Awaitable[bool]]) -> str | None:
        """One pass over all payloads, in small steps with a `turn` between them, which says whether to go on.

        Returns a sentence for the log; None where nothing was deleted.
        """
        deleted, cursor = 0, None
        while True:
            step = await self.collect(cursor)
            deleted, cursor = deleted + step.deleted, step.cursor
            if cursor is None or not await turn():
                plural = "" if deleted == 1 else "s"
                return f"deleted {deleted} payload{plural} that nothing refers to" if deleted else None

    async def collect(self, cursor: str | None, limit: int = PAGE, older_than_ms: int = OLD_MS) -> Collected:
        """Look at the next `limit` payloads after `cursor`, and delete those that no journal refers to and
        that were written longer ago than `older_than_ms`, by the place's own time.
        """
        if self._payloads is None:
            return Collected(None, 0)
        before = await payload_place.now_ms(self._payloads) - older_than_ms
        page = await self._payloads.list(cursor, limit)
        groups: dict[str, list[str]] = {}
        for entry in page.entries:
            group = entry.key.partition("/")[0]
            if entry.written_at_ms <= before and not group.startswith("_"):
                groups.setdefault(group, []).append(entry.key)
        deleted = 0
        for group, keys in groups.items():
            execution_id = stubs.execution_of(group)
            if execution_id is None:
                continue  # nothing of ours
            for key in await self._unreferenced(execution_id, keys):
                deleted += await self._delete_if_old(key, before)
        return Collected(page.next_cursor, deleted)

    async def _unreferenced(self, execution_id: str, keys: list[str]) -> list[str]:
        try:
            return [key for key in keys if not await self._is_referenced(execution_id, key)]
        except ExecutionNotFound:
            return keys

    async def _is_referenced(self, execution_id: str, key: str) -> bool:
        found = stubs.place_in_journal(key)
        if found is None:
            await self._store.get(execution_id)  # or it has no such execution
            return True  # a newer program's
        kind, version = found
        if kind == "j":
            there = (await self._store.history(execution_id, version, 1))[:1]
        else:
            snapshot = (await self._store.load(execution_id)).snapshot
            there = () if snapshot is None else (snapshot.data,)
        try:
            return any(stubs.is_stub(data) and stubs.parse(data).key == key for data in there)
        except JournalUnreadable:
            return True

    async def _delete_if_old(self, key: str, before: int) -> bool:
        assert self._payloads is not None  # noqa: S101 - the caller has looked
        try:
            # It may have been put again since it was listed.
            if await self._payloads.stamp(key) > before:
                return False
        except PayloadNotFound:
            return False
        await self._payloads.delete(key)
        return True

    # Payloads.

    def _is_large(self, data: bytes) -> bool:
        return self._place is not None and (len(data) > self._threshold or stubs.is_stub(data))

    async def _put(
        self, kind: stubs.Kind, execution_id: str, version: int, commit_id: str, data: bytes
    ) -> bytes:
        """What the store is to keep: the data itself, or a stub once the data is durable elsewhere."""
        if not self._is_large(data):
            return data
        if self._payloads is None:
            raise StoreUnavailable("the store is closed")
        group = stubs.group_of(execution_id)
        if group is None:
            return data
        term = int(self._clock.monotonic() // TERM_SECONDS)
        stub = stubs.stub_for(group, kind, version, commit_id, term, data)
        await self._payloads.put(stub.key, data)
        return stubs.dump(stub)

    async def _whole(self, execution_id: str, batches: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The batches, with the bytes that stubs among them stand for."""
        if not any(map(stubs.is_stub, batches)):
            return batches
        turns = asyncio.Semaphore(READS)

        async def whole(data: bytes) -> bytes:
            if not stubs.is_stub(data):
                return data
            async with turns:
                return await self._get(execution_id, stubs.parse(data))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(whole(data)) for data in batches]
        except* (StoreError, JournalUnreadable, ExecutionNotFound) as several:
            raise several.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def _get(self, execution_id: str, stub: stubs.Stub) -> bytes:
        if self._payloads is None:
            raise self._without_place()
        if stub.key.partition("/")[0] != stubs.group_of(execution_id):
            raise JournalUnreadable(f"the journal of {execution_id} refers to a payload that is not its own")
        try:
            data = await self._payloads.get(stub.key)
        except PayloadNotFound as missing:
            if not await payload_place.is_marked(self._payloads):
                log.exception("%s has lost its mark: it is taken for away", self._payloads.place)
                raise StoreUnavailable(
                    f"{self._payloads.place} is away: it does not bear its mark"
                ) from missing
            await self._store.get(execution_id)  # it may have been removed meanwhile
            log.exception("payload %s is gone from %s", stub.key, self._payloads.place)
            raise JournalUnreadable(f"payload {stub.key} is gone from {self._payloads.place}") from missing
        if not stubs.intact(stub, data):
            log.error("payload %s in %s is damaged", stub.key, self._payloads.place)
            raise JournalUnreadable(f"payload {stub.key} in {self._payloads.place} is damaged")
        return data

    def _without_place(self) -> StoreError | JournalUnreadable:
        if self._place is None:
            return JournalUnreadable("the journal refers to a payload, and there is no place for payloads")
        return StoreUnavailable("the store is closed")

    async def _discard(self, keys: Iterable[str]) -> None:
        """Best effort: what stays is collected later."""
        try:
            await self._delete(keys)
        except StoreError as away:
            log.warning("a payload that nothing refers to is left for later: %s", away)

    async def _delete(self, keys: Iterable[str]) -> None:
        assert self._payloads is not None  # noqa: S101 - its callers have looked
        await asyncio.gather(*map(self._payloads.delete, keys))

    # What never is.

    async def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> Renewed:
        """As the port says."""
        return await self._store.renew(claims, lease_seconds)

    async def give_back(self, claim: Claim) -> None:
        """As the port says."""
        await self._store.give_back(claim)

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        """As the port says."""
        return await self._store.deliver(execution_id, message, revive=revive)

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        """As the port says."""
        return await self._store.inbox(execution_id)

    async def get(self, execution_id: str) -> Record:
        """As the port says."""
        return await self._store.get(execution_id)

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """As the port says."""
        return await self._store.find(wanted, cursor, limit)

    async def counts(self) -> dict[str, int]:
        """As the port says."""
        return await self._store.counts()

    async def definition(self, digest: str, execution_id: str | None = None) -> bytes:
        """As the port says."""
        return await self._store.definition(digest, execution_id)

    async def put_workflow(
        self, workflow_id: str, digest: str, definition: bytes, at_ms: int
    ) -> WorkflowVersion:
        """As the port says."""
        return await self._store.put_workflow(workflow_id, digest, definition, at_ms)

    async def get_workflow(self, workflow_id: str, version: int | None = None) -> WorkflowVersion:
        """As the port says."""
        return await self._store.get_workflow(workflow_id, version)

    async def workflow_versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """As the port says."""
        return await self._store.workflow_versions(workflow_id)

    async def workflows(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """As the port says."""
        return await self._store.workflows(cursor, limit)

    async def put_fact(self, key: str, value: bytes) -> None:
        """As the port says."""
        await self._store.put_fact(key, value)

    async def keep_fact(self, key: str, value: bytes) -> bytes:
        """As the port says."""
        return await self._store.keep_fact(key, value)

    async def get_fact(self, key: str) -> bytes | None:
        """As the port says."""
        return await self._store.get_fact(key)

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:
        """As the port says."""
        return await self._store.reconcile(cursor, limit)

    async def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """As the port says."""
        return await self._store.lead(duty, owner, seconds)

    def full(self) -> str | None:
        """As the port says."""
        return self._store.full()


def _has_stubs(loaded: Loaded) -> bool:
    snapshot = loaded.snapshot
    return (snapshot is not None and stubs.is_stub(snapshot.data)) or any(map(stubs.is_stub, loaded.batches))
