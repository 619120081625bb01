"""How the events of one visit change the state (see evolve.py, which alone calls these)."""

import msgspec
from immutables import Map
from msgspec.structs import replace

from core.data.paths import assign, split
from core.errors import IllegalEvent
from core.failover.outcome import interrupted, succeeded
from core.failover.roles import HEDGE
from core.graph.model import (
    ChoiceStep,
    FailStep,
    Json,
    MapStep,
    ParallelStep,
    PassStep,
    Step,
    SucceedStep,
    TaskStep,
    WaitStep,
)
from core.machine import events as ev
from core.machine.compensation import completed, ended_otherwise, is_kept
from core.machine.events import KINDS
from core.machine.items import joined_results
from core.machine.limit import hold, let_go
from core.machine.listening import listen
from core.machine.scopes import (
    cancel_child,
    end_scope,
    enter,
    fell,
    gone,
    new_visit,
    open_branches,
    without,
)
from core.machine.state import Failure, OpenAttempt, Scope, State, Visit
from core.machine.transitions import PARKED, STEP, next_status


def step_started(state: State, event: ev.StepStarted) -> State:
    """PENDING to RUNNING; a PARALLEL opens its branches, a WAIT its timer."""
    visit, status = _next(state, event.visit, event)
    step = state.workflow.steps[visit.step_id]
    if event.size:
        state = replace(state, given_bytes=state.given_bytes + event.size)
    if visit.path in state.waiting:
        state = replace(
            state,
            waiting=state.waiting.delete(visit.path),
            ready=state.ready.set(visit.path, None),
        )
    visit = replace(
        visit,
        status=status,
        deadline_at=event.deadline_at,
        wake_at=event.wake_at,
        entered_at=event.at,
        entry=event.entry if event.entry is not None else visit.entry,
    )
    if isinstance(step, ParallelStep):
        return open_branches(state, visit, step)
    if isinstance(step, WaitStep) and (step.signal is not None or step.callback):
        return listen(state, visit, step)
    if event.wake_at is not None:
        return replace(
            state,
            visits=state.visits.set(visit.path, visit),
            ready=state.ready.delete(visit.path),
            waiting=state.waiting.set(visit.path, event.wake_at),
        )
    return replace(state, visits=state.visits.set(visit.path, visit))


def attempt_started(state: State, event: ev.AttemptStarted) -> State:
    """One more open attempt; its number is higher than every one before. A hedge takes the visit along to its
    own target: if both fail, it goes on from there.
    """
    visit, status = _next(state, event.visit, event)
    if event.attempt <= visit.attempts:
        raise IllegalEvent(f"attempt {event.attempt} of {event.visit} was started before")
    if event.round != visit.round:
        raise IllegalEvent(f"attempt {event.attempt} of {event.visit} is of another round")
    step = state.step_of(visit)
    target = visit.target
    if isinstance(step, TaskStep) and event.target != step.targets[target] and event.target in step.targets:
        target = step.targets.index(event.target)
    visit = replace(
        visit,
        status=status,
        attempts=event.attempt,
        target=target,
        tries_here=visit.tries_here + 1 if target == visit.target else 1,
        tried=visit.tried if target in visit.tried else (*visit.tried, target),
        role="",
        open=(*visit.open, OpenAttempt(event.attempt, event.target, event.at, event.role)),
        outcome=None,
        wake_at=None,
        reasons=(),
    )
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=without(state.ready, visit.path),
        waiting=state.waiting and without(state.waiting, visit.path),
        watched=_watched(state, visit, step),
        in_flight=state.in_flight + 1,
    )


def _watched(state: State, visit: Visit, step: Step) -> Map[str, None]:
    """The paths whose call may be hedged or cut short, after a change of this visit's open attempts."""
    if len(visit.open) == 1 and visit.outcome is None and _can_move(step) and visit.open[0].role != HEDGE:
        return state.watched.set(visit.path, None)
    return state.watched and without(state.watched, visit.path)


def _can_move(step: Step) -> bool:
    """True where a call that takes long may be answered by another target in its stead."""
    if not isinstance(step, TaskStep) or len(step.targets) == 1:
        return False
    if step.awaits != "answer" and step.effects == "pure":
        # What answers fast here has only accepted: a hedge would win nothing.
        return False
    return step.effects == "pure" or (step.effects == "idempotent" and step.on_ambiguous == "failover")


def attempt_succeeded(state: State, event: ev.AttemptSucceeded) -> State:
    """The attempt is closed with its output, and the visit wants a decision."""
    visit, attempt, left = _closing(state, event.visit, event.attempt, event)
    if _is_answered(visit):
        # Both of a hedge answered at once: the first counts.
        return _decide_next(state, replace(visit, open=left), attempt)
    return replace(
        state,
        visits=state.visits.set(visit.path, replace(visit, open=left, outcome=succeeded(event.output))),
        ready=state.ready.set(visit.path, None),
        answered=state.answered.set(visit.path, None),
        watched=state.watched and without(state.watched, visit.path),
        in_flight=state.in_flight - _held(attempt),
        data_bytes=state.data_bytes + event.size,
    )


def attempt_failed(state: State, event: ev.AttemptFailed) -> State:
    """The attempt is closed with what it proved, and the visit wants a decision."""
    visit, attempt, left = _closing(state, event.visit, event.attempt, event)
    visit = replace(
        visit,
        open=left,
        outcome=visit.outcome if _is_answered(visit) else event.outcome,
        deadline_at=event.deadline_at or visit.deadline_at,
        doubt=visit.doubt or event.outcome.ambiguous,
        interruptions=0,
    )
    return _decide_next(state, visit, attempt)


def attempt_interrupted(state: State, event: ev.AttemptInterrupted) -> State:
    """The attempt is closed as MAYBE executed; the visit gets its new deadline."""
    visit, attempt, left = _closing(state, event.visit, event.attempt, event)
    visit = replace(
        visit,
        open=left,
        outcome=visit.outcome if _is_answered(visit) else interrupted(),
        deadline_at=event.deadline_at,
        doubt=True,
        interruptions=visit.interruptions + 1,
    )
    return _decide_next(state, visit, attempt)


def attempt_abandoned(state: State, event: ev.AttemptAbandoned) -> State:
    """The attempt is closed as MAYBE executed; the visit is about to be ended, or has the other's answer."""
    visit, attempt, left = _closing(state, event.visit, event.attempt, event)
    visit = replace(visit, open=left, doubt=visit.doubt or not _is_answered(visit))
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        watched=without(state.watched, visit.path),
        in_flight=state.in_flight - _held(attempt),
    )


def failed_over(state: State, event: ev.FailedOver) -> State:
    """The visit is at another target."""
    visit = moved(state, event.visit, event)
    visit = replace(
        visit, target=event.to_index, tries_here=0, outcome=None, reasons=(*visit.reasons, event.reason)
    )
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        failed_over=True,
    )


def retry_scheduled(state: State, event: ev.RetryScheduled) -> State:
    """The visit waits, then tries again where the event says.

    What a PARALLEL, MAP or WORKFLOW repeats is all of it, as a new visit: no key is used a second time.
    """
    visit = moved(state, event.visit, event)
    step = state.step_of(visit)
    used = visit.retries
    if event.policy is not None and not isinstance(step, _NO_RETRIES):
        used = used or (0,) * len(step.retries)
        used = (*used[: event.policy], used[event.policy] + 1, *used[event.policy + 1 :])
        retried = state.retried
        for name in ("", visit.step_id):
            retried = retried.set(name, retried.get(name, 0) + 1)
        state = replace(state, retried=retried)
    if not isinstance(step, TaskStep):
        state, following = new_visit(gone(state, visit), visit.scope, visit.step_id)
        following = replace(
            following,
            retries=used,
            wake_at=event.wake_at,
            retry=True,
            reasons=(event.reason,),
        )
        return replace(
            state,
            visits=state.visits.set(following.path, following),
            waiting=state.waiting.set(following.path, event.wake_at),
        )
    visit = replace(
        visit,
        retries=used,
        round=event.round,
        doubt=visit.doubt and event.round == visit.round,
        wake_at=event.wake_at,
        deadline_at=event.deadline_at or visit.deadline_at,
        outcome=None,
        tries_here=visit.tries_here if event.policy is None and event.target_index == visit.target else 0,
        target=event.target_index,
        tried=visit.tried if event.policy is None else (),
        role=event.role,
        reasons=(event.reason,),
    )
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=without(state.ready, visit.path),
        waiting=state.waiting.set(visit.path, event.wake_at),
    )


def step_completed(state: State, event: ev.StepCompleted) -> State:
    """Merge what the step gave into its scope, and go on to its next step or end the scope."""
    visit, _ = _next(state, event.visit, event)
    if visit.open:
        raise IllegalEvent(f"{event.visit} has open attempts")
    step = state.step_of(visit)
    if event.signal is not None:
        state, visit = _take_signal(state, visit, step, event.signal)
    scope = state.scopes[visit.scope]
    if state.workflow.language == "states":
        scope = _passed_on(scope, event, _result(state, visit, step) if event.whole else event.output)
    else:
        unset = event.output is msgspec.UNSET
        output = _output(state, visit, step) if unset else _merged(visit, event.output)
        scope = _grown(scope, output)
        if is_kept(state, step):
            state = completed(state, visit, step, scope, event.output, output)
    if event.size:
        state = replace(state, data_bytes=state.data_bytes + event.size)
    following = event.next or step.next
    if following:
        return enter(state, scope, following, left=visit)
    return end_scope(gone(state, visit), scope)


def _grown(scope: Scope, output: dict[str, Json]) -> Scope:
    """The scope with what a step of a native definition gave. What its own steps gave together is asked of a
    branch or an item only.
    """
    if not output:
        return scope
    data = {**scope.data, **output}
    if scope.parent is None:
        return replace(scope, data=data)
    return replace(scope, data=data, result={**scope.result, **output})


def _passed_on(scope: Scope, event: ev.StepCompleted | ev.StepFailed, output: Json) -> Scope:
    """The scope with the data of its next state, and with what was assigned."""
    if output is msgspec.UNSET and not event.assigned:
        return scope
    return replace(
        scope,
        data=scope.data if output is msgspec.UNSET else output,
        variables={**scope.variables, **event.assigned} if event.assigned else scope.variables,
    )


def _take_signal(state: State, visit: Visit, step: Step, message_id: str) -> tuple[State, Visit]:
    """The signal is the WAIT's, and nobody else's."""
    name = (step.signal if isinstance(step, WaitStep) else None) or ""
    there = state.signals.get(name, ())
    taken = next((one for one in there if one.message_id == message_id), None)
    if taken is None:
        raise IllegalEvent(f"the signal {message_id} of {visit.path} is not there")
    left = tuple(one for one in there if one is not taken)
    signals = state.signals.set(name, left) if left else state.signals.delete(name)
    state = replace(state, signals=signals, data_bytes=state.data_bytes + taken.size)
    return state, replace(visit, outcome=succeeded(taken.payload))


def step_failed(state: State, event: ev.StepFailed) -> State:
    """Go on where the error is caught, or hand it up to whoever opened the scope."""
    visit = moved(state, event.visit, event)
    if visit.open:
        raise IllegalEvent(f"{event.visit} has open attempts")
    state = ended_otherwise(gone(state, visit), visit, state.step_of(visit))
    if event.next is not None:
        scope = _caught(state, visit, event)
        return enter(replace(state, data_bytes=state.data_bytes + event.size), scope, event.next)
    origin = visit.failure.step_id if visit.failure is not None else event.step_id
    return fell(state, visit, Failure(event.error, event.cause, origin))


def _caught(state: State, visit: Visit, event: ev.StepFailed) -> Scope:
    """The scope with what a catcher made of the error."""
    scope = state.scopes[visit.scope]
    if state.workflow.language == "states":
        return _passed_on(scope, event, event.output)
    if event.output is not msgspec.UNSET:
        merged = _merged(visit, event.output)
        return _passed_on(replace(scope, result={**scope.result, **merged}), event, {**scope.data, **merged})
    where = split(event.result_path or "error")
    data = assign(scope.data, where, {"error": event.error, "cause": event.cause})
    return replace(scope, data=data, result={**scope.result, where[0]: data[where[0]]})


def step_parked(state: State, event: ev.StepParked) -> State:
    """The visit stays, and waits for a person; the execution's time limit stands still."""
    before = moved(state, event.visit, event)
    visit = replace(before, outcome=None, reasons=(event.reason,), child=None, settled=False)
    if event.error:
        visit = replace(visit, failure=Failure(event.error, event.cause, event.step_id))
    return replace(
        hold(cancel_child(state, before), event.at),
        visits=state.visits.set(visit.path, visit),
        ready=without(state.ready, visit.path),
        waiting=without(state.waiting, visit.path),
        answered=without(state.answered, visit.path),
        listening=without(state.listening, visit.path),
        parked=state.parked + 1,
        current_step=visit.step_id,
    )


def step_cancelled(state: State, event: ev.StepCancelled) -> State:
    """The visit is given up; of a branch, its scope goes with it."""
    before = state.visits.get(event.visit)
    visit = moved(state, event.visit, event)
    if visit.open:
        raise IllegalEvent(f"{event.visit} has open attempts")
    if before is not None and before.status == PARKED:
        state = let_go(replace(state, parked=state.parked - 1), event.at)
    state = ended_otherwise(gone(state, visit), visit, state.step_of(visit))
    return fell(state, visit)


_NO_RETRIES = (ChoiceStep, PassStep, WaitStep, SucceedStep, FailStep)


def _result(state: State, visit: Visit, step: Step) -> Json:
    """What a visit gave, as it is: UNSET where it gives nothing of its own."""
    if isinstance(step, ParallelStep | MapStep) and not visit.settled:
        return joined_results(state, visit, step)
    return visit.outcome.output if visit.outcome is not None else msgspec.UNSET


def _output(state: State, visit: Visit, step: Step) -> dict[str, Json]:
    """What a completed visit of a native definition adds to its scope."""
    if isinstance(step, TaskStep) or (visit.settled and visit.outcome is not None):
        return _merged(visit, visit.outcome.output if visit.outcome is not None else None)
    if isinstance(step, PassStep):
        return dict(step.result)
    if isinstance(step, ParallelStep):
        merged: dict[str, Json] = {}
        in_order = [visit.results[index] for index in range(len(step.branches))]
        for result in in_order:
            merged.update(result)
        return {**merged, visit.step_id: in_order}
    if isinstance(step, MapStep):
        return {visit.step_id: joined_results(state, visit, step)}
    return {} if visit.outcome is None else _merged(visit, visit.outcome.output)


def _merged(visit: Visit, value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {visit.step_id: value}


def _decide_next(state: State, visit: Visit, closed: OpenAttempt) -> State:
    """The visit, of which that attempt is closed, wants a decision, unless its twin may still answer."""
    waits = visit.open and not _is_answered(visit)
    return replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready if waits else state.ready.set(visit.path, None),
        watched=without(state.watched, visit.path),
        in_flight=state.in_flight - _held(closed),
    )


def _held(attempt: OpenAttempt) -> int:
    """1 where somebody has to hold the attempt: one that was accepted needs nobody."""
    return 1 if attempt.accepted_at is None else 0


def _is_answered(visit: Visit) -> bool:
    """True where an attempt has succeeded already: what its twin does changes nothing any more."""
    return visit.outcome is not None and visit.outcome.ok


def moved(state: State, path: str, event: ev.Event) -> Visit:
    """The visit, with the status that the table gives it after `event`."""
    visit, status = _next(state, path, event)
    return visit if status == visit.status else replace(visit, status=status)


def _next(state: State, path: str, event: ev.Event) -> tuple[Visit, str]:
    """The visit, and the status that the table gives it after `event`."""
    visit = state.visits.get(path)
    if visit is None:
        raise IllegalEvent(f"{ev.kind(event)}: there is no live visit {path}")
    return visit, next_status(STEP, visit.status, KINDS[type(event)])


def _closing(
    state: State, path: str, number: int, event: ev.Event
) -> tuple[Visit, OpenAttempt, tuple[OpenAttempt, ...]]:
    """The visit, its open attempt of that number, and the others. Raises IllegalEvent where it is
    not open.
    """
    visit = moved(state, path, event)
    for attempt in visit.open:
        if attempt.number == number:
            return visit, attempt, tuple([one for one in visit.open if one is not attempt])
    raise IllegalEvent(f"{ev.kind(event)}: attempt {number} of {path} is not open")
