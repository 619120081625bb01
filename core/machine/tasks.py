"""How a visit of a TASK goes on: its first attempt, and what follows an attempt that failed."""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import UNSET

from core.failover.choosing import Chosen, Full, Nowhere, choose, is_well, others, rehearsal
from core.failover.health import Health
from core.failover.outcome import Outcome
from core.failover.roles import RETRY, SIDESTEP, STATIC
from core.failover.routing import Fail, Park, Position, Retry, Sidestep, Wait, route
from core.failover.words import few, joined
from core.graph.model import Await, Effects, Json, Step, Target, TaskStep
from core.machine import events as ev
from core.machine.paths import idempotency_key
from core.machine.state import Failure, State, Visit

ACCEPT_MS = 60_000
"""How long a function has to accept a call whose result comes later: a connection that hangs must not use up
the hours that the result may take.
"""

_STOPPING = "a worker stopped before it sent this"


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send the attempt that `started` tells of, once, after that event is durable.

    The answer gets Lambda's `envelope` where the step expects one; `awaits` says what makes it done.
    """

    started: ev.AttemptStarted
    payload: Json
    effects: Effects
    envelope: bool = False
    awaits: Await = "answer"


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What to record, and then: an attempt to send, or a failure, or neither (it waits, or is parked).

    `queued` are the targets at one of which it waits for room: nothing is recorded of that.
    """

    events: tuple[ev.AnyEvent, ...] = ()
    send: Send | None = None
    failure: Failure | None = None
    queued: tuple[Target, ...] = ()


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When and on what knowledge a decision is made: time (Unix epoch, milliseconds), health, chance.

    `sent` is when attempts under way were really sent, by visit and number: to write them down takes time.
    """

    now: int
    health: Health
    entropy: int
    skew_ms: int
    sent: Mapping[tuple[str, int], int] = {}


def first_attempt(state: State, visit: Visit, step: TaskStep, at: Moment) -> Plan:
    """An attempt at the visit's target, or at the first after it that may be called now."""
    if visit.wake_at is not None and visit.wake_at > at.now:
        return Plan()
    too_late = visit.deadline_at is not None and _since(visit, at.now) >= visit.deadline_at
    practice = None
    if at.health.rehearse and not visit.attempts:
        practice = rehearsal(step, at.health, at.entropy, visit.path)
    plain = practice is None and not visit.target and visit.role != RETRY and not too_late
    if plain and at.health.is_plain(step.targets[0]):
        # By far the most calls, and nothing is to be asked about them.
        return start(state, visit, step, 0, "", visit.reasons, at)
    order = _order(visit, step, at.health)
    choice = practice or choose(step, order, at.health, at.entropy, _label(visit))
    match choice:
        case Nowhere():
            cause = joined(*choice.reasons) or "no target can be called"
            return Plan(failure=Failure("Sidestep.NoUsableTarget", cause, step.id))
        case Full():
            return _wait(visit, step, choice.targets, choice.reasons, at)
        case Chosen() if too_late:
            # A call without time would only leave it in doubt.
            cause = joined("the step's deadline passed while it waited for room", *choice.reasons)
            return Plan(failure=Failure("Sidestep.DeadlineExceeded", cause, step.id))
        case Chosen():
            pass
    if practice is not None or choice.target == visit.target:
        own = visit.role == RETRY and choice.target == visit.target and choice.role in {"", SIDESTEP}
        role = visit.role if own else choice.role
        return start(state, visit, step, choice.target, role, (*visit.reasons, *choice.reasons), at)
    hop = ev.FailedOver(
        visit=visit.path,
        step_id=step.id,
        from_target=step.targets[visit.target],
        to_target=step.targets[choice.target],
        to_index=choice.target,
        reason=joined(*choice.reasons),
    )
    reasons = (*visit.reasons, hop.reason)
    return start(state, visit, step, choice.target, choice.role, reasons, at, hop)


def next_attempt(state: State, visit: Visit, step: TaskStep, outcome: Outcome, at: Moment) -> Plan:
    """What follows an attempt that failed with `outcome`."""
    now = at.now
    deadline_at = visit.deadline_at if visit.deadline_at is not None else now
    position = Position(
        target=visit.target,
        tries_here=visit.tries_here,
        tried=visit.tried,
        round=visit.round,
        retries=visit.retries,
        doubt=visit.doubt,
        interruptions=visit.interruptions,
        attempts=visit.attempts,
        deadline_at=deadline_at,
        now=now,
        label=_label(visit),
    )
    verdict = route(step, position, outcome, at.health, at.entropy)
    match verdict:
        case Wait():
            return _wait(visit, step, verdict.targets, (verdict.reason,), at)
        case Fail():
            return Plan(failure=Failure(verdict.error, verdict.cause, step.id))
        case Park():
            return Plan((ev.StepParked(visit=visit.path, step_id=step.id, reason=verdict.reason, at=now),))
        case Retry() if verdict.policy is not None and not has_retries_left(state, step):
            cause = f"{outcome.cause} (the retry budget is used up)".strip()
            return Plan(failure=Failure(outcome.error, cause, step.id))
        case Retry():
            retry = ev.RetryScheduled(
                visit=visit.path,
                step_id=step.id,
                wake_at=now + verdict.delay_ms,
                target_index=verdict.target,
                round=verdict.round,
                reason=verdict.reason,
                policy=verdict.policy,
                role=verdict.role,
            )
            return Plan((retry,))
        case Sidestep():
            hop = ev.FailedOver(
                visit=visit.path,
                step_id=step.id,
                from_target=step.targets[visit.target],
                to_target=step.targets[verdict.target],
                to_index=verdict.target,
                reason=verdict.reason,
                evidence=outcome,
            )
            if now >= deadline_at:
                cause = f"{outcome.error}: {outcome.cause} (the step's deadline passed before another try)"
                return Plan(failure=Failure("Sidestep.DeadlineExceeded", cause, step.id))
            return start(state, visit, step, verdict.target, verdict.role, (verdict.reason,), at, hop)
        case _:
            assert_never(verdict)


def put_off(plan: Plan, visit: Visit, step: TaskStep, now: int) -> Plan:
    """The plan without its sending: the attempt is due at once, by whoever owns the execution next."""
    if plan.send is None:
        return plan
    hops = [event.to_index for event in plan.events if isinstance(event, ev.FailedOver)]
    reasons = plan.send.started.reasons
    later = ev.RetryScheduled(
        visit=visit.path,
        step_id=step.id,
        wake_at=now,
        # Where it would have been a rehearsal, it is drawn anew.
        target_index=hops[-1] if hops else visit.target,
        round=visit.round,
        reason=joined(_STOPPING, *(reason for reason in reasons if not reason.startswith(_STOPPING))),
    )
    return Plan((*plan.events[:-1], later))


def _label(visit: Visit) -> str:
    return f"{visit.path}#{visit.attempts}"


def _wait(
    visit: Visit, step: TaskStep, targets: tuple[int, ...], reasons: tuple[str, ...], at: Moment
) -> Plan:
    """Wait for room, as long as the step has time."""
    if visit.deadline_at is None or at.now < visit.deadline_at:
        return Plan(queued=tuple(step.targets[index] for index in targets))
    cause = joined("the step's deadline passed while it waited for room", *reasons)
    return Plan(failure=Failure("Sidestep.DeadlineExceeded", cause, step.id))


def start(
    state: State,
    visit: Visit,
    step: TaskStep,
    index: int,
    role: str,
    reasons: tuple[str, ...],
    at: Moment,
    *before: ev.AnyEvent,
) -> Plan:
    """An attempt at target number `index`, after the events in `before`."""
    now = at.now
    left = visit.deadline_at - _since(visit, now) if visit.deadline_at is not None else step.timeout_ms
    own = step.timeout_ms if step.awaits == "answer" else min(step.timeout_ms, ACCEPT_MS)
    if len(step.targets) > 1 and not visit.attempts:
        left = min(left, _share_of(left, visit, step, index, at.health))
    timeout_ms = max(1, min(own, left))
    started = ev.AttemptStarted(
        visit=visit.path,
        step_id=step.id,
        attempt=visit.attempts + 1,
        round=visit.round,
        target=step.targets[index],
        key=idempotency_key(state.execution_id, visit.path, visit.round),
        timeout_ms=timeout_ms,
        not_after=now + timeout_ms + at.skew_ms,
        reasons=few(reasons) if reasons else (),
        at=now,
        role=role,
    )
    payload = payload_of(state, visit, step)
    send = Send(started, payload, step.effects, step.lambda_envelope, step.awaits)
    return Plan((*before, started), send)


def payload_of(state: State, visit: Visit, step: TaskStep) -> Json:
    """What the function is called with."""
    entry = visit.entry
    own = UNSET if entry is None else entry.input
    data = state.scopes[visit.scope].data if own is UNSET else own
    if step.lambda_envelope:
        return data.get("Payload", {}) if isinstance(data, dict) else {}
    return data


def has_retries_left(state: State, step: Step) -> bool:
    """Whether the retry budgets of the step and of the workflow, where they have one, allow one more."""
    own = getattr(step, "retry_budget", None)
    total = state.workflow.retry_budget
    used = state.retried
    return (own is None or used.get(step.id, 0) < own) and (total is None or used.get("", 0) < total)


def _since(visit: Visit, now: int) -> int:
    """When the attempt was due: a timer that fires late (the control plane was away) costs no time."""
    return min(now, visit.wake_at) if visit.wake_at is not None else now


def _order(visit: Visit, step: TaskStep, health: Health) -> tuple[int, ...]:
    """The targets to ask. The engine's own retry goes last where many were scheduled while the budget still
    bore one: it takes from it only now.
    """
    # A turn of its own at targets that are known to fail begins anew.
    rest = others(step, visit.target, () if visit.role == STATIC else visit.tried)
    spent = visit.role == RETRY and not health.of(step.targets[visit.target]).retry
    return (*rest, visit.target) if spent else (visit.target, *rest)


def _is_usable(target: Target, health: Health) -> bool:
    return health.refusal(target) is None and is_well(health.of(target))


def _share_of(left: int, visit: Visit, step: TaskStep, index: int, health: Health) -> int:
    """What a first attempt may take of the time that is left, for the sake of its fallback.

    It leaves min(reserve_share of the deadline, reserve_factor x the fallback's p99), provided that its own
    p99 fits what remains, and that an attempt cut short would go on at the fallback at all.
    """
    if step.on_ambiguous != "failover":
        return left
    own = health.of(step.targets[index]).p99_ms
    if own is None:
        return left
    targets = (step.targets[other] for other in others(step, index, visit.tried))
    fallback = next((one for one in targets if _is_usable(one, health)), None)
    if fallback is None:
        return left
    other = health.of(fallback).p99_ms
    reserve = health.reserve_share * step.deadline_ms
    if other is not None:
        reserve = min(reserve, health.reserve_factor * other)
    return int(left - reserve) if own <= left - reserve else left
