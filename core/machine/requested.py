"""How what people ask for changes the state (see evolve.py, which alone calls these).

Each request is folded as it was asked; what follows from it is decided like everything else (decide.py).
"""

from msgspec.structs import replace

from core.failover.outcome import succeeded
from core.graph.model import TaskStep
from core.machine import events as ev
from core.machine.awaiting import prolonged
from core.machine.limit import hold, let_go
from core.machine.requests import lacks_input
from core.machine.scopes import again, gone, new_visit, put_in
from core.machine.state import Failure, Paused, State, Visit
from core.machine.visits import moved


def paused(state: State, event: ev.PauseRequested) -> State:
    """Nothing new starts from here on."""
    return hold(replace(state, paused=Paused(event.at, event.actor, event.reason)), event.at)


def resumed(state: State, event: ev.WorkflowResumed) -> State:
    """It goes on: visits and the execution get the time that the pause took.

    What a WAIT waits for is an instant, and stays, unless it is a time limit; a retry that was due meanwhile
    is due now.
    """
    took = max(0, event.at - state.paused.at) if state.paused is not None else 0
    visits, waiting = state.visits, state.waiting
    for path, visit in state.visits.items():
        later = visit
        if visit.deadline_at is not None:
            later = replace(later, deadline_at=visit.deadline_at + took)
        if visit.wake_at is not None and visit.wake_at < event.at and _is_task(state, visit):
            later = replace(later, wake_at=event.at)
            waiting = waiting.set(path, event.at)
        later, wakes_at = prolonged(state, later, took)
        if wakes_at is not None:
            waiting = waiting.set(path, wakes_at)
        if later is not visit:
            visits = visits.set(path, later)
    return let_go(replace(state, visits=visits, waiting=waiting, paused=None), event.at)


def resolved(state: State, event: ev.StepResolved) -> State:
    """A person settled a parked visit: it wants a decision, on what that person said."""
    visit = moved(state, event.visit, event)
    answered = state.answered
    match event.verdict:
        case "completed":
            visit = replace(visit, outcome=succeeded(event.output), failure=None, settled=True)
            answered = answered.set(visit.path, None)
        case "failed":
            visit = replace(visit, failure=Failure(event.error, event.cause, event.step_id), settled=True)
        case _ if not _is_task(state, visit) or lacks_input(state, visit):
            # The whole of it once more, as a new visit: no key is used a second time.
            state, visit = new_visit(gone(state, visit), visit.scope, visit.step_id)
        case _:
            if visit.failure is not None and not visit.doubt:
                # It is known to have failed: this is a new intent, with all its retries.
                visit = replace(visit, round=visit.round + 1, retries=())
            # The round goes on, in doubt or not: one intent, one key.
            said = f"{event.actor or 'a person'} settled it: {event.verdict}"
            why = f"{said} ({event.reason})" if event.reason else said
            visit = replace(
                visit,
                deadline_at=event.deadline_at,
                wake_at=None,
                failure=None,
                tries_here=0,
                interruptions=0,
                reasons=(why,),
            )
    state = replace(
        state,
        visits=state.visits.set(visit.path, visit),
        ready=state.ready.set(visit.path, None),
        answered=answered,
        parked=state.parked - 1,
        data_bytes=state.data_bytes + event.size,
        current_step=visit.step_id,
    )
    return let_go(state, event.at)


def redriven(state: State, event: ev.WorkflowRedriven) -> State:
    """It runs again, from what fell, with a fresh time limit and a fresh budget of visits."""
    fallen = state.fallen
    state = replace(
        state,
        failure=None,
        cancel=None,
        fallen=None,
        # Where nothing fell, all that was entered had completed, or it never began.
        root_ended=fallen is None and state.begun,
        deadline_at=event.deadline_at,
        redrives=state.redrives + 1,
        runaway=None,
    )
    return state if fallen is None else put_in(state, again(fallen))


def _is_task(state: State, visit: Visit) -> bool:
    return isinstance(state.step_of(visit), TaskStep)
