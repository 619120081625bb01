"""The store port: journals, tickets, inboxes and timers, changed together or not at all.

A store knows nothing of workflows. Journals are batches of opaque bytes; the summary beside them is what
listings show. Every method may raise StoreUnavailable, after which nothing is known about the write: the
caller reads again, or repeats it with the same ids, which changes nothing a second time.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from core.ports.doorbell import Doorbell


class Hold(StrEnum):
    """What holds an execution, that is, what will bring it back to a worker."""

    TICKET = "ticket"  # it has something to do, or an owner
    TIMER = "timer"  # it waits for `wake_at_ms`
    NONE = "none"  # it ended, or a person must act


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What listings and their filters see of an execution. `current_step` is a step's id."""

    status: str
    current_step: str | None = None
    failed_over: bool = False


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """A client's key for a creation. `fingerprint` identifies the request; `caller` scopes the key.

    After `expires_at_ms` the key is forgotten and may be used for something else.
    """

    caller: str
    key: str
    fingerprint: str
    expires_at_ms: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Events that enter a journal together: opaque bytes, and how many events they hold (0 is legal)."""

    data: bytes
    count: int


class NewExecution(msgspec.Struct, frozen=True, kw_only=True):
    """All that a creation writes. `definition` is kept once by `digest`."""

    execution_id: str
    workflow_id: str
    digest: str
    definition: bytes
    created_at_ms: int
    batch: Batch
    summary: Summary
    idempotency: Idempotency | None = None


class Created(msgspec.Struct, frozen=True):
    """The id of the execution, and whether this call made it (False: an earlier one with the same key)."""

    execution_id: str
    fresh: bool


class Claim(msgspec.Struct, frozen=True):
    """The right to drive one execution until `lease_until` (the clock's monotonic seconds)."""

    execution_id: str
    epoch: int
    lease_until: float


class Claims(msgspec.Struct, frozen=True):
    """What a call to `claim` handed out, and when the next timer is due (None: none is set)."""

    claims: tuple[Claim, ...]
    next_timer_ms: int | None
    journals: Mapping[str, "Loaded"] = {}
    """By execution id, what `load` would return, where the host read it in the act of handing out: an owner
    needs it at once, and from then on nobody else appends.
    """
    waited: bool = False
    """Whether the host waits for tickets itself: then there is no need to wait before asking again."""


class Renewed(msgspec.Struct, frozen=True):
    """The claims that were prolonged. Where rings of the doorbell can be missed, `mail` names those of their
    executions that have messages in their inboxes.
    """

    claims: tuple[Claim, ...]
    mail: frozenset[str] = frozenset()


class Reconciled(msgspec.Struct, frozen=True):
    """Where to go on (None: all were looked at), and the executions that were mended."""

    cursor: str | None
    mended: tuple[str, ...] = ()


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic step of an execution by its owner.

    `version` is the number of events that the journal must hold before, `epoch` the claim's. `commit_id` is
    unique: repeating a commit that happened is a success. `consumed` names inbox messages that it takes out.
    With `release` the owner lets go: the ticket is gone, and the execution is held by a timer for
    `wake_at_ms`, or by nothing where that is None. A release is refused while the inbox is not empty, though
    the rest of the commit happens.
    """

    execution_id: str
    version: int
    epoch: int
    commit_id: str
    at_ms: int
    batch: Batch
    summary: Summary
    consumed: tuple[str, ...] = ()
    release: bool = False
    wake_at_ms: int | None = None


class Committed(msgspec.Struct, frozen=True):
    """What a commit left: whether messages wait in the inbox, and whether the owner was let go."""

    inbox: bool
    released: bool


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something said to an execution from outside. `message_id` is unique within the execution."""

    message_id: str
    kind: str
    body: Any = None
    actor: str = ""
    sent_at_ms: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuildable shortcut: the folded state after `version` events, in a format of its own."""

    version: int
    format: int
    data: bytes


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """An execution's journal: the newest snapshot, if any, and the batches after it, oldest first."""

    digest: str
    version: int
    snapshot: Snapshot | None
    batches: tuple[bytes, ...]
    inbox: tuple[Message, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a listing. Times are Unix epoch milliseconds; `version` counts the journal's events."""

    execution_id: str
    workflow_id: str
    digest: str
    summary: Summary
    created_at_ms: int
    updated_at_ms: int
    version: int
    epoch: int
    hold: Hold
    wake_at_ms: int | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing keeps; None keeps all."""

    status: str | None = None
    workflow_id: str | None = None
    failed_over: bool | None = None


class Page(msgspec.Struct, frozen=True):
    """Newest first. `next_cursor` is the last id of a page that has more behind it, else None."""

    records: tuple[Record, ...]
    next_cursor: str | None


class WorkflowVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a registered workflow; versions count from 1."""

    workflow_id: str
    version: int
    digest: str
    definition: bytes
    created_at_ms: int


class Store(Protocol):
    """A host. What each setting of it survives is written in its adapter's docstring and in the docs."""

    doorbell: Doorbell

    @property
    def shards(self) -> int:
        """Over how many shards executions are spread; known once the store is open. The id of an execution
        names its shard (`core.engine.ids`).
        """
        ...

    async def open(self) -> None:
        """Make ready. Raises StoreInUse or StoreMismatch, each in one sentence that says what to do."""
        ...

    async def close(self) -> None:
        """Finish the writes under way and let go of everything; a second call does nothing."""
        ...

    async def create(self, new: NewExecution) -> Created:
        """Write the record, its journal, its definition, its first ticket and its idempotency record, as one
        act, and durably: after the return it is not lost (to the degree that the host promises).

        The same idempotency key and fingerprint returns the first execution; another fingerprint raises
        IdempotencyConflict. The same execution id again returns it, not fresh. A key is looked up in the
        shard of the execution's id only, so whoever makes the id derives the shard from caller and key.
        Raises StoreFull where room must be kept for the commits of what was accepted before.
        """
        ...

    async def claim(self, owner: str, limit: int, lease_seconds: float, wait_seconds: float = 0.0) -> Claims:
        """Hand out up to `limit` executions that have a ticket and no living owner, oldest ticket of a shard
        first, and those whose timer is due. Each gets a new epoch, higher than every one before, so that
        commits of earlier owners are refused from now on.

        Where there is nothing to hand out, a host whose tickets do not ring this process's doorbell waits
        for one, for `wait_seconds` at most; others return at once. The call is not to be cancelled while it
        waits: what is handed out at that moment would stay unclaimed for a lease.
        """
        ...

    async def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> Renewed:
        """Prolong leases. The claims that are missing from the answer were lost."""
        ...

    async def give_back(self, claim: Claim) -> None:
        """Let go of a claim without a commit: the ticket is handed to the next who asks. A claim that was
        lost already is left alone.
        """
        ...

    async def load(self, execution_id: str) -> Loaded:
        """The journal since the newest snapshot, and the inbox, read at one instant.

        Raises ExecutionNotFound.
        """
        ...

    async def commit(self, commit: Commit) -> Committed:
        """Append, update the summary, consume messages, set the timer, release: one durable act.

        Raises NotOwner where version or epoch do not match (and this commit id is not the last one), or
        where the claim was released or given back. Raises ExecutionNotFound.
        """
        ...

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        """Put a message into the inbox and, in the same act, make a ticket where none is live.

        Returns False for a message id that this execution has had before (nothing changes), even where it
        has ended since. Raises ExecutionNotFound, ExecutionEnded where the status is terminal and `revive`
        is not set, and InvalidInput for a body that is not JSON.
        """
        ...

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        """The messages not yet consumed, oldest first. Raises ExecutionNotFound."""
        ...

    async def save_snapshot(self, execution_id: str, snapshot: Snapshot) -> None:
        """Keep a snapshot; an older one is dropped. Losing it changes no result. Raises ExecutionNotFound."""
        ...

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        """Whole batches, oldest first, beginning with the one that holds event `after + 1`, until they hold
        `limit` events or more. Raises ExecutionNotFound.
        """
        ...

    async def get(self, execution_id: str) -> Record:
        """One record. Raises ExecutionNotFound."""
        ...

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """A page of records with ids below `cursor`, newest first. `limit` is 1 to 500, else InvalidInput."""
        ...

    async def counts(self) -> dict[str, int]:
        """How many executions there are of each status (a status without any may be missing)."""
        ...

    async def remove(self, execution_id: str) -> bool:
        """Remove an execution that has ended and everything of it, as one act: record, journal, inbox,
        snapshot, its place in lists and counts. Its idempotency record stays until it expires, and names an
        execution that is gone. A definition goes with the last execution that uses it and no workflow.

        Returns False where there is no such execution (any more). Raises ExecutionLive where its status is
        not terminal, a message waits for it, or its owner has not let go of it.
        """
        ...

    async def definition(self, digest: str, execution_id: str | None = None) -> bytes:
        """The canonical definition that an execution was created with. A host that is spread over machines
        looks where that execution is; without one, among registered workflows. Raises WorkflowNotFound.
        """
        ...

    async def put_workflow(
        self, workflow_id: str, digest: str, definition: bytes, at_ms: int
    ) -> WorkflowVersion:
        """Register a version. The newest version's own content again is that version; else it is the next."""
        ...

    async def get_workflow(self, workflow_id: str, version: int | None = None) -> WorkflowVersion:
        """A version, or the newest. Raises WorkflowNotFound."""
        ...

    async def workflow_versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """Every version, newest first. Raises WorkflowNotFound."""
        ...

    async def workflows(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """The newest version of each workflow with an id above `cursor`, by id."""
        ...

    async def put_fact(self, key: str, value: bytes) -> None:
        """Keep a small value (a resolved URI) under `key`, replacing what was there."""
        ...

    async def keep_fact(self, key: str, value: bytes) -> bytes:
        """Keep `value` under `key` unless something is there, as one act; what is there then, which is the
        same for all who ask.
        """
        ...

    async def get_fact(self, key: str) -> bytes | None:
        """What `put_fact` or `keep_fact` kept, or None."""
        ...

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:
        """Look at the next `limit` executions at most after `cursor` (None: from the beginning), and make a
        ticket for each that claims to be held by a ticket, a timer or a message, while there is none.

        No act of a store leaves such a thing; an operator's accident (a key deleted by hand, a restored
        backup) can.
        """
        ...

    async def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """Whether `owner` has the duty for the next `seconds`: nobody else has it, or it has it already.

        It spares work that all would do alike; nothing relies on there being one leader only.
        """
        ...

    def full(self) -> str | None:
        """Why creations are refused for lack of room, in a sentence; None while there is room."""
        ...
