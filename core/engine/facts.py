"""What a driver folds before it asks for a decision: what its calls brought, and what a former owner left.

Time that nobody had an execution in hand is not the steps' time. So an attempt that a former owner left open
gets its visit a new deadline, an answer that had to wait to be folded brings the time back, and a visit that
waited for room, or for a time, while there was no worker gets back what it had.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from core.failover.choosing import others
from core.failover.outcome import Executed
from core.failover.words import joined
from core.graph.model import TaskStep
from core.machine import events as ev
from core.machine.state import State, Visit
from core.machine.transitions import RUNNING

LATE_MS = 100
"""An answer that is folded later than this gives its visit the time back: a store or an event loop that
stalls must not cost a step its deadline.
"""

OVERSLEPT_MS = 3_000
"""A deadline of one that waits is looked at when it comes. One that passed so long ago was nobody's."""


_NOBODY = "no worker had it in hand when its time came"


class Answer(msgspec.Struct, frozen=True):
    """How an attempt ended, or goes on, and when that was learned (host time, milliseconds)."""

    fact: ev.AttemptSucceeded | ev.AttemptFailed | ev.AttemptAccepted | ev.AttemptPolled
    at: int


def size_of(news: object) -> int:
    """The bytes of output that a piece of news brings."""
    return news.fact.size if isinstance(news, Answer) and isinstance(news.fact, ev.AttemptSucceeded) else 0


def left_by_former_owner(state: State, now: int) -> list[ev.AnyEvent]:
    """One event for each attempt that was left open, and those that give back time which nobody was there."""
    found: list[ev.AnyEvent] = []
    for path in sorted(state.visits):
        visit = state.visits[path]
        step = state.step_of(visit)
        deadline_at = now + step.deadline_ms if isinstance(step, TaskStep) else None
        found.extend(
            ev.AttemptInterrupted(
                visit=path, step_id=visit.step_id, attempt=attempt.number, deadline_at=deadline_at
            )
            for attempt in visit.open
            # One that was accepted needs nobody: its result comes all the same.
            if attempt.accepted_at is None
        )
        if isinstance(step, TaskStep) and _overslept(state, visit, now):
            found.extend(_given_back(visit, step, now))
    return found


def in_time(state: State, answer: Answer, now: int) -> ev.AnyEvent:
    """The answer's event; one that had to wait to be folded brings its visit the deadline that it had."""
    fact, late = answer.fact, now - answer.at
    visit = state.visits.get(fact.visit)
    if (
        late <= LATE_MS
        or visit is None
        or visit.deadline_at is None
        or not isinstance(fact, ev.AttemptFailed)
    ):
        return fact
    return replace(fact, deadline_at=visit.deadline_at + late)


def fits(state: State, fact: ev.AnyEvent) -> bool:
    """False for what came too late: an answer to an attempt that is closed."""
    match fact:
        case ev.AttemptSucceeded() | ev.AttemptFailed() | ev.AttemptInterrupted():
            visit = state.visits.get(fact.visit)
            return visit is not None and fact.attempt in [one.number for one in visit.open]
        case ev.AttemptAccepted() | ev.AttemptPolled():
            visit = state.visits.get(fact.visit)
            accepted = isinstance(fact, ev.AttemptPolled)
            return visit is not None and any(
                one.number == fact.attempt and (one.accepted_at is not None) is accepted for one in visit.open
            )
        case ev.ChildEnded():
            visit = state.visits.get(fact.visit)
            return visit is not None and visit.child == fact.child_id
        case ev.MessagesSent():
            return any(name in state.outbox for name in fact.names)
        case _:
            return True


def _overslept(state: State, visit: Visit, now: int) -> bool:
    """Whether the deadline of a visit that waits for room or a time passed while nobody had it in hand."""
    if state.status != RUNNING or visit.status != RUNNING or visit.open or visit.failure is not None:
        return False
    if visit.outcome is not None and visit.outcome.ok:
        return False
    return visit.deadline_at is not None and now - visit.deadline_at > OVERSLEPT_MS


def _given_back(visit: Visit, step: TaskStep, now: int) -> Iterator[ev.AnyEvent]:
    """Events after which the visit is where it was, with its time, or all of it where it is not known."""
    target, deadline_at, why = visit.target, now + step.deadline_ms, visit.reasons
    if visit.wake_at is not None and visit.deadline_at is not None:
        deadline_at = now + max(0, visit.deadline_at - visit.wake_at)
    if visit.outcome is not None:
        left = others(step, visit.target, visit.tried)
        if not left or (step.effects == "atMostOnce" and visit.outcome.executed is not Executed.NO):
            return
        target = left[0]
        why = (joined(visit.outcome.error or visit.outcome.signal, "it waited for room"),)
        yield ev.FailedOver(
            visit=visit.path,
            step_id=step.id,
            from_target=step.targets[visit.target],
            to_target=step.targets[target],
            to_index=target,
            reason=why[0],
            evidence=visit.outcome,
        )
    yield ev.RetryScheduled(
        visit=visit.path,
        step_id=step.id,
        wake_at=now,
        target_index=target,
        round=visit.round,
        reason=joined(_NOBODY, *(reason for reason in why if not reason.startswith(_NOBODY))),
        role=visit.role,
        deadline_at=deadline_at,
    )
