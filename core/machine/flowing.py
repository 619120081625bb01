"""Data on its way into a visit and out of it: what is asked of core/data, and what the answers lead to.

Each function returns False where an expression has to be evaluated elsewhere first: the visit waits as it is,
and is decided again with the answer. A failed evaluation fails the step.
"""

from zlib import crc32

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from core.data.context import execution_context, map_context, native_context, state_context
from core.data.flow import Answer, Flow, Frame, Kind, Request
from core.failover.entropy import uniform
from core.failover.routing import own_retry
from core.graph.model import (
    OPENERS,
    ChoiceStep,
    FailStep,
    Json,
    MapStep,
    ParallelStep,
    PassStep,
    Step,
    SucceedStep,
    TaskStep,
    WorkflowStep,
)
from core.machine import events as ev
from core.machine.items import joined_results, walked
from core.machine.names import named
from core.machine.run import Run
from core.machine.state import Failure, Scope, Signal, State, Visit
from core.machine.tasks import has_retries_left
from core.machine.tokens import token

AT_ONCE = (PassStep, ChoiceStep, SucceedStep, FailStep)
"""Steps that end in the moment in which they begin: what was evaluated on the way in need not be kept."""


def frame_of(
    run: Run,
    visit: Visit,
    kind: Kind,
    *,
    result: Json = UNSET,
    error: dict[str, Json] | None = None,
    item: int | None = None,
) -> Frame:
    """What an expression of this visit can see."""
    state = run.state
    scope = state.scopes[visit.scope]
    entered_at = visit.entered_at or run.now
    if state.workflow.language == "native":
        own = walked(visit, item) if item is not None else _item_of(state, scope)
        context = native_context(
            execution_id=state.execution_id,
            workflow_id=state.workflow_id,
            started_at=state.started_at,
            item=own,
        )
    else:
        context = execution_context(
            execution_id=state.execution_id,
            workflow_id=state.workflow_id,
            input_=state.input,
            started_at=state.started_at,
            redrives=state.redrives,
        )
        step = state.workflow.steps[visit.step_id]
        can_retry = isinstance(step, TaskStep | ParallelStep | MapStep)
        context["State"] = state_context(visit.step_id, entered_at, sum(visit.retries) if can_retry else None)
        own = walked(visit, item) if item is not None else _item_of(state, scope)
        if own:
            context["Map"] = map_context(own)
        if isinstance(step, TaskStep) and step.awaits == "callback":
            context["Task"] = {"Token": token(run.rules.secret, state.execution_id, visit.path)}
    return Frame(
        data=scope.data,
        variables=scope.variables,
        context=context,
        result=result,
        error=error,
        now_ms=run.now,
        entropy=(run.at.entropy ^ crc32(f"{visit.path} {kind} {item}".encode())) & (2**64 - 1),
    )


def _item_of(state: State, scope: Scope) -> dict[str, Json]:
    """The item of the innermost MAP in whose walk the scope is."""
    here = scope
    while here.parent is not None:
        opener = state.visits[here.parent]
        if isinstance(state.workflow.steps[opener.step_id], MapStep):
            return walked(opener, here.index)
        here = state.scopes[opener.scope]
    if here.undoes is not None and isinstance(here.data, dict) and "item" in here.data:
        # That of the visit which is undone.
        return {"item": here.data["item"], "index": here.data.get("index")}
    return {}


def entered(run: Run, visit: Visit, flow: Flow) -> Answer | None:
    """The effective input and the fields of a visit."""
    request = Request(
        kind="enter", flow=flow, frame=frame_of(run, visit, "enter"), limit=run.rules.data_limit
    )
    return run.ask((visit.path, "enter", 0), request)


def complete(
    run: Run,
    visit: Visit,
    step: Step,
    *,
    payload: Json = UNSET,
    settling: bool = False,
    signal: Signal | None = None,
) -> bool:
    """End the visit well, with what it gave; `payload` is its effective input where no event has it.

    What a WAIT gave may be a `signal`. With `settling` a step whose output cannot be made stays as it is, for
    whoever goes on.
    """
    flow = step.flow
    if flow is not None and flow.language == "native" and flow.output is None:
        flow = None
    done = ev.StepCompleted(
        visit=visit.path, step_id=visit.step_id, signal=None if signal is None else signal.message_id
    )
    if flow is None and run.state.data_bytes <= run.small:
        run.emit(done)
        return True
    result = signal.payload if signal is not None else result_of(run.state, visit, step)
    failure = run.too_much_data() or run.too_large("output", None if result is UNSET else result)
    answer = None
    if failure is None and flow is not None:
        if payload is UNSET and visit.entry is not None:
            payload = visit.entry.input
        if payload is UNSET:
            payload = run.state.scopes[visit.scope].data
        request = Request(
            kind="leave",
            flow=flow,
            frame=frame_of(run, visit, "leave", result=result),
            payload=payload,
            limit=run.rules.data_limit,
        )
        # Whoever waits for a signal may be asked about one that another takes in the end.
        kind = "leave" if signal is None else f"leave/{signal.message_id}"
        answer = run.ask((visit.path, kind, 0), request)
        if answer is None:
            return False
        failure = Failure(answer.error, answer.cause) if answer.error else None
    if failure is not None:
        if not settling:
            return fail(run, visit, replace(failure, step_id=visit.step_id))
        run.held.add(visit.path)
        return True
    if answer is not None:
        whole = answer.value is result and result is not UNSET
        done = replace(
            done,
            output=UNSET if whole else answer.value,
            whole=whole,
            size=0 if whole else size_of(answer.value),
            assigned=dict(answer.assigned) or None,
        )
    run.emit(done)
    return True


def result_of(state: State, visit: Visit, step: Step) -> Json:
    """What the step gave, before its templates; UNSET where it gives nothing of its own."""
    if isinstance(step, OPENERS) and not visit.settled:
        return joined_results(state, visit, step)
    return visit.outcome.output if visit.outcome is not None else UNSET


def size_of(value: Json) -> int:
    """Bytes of JSON; an absent value has none."""
    return 0 if value is UNSET else len(msgspec.json.encode(value))


def choose(run: Run, visit: Visit, step: ChoiceStep, flow: Flow, payload: Json) -> bool:
    """Go where the first rule that holds says."""
    request = Request(
        kind="choose",
        flow=flow,
        frame=frame_of(run, visit, "choose"),
        payload=payload,
        rules=step.rules,
        otherwise=step.default,
        limit=run.rules.data_limit,
    )
    answer = run.ask((visit.path, "choose", 0), request)
    if answer is None:
        return False
    if answer.error:
        return fail(run, visit, Failure(answer.error, answer.cause, step.id))
    if answer.next is None:
        cause = "no choice holds and there is no default"
        return fail(run, visit, Failure("Sidestep.NoChoiceMatched", cause, step.id))
    run.emit(
        ev.StepCompleted(
            visit=visit.path,
            step_id=step.id,
            next=answer.next,
            output=answer.value,
            size=size_of(answer.value),
            assigned=dict(answer.assigned) or None,
        )
    )
    return True


def fail(run: Run, visit: Visit, failure: Failure) -> bool:
    """End the visit with an error, unless the whole of it is tried again, or a catcher takes it."""
    failure = named(run.state, failure)
    step = run.state.step_of(visit)
    if isinstance(step, (*OPENERS, WorkflowStep)) and _again(run, visit, step, failure):
        return True
    which = run.catcher_of(visit, failure.error)
    failed = ev.StepFailed(visit=visit.path, step_id=step.id, error=failure.error, cause=failure.cause)
    if which is None:
        _uncaught(run, visit, failed)
        return True
    catcher = step.catch[which]
    failed = replace(failed, next=catcher.next, result_path=catcher.result_path)
    if catcher.flow is not None:
        answer = _caught(run, visit, failure, which, catcher.flow)
        if answer is None:
            return False
        if answer.error:
            failed = ev.StepFailed(visit=visit.path, step_id=step.id, error=answer.error, cause=answer.cause)
            _uncaught(run, visit, failed)
            return True
        failed = replace(
            failed,
            output=answer.value,
            size=size_of(answer.value),
            assigned=dict(answer.assigned) or None,
        )
    run.emit(failed)
    return True


def foreseen(run: Run, visit: Visit, failure: Failure) -> bool:
    """Whether all that `fail` asks is known; False where an expression is to be evaluated elsewhere first."""
    failure = named(run.state, failure)
    which = run.catcher_of(visit, failure.error)
    flow = None if which is None else run.state.step_of(visit).catch[which].flow
    return which is None or flow is None or _caught(run, visit, failure, which, flow) is not None


def _caught(run: Run, visit: Visit, failure: Failure, which: int, flow: Flow) -> Answer | None:
    """What the catcher number `which` makes of the failure."""
    request = Request(
        kind="caught",
        flow=flow,
        frame=frame_of(run, visit, "caught", error={"Error": failure.error, "Cause": failure.cause}),
        limit=run.rules.data_limit,
    )
    return run.ask((visit.path, "caught", which), request)


def _uncaught(run: Run, visit: Visit, failed: ev.StepFailed) -> None:
    """Hand the failure up; but what was to undo something waits for a person, who may give it up."""
    if run.state.scopes[visit.scope].undoes is None or (visit.settled and visit.failure is not None):
        run.emit(failed)
        return
    run.emit(
        ev.StepParked(
            visit=visit.path,
            step_id=visit.step_id,
            reason=f"it was to undo {run.state.scopes[visit.scope].undoes} and failed: {failed.error}",
            at=run.now,
            error=failed.error,
            cause=failed.cause,
        )
    )


def _again(run: Run, visit: Visit, step: ParallelStep | MapStep | WorkflowStep, failure: Failure) -> bool:
    """Have the whole step repeated, where one of its retry policies says so."""
    if not step.retries or not has_retries_left(run.state, step):
        return False
    draw = uniform(run.at.entropy, visit.path)
    policy = own_retry(step.retries, visit.retries, failure.error, draw)
    if policy is None:
        return False
    run.emit(
        ev.RetryScheduled(
            visit=visit.path,
            step_id=step.id,
            wake_at=run.now + policy.delay_ms,
            target_index=0,
            round=visit.round,
            reason=f"{failure.error}; {policy.told}",
            policy=policy.index,
        )
    )
    return True
