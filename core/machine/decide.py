"""decide(state, now, health, entropy) -> Decision: what to do next.

Pure: time, health and chance come in as values. It emits events, folds each into the state at once, and goes
on until every visit waits for something: an attempt's answer, a time, or a person. What the shell has to
perform, after the events are durable, is in `commands`.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec.structs import replace

from core.data.conditions import holds
from core.failover.health import ALL_WELL, Health
from core.failover.routing import matches
from core.graph.model import (
    ChoiceStep,
    FailStep,
    ParallelStep,
    PassStep,
    SucceedStep,
    Target,
    TaskStep,
    WaitStep,
)
from core.machine import events as ev
from core.machine.evolve import evolve
from core.machine.hedging import look, sent_at
from core.machine.state import Failure, State, Visit
from core.machine.tasks import Moment, Plan, Send, first_attempt, next_attempt, put_off
from core.machine.transitions import PARKED, PAUSED, PENDING


class Rules(msgspec.Struct, frozen=True):
    """Settings that decisions need.

    `skew_ms` is added to an attempt's `not_after` for clocks that differ. `data_budget` bounds the bytes that
    all outputs of an execution may have together: it is read and shown whole.
    """

    skew_ms: int = 1_000
    data_budget: int = 16 * 1024 * 1024


DEFAULT_RULES = Rules()

ANSWERED = "the other attempt answered first"


class Abort(msgspec.Struct, frozen=True):
    """Give up the attempt in flight: close its connection and drop its answer."""

    visit: str
    attempt: int


Command = Send | Abort


class Decision(msgspec.Struct, frozen=True):
    """`events` to append, the `state` after them, `commands` to perform once they are durable.

    `wake_at` is when to decide again if nothing happens before (Unix epoch, milliseconds; None: never).
    `queued` are the targets at one of which something waits for room: whoever drives the execution keeps it,
    and decides again when there may be some.
    """

    state: State
    events: tuple[ev.AnyEvent, ...]
    commands: tuple[Command, ...]
    wake_at: int | None
    queued: tuple[Target, ...] = ()


def decide(
    state: State,
    now: int,
    health: Health = ALL_WELL,
    entropy: int = 0,
    rules: Rules = DEFAULT_RULES,
    *,
    sent: Mapping[tuple[str, int], int] | None = None,
    stopping: bool = False,
) -> Decision:
    """Everything that can be decided at the instant `now` (Unix epoch, milliseconds).

    `sent` is when attempts under way were sent, by visit and number; without, when they were decided.

    A worker that is `stopping` sends nothing more: what it would send is put off for the next owner, who does
    not charge the step for the time between.
    """
    run = _Run(state, Moment(now, health, entropy, rules.skew_ms, sent or {}), rules, stopping=stopping)
    run.go()
    return Decision(run.state, tuple(run.events), tuple(run.commands), run.wake_at(), run.queues())


class _Run:
    """One call of `decide`: the state as it grows, and what was decided so far."""

    def __init__(self, state: State, at: Moment, rules: Rules, *, stopping: bool) -> None:
        self.state = state
        self.at = at
        self.now = at.now
        self.rules = rules
        self.stopping = stopping
        self.queued: dict[str, tuple[Target, ...]] = {}
        self.looks: list[int] = []
        self.events: list[ev.AnyEvent] = []
        self.commands: list[Command] = []

    def emit(self, event: ev.AnyEvent) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)

    def wake_at(self) -> int | None:
        state = self.state
        if state.terminal or state.status in {PARKED, PAUSED}:
            return None
        times = [at for path, at in state.waiting.items() if path not in self.queued]
        times += self.looks
        if self.queued and self.stopping:
            # It must not keep a worker that stops: the next one asks at once.
            times.append(self.now)
        for path in self.queued:
            deadline_at = state.visits[path].deadline_at
            if deadline_at is not None:
                times.append(deadline_at)
        if state.deadline_at is not None and not state.parked:
            times.append(state.deadline_at)
        return min(times, default=None)

    def queues(self) -> tuple[Target, ...]:
        if not self.queued:
            return ()
        return tuple(dict.fromkeys(target for targets in self.queued.values() for target in targets))

    def go(self) -> None:
        if self.state.terminal:
            return
        if self.state.cancel is not None:
            actor, reason = self.state.cancel
            self.settle()
            self.stop_visits("", "the execution was cancelled")
            self.emit(ev.WorkflowCancelled(reason=reason, actor=actor))
            return
        if self.state.status == PARKED:
            return
        if self.state.status == PAUSED:
            self.settle()
            return
        # What is parked is in doubt, and a person has to settle it: no time limit sweeps it away.
        limit = None if self.state.parked else self.state.deadline_at
        if limit is not None and self.now >= limit:
            self.settle()
            self.stop_visits("", "the execution's time limit passed")
            self.emit(ev.WorkflowTimedOut())
            return
        if not self.state.entered:
            self.emit(ev.WorkflowStarted())
        if not self.stopping:
            for path in sorted(path for path, at in self.state.waiting.items() if at <= self.now):
                self.visit(path)
        self.take_up()
        if self.state.watched and not self.stopping:
            for path in sorted(self.state.watched):
                self.hedge(path)
            # What was cut short goes on, wherever that leads.
            self.take_up()
        if not self.state.terminal:
            self.finish()

    def take_up(self) -> None:
        """Take every ready visit as far as it goes now, and what follows from that."""
        while not self.state.terminal:
            paths = self.undecided()
            if not paths:
                return
            for path in paths:
                if self.state.visits_total > self.state.visit_budget:
                    self.run_away()
                    return
                if path in self.state.ready:
                    self.visit(path)

    def undecided(self) -> list[str]:
        """The ready visits but those that wait for room: they were asked, and will be when there is some."""
        return sorted(path for path in self.state.ready if path not in self.queued)

    def finish(self) -> None:
        state = self.state
        if state.failure is not None:
            self.emit(
                ev.WorkflowFailed(
                    error=state.failure.error, cause=state.failure.cause, step_id=state.failure.step_id
                )
            )
        elif state.root_ended:
            self.emit(ev.WorkflowCompleted())
        elif state.parked and not (state.in_flight or state.waiting or self.queued):
            self.emit(ev.WorkflowParked())

    def settle(self) -> None:
        """Complete the visits that have their result, and start nothing.

        A pause begins no step, and what was answered before a cancel or a time limit is not run again by a
        redrive.
        """
        for path in sorted(self.state.answered):
            visit = self.state.visits[path]
            if not self.too_much_data():
                self.abandon(visit, ANSWERED)
                self.emit(ev.StepCompleted(visit=path, step_id=visit.step_id))

    def too_much_data(self) -> bool:
        return self.state.data_bytes > self.rules.data_budget

    def run_away(self) -> None:
        budget = self.state.visit_budget
        self.stop_visits("", "the execution used up its visit budget")
        self.emit(
            ev.WorkflowFailed(
                error="Sidestep.VisitBudgetExceeded",
                cause=f"{budget} steps were visited, which is the limit: is there a loop that never ends?",
                step_id=self.state.current_step,
            )
        )

    def visit(self, path: str) -> None:
        """Take one visit as far as it goes now."""
        visit = self.state.visits[path]
        step = self.state.step_of(visit)
        if visit.status == PENDING:
            self.start(visit)
            visit = self.state.visits[path]
        match step:
            case TaskStep():
                self.task(visit, step)
            case ChoiceStep():
                self.choose(visit, step)
            case ParallelStep():
                self.join(visit)
            case PassStep() | SucceedStep():
                self.emit(ev.StepCompleted(visit=path, step_id=step.id))
            case WaitStep():
                if visit.wake_at is not None and visit.wake_at <= self.now:
                    self.emit(ev.StepCompleted(visit=path, step_id=step.id))
            case FailStep():
                self.fail(visit, Failure(step.error, step.cause, step.id))
            case _:
                assert_never(step)

    def start(self, visit: Visit) -> None:
        step = self.state.step_of(visit)
        deadline_at = wake_at = None
        if isinstance(step, TaskStep):
            deadline_at = self.now + step.deadline_ms
        elif isinstance(step, WaitStep):
            wake_at = (
                step.until_ms if step.until_ms is not None else self.now + int((step.seconds or 0) * 1000)
            )
        self.emit(ev.StepStarted(visit=visit.path, step_id=step.id, deadline_at=deadline_at, wake_at=wake_at))

    def task(self, visit: Visit, step: TaskStep) -> None:
        """Act on the last attempt's outcome, or start the first attempt, or the one that was waited for."""
        outcome = visit.outcome
        if outcome is not None and outcome.ok:
            self.abandon(visit, ANSWERED)
        elif visit.open:
            return
        if visit.failure is not None:
            self.fail(visit, visit.failure)
            return
        if outcome is not None and outcome.ok:
            if self.too_much_data():
                cause = (
                    f"the outputs of this execution have more than {self.rules.data_budget} bytes together"
                )
                self.fail(visit, Failure("Sidestep.DataLimitExceeded", cause, step.id))
                return
            self.emit(ev.StepCompleted(visit=visit.path, step_id=step.id))
            return
        plan = (
            first_attempt(self.state, visit, step, self.at)
            if outcome is None
            else next_attempt(self.state, visit, step, outcome, self.at)
        )
        if self.stopping:
            plan = put_off(plan, visit, step, self.now)
        self.follow(plan)
        if plan.queued:
            self.queued[visit.path] = () if self.stopping else plan.queued
            return
        if plan.failure is not None:
            self.fail(self.state.visits[visit.path], plan.failure)
            return
        # A retry without a delay goes on at once.
        waits = self.state.visits[visit.path].wake_at
        if plan.send is None and waits is not None and waits <= self.now and not self.stopping:
            self.task(self.state.visits[visit.path], step)

    def follow(self, plan: Plan) -> None:
        for event in plan.events:
            self.emit(event)
        if plan.send is not None:
            self.commands.append(plan.send)
            started = plan.send.started
            left = self.at.health.after(started.target, started.role)
            if left is not self.at.health:
                self.at = replace(self.at, health=left)

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

    def choose(self, visit: Visit, step: ChoiceStep) -> None:
        data = self.state.scopes[visit.scope].data
        for rule in step.choices:
            if holds(rule.condition, data):
                self.emit(ev.StepCompleted(visit=visit.path, step_id=step.id, next=rule.next))
                return
        if step.default is not None:
            self.emit(ev.StepCompleted(visit=visit.path, step_id=step.id, next=step.default))
            return
        self.fail(
            visit, Failure("Sidestep.NoChoiceMatched", "no choice holds and there is no default", step.id)
        )

    def join(self, visit: Visit) -> None:
        """End a PARALLEL whose branches have all ended, or one of whose branches has failed."""
        if visit.failure is not None:
            self.stop_visits(visit.path + "/", f"a branch of {visit.step_id} failed")
            self.fail(self.state.visits[visit.path], visit.failure)
        elif visit.pending == 0:
            self.emit(ev.StepCompleted(visit=visit.path, step_id=visit.step_id))

    def fail(self, visit: Visit, failure: Failure) -> None:
        step = self.state.step_of(visit)
        for catcher in step.catch:
            if matches(catcher.errors, failure.error):
                self.emit(
                    ev.StepFailed(
                        visit=visit.path,
                        step_id=step.id,
                        error=failure.error,
                        cause=failure.cause,
                        next=catcher.next,
                        result_path=catcher.result_path,
                    )
                )
                return
        self.emit(ev.StepFailed(visit=visit.path, step_id=step.id, error=failure.error, cause=failure.cause))

    def stop_visits(self, prefix: str, reason: str) -> None:
        """Cancel the live visits whose path begins with `prefix`, innermost first."""
        paths = [path for path in self.state.visits if path.startswith(prefix)]
        for path in sorted(paths, key=lambda one: (-one.count("/"), one)):
            visit = self.state.visits[path]
            self.abandon(visit, reason)
            self.queued.pop(path, None)
            at = self.now if visit.status == PARKED else None
            self.emit(ev.StepCancelled(visit=path, step_id=visit.step_id, reason=reason, at=at))

    def abandon(self, visit: Visit, reason: str) -> None:
        """Give up the visit's attempts in flight."""
        for attempt in visit.open:
            self.emit(
                ev.AttemptAbandoned(
                    visit=visit.path, step_id=visit.step_id, attempt=attempt.number, reason=reason
                )
            )
            self.commands.append(Abort(visit.path, attempt.number))
