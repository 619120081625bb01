"""One request of many executions: those that a filter finds, newest first, a stretch of them at each call.

Every execution gets its own message, whose id is made of the action and the walk's `bulk_id`. So a call that
is repeated, a walk that is begun again, and two callers with one `bulk_id` apply nothing twice: what was
asked before is counted as `already`. What a status forbids is refused for that execution alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from core.engine.lifecycle import LifeCycle
from core.engine.spans import Span
from core.errors import (
    Conflict,
    ExecutionEnded,
    ExecutionLive,
    ExecutionNotFound,
    SidestepError,
    StoreError,
    StoreUnavailable,
)
from core.machine.requests import CANCEL, PAUSE, REDRIVE, RESUME, refusal
from core.machine.transitions import CANCELLED, TERMINAL
from core.ports.clock import Clock
from core.ports.store import Filter, Page, Record, Store

log = logging.getLogger("sidestep.bulk")

T = TypeVar("T")

TOGETHER: Final = 32
"""Executions that are asked at once: enough to share commits, and few enough to hold nobody up."""

SECONDS: Final = 8.0
"""After this long a call begins no further chunk; a chunk that takes this long itself is given up. At
its worst a call takes three times as long: the listing, a chunk that is too much, and the first of it alone.
"""


class Action(StrEnum):
    """What is asked of each."""

    PAUSE = PAUSE
    RESUME = RESUME
    CANCEL = CANCEL
    REDRIVE = REDRIVE
    REMOVE = "remove"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, of which executions, and from where on. At most `limit` (1 to 500) are looked at."""

    action: Action
    bulk_id: str
    wanted: Filter = Filter()
    span: Span = Span()
    reason: str = ""
    actor: str = ""
    limit: int = 100
    cursor: str | None = None
    dry_run: bool = False


class Refused(msgspec.Struct, frozen=True, rename="camel"):
    """An execution that was left as it is, and why."""

    execution_id: str
    error: str


class Done(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one call did: `matched` were looked at, which is `applied`, `already` and the `refused` together.

    Of a dry run, `applied` are those whose status allows it. `next_cursor` is None at the end of the walk.
    """

    bulk_id: str
    matched: int
    applied: int
    already: int
    refused: tuple[Refused, ...]
    next_cursor: str | None
    dry_run: bool


async def in_bulk(
    life: LifeCycle, store: Store, clock: Clock, order: Order, *, seconds: float = SECONDS
) -> Done:
    """Carry one call of a walk out. Raises StoreUnavailable where the store is away before a chunk is done
    whole; where it goes away later, the answer tells what was done and from where to go on.
    """
    began = clock.monotonic()
    cursor = order.span.start(order.cursor)
    page = order.span.cut(await _within(seconds, store.find(order.wanted, cursor, order.limit)))
    ask = _foreseen if order.dry_run else _asking(life, store)
    said: list[bool | str] = []
    together = TOGETHER
    while len(said) < len(page.records):
        if said and clock.monotonic() - began >= seconds:
            break
        chunk = page.records[len(said) : len(said) + together]
        try:
            said += await _within(seconds, _all(ask(order, record) for record in chunk))
        except StoreError as away:
            if not said and isinstance(away, _Slow) and together > 1:
                # Long journals, each read to its end for what was asked before: the first of them alone, or
                # the walk would stay here for ever.
                together = 1
                continue
            if not said:
                raise
            log.warning("bulk %s %r stops after %d for now: %s", order.action, order.bulk_id, len(said), away)
            break
    return _told(order, page, said)


def _told(order: Order, page: Page, said: list[bool | str]) -> Done:
    """The answer, where the first of the page said this."""
    done = page.records[: len(said)]
    whole = len(done) == len(page.records)
    refused = tuple(
        Refused(record.execution_id, why)
        for record, why in zip(done, said, strict=True)
        if isinstance(why, str)
    )
    told = Done(
        bulk_id=order.bulk_id,
        matched=len(said),
        applied=sum(one is True for one in said),
        already=sum(one is False for one in said),
        refused=refused,
        next_cursor=page.next_cursor if whole else done[-1].execution_id,
        dry_run=order.dry_run,
    )
    if not order.dry_run:
        # A removal leaves no journal behind that could tell of it.
        log.info(
            "bulk %s %r by %r (%r): %d applied, %d already, %d refused",
            order.action,
            order.bulk_id,
            order.actor,
            order.reason,
            told.applied,
            told.already,
            len(refused),
        )
    return told


class _Slow(StoreUnavailable):
    """It did not answer in time."""


async def _within(seconds: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise _Slow(f"the store took longer than {seconds:g} s") from None


async def _all(asked: Iterable[Awaitable[bool | str]]) -> list[bool | str]:
    """The answers, once nobody is asked any more. Raises what the first raised that raised anything."""
    said = await asyncio.gather(*asked, return_exceptions=True)
    answers = []
    for one in said:
        if isinstance(one, BaseException):
            raise one
        answers.append(one)
    return answers


async def _foreseen(order: Order, record: Record) -> bool | str:
    """What would become of it, by its status in the listing."""
    status = record.summary.status
    if order.action is Action.REMOVE:
        return True if status in TERMINAL else _live(status)
    if order.action is Action.CANCEL and status == CANCELLED:
        return False
    why = refusal(order.action, status)
    return True if why is None else f"it is {status}: {why}"


def _asking(life: LifeCycle, store: Store) -> Callable[[Order, Record], Awaitable[bool | str]]:
    """What asks one: True where it was applied, False where it was before, or why it was refused."""
    calls = {
        Action.PAUSE: life.pause,
        Action.RESUME: life.resume,
        Action.CANCEL: life.cancel,
        Action.REDRIVE: life.redrive,
    }

    async def ask(order: Order, record: Record) -> bool | str:
        execution_id = record.execution_id
        try:
            if order.action is Action.REMOVE:
                return await store.remove(execution_id)
            call = calls[order.action]
            message_id = f"{order.action}:{order.bulk_id}"
            return await call(execution_id, actor=order.actor, reason=order.reason, message_id=message_id)
        except StoreError:
            raise
        except ExecutionLive:
            return _live((await store.get(execution_id)).summary.status)
        except ExecutionNotFound:
            return "it is gone: it was removed meanwhile"
        except ExecutionEnded as ended:
            status = (await store.get(execution_id)).summary.status
            # As for one execution: what is cancelled needs no cancelling.
            return False if order.action is Action.CANCEL and status == CANCELLED else str(ended)
        except Conflict as conflict:
            return str(conflict)
        except SidestepError:
            log.exception("bulk %s of %s failed", order.action, execution_id)
            return "its journal cannot be read by this server; the log tells more"

    return ask


def _live(status: str) -> str:
    return f"it is {status}: only what has ended, with no message waiting for it, can be removed"
