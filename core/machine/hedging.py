"""A second call beside one that takes long: the first answer counts, the other is given up.

Only `pure` steps are hedged, once for each of the visit's calls, where the budget allows it: when the step
asks for it (`hedge`) or its target is suspect, after the p95 of its function (Dean and Barroso, "The Tail at
Scale", 2013); and where the target's breaker has opened since, as soon as the call is older than that.
"""

import msgspec

from core.failover.breaker import Phase
from core.failover.choosing import Chosen, choose, is_well, others
from core.failover.health import Standing
from core.failover.roles import HEDGE, PROBE, STATIC
from core.graph.model import TaskStep
from core.machine.state import State, Visit
from core.machine.tasks import Moment, Plan, start

LOOK_MS = 500
"""How often a call is looked at whose function's ordinary times are not known yet."""


class Look(msgspec.Struct, frozen=True):
    """Hedge now by `plan`, or look again at `again` (Unix epoch, milliseconds; None: never)."""

    plan: Plan | None = None
    again: int | None = None


def look(state: State, visit: Visit, step: TaskStep, at: Moment) -> Look:
    """What becomes of a visit with one open attempt, which may be hedged."""
    attempt = visit.open[0]
    order = others(step, visit.target, visit.tried)
    if not order or (visit.deadline_at is not None and visit.deadline_at <= at.now):
        return Look()
    standing = at.health.of(attempt.target)
    due = _due(step, standing, attempt.at)
    waits = due is not None and due > at.now
    again = due if waits else _next_look(standing, attempt.at, at.now)
    if due is None or waits or not at.health.hedges:
        return Look(again=again)
    choice = choose(step, order, at.health, at.entropy, f"{visit.path}#{visit.attempts}/hedge")
    if not isinstance(choice, Chosen) or choice.role in {STATIC, PROBE}:
        return Look(again=again)
    age = at.now - attempt.at
    why = f"a hedge: attempt {attempt.number} at {attempt.target} has been under way for {age} ms"
    told = f"{why}; {standing.why}" if standing.why and not is_well(standing) else why
    return Look(start(state, visit, step, choice.target, HEDGE, (told, *choice.reasons), at))


def _due(step: TaskStep, standing: Standing, since: int) -> int | None:
    """When this attempt is to be hedged; None while nothing asks for that."""
    if is_well(standing) and standing.state != Phase.SUSPECT.value:
        if not step.hedge or standing.p95_ms is None:
            return None
        return since + max(1, int(standing.p95_ms))
    return since + (LOOK_MS if standing.p95_ms is None else max(1, int(standing.p95_ms)))


def _next_look(standing: Standing, since: int, now: int) -> int:
    """A breaker opens about when the call is overdue; it is looked for at every multiple of that."""
    every = max(1, int(standing.overdue_ms or LOOK_MS))
    return since + every * ((max(0, now - since)) // every + 1)
