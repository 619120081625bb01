"""The store that keeps nothing: for tests and dry runs.

It promises what the port says for as long as the object lives, and survives no crash. Everything happens on
the event loop, at once. After `close` it can be opened again; owners and leases are gone then, as they are
after a restart of a process with a real store.
"""

import bisect
import heapq
from collections import Counter

from msgspec import Struct

from adapters.stores import rules
from adapters.stores.desk import Desk
from adapters.stores.doorbell import InProcessDoorbell
from adapters.stores.timers import Due, Timers
from core.machine.transitions import TERMINAL
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import (
    Batch,
    Claim,
    Claims,
    Commit,
    Committed,
    Created,
    Filter,
    Hold,
    Idempotency,
    Loaded,
    Message,
    NewExecution,
    Page,
    Reconciled,
    Record,
    Renewed,
    Snapshot,
    Store,
    Summary,
    WorkflowVersion,
)


class _Execution(Struct):
    new: NewExecution
    summary: Summary
    updated_at_ms: int
    batches: list[tuple[int, Batch]]  # with the number of its first event
    version: int = 0
    epoch: int = 0
    last_commit: str = ""
    released: bool = False  # whether the owner of `epoch` let go
    hold: Hold = Hold.TICKET
    wake_at_ms: int | None = None
    snapshot: Snapshot | None = None
    inbox: dict[str, bytes] = {}
    had: set[str] = set()  # message ids, consumed ones too

    def append(self, batch: Batch) -> None:
        if batch.count:
            self.batches.append((self.version + 1, batch))
            self.version += batch.count

    def since(self, version: int) -> list[tuple[int, Batch]]:
        """The batches that hold events after `version`."""
        start = bisect.bisect_right(self.batches, version + 1, key=lambda pair: pair[0])
        if start and self.batches[start - 1][0] + self.batches[start - 1][1].count > version + 1:
            start -= 1
        return self.batches[start:]

    def matches(self, wanted: Filter) -> bool:
        return (
            wanted.status in (None, self.summary.status)
            and wanted.workflow_id in (None, self.new.workflow_id)
            and wanted.failed_over in (None, self.summary.failed_over)
        )


class MemoryStore(Store):
    """Executions in dictionaries."""

    def __init__(self, clock: Clock) -> None:
        self.doorbell: InProcessDoorbell = InProcessDoorbell()
        self._clock = clock
        self._desk = Desk(clock, Timers())
        self._open = False
        self._executions: dict[str, _Execution] = {}
        self._ids: list[str] = []  # ascending
        self._counts: Counter[str] = Counter()
        self._keys: dict[tuple[str, str], tuple[Idempotency, str]] = {}
        self._expiries: list[tuple[int, tuple[str, str]]] = []
        self._definitions: dict[str, bytes] = {}
        self._workflows: dict[str, list[WorkflowVersion]] = {}
        self._facts: dict[str, bytes] = {}

    @property
    def shards(self) -> int:
        """One."""
        return 1

    async def open(self) -> None:
        """Free every ticket: whoever owned one is gone."""
        self._desk = Desk(self._clock, Timers())
        for execution_id in self._ids:
            execution = self._executions[execution_id]
            if execution.hold is Hold.TICKET:
                self._desk.issue(execution_id, execution.epoch)
            elif execution.wake_at_ms is not None:
                self._desk.wait(Due(execution_id, execution.wake_at_ms, execution.epoch))
        self._open = True

    async def close(self) -> None:
        """Refuse everything until the next `open`."""
        self._open = False

    async def create(self, new: NewExecution) -> Created:
        """As the port says."""
        self._check_open()
        key = new.idempotency
        rules.check_text(new.execution_id, new.workflow_id, new.digest, new.summary.status)
        rules.check_text(new.summary.current_step)
        if key is not None:
            rules.check_text(key.caller, key.key, key.fingerprint)
            self._sweep()
            known = self._keys.get((key.caller, key.key))
            if known is not None:
                if known[0].fingerprint != key.fingerprint:
                    raise rules.key_conflict(key)
                return Created(known[1], fresh=False)
        if new.execution_id in self._executions:
            return Created(new.execution_id, fresh=False)
        execution = _Execution(new, new.summary, new.created_at_ms, [], inbox={}, had=set())
        execution.append(new.batch)
        self._executions[new.execution_id] = execution
        bisect.insort(self._ids, new.execution_id)
        self._counts[new.summary.status] += 1
        self._definitions.setdefault(new.digest, new.definition)
        if key is not None and self._clock.now_ms() < key.expires_at_ms:
            self._keys[key.caller, key.key] = (key, new.execution_id)
            heapq.heappush(self._expiries, (key.expires_at_ms, (key.caller, key.key)))
        self._desk.issue(new.execution_id, 0)
        self.doorbell.ring(Topic.WORK, new.execution_id)
        return Created(new.execution_id, fresh=True)

    async def claim(
        self,
        owner: str,
        limit: int,
        lease_seconds: float,
        wait_seconds: float = 0.0,  # noqa: ARG002 - the doorbell rings for every ticket, so nobody waits here
    ) -> Claims:
        """As the port says; it returns at once."""
        self._check_open()
        self._desk.ring_timers()
        claims = self._desk.claim(owner, limit, lease_seconds)
        return Claims(claims, self._desk.timers.next_ms())

    async def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> Renewed:
        """As the port says; a lapsed claim that nobody took is renewed."""
        self._check_open()
        return Renewed(self._desk.renew(claims, lease_seconds))

    async def give_back(self, claim: Claim) -> None:
        """As the port says."""
        self._check_open()
        if self._desk.give_back(claim):
            self.doorbell.ring(Topic.WORK, claim.execution_id)

    async def load(self, execution_id: str) -> Loaded:
        """As the port says."""
        execution = self._get(execution_id)
        snapshot = execution.snapshot
        return Loaded(
            digest=execution.new.digest,
            version=execution.version,
            snapshot=snapshot,
            batches=tuple(batch.data for _, batch in execution.since(snapshot.version if snapshot else 0)),
            inbox=_messages(execution),
        )

    async def commit(self, commit: Commit) -> Committed:
        """As the port says."""
        execution = self._get(commit.execution_id)
        if execution.last_commit == commit.commit_id:
            return Committed(inbox=bool(execution.inbox), released=execution.released)
        rules.check_text(commit.summary.status, commit.summary.current_step)
        ticket = self._desk.begin_commit(commit.execution_id, commit.epoch)
        if ticket is None:
            raise rules.not_owner(commit, execution.version)
        self._desk.end_commit(ticket)
        if execution.version != commit.version:
            raise rules.not_owner(commit, execution.version)
        for message_id in commit.consumed:
            execution.inbox.pop(message_id, None)
        execution.append(commit.batch)
        self._counts[execution.summary.status] -= 1
        self._counts[commit.summary.status] += 1
        execution.summary = commit.summary
        execution.updated_at_ms = commit.at_ms
        execution.epoch = commit.epoch
        execution.last_commit = commit.commit_id
        execution.released = commit.release and not execution.inbox
        execution.wake_at_ms = commit.wake_at_ms if execution.released else None
        execution.hold = Hold.TICKET
        if execution.released:
            execution.hold = Hold.NONE if commit.wake_at_ms is None else Hold.TIMER
            if self._desk.release(commit.execution_id, commit.epoch, commit.wake_at_ms):
                self.doorbell.ring(Topic.WORK, commit.execution_id)
        if commit.batch.count:
            self.doorbell.ring(Topic.JOURNAL, commit.execution_id)
        return Committed(inbox=bool(execution.inbox), released=execution.released)

    async def deliver(self, execution_id: str, message: Message, *, revive: bool = False) -> bool:
        """As the port says; a message that was had before is no error, even where the execution ended."""
        execution = self._get(execution_id)
        data = rules.encode_message(message)
        rules.check_text(message.message_id)
        if message.message_id in execution.had:
            return False
        if execution.summary.status in TERMINAL and not revive:
            raise rules.has_ended(execution_id, execution.summary.status)
        execution.had.add(message.message_id)
        execution.inbox[message.message_id] = data
        execution.hold = Hold.TICKET
        execution.wake_at_ms = None
        if self._desk.issue(execution_id, execution.epoch):
            self.doorbell.ring(Topic.WORK, execution_id)
        self.doorbell.ring(Topic.INBOX, execution_id)
        return True

    async def inbox(self, execution_id: str) -> tuple[Message, ...]:
        """As the port says."""
        return _messages(self._get(execution_id))

    async def save_snapshot(self, execution_id: str, snapshot: Snapshot) -> None:
        """As the port says."""
        execution = self._get(execution_id)
        if execution.snapshot is None or execution.snapshot.version <= snapshot.version:
            execution.snapshot = snapshot

    async def history(self, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
        """As the port says."""
        execution = self._get(execution_id)
        rules.check_history(after, limit)
        found, held = [], 0
        for _, batch in execution.since(after):
            found.append(batch.data)
            held += batch.count
            if held >= limit:
                break
        return tuple(found)

    async def get(self, execution_id: str) -> Record:
        """As the port says."""
        return self._record(self._get(execution_id))

    async def find(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """As the port says. Raises InvalidInput for a limit out of bounds."""
        self._check_open()
        rules.check_limit(limit)
        end = len(self._ids) if cursor is None else bisect.bisect_left(self._ids, cursor)
        records: list[Record] = []
        for index in range(end - 1, -1, -1):
            execution = self._executions[self._ids[index]]
            if execution.matches(wanted):
                if len(records) == limit:
                    return Page(tuple(records), records[-1].execution_id)
                records.append(self._record(execution))
        return Page(tuple(records), None)

    async def counts(self) -> dict[str, int]:
        """As the port says."""
        self._check_open()
        return {status: count for status, count in self._counts.items() if count}

    async def remove(self, execution_id: str) -> bool:
        """As the port says."""
        self._check_open()
        execution = self._executions.get(execution_id)
        if execution is None:
            return False
        status = execution.summary.status
        if status not in TERMINAL or execution.inbox or execution.hold is not Hold.NONE:
            raise rules.is_live(execution_id, status)
        del self._executions[execution_id]
        del self._ids[bisect.bisect_left(self._ids, execution_id)]
        self._counts[status] -= 1
        self._desk.forget(execution_id)
        digest = execution.new.digest
        registered = (version.digest for versions in self._workflows.values() for version in versions)
        if digest not in registered and all(one.new.digest != digest for one in self._executions.values()):
            del self._definitions[digest]
        return True

    async def definition(
        self,
        digest: str,
        execution_id: str | None = None,  # noqa: ARG002 - there is one place to look
    ) -> bytes:
        """As the port says."""
        self._check_open()
        found = self._definitions.get(digest)
        if found is None:
            raise rules.unknown_workflow(f"with digest {digest!r}")
        return found

    async def put_workflow(
        self, workflow_id: str, digest: str, definition: bytes, at_ms: int
    ) -> WorkflowVersion:
        """As the port says."""
        self._check_open()
        rules.check_text(workflow_id, digest)
        versions = self._workflows.setdefault(workflow_id, [])
        if versions and versions[-1].digest == digest:
            return versions[-1]
        self._definitions.setdefault(digest, definition)
        version = WorkflowVersion(
            workflow_id=workflow_id,
            version=len(versions) + 1,
            digest=digest,
            definition=self._definitions[digest],
            created_at_ms=at_ms,
        )
        versions.append(version)
        return version

    async def get_workflow(self, workflow_id: str, version: int | None = None) -> WorkflowVersion:
        """As the port says."""
        self._check_open()
        versions = self._workflows.get(workflow_id, [])
        number = len(versions) if version is None else version
        if not 1 <= number <= len(versions):
            asked = "" if version is None else f" in version {version}"
            raise rules.unknown_workflow(f"{workflow_id!r}{asked}")
        return versions[number - 1]

    async def workflow_versions(self, workflow_id: str) -> tuple[WorkflowVersion, ...]:
        """As the port says."""
        self._check_open()
        if workflow_id not in self._workflows:
            raise rules.unknown_workflow(repr(workflow_id))
        return tuple(reversed(self._workflows[workflow_id]))

    async def workflows(self, cursor: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
        """As the port says. Raises InvalidInput for a limit out of bounds."""
        self._check_open()
        rules.check_limit(limit)
        ids = sorted(id_ for id_ in self._workflows if cursor is None or id_ > cursor)
        return tuple(self._workflows[id_][-1] for id_ in ids[:limit])

    async def put_fact(self, key: str, value: bytes) -> None:
        """As the port says."""
        self._check_open()
        rules.check_text(key)
        self._facts[key] = value

    async def keep_fact(self, key: str, value: bytes) -> bytes:
        """As the port says."""
        self._check_open()
        rules.check_text(key)
        return self._facts.setdefault(key, value)

    async def get_fact(self, key: str) -> bytes | None:
        """As the port says."""
        self._check_open()
        return self._facts.get(key)

    async def reconcile(self, cursor: str | None, limit: int) -> Reconciled:  # noqa: ARG002 - see below
        """Nothing can be out of step: nobody else reaches this object."""
        self._check_open()
        return Reconciled(None)

    async def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """As the port says."""
        self._check_open()
        return self._desk.lead(duty, owner, seconds)

    def full(self) -> str | None:
        """Never."""
        return None

    def _check_open(self) -> None:
        if not self._open:
            raise rules.closed()

    def _get(self, execution_id: str) -> _Execution:
        self._check_open()
        execution = self._executions.get(execution_id)
        if execution is None:
            raise rules.unknown_execution(execution_id)
        return execution

    def _sweep(self) -> None:
        now = self._clock.now_ms()
        while self._expiries and self._expiries[0][0] <= now:
            _, key = heapq.heappop(self._expiries)
            known = self._keys.get(key)
            if known is not None and known[0].expires_at_ms <= now:
                del self._keys[key]

    def _record(self, execution: _Execution) -> Record:
        ticket = self._desk.ticket(execution.new.execution_id)
        return Record(
            execution_id=execution.new.execution_id,
            workflow_id=execution.new.workflow_id,
            digest=execution.new.digest,
            summary=execution.summary,
            created_at_ms=execution.new.created_at_ms,
            updated_at_ms=execution.updated_at_ms,
            version=execution.version,
            epoch=execution.epoch if ticket is None else ticket.epoch,
            hold=execution.hold if ticket is None else Hold.TICKET,
            wake_at_ms=execution.wake_at_ms if ticket is None else None,
        )


def _messages(execution: _Execution) -> tuple[Message, ...]:
    return tuple(rules.decode_message(data) for data in execution.inbox.values())
