"""decide(state, now, health, entropy) -> Decision: what to do next.

Pure: time, health and chance come in as values. It emits events, folds each into the state at once, and goes
on until every visit waits for something: an attempt's answer, a time, an evaluation, or a person. What the
shell has to perform, after the events are durable, is in `commands`.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from core.data.conditions import holds
from core.data.flow import Answer, Request
from core.failover.health import ALL_WELL, Health
from core.graph.model import (
    ChoiceStep,
    FailStep,
    Json,
    MapStep,
    ParallelStep,
    PassStep,
    SucceedStep,
    Target,
    TaskStep,
    WaitStep,
    WorkflowStep,
)
from core.machine import events as ev
from core.machine.beginning import begin
from core.machine.flowing import choose, complete, entered, fail
from core.machine.hedging import look, sent_at, worth_a_look
from core.machine.maps import advance
from core.machine.names import named, renamed
from core.machine.offspring import advance as advance_child
from core.machine.run import Abort, Asked, Command, Poll, Rules, Run, Tell
from core.machine.sending import hand_out
from core.machine.state import Failure, State, Visit
from core.machine.tasks import Moment, Plan, first_attempt, next_attempt, payload_of, put_off
from core.machine.transitions import PARKED, PAUSED, PENDING, TERMINAL
from core.machine.undoing import begin_undo, undo_next
from core.machine.waits import look as look_after
from core.machine.waits import wait

__all__ = ["Abort", "Command", "Decision", "Poll", "Rules", "Tell", "decide"]

DEFAULT_RULES = Rules()

_WITHOUT_TIME = TERMINAL | {PARKED, PAUSED}

ANSWERED = "the other attempt answered first"


class Decision(msgspec.Struct, frozen=True, gc=False):
    """`events` to append, the `state` after them, `commands` to perform once they are durable.

    `wake_at` is when to decide again if nothing happens before (Unix epoch, milliseconds; None: never).
    `queued` are the targets at one of which something waits for room: whoever drives the execution keeps it,
    and decides again when there may be some. `wanted` has to be evaluated elsewhere: decide again with the
    answers before anything else, even before the events are appended.
    """

    state: State
    events: tuple[ev.AnyEvent, ...]
    commands: tuple[Command, ...]
    wake_at: int | None
    queued: tuple[Target, ...] = ()
    wanted: Mapping[Asked, Request] = {}


def decide(
    state: State,
    now: int,
    health: Health = ALL_WELL,
    entropy: int = 0,
    rules: Rules = DEFAULT_RULES,
    *,
    sent: Mapping[tuple[str, int], int] | None = None,
    stopping: bool = False,
    answers: Mapping[Asked, Answer] | None = None,
) -> Decision:
    """Everything that can be decided at the instant `now` (Unix epoch, milliseconds).

    `sent` is when attempts under way were sent, by visit and number; without, when they were decided.
    `answers` are those to what an earlier decision wanted.

    A worker that is `stopping` sends nothing more: what it would send is put off for the next owner, who does
    not charge the step for the time between.
    """
    at = Moment(now, health, entropy, rules.skew_ms, sent or {})
    run = _Decider(state, at, rules, stopping=stopping, answers=answers or {})
    run.go()
    if run.state.outbox:
        hand_out(run)
    queues = run.queues() if run.queued else ()
    return Decision(run.state, tuple(run.events), tuple(run.commands), run.wake_at(), queues, run.wanted)


class _Decider(Run):
    """What is decided about the execution, and about each kind of step."""

    def wake_at(self) -> int | None:
        state = self.state
        if state.status in _WITHOUT_TIME:
            return None
        limit = state.deadline_at if not state.parked and state.ending is None else None
        if not (state.waiting or self.looks or self.queued or self.held):
            return limit
        waiting = state.waiting.items()
        times = [at for path, at in waiting if path not in self.queued and path not in self.polled]
        times += self.looks
        times += [at for at in self.polled.values() if at is not None]
        if (self.queued or self.held) and self.stopping:
            # It must not keep a worker that stops: the next one asks at once.
            times.append(self.now)
        for path in self.queued:
            deadline_at = state.visits[path].deadline_at
            if deadline_at is not None:
                times.append(deadline_at)
        if limit is not None:
            times.append(limit)
        return min(times, default=None)

    def queues(self) -> tuple[Target, ...]:
        return tuple(dict.fromkeys(target for targets in self.queued.values() for target in targets))

    def go(self) -> None:
        """Everything but what is said to others, which follows from the state that this leads to."""
        state = self.state
        if state.status in TERMINAL:
            return
        if state.ending is not None:
            self.undo()
            return
        if state.cancel is not None:
            actor, reason = state.cancel
            self.end(ev.WorkflowCancelled(reason=reason, actor=actor), "the execution was cancelled")
            return
        if state.status == PARKED:
            return
        if state.status == PAUSED:
            self.settle()
            return
        # What is parked is in doubt, and a person has to settle it: no time limit sweeps it away.
        limit = None if state.parked else state.deadline_at
        if limit is not None and self.now >= limit:
            self.end(ev.WorkflowTimedOut(), "the execution's time limit passed")
            return
        if not state.begun:
            self.emit(ev.WorkflowStarted())
        self.walk()
        self.finish()

    def walk(self) -> None:
        """Take every visit as far as it goes now."""
        taken: set[str] = set()
        due = self.due(taken)
        while True:
            taken.update(due)
            for path in due:
                if path in self.state.waiting:
                    self.visit(path)
            self.take_up()
            # What is tried again without a delay is due at once.
            due = self.due(taken)
            if not due:
                break
        if self.state.watched and not self.stopping:
            for path in worth_a_look(self.state, self.at.health):
                self.hedge(path)
            # What was cut short goes on, wherever that leads.
            self.take_up()

    def due(self, taken: set[str]) -> list[str]:
        """The visits whose time has come, but those that were taken up then."""
        if self.stopping or not self.state.waiting:
            return []
        waiting = self.state.waiting.items()
        return sorted(path for path, at in waiting if at <= self.now and path not in taken)

    def end(self, how: ev.WorkflowCancelled | ev.WorkflowTimedOut | ev.WorkflowFailed, why: str) -> None:
        """End the execution from outside its steps: what has its result is completed, the rest is stopped.

        What is to be undone is undone first.
        """
        self.settle()
        if self.wanted:
            return
        self.stop_visits("", why)
        if begin_undo(self, how):
            self.undo()
        else:
            self.emit(how)

    def undo(self) -> None:
        """Undo what completed steps did, one after another, then end as it was to end."""
        if self.state.status == PARKED:
            return
        if self.state.status == PAUSED:
            self.settle()
            return
        self.walk()
        if not self.wanted:
            undo_next(self)

    def take_up(self) -> None:
        """Take every ready visit as far as it goes now, and what follows from that."""
        while self.state.ready:
            paths = self.undecided()
            if not paths:
                return
            for path in paths:
                if self.state.runaway is not None:
                    self.run_away(self.state.runaway)
                    break
                if path in self.state.ready:
                    self.visit(path)

    def undecided(self) -> list[str]:
        """The ready visits but those that wait for room: they were asked, and will be when there is some."""
        ready = self.state.ready
        if self.queued or self.held:
            return sorted([path for path in ready if path not in self.queued and path not in self.held])
        return sorted(ready)

    def finish(self) -> None:
        """End the execution where its root has ended, unless something has to be evaluated first."""
        state = self.state
        if state.status in TERMINAL or self.wanted or state.ending is not None:
            return
        if state.failure is not None:
            failed = ev.WorkflowFailed(
                error=state.failure.error, cause=state.failure.cause, step_id=state.failure.step_id
            )
            self.end(failed, "the execution failed")
        elif state.root_ended:
            self.emit(ev.WorkflowCompleted())
        elif state.parked and self.stands_still():
            self.emit(ev.WorkflowParked())

    def settle(self) -> None:
        """Complete the visits that have their result, and start nothing.

        A pause begins no step, and what was answered before a cancel or a time limit is not run again by a
        redrive.
        """
        for path in sorted(self.state.answered):
            visit = self.state.visits[path]
            if self.too_much_data() is None:
                self.abandon(visit, ANSWERED)
                visit = self.state.visits[path]
                complete(self, visit, self.state.step_of(visit), settling=True)

    def run_away(self, step_id: str) -> None:
        budget = self.state.visit_budget
        cause = f"{budget} visits of {step_id!r}, which is the limit: is there a loop that never ends?"
        failure = Failure("Sidestep.VisitBudgetExceeded", cause, step_id)
        self.stop_visits("", "the execution used up its visit budget")
        if self.state.ending is not None:
            # What undid something ran away: it is given up, and the next is undone.
            return
        failure = named(self.state, failure)
        failed = ev.WorkflowFailed(error=failure.error, cause=failure.cause, step_id=step_id)
        self.end(failed, "the execution used up its visit budget")

    def visit(self, path: str) -> None:
        """Take one visit as far as it goes now."""
        visit = self.state.visits[path]
        if visit.status == PENDING:
            if not begin(self, visit) or path not in self.state.visits:
                return
            visit = self.state.visits[path]
        step = self.state.step_of(visit)
        if visit.settled and not isinstance(step, TaskStep):
            if visit.failure is not None:
                fail(self, visit, visit.failure)
            else:
                complete(self, visit, step)
            return
        match step:
            case TaskStep():
                self.task(visit, step)
            case ParallelStep():
                self.join(visit, step)
            case MapStep():
                advance(self, visit, step)
            case WaitStep():
                wait(self, visit, step)
            case WorkflowStep():
                advance_child(self, visit, step)
            case PassStep() | SucceedStep() | ChoiceStep() | FailStep():
                self.at_once(visit, step)
            case _:
                assert_never(step)

    def at_once(self, visit: Visit, step: PassStep | SucceedStep | ChoiceStep | FailStep) -> None:
        """A step that ends in the moment in which it begins."""
        payload: Json = UNSET
        fields: Mapping[str, Json] = {}
        if step.flow is not None and not (isinstance(step, ChoiceStep) and step.flow.language == "native"):
            found = entered(self, visit, step.flow)
            if found is None:
                return
            if found.error:
                fail(self, visit, Failure(found.error, found.cause, step.id))
                return
            payload, fields = found.value, found.fields
        match step:
            case ChoiceStep():
                self.choose(visit, step, payload)
            case FailStep():
                error, cause = fields.get("Error", step.error), fields.get("Cause", step.cause)
                fail(self, visit, Failure(str(error), str(cause), step.id))
            case PassStep() | SucceedStep():
                complete(self, visit, step, payload=payload)

    def task(self, visit: Visit, step: TaskStep) -> None:
        """Act on the last attempt's outcome, or start the first attempt, or the one that was waited for."""
        outcome = visit.outcome
        answered = outcome is not None and outcome.ok
        if visit.open:
            if not answered:
                look_after(self, visit, step)
                return
            self.abandon(visit, ANSWERED)
            visit = self.state.visits[visit.path]
        if visit.failure is not None:
            fail(self, visit, visit.failure)
            return
        if answered:
            complete(self, visit, step)
            return
        if outcome is None:
            if not visit.attempts and self.state.data_bytes > self.small:
                large = self.too_large("input", payload_of(self.state, visit, step))
                if large is not None:
                    fail(self, visit, replace(large, step_id=step.id))
                    return
            plan = first_attempt(self.state, visit, step, self.at)
        else:
            plan = next_attempt(self.state, visit, step, renamed(self.state, step, outcome), self.at)
        if self.stopping:
            plan = put_off(plan, visit, step, self.now)
        self.follow(plan)
        if plan.queued:
            self.queued[visit.path] = () if self.stopping else plan.queued
        elif plan.failure is not None:
            fail(self, self.state.visits[visit.path], plan.failure)
        elif plan.send is None and not self.stopping:
            # A retry without a delay goes on at once.
            waits = self.state.visits[visit.path]
            if waits.wake_at is not None and waits.wake_at <= self.now:
                self.task(waits, step)

    def follow(self, plan: Plan) -> None:
        for event in plan.events:
            self.emit(event)
        if plan.send is not None:
            self.commands.append(plan.send)
            started = plan.send.started
            if started.role:
                self.at = replace(self.at, health=self.at.health.after(started.target, started.role))

    def hedge(self, path: str) -> None:
        """Look whether a call that is under way wants a second one beside it, or is to be cut short."""
        visit = self.state.visits[path]
        step = self.state.step_of(visit)
        if not isinstance(step, TaskStep) or visit.status == PARKED:
            return
        seen = look(self.state, visit, step, self.at)
        if seen.plan is not None:
            self.follow(seen.plan)
        elif seen.cut is not None:
            attempt = visit.open[0]
            self.emit(
                ev.AttemptFailed(
                    visit=path,
                    step_id=step.id,
                    attempt=attempt.number,
                    outcome=seen.cut,
                    duration_ms=self.now - sent_at(path, attempt, self.at),
                )
            )
            self.commands.append(Abort(path, attempt.number))
        elif seen.again is not None:
            self.looks.append(seen.again)

    def choose(self, visit: Visit, step: ChoiceStep, payload: Json) -> None:
        if step.flow is not None:
            choose(self, visit, step, step.flow, payload)
            return
        data = self.state.scopes[visit.scope].data
        for rule in step.choices:
            if holds(rule.condition, data):
                self.emit(ev.StepCompleted(visit=visit.path, step_id=step.id, next=rule.next))
                return
        if step.default is not None:
            self.emit(ev.StepCompleted(visit=visit.path, step_id=step.id, next=step.default))
            return
        cause = "no choice holds and there is no default"
        fail(self, visit, Failure("Sidestep.NoChoiceMatched", cause, step.id))

    def join(self, visit: Visit, step: ParallelStep) -> None:
        """End a PARALLEL whose branches have all ended, or one of whose branches has failed."""
        if visit.failure is not None:
            self.stop_visits(visit.path + "/", f"a branch of {visit.step_id} failed")
            fail(self, self.state.visits[visit.path], visit.failure)
        elif visit.pending == 0:
            complete(self, visit, step)
