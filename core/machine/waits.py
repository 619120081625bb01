"""Deciding about what is waited for: a WAIT, and calls that were accepted and are answered later.

An accepted call that never answers is ambiguous, like a connection that was lost: somebody took it on, and
it may have run. What follows is the step's `onAmbiguous`, as always: an `idempotent` step with a fallback
goes on there with the same key (a cloud that died after it had accepted is what fallbacks are for), a step
without one fails with the timeout, which its `retries` and `catch` take, and an `atMostOnce` step is
parked. No breaker learns of it: the provider did its part when it accepted, and whom it works for, a person
perhaps, is silent.
"""

from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import TaskStep, WaitStep
from core.machine import events as ev
from core.machine.awaiting import wakes_at
from core.machine.flowing import complete, fail
from core.machine.run import Poll, Run
from core.machine.state import Failure, OpenAttempt, Visit

POLL_TIMEOUT_MS = 30_000
"""How long one question for a result may take."""

TIMEOUT = "Sidestep.Timeout"
HEARTBEAT_TIMEOUT = "Sidestep.HeartbeatTimeout"


def wait(run: Run, visit: Visit, step: WaitStep) -> None:
    """End a WAIT whose time, signal or callback has come."""
    over = visit.wake_at is not None and visit.wake_at <= run.now
    if step.signal is None and not step.callback:
        if over:
            complete(run, visit, step)
        return
    if visit.failure is not None:
        fail(run, visit, visit.failure)
        return
    if visit.outcome is not None:
        complete(run, visit, step)
        return
    kept = run.state.signals.get(step.signal, ()) if step.signal is not None else ()
    if kept:
        complete(run, visit, step, signal=kept[0])
    elif over:
        what = f"the signal {step.signal!r}" if step.signal is not None else "a callback"
        cause = f"{what} did not come within {(step.timeout_ms or 0) / 1000:g} s"
        fail(run, visit, Failure(TIMEOUT, cause, step.id))
    else:
        # Another WAIT took the signal, or it has not come: nothing to do until one comes.
        run.held.add(visit.path)


def look(run: Run, visit: Visit, step: TaskStep) -> None:
    """Look whether the time of an accepted call is over, or its result is to be asked for."""
    attempt = next((one for one in visit.open if one.accepted_at is not None), None)
    if attempt is None:
        return
    over = _over(run.now, attempt, step)
    if over is not None:
        outcome, due = over
        late = run.now - due
        run.abort_poll(visit.path, attempt.number)
        run.emit(
            ev.AttemptFailed(
                visit=visit.path,
                step_id=step.id,
                attempt=attempt.number,
                outcome=outcome,
                duration_ms=due - attempt.at,
                # Where nobody was there when its time came, what follows has the time that it would have had.
                deadline_at=visit.deadline_at + late if visit.deadline_at is not None and late else None,
            )
        )
        return
    if attempt.poll_at is None or attempt.poll_at > run.now or attempt.location is None:
        return
    if (visit.path, attempt.number) not in run.at.sent:
        left = POLL_TIMEOUT_MS if attempt.ends_at is None else attempt.ends_at - run.now
        run.commands.append(
            Poll(
                visit.path,
                step.id,
                attempt.number,
                attempt.target,
                attempt.location,
                max(1, min(POLL_TIMEOUT_MS, left)),
                attempt.polls,
            )
        )
    # It is being asked: what comes next is its answer, or the end of its time.
    run.polled[visit.path] = wakes_at(visit, step, polls=False)


def _over(now: int, attempt: OpenAttempt, step: TaskStep) -> tuple[Outcome, int] | None:
    """How the attempt ends where its time is over, and when it was."""
    if attempt.ends_at is not None and attempt.ends_at <= now:
        seconds = (attempt.ends_at - attempt.at) / 1000
        cause = f"it was accepted, and there was no result within {seconds:g} s; it may have run"
        return _silent(TIMEOUT, "no-result", cause), attempt.ends_at
    beat_ms, beat_at = step.heartbeat_ms, attempt.beat_at
    if beat_ms is not None and beat_at is not None and beat_at + beat_ms <= now:
        cause = f"it was accepted, and there was no heartbeat for {beat_ms / 1000:g} s; it may have run"
        return _silent(HEARTBEAT_TIMEOUT, "no-heartbeat", cause), beat_at + beat_ms
    return None


def _silent(error: str, signal: str, cause: str) -> Outcome:
    return Outcome(executed=Executed.MAYBE, scope=Scope.FUNCTION, signal=signal, error=error, cause=cause)
