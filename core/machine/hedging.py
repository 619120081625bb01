"""What becomes of a call that takes long, where another target could answer.

A `pure` step's call gets a second one beside it, a hedge: the first answer counts, the other is given up.
Once for each of the visit's calls, where the budget allows it: when the step asks for it (`hedge`) or its
target is suspect, after the p95 of its function (Dean and Barroso, "The Tail at Scale", 2013); and where the
target's breaker has opened since, as soon as the call is older than that.

An `idempotent` step's call is cut short where it is overdue and its target's breaker has opened since: what
its time limit would say later is known by now. It counts as ambiguous, as it would then, and the step goes on
at the next target. A step that would not go on there is left alone.
"""

import msgspec

from core.failover.breaker import Phase
from core.failover.choosing import Chosen, choose, is_well, others
from core.failover.health import FORCED_OPEN, Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.roles import HEDGE, PROBE, STATIC
from core.graph.model import Target, TaskStep
from core.machine.state import OpenAttempt, State, Visit
from core.machine.tasks import Moment, Plan, start

LOOK_MS = 500
"""How often a call is looked at whose function's ordinary times are not known yet."""


class Look(msgspec.Struct, frozen=True):
    """Hedge now by `plan`, or cut the call short with the outcome `cut`, or look again at `again` (Unix
    epoch, milliseconds; None: not before something worse is known of its target).
    """

    plan: Plan | None = None
    cut: Outcome | None = None
    again: int | None = None


def worth_a_look(state: State, health: Health) -> list[str]:
    """The watched paths, sorted, but those of whose calls `look` can say nothing, however long they take.

    With thousands of items under way this is asked at every answer.
    """
    asked: dict[tuple[str, Target], bool] = {}
    found = []
    for path in state.watched:
        visit = state.visits[path]
        about = (visit.step_id, visit.open[0].target)
        worth = asked.get(about)
        if worth is None:
            step = state.workflow.steps[visit.step_id]
            worth = not isinstance(step, TaskStep) or _asks(step, health.of(about[1]))
            asked[about] = worth
        if worth:
            found.append(path)
    return sorted(found)


def _asks(step: TaskStep, standing: Standing) -> bool:
    """Whether something may have to be done about a call of `step`, now or later."""
    if step.effects == "pure" and step.hedge:
        return True
    return _due(step, standing, 0) is not None


def look(state: State, visit: Visit, step: TaskStep, at: Moment) -> Look:
    """What becomes of a visit with one open attempt, which may be hedged or cut short."""
    attempt = visit.open[0]
    order = others(step, visit.target, visit.tried)
    if not order or (visit.deadline_at is not None and visit.deadline_at <= at.now):
        return Look()
    standing = at.health.of(attempt.target)
    since = sent_at(visit.path, attempt, at)
    due = _due(step, standing, since)
    again = _next_look(standing, since, at.now)
    if due is None:
        # One that asks for a hedge may know its function's ordinary times soon.
        return Look(again=again if step.hedge else None)
    if due > at.now:
        return Look(again=due)
    if step.effects == "pure" and not at.health.hedges:
        return Look(again=again)
    choice = choose(step, order, at.health, at.entropy, f"{visit.path}#{visit.attempts}/hedge")
    if not isinstance(choice, Chosen) or choice.role in {STATIC, PROBE}:
        return Look(again=again)
    age = at.now - since
    if step.effects != "pure":
        return Look(cut=_overdue(age, standing))
    why = f"a hedge: attempt {attempt.number} at {attempt.target} has been under way for {age} ms"
    told = f"{why}; {standing.why}" if standing.why and not is_well(standing) else why
    return Look(start(state, visit, step, choice.target, HEDGE, (told, *choice.reasons), at))


def sent_at(path: str, attempt: OpenAttempt, at: Moment) -> int:
    """When an attempt was sent, as far as is known: it was decided before, and written down in between."""
    return at.sent.get((path, attempt.number), attempt.at)


def _due(step: TaskStep, standing: Standing, since: int) -> int | None:
    """When something is to be done about this attempt; None while nothing asks for that."""
    if step.effects != "pure":
        open_ = standing.state in {Phase.OPEN.value, Phase.HALF_OPEN.value, FORCED_OPEN}
        return since + int(standing.overdue_ms) if open_ and standing.overdue_ms is not None else None
    if is_well(standing) and standing.state != Phase.SUSPECT.value:
        if not step.hedge or standing.p95_ms is None:
            return None
        return since + max(1, int(standing.p95_ms))
    return since + (LOOK_MS if standing.p95_ms is None else max(1, int(standing.p95_ms)))


def _overdue(age: int, standing: Standing) -> Outcome:
    return Outcome(
        executed=Executed.MAYBE,
        scope=Scope.PROVIDER,
        signal="overdue",
        error="Sidestep.Timeout",
        cause=f"no answer in {age} ms, which is overdue here, and {standing.why}; it may have run",
    )


def _next_look(standing: Standing, since: int, now: int) -> int:
    """Without budget, or with nowhere to go: at every multiple of the time after which it is overdue."""
    every = max(1, int(standing.overdue_ms or LOOK_MS))
    return since + every * ((max(0, now - since)) // every + 1)
