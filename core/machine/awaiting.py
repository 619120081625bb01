"""How calls that are answered later, and signals, change the state (see evolve.py, which alone calls these).

An accepted attempt stays open, but needs nobody: it does not count as in flight, and its visit waits, in
`State.waiting`, for the first of what it waits for. A callback speaks for the visit, whichever of its
attempts the word comes from: they share one key, and so one intent.
"""

from msgspec.structs import replace

from core.errors import IllegalEvent
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import Step, TaskStep
from core.machine import events as ev
from core.machine.scopes import without
from core.machine.state import Failure, OpenAttempt, Signal, State, Visit
from core.machine.visits import moved


def attempt_accepted(state: State, event: ev.AttemptAccepted) -> State:
    """The attempt stays open, and nobody has to hold a connection for it any more."""
    visit = moved(state, event.visit, event)
    attempt = _open(visit, event.attempt, event)
    if attempt.accepted_at is not None:
        raise IllegalEvent(f"attempt {event.attempt} of {event.visit} was accepted before")
    step = state.step_of(visit)
    timeout_ms = step.timeout_ms if isinstance(step, TaskStep) else 0
    ends_at = (attempt.at or event.at) + timeout_ms
    if visit.deadline_at is not None:
        ends_at = min(ends_at, visit.deadline_at)
    attempt = replace(
        attempt,
        accepted_at=event.at,
        location=event.location,
        poll_at=event.poll_at,
        beat_at=max(event.at, attempt.beat_at or 0),
        ends_at=ends_at,
    )
    state = replace(state, in_flight=state.in_flight - 1, watched=without(state.watched, visit.path))
    return _waits(state, _with(visit, attempt), step)


def attempt_polled(state: State, event: ev.AttemptPolled) -> State:
    """It is asked again later."""
    visit = moved(state, event.visit, event)
    attempt = _open(visit, event.attempt, event)
    if attempt.accepted_at is None:
        raise IllegalEvent(f"attempt {event.attempt} of {event.visit} was polled before it was accepted")
    attempt = replace(attempt, poll_at=event.poll_at, polls=attempt.polls + 1)
    return _waits(state, _with(visit, attempt), state.step_of(visit))


def heartbeat_received(state: State, event: ev.HeartbeatReceived) -> State:
    """Who has the call lives: the time between two signs of life begins anew."""
    visit = moved(state, event.visit, event)
    attempt = _open(visit, event.attempt, event)
    visit = _with(visit, replace(attempt, beat_at=max(event.at, attempt.beat_at or 0)))
    if attempt.accepted_at is None:
        return replace(state, visits=state.visits.set(visit.path, visit))
    return _waits(state, visit, state.step_of(visit))


def callback_received(state: State, event: ev.CallbackReceived) -> State:
    """The visit has its result, and wants a decision; its open attempt is closed with it."""
    visit = moved(state, event.visit, event)
    if visit.outcome is not None and visit.outcome.ok:
        raise IllegalEvent(f"{event.visit} has its result")
    left = tuple(one for one in visit.open if one.number != event.attempt)
    in_flight = state.in_flight - sum(
        one.accepted_at is None for one in visit.open if one.number == event.attempt
    )
    answered = state.answered
    if event.error is None:
        visit = replace(visit, outcome=succeeded(event.output))
        answered = answered.set(visit.path, None)
    elif event.attempt:
        outcome = Outcome(
            executed=Executed.YES,
            scope=Scope.FUNCTION,
            signal="callback",
            error=event.error,
            cause=event.cause,
        )
        visit = replace(visit, outcome=outcome)
    else:
        visit = replace(visit, failure=Failure(event.error, event.cause, event.step_id))
    visit = replace(visit, open=left, wake_at=None, interruptions=0)
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        waiting=without(state.waiting, visit.path),
        watched=without(state.watched, visit.path),
        listening=without(state.listening, visit.path),
        answered=answered,
        in_flight=in_flight,
        data_bytes=state.data_bytes + event.size,
    )


def signal_received(state: State, event: ev.SignalReceived) -> State:
    """The signal is kept until a WAIT takes it; as many that wait for it as there are signals may look."""
    kept = (*state.signals.get(event.name, ()), Signal(event.message_id, event.payload, event.size))
    state = replace(state, signals=state.signals.set(event.name, kept))
    paths = sorted(path for path, name in state.listening.items() if name == event.name)
    ready = state.ready
    for path in paths[: len(kept)]:
        ready = ready.set(path, None)
    return replace(state, ready=ready)


def prolonged(state: State, visit: Visit, took: int) -> tuple[Visit, int | None]:
    """The visit after a pause of `took` milliseconds, and when it wakes where that changed.

    A time limit stands still in a pause, of whoever was asked for something too. When a result is polled
    for next is an instant, and stays.
    """
    step = state.step_of(visit)
    if not isinstance(step, TaskStep):
        waits = visit.path in state.listening or visit.child is not None
        if not waits or visit.wake_at is None:
            return visit, None
        visit = replace(visit, wake_at=visit.wake_at + took)
        return visit, visit.wake_at
    if not any(one.accepted_at is not None for one in visit.open):
        return visit, None
    later = tuple(
        one
        if one.accepted_at is None
        else replace(one, beat_at=(one.beat_at or 0) + took, ends_at=(one.ends_at or 0) + took)
        for one in visit.open
    )
    visit = replace(visit, open=later)
    return visit, wakes_at(visit, step)


def wakes_at(visit: Visit, step: Step, *, polls: bool = True) -> int | None:
    """When something is to be done about the visit's accepted attempt: its time or its heartbeat's is over,
    or (with `polls`) its result is to be asked for. None where there is none.
    """
    times: list[int] = []
    heartbeat_ms = step.heartbeat_ms if isinstance(step, TaskStep) else None
    for attempt in visit.open:
        if attempt.accepted_at is None:
            continue
        if attempt.ends_at is not None:
            times.append(attempt.ends_at)
        if heartbeat_ms is not None and attempt.beat_at is not None:
            times.append(attempt.beat_at + heartbeat_ms)
        if polls and attempt.poll_at is not None:
            times.append(attempt.poll_at)
    return min(times, default=None)


def _waits(state: State, visit: Visit, step: Step) -> State:
    wake_at = wakes_at(visit, step)
    waiting = state.waiting
    if wake_at is not None:
        waiting = waiting.set(visit.path, wake_at)
    return replace(state, visits=state.visits.set(visit.path, visit), waiting=waiting)


def _open(visit: Visit, number: int, event: ev.Event) -> OpenAttempt:
    attempt = next((one for one in visit.open if one.number == number), None)
    if attempt is None:
        raise IllegalEvent(f"{ev.kind(event)}: attempt {number} of {visit.path} is not open")
    return attempt


def _with(visit: Visit, attempt: OpenAttempt) -> Visit:
    return replace(visit, open=tuple(attempt if one.number == attempt.number else one for one in visit.open))
