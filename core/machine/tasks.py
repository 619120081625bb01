"""How a visit of a TASK goes on: its first attempt, and what follows an attempt that failed."""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from core.failover.health import Health
from core.failover.outcome import Outcome
from core.failover.routing import Fail, Park, Position, Retry, Sidestep, first_target, route
from core.graph.model import Effects, Json, TaskStep
from core.machine import events as ev
from core.machine.paths import idempotency_key
from core.machine.state import Failure, State, Visit


class Send(msgspec.Struct, frozen=True):
    """Send the attempt that `started` tells of, once, after that event is durable."""

    started: ev.AttemptStarted
    payload: Mapping[str, Json]
    effects: Effects


class Plan(msgspec.Struct, frozen=True):
    """What to record, and then: an attempt to send, or a failure, or neither (it waits, or is parked)."""

    events: tuple[ev.AnyEvent, ...] = ()
    send: Send | None = None
    failure: Failure | None = None


def first_attempt(state: State, visit: Visit, step: TaskStep, now: int, health: Health, skew_ms: int) -> Plan:
    """An attempt at the visit's target, or at the first usable one after it."""
    if visit.wake_at is not None and visit.wake_at > now:
        return Plan()
    index, passed = first_target(step, health, visit.target)
    if index is None:
        cause = "; ".join(passed) or "no target can be called"
        return Plan(failure=Failure("Sidestep.NoUsableTarget", cause, step.id))
    if index == visit.target:
        return _start(state, visit, step, index, now, skew_ms, visit.reasons)
    hop = ev.FailedOver(
        visit=visit.path,
        step_id=step.id,
        from_target=step.targets[visit.target],
        to_target=step.targets[index],
        to_index=index,
        reason="; ".join(passed),
    )
    return _start(state, visit, step, index, now, skew_ms, (*visit.reasons, hop.reason), hop)


def next_attempt(
    state: State,
    visit: Visit,
    step: TaskStep,
    outcome: Outcome,
    now: int,
    health: Health,
    entropy: int,
    skew_ms: int,
) -> Plan:
    """What follows an attempt that failed with `outcome`."""
    deadline_at = visit.deadline_at if visit.deadline_at is not None else now
    position = Position(
        target=visit.target,
        tries_here=visit.tries_here,
        round=visit.round,
        retries=visit.retries,
        doubt=visit.doubt,
        interruptions=visit.interruptions,
        deadline_at=deadline_at,
        now=now,
        label=f"{visit.path}#{visit.attempts}",
    )
    verdict = route(step, position, outcome, health, entropy)
    match verdict:
        case Fail():
            return Plan(failure=Failure(verdict.error, verdict.cause, step.id))
        case Park():
            return Plan((ev.StepParked(visit=visit.path, step_id=step.id, reason=verdict.reason, at=now),))
        case Retry():
            retry = ev.RetryScheduled(
                visit=visit.path,
                step_id=step.id,
                wake_at=now + verdict.delay_ms,
                target_index=verdict.target,
                round=verdict.round,
                reason=verdict.reason,
                policy=verdict.policy,
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
            return _start(state, visit, step, verdict.target, now, skew_ms, (verdict.reason,), hop)
        case _:
            assert_never(verdict)


def put_off(plan: Plan, step: TaskStep, now: int) -> Plan:
    """The plan without its sending: the attempt is due at once, by whoever owns the execution next."""
    if plan.send is None:
        return plan
    started = plan.send.started
    later = ev.RetryScheduled(
        visit=started.visit,
        step_id=step.id,
        wake_at=now,
        target_index=step.targets.index(started.target),
        round=started.round,
        reason="; ".join((*started.reasons, "the worker is stopping, and the next one sends it")),
    )
    return Plan((*plan.events[:-1], later))


def _start(
    state: State,
    visit: Visit,
    step: TaskStep,
    index: int,
    now: int,
    skew_ms: int,
    reasons: tuple[str, ...],
    *before: ev.AnyEvent,
) -> Plan:
    number = visit.attempts + 1
    # A timer that fires late (the control plane was away) must not cost the step its time.
    since = min(now, visit.wake_at) if visit.wake_at is not None else now
    left = visit.deadline_at - since if visit.deadline_at is not None else step.timeout_ms
    timeout_ms = max(1, min(step.timeout_ms, left))
    started = ev.AttemptStarted(
        visit=visit.path,
        step_id=step.id,
        attempt=number,
        round=visit.round,
        target=step.targets[index],
        key=idempotency_key(state.execution_id, visit.path, visit.round),
        timeout_ms=timeout_ms,
        not_after=now + timeout_ms + skew_ms,
        reasons=reasons,
    )
    return Plan((*before, started), Send(started, state.scopes[visit.scope].data, step.effects))
