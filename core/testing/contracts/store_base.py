"""What the parts of the store's contract share: fixtures, and executions and commits made short."""

import itertools
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
import pytest_asyncio

from core.ports.doorbell import Topic
from core.ports.store import (
    Batch,
    Claim,
    Commit,
    Committed,
    Idempotency,
    Message,
    NewExecution,
    Store,
    Summary,
)
from core.testing.clock import ManualClock

DEFINITION = b'{"id":"flow"}'


class Rings:
    """Hears every topic of a store's doorbell."""

    def __init__(self, store: Store) -> None:
        self.heard: list[tuple[Topic, str]] = []
        for topic in Topic:
            store.doorbell.subscribe(topic, lambda id_, topic=topic: self.heard.append((topic, id_)))  # type: ignore[misc] # the default binds the topic

    def of(self, topic: Topic) -> list[str]:
        """The executions that `topic` was rung for, in order."""
        return [execution_id for heard, execution_id in self.heard if heard is topic]


class StoreBase:
    """Fixtures. A binding overrides `unopened`; where the host's time cannot be moved by hand it overrides
    `pass_time`, and `unit` to keep the tests short.
    """

    unit: ClassVar[float] = 1.0
    """Seconds. Leases and timers of the suite are multiples of it."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def unopened(self, clock: ManualClock) -> Store:
        """A new, empty store that was not opened yet."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def store(self, unopened: Store) -> AsyncIterator[Store]:
        await unopened.open()
        yield unopened
        await unopened.close()

    @property
    def lease(self) -> float:
        """Seconds: the lease that the suite's claims ask for."""
        return 10 * self.unit

    async def pass_time(self, clock: ManualClock, units: float) -> None:
        """Let the host's time pass."""
        clock.advance(units * self.unit)

    def now_ms(self, clock: ManualClock) -> int:
        """The host's time."""
        return clock.now_ms()

    def in_ms(self, clock: ManualClock, units: float) -> int:
        """The instant that many units from now."""
        return self.now_ms(clock) + round(1000 * units * self.unit)

    async def claim_all(self, store: Store, owner: str = "owner", limit: int = 100) -> tuple[Claim, ...]:
        return (await store.claim(owner, limit, self.lease)).claims

    async def claim_one(self, store: Store, owner: str = "owner") -> Claim:
        (claim,) = await self.claim_all(store, owner)
        return claim


_ids = itertools.count(1)
_commits = itertools.count(1)


def new(
    execution_id: str | None = None,
    *,
    workflow_id: str = "flow",
    digest: str = "digest",
    definition: bytes = DEFINITION,
    events: int = 1,
    data: bytes = b"created",
    status: str = "PENDING",
    failed_over: bool = False,
    created_at_ms: int = 1_000,
    idempotency: Idempotency | None = None,
) -> NewExecution:
    """A creation; ids ascend where none is given."""
    return NewExecution(
        execution_id=execution_id or f"x{next(_ids):09d}",
        workflow_id=workflow_id,
        digest=digest,
        definition=definition,
        created_at_ms=created_at_ms,
        batch=Batch(data=data, count=events),
        summary=Summary(status=status, failed_over=failed_over),
        idempotency=idempotency,
    )


def step(
    claim: Claim,
    version: int,
    *,
    commit_id: str | None = None,
    epoch: int | None = None,
    events: int = 1,
    data: bytes = b"step",
    status: str = "RUNNING",
    current_step: str | None = None,
    failed_over: bool = False,
    at_ms: int = 2_000,
    consumed: tuple[str, ...] = (),
    release: bool = False,
    wake_at_ms: int | None = None,
) -> Commit:
    """A commit by the owner of `claim`."""
    return Commit(
        execution_id=claim.execution_id,
        version=version,
        epoch=claim.epoch if epoch is None else epoch,
        commit_id=commit_id or f"c{next(_commits)}",
        at_ms=at_ms,
        batch=Batch(data=data, count=events),
        summary=Summary(status=status, current_step=current_step, failed_over=failed_over),
        consumed=consumed,
        release=release,
        wake_at_ms=wake_at_ms,
    )


def message(message_id: str, kind: str = "signal", body: object = None) -> Message:
    """Something said to an execution."""
    return Message(message_id=message_id, kind=kind, body=body, actor="somebody", sent_at_ms=3_000)


async def release(store: Store, claim: Claim, version: int, wake_at_ms: int | None = None) -> Committed:
    """Let go of an execution without an event."""
    return await store.commit(step(claim, version, events=0, release=True, wake_at_ms=wake_at_ms))
