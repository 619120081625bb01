"""The Redis store: any number of processes share it, on one node, behind Sentinel, or on a Cluster.

What it survives is what Redis is set to survive: with an append-only file every second the death of any
process and up to a second on power loss; with `min_replicas` also, as far as WAIT goes, that of a primary.
Each act is one Lua script in one slot. The layout is in `docs/decisions/0006-redis-layout.md`.
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import Any

from adapters.clock import HostClock
from adapters.stores import rules
from adapters.stores.redis import answers, opening, room
from adapters.stores.redis.acts import Acts, read_scripts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.doorbell import RedisDoorbell
from adapters.stores.redis.gathering import FromCluster, FromOneNode
from adapters.stores.redis.keys import Keys, meta_key
from adapters.stores.redis.lists import Lists
from adapters.stores.redis.sharing import Sharing
from adapters.stores.redis.tickets import Tickets
from adapters.stores.redis.workflows import Workflows
from adapters.stores.redis.writes import Delivered, Writes
from core.errors import StoreError, StoreFull, StoreMismatch, StoreUnavailable
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import (
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

_log = logging.getLogger("sidestep.stores.redis")


class _Parts:
    """What exists while the store is open."""

    def __init__(self, redis: Redis, keys: Keys, clock: Clock, station: str, sweep_seconds: float) -> None:
        self.keys = keys
        self.acts = Acts(redis, keys, read_scripts())
        reading = FromCluster if redis.is_cluster else FromOneNode
        gathering = reading(redis, self.acts, keys)
        self.sharing = Sharing(redis, self.acts, keys, gathering, station) if redis.is_cluster else None
        self.tickets = Tickets(redis, self.acts, keys, clock, station, gathering, self.sharing, sweep_seconds)
        self.lists = Lists(redis, self.acts, keys)
        self.workflows = Workflows(redis, self.acts, keys)
        self.writes = Writes(self.acts, keys, station)


class RedisStore(Store):
    """Executions in Redis, under keys that begin with `prefix`.

    `shards` None takes the number of the store that is there, or 64 for a new one. `sweep_seconds` is how
    often each worker looks for timers that are due and claims that have lapsed.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        *,
        shards: int | None = None,
        prefix: str = "sidestep",
        sweep_seconds: float = 0.5,
        watch_seconds: float = 1.0,
    ) -> None:
        self._station = secrets.token_hex(6)
        self.doorbell: RedisDoorbell = RedisDoorbell(redis, self._station)
        self._redis = redis
        self._clock = clock
        self._wanted_shards = shards
        self._prefix = prefix
        self._sweep_seconds = sweep_seconds
        self._watch_seconds = watch_seconds
        self._parts: _Parts | None = None
        self._watching: asyncio.Task[None] | None = None
        self._full: str | None = None
        self._mismatch: StoreMismatch | None = None
        self._opening = asyncio.Lock()

    @property
    def redis(self) -> Redis:
        """The client, which is open while the store is: replicas talk of the targets' health by it."""
        return self._redis

    @property
    def shards(self) -> int:
        """As the port says."""
        return self._open().keys.shards

    async def open(self) -> None:
        """Connect, check the server, agree on the shards, make what tickets need.

        Raises StoreMismatch, ConfigurationError, StoreUnavailable.
        """
        async with self._opening:
            if self._parts is not None:
                return
            await self._redis.open()
            try:
                infos = await self._redis.info()
                for info in infos:
                    opening.check_server(info)
                self._note(room.full(infos))
                await self._follow()
                shards = await opening.agree_on_shards(self._redis, self._prefix, self._wanted_shards)
                keys = Keys(self._prefix, shards)
                parts = _Parts(self._redis, keys, self._clock, self._station, self._sweep_seconds)
                channel = keys.inbox_channel + self._station
                await opening.check_channels(self._redis, self._prefix, channel)
                await parts.acts.make_groups()
                await parts.tickets.agree()
                await self._redis.subscribe(keys.inbox_channel + self._station, self._mail)
            except BaseException:
                await self._redis.close()
                raise
            self._parts = parts
            self.doorbell.start(keys, parts.acts)
            self._watching = asyncio.create_task(self._watch(parts))

    async def close(self) -> None:
        """As the port says; what this process owns lapses, so give it back before."""
        async with self._opening:
            parts, self._parts = self._parts, None
            if parts is None:
                return
            watching, self._watching = self._watching, None
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await self.doorbell.stop()
            await parts.tickets.close()
            if parts.sharing is not None:
                with suppress(StoreError):  # it is forgotten in a while anyway
                    await parts.sharing.leave()
            await self._redis.close()

    async def create(self, new: NewExecution) -> Created:
        """As the port says. The definition is sent once to each shard, and where that has lost it since."""
        parts = self._open()
        if self._full is not None:
            raise StoreFull(self._full)
        births = parts.tickets.births
        birth = births.begin(new.execution_id)
        if birth is None:
            created, _ = await parts.writes.create(new)
        else:
            try:
                created, taken = await parts.writes.create(new, birth)
            except (StoreUnavailable, asyncio.CancelledError):
                births.unknown(new.execution_id)
                raise
            except BaseException:
                births.let_go(new.execution_id)
                raise
            births.end(new, birth, taken=taken)
        if created.fresh:
            self.doorbell.ring(Topic.WORK, created.execution_id)
        return created

    async def claim(
        self,
        owner: str,  # noqa: ARG002 - a station stands for all owners of a process
        limit: int,
        lease_seconds: float,
        wait_seconds: float = 0.0,
    ) -> Claims:
        """As the port says, with the journals of what is handed out."""
        return await self._open().tickets.claim(limit, lease_seconds, wait_seconds)

    async def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> Renewed:
        """As the port says."""
        return await self._open().tickets.renew(claims, lease_seconds)

    async def give_back(self, claim: Claim) -> None:
        """As the port says."""
        if await self._open().tickets.give_back(claim):
            self.doorbell.ring(Topic.WORK, claim.execution_id)

    async def load(self, execution_id: str) -> Loaded:
        """As the port says."""
        said = await self._read("load", execution_id)
        if not said:
            raise rules.unknown_execution(execution_id)
        return answers.loaded(said)

    async def commit(self, commit: Commit) -> Committed:
        """As the port says."""
        parts = self._open()
        committed, fresh = await parts.writes.commit(commit, self._clock.now_ms())
        if committed.released:
            parts.tickets.births.let_go(commit.execution_id)
            if fresh and commit.wake_at_ms is not None:
                parts.tickets.note_timer(commit.execution_id, commit.wake_at_ms)
        if fresh and commit.batch.count:
            self.doorbell.ring(Topic.JOURNAL, commit.execution_id)
        return committed

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        """As the port says; a message that was had before is no error, even where the execution ended."""
        delivered = await self._open().writes.deliver(execution_id, message, revive=revive)
        if delivered is Delivered.TICKET:
            self.doorbell.ring(Topic.WORK, execution_id)
        if delivered is not Delivered.HAD:
            self.doorbell.ring(Topic.INBOX, execution_id)
        return delivered is not Delivered.HAD

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        """As the port says."""
        said = await self._read("inbox", execution_id)
        if said is None:
            raise rules.unknown_execution(execution_id)
        return answers.messages(said)

    async def save_snapshot(self, execution_id: str, snapshot: Snapshot) -> None:
        """As the port says. It may be lost, so no replica is waited for."""
        kept = answers.snapshot_bytes(snapshot)
        if not await self._read("snapshot", execution_id, snapshot.version, kept):
            raise rules.unknown_execution(execution_id)

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        """As the port says."""
        self._open()
        rules.check_history(after, limit)
        said = await self._read("history", execution_id, after, limit)
        if said is None:
            raise rules.unknown_execution(execution_id)
        return answers.batches(said)

    async def get(self, execution_id: str) -> Record:
        """As the port says."""
        parts = self._open()
        rules.check_text(execution_id)
        found = await parts.lists.record(execution_id)
        if found is None:
            raise rules.unknown_execution(execution_id)
        return found

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """As the port says."""
        return await self._open().lists.find(wanted, cursor, limit)

    async def counts(self) -> dict[str, int]:
        """As the port says."""
        return await self._open().lists.counts()

    async def remove(self, execution_id: str) -> bool:
        """As the port says; it succeeds where memory is full."""
        return await self._open().writes.remove(execution_id)

    async def definition(self, digest: str, execution_id: str | None = None) -> bytes:
        """As the port says."""
        return await self._open().workflows.definition(digest, execution_id)

    async def put_workflow(
        self, workflow_id: str, digest: str, definition: bytes, at_ms: int
    ) -> WorkflowVersion:
        """As the port says."""
        return await self._open().workflows.put(workflow_id, digest, definition, at_ms)

    async def get_workflow(self, workflow_id: str, version: int | None = None) -> WorkflowVersion:
        """As the port says."""
        return await self._open().workflows.get(workflow_id, version)

    async def workflow_versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """As the port says."""
        return await self._open().workflows.versions(workflow_id)

    async def workflows(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """As the port says. Raises InvalidInput for a limit out of bounds."""
        return await self._open().workflows.page(cursor, limit)

    async def put_fact(self, key: str, value: bytes) -> None:
        """As the port says."""
        self._open()
        rules.check_text(key)
        place = f"{self._prefix}:fact:{key}"
        await self._redis.call(place, "SET", place, value, write=True)

    async def keep_fact(self, key: str, value: bytes) -> bytes:
        """As the port says."""
        self._open()
        rules.check_text(key)
        place = f"{self._prefix}:fact:{key}"
        await self._redis.call(place, "SET", place, value, "NX", write=True)
        return bytes(await self._redis.call(place, "GET", place))

    async def get_fact(self, key: str) -> bytes | None:
        """As the port says."""
        self._open()
        rules.check_text(key)
        place = f"{self._prefix}:fact:{key}"
        found = await self._redis.call(place, "GET", place)
        return None if found is None else bytes(found)

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:
        """As the port says; what was mended is logged."""
        return await self._open().lists.reconcile(cursor, limit)

    async def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """As the port says, by Redis's time."""
        parts = self._open()
        place = f"{self._prefix}:lead:{duty}"
        return bool(await parts.acts.run("lead", place, owner, max(1, round(1000 * seconds)), write=False))

    def full(self) -> str | None:
        """As Redis said about a second ago."""
        return self._full

    def _open(self) -> _Parts:
        if self._parts is None:
            raise rules.closed()
        if self._mismatch is not None:
            raise StoreMismatch(str(self._mismatch))
        return self._parts

    async def _read(self, name: str, execution_id: str, *args: bytes | str | float) -> Any:
        parts = self._open()
        rules.check_text(execution_id)
        return await parts.acts.run(name, parts.keys.base(execution_id), execution_id, *args, write=False)

    def _mail(self, execution_id: bytes) -> None:
        self.doorbell.ring(Topic.INBOX, execution_id.decode())

    async def _watch(self, parts: _Parts) -> None:
        """Ask about room, about leases that grew, and whether this is still the store that was opened: a
        Redis that came back without its data could be given another number of shards by who opens it next.
        """
        while True:
            await self._clock.sleep(self._watch_seconds)
            try:
                self._note(room.full(await self._redis.info()))
                await parts.tickets.agree()
                await self._follow()
                await opening.agree_on_shards(self._redis, self._prefix, parts.keys.shards)
            except StoreMismatch as mismatch:
                if self._mismatch is None:
                    _log.error("another store has taken this one's place: %s", mismatch)
                self._mismatch = mismatch
            except StoreError as error:
                _log.debug("Redis did not say how much memory it uses: %s", error)

    def _note(self, full: str | None) -> None:
        """Refuse creations with the sentence `full` from now on, and say once when that begins and ends."""
        if full is not None and self._full is None:
            _log.warning("creations are refused: %s", full)
        elif full is None and self._full is not None:
            _log.warning("creations are taken again")
        self._full = full

    async def _follow(self) -> None:
        """Keep this process's time in step with Redis's; of a Cluster's nodes with one of them."""
        if isinstance(self._clock, HostClock):
            asked = self._clock.monotonic()
            seconds, micros = await self._redis.call(meta_key(self._prefix), "TIME")
            self._clock.follow(int(seconds) * 1000 + int(micros) // 1000, asked)
