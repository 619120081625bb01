"""What is reported of a case, counted in one way for every strategy, on the wire and in virtual time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from core.failover.outcome import Scope
from core.failover.roles import PROBE, STATIC
from outages.cases import Case
from outages.orders import once
from outages.seen import ENDED, HALF_OPEN, ISOLATED, OPENED, Call, Happening, Seen, Told

STUCK_MS: Final = 500.0
"""A call of the dead side that was under way for longer than this was stuck."""

KNOWN_MS: Final = 200.0
"""How long after an opening another replica may not know of it."""

TAKEN_BACK_MS: Final = 2_000.0
"""How long after it an opening is taken back where a second provider fails too (the health board's rule)."""

_WARM_MS: Final = 2_000.0
_SETTLE_MS: Final = 500.0
_AGAIN: Final = frozenset({"BREAKER_RAMPING", "BREAKER_CLOSED"})


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one case and one strategy. Milliseconds; None: it cannot be told, or there was none.

    `failed_own` are those of `failed` that ended by a function's own error. `lost` and `once_twice` hold ids.
    `healthy_*` are of the executions that began before the onset, `added_*` what those that began during the
    outage took more; `open_added` is of those that began while the breaker was open. `to_open` is from the
    onset to the first opening. `stuck` counts calls sent to the dead side since the onset that were under way
    for more than half a second. `amplification` is calls sent for each step that was called. `moved` names
    the functions that were called at a fallback. `flaps` are openings after all was well again, `late` calls
    of a target more than 200 ms after it was found dead. `proved` is what most failed calls of the dead side
    proved: executed and scope.
    """

    submitted: int
    acknowledged: int
    completed: int
    failed: int
    failed_own: int
    parked: int
    lost: tuple[str, ...]
    twice: int
    once_twice: tuple[str, ...]
    healthy_median: float | None
    healthy_p99: float | None
    added_median: float | None
    added_p99: float | None
    open_added: float | None
    to_open: float | None
    stuck: int
    amplification: float
    sidesteps: int
    bug_sidesteps: int
    moved: tuple[str, ...]
    openings: int | None
    place_openings: int | None
    moves: int
    flaps: int | None
    late: int | None
    proved: str


def count(case: Case, seen: Seen) -> Figures:
    """The figures of a case, from what was seen of it."""
    onset = seen.began + case.onset * seen.seconds * 1000
    dark = seen.began + case.dark * seen.seconds * 1000
    over = seen.began + case.over * seen.seconds * 1000
    executions = list(seen.executions.values())
    visits = [calls for one in executions for calls in by_visit(one)]
    calls = [call for visit in visits for call in visit]
    happenings = seen.happenings
    opened = None if happenings is None else list(openings(happenings))
    of_dead = [one for one in opened or () if one.provider in case.dead and one.at >= dark - STUCK_MS]
    first = min((one.at for one in of_dead), default=None)
    healthy = _times(executions, seen.began + min(_WARM_MS, (onset - seen.began) / 4), onset)
    during = _times(executions, onset, over)
    reopened = _times(executions, over if first is None else first + _SETTLE_MS, over)
    twice, once_twice = _doubles(seen)
    statuses = Counter(one.status for one in executions)
    return Figures(
        submitted=seen.submitted,
        acknowledged=len(seen.acknowledged),
        completed=statuses["COMPLETED"],
        failed=statuses["FAILED"],
        failed_own=sum(1 for one in executions if one.status == "FAILED" and _own(one)),
        parked=statuses["PARKED"],
        lost=tuple(sorted(_lost(seen))),
        twice=twice,
        once_twice=once_twice,
        healthy_median=_quantile(healthy, 0.5),
        healthy_p99=_quantile(healthy, 0.99),
        added_median=_minus(_quantile(during, 0.5), _quantile(healthy, 0.5)),
        added_p99=_minus(_quantile(during, 0.99), _quantile(healthy, 0.99)),
        open_added=_minus(_quantile(reopened, 0.5), _quantile(healthy, 0.5)),
        to_open=None if first is None else round(max(0.0, first - dark), 1),
        stuck=sum(1 for call in calls if _stuck(case, call, dark, over)),
        amplification=round(len(calls) / max(1, len(visits)), 3),
        sidesteps=sum(_sidesteps(case, visit) for visit in visits),
        bug_sidesteps=0 if case.on_function_error else sum(_bug_sidesteps(visit) for visit in visits),
        moved=tuple(sorted({call.function for call in calls if call.provider != case.primary})),
        openings=None if opened is None else len(opened),
        place_openings=None if opened is None else sum(1 for one in opened if one.function is None),
        moves=_moves(visits, seen),
        flaps=None if opened is None else sum(1 for one in opened if one.at > over),
        late=None if happenings is None else _late(case, calls, happenings),
        proved=_proved(case, calls, dark),
    )


def openings(happenings: Iterable[Happening]) -> Iterator[Happening]:
    """The openings, without those by which a failed probe keeps open what was open, and without what a
    replica took back because it was itself cut off.
    """
    stands: dict[tuple[str, str | None], str] = {}
    told = sorted(happenings, key=lambda one: one.at)
    isolated = [(one.replica, one.at) for one in told if one.kind == ISOLATED]
    for one in told:
        key = (one.provider, one.function)
        if one.kind == OPENED and stands.get(key) not in {OPENED, HALF_OPEN}:
            back = any(who == one.replica and 0 <= at - one.at <= TAKEN_BACK_MS for who, at in isolated)
            if not back:
                yield one
        stands[key] = one.kind


def by_visit(execution: Told) -> Iterator[list[Call]]:
    """The calls of an execution, visit by visit, in the order in which they were sent."""
    visits: dict[str, list[Call]] = {}
    for call in execution.calls:
        visits.setdefault(call.visit, []).append(call)
    for calls in visits.values():
        yield sorted(calls, key=lambda call: call.number)


def _times(executions: Iterable[Told], since: float, until: float) -> list[float]:
    """How long those took that began in this time and completed, in order."""
    return sorted(
        one.ended - one.began
        for one in executions
        if one.status == "COMPLETED" and since <= one.began < until
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one - other, 2)


def _own(execution: Told) -> bool:
    return any(call.own_error for call in execution.calls[-1:])


def _lost(seen: Seen) -> Iterator[str]:
    for name in seen.acknowledged:
        one = seen.executions.get(name)
        if one is None:
            yield f"{name} (not in the store)"
        elif one.status not in ENDED and one.status != "PARKED":
            yield f"{name} ({one.status})"


def _doubles(seen: Seen) -> tuple[int, tuple[str, ...]]:
    """How many keys ran more than once, and which visits of `atMostOnce` steps did, in any round."""
    twice = 0
    ran: Counter[str] = Counter()
    for key, runs in seen.ran.items():
        visit = key.rpartition("/")[0]
        if once(visit.rpartition("/")[2]):
            ran[visit] += len(runs)
        else:
            twice += len(runs) > 1
    return twice, tuple(sorted(visit for visit, times in ran.items() if times > 1))


def _stuck(case: Case, call: Call, onset: float, over: float) -> bool:
    if call.provider not in case.dead or call.role == PROBE or not onset - STUCK_MS <= call.started < over:
        return False
    return call.ended is None or (call.ended - call.started > STUCK_MS and call.ended > onset)


def _sidesteps(case: Case, visit: Sequence[Call]) -> int:
    moved = visit[0].provider != case.primary
    return moved + sum(1 for one, other in pairwise(visit) if one.provider != other.provider)


def _bug_sidesteps(visit: Sequence[Call]) -> int:
    return sum(1 for one, other in pairwise(visit) if one.own_error and one.provider != other.provider)


def _moves(visits: Iterable[Sequence[Call]], seen: Seen) -> int:
    """How often the target that gets most first calls of steps changed, looked at second by second, as long
    as load is sent: of the few calls after it no one is most.
    """
    seconds: dict[int, Counter[str]] = {}
    for visit in visits:
        second = int((visit[0].started - seen.began) // 1000)
        if second >= seen.seconds:
            continue
        seconds.setdefault(second, Counter())[visit[0].provider] += 1
    most = [seconds[second].most_common(1)[0][0] for second in sorted(seconds)]
    return sum(1 for one, other in pairwise(most) if one != other)


def _late(case: Case, calls: Iterable[Call], happenings: Iterable[Happening]) -> int:
    """Calls of a target that was known to be dead for longer than replicas need to hear of it."""
    spans: list[tuple[str, str | None, float, float]] = []
    since: dict[tuple[str, str | None], float] = {}
    for one in sorted(happenings, key=lambda one: one.at):
        key = (one.provider, one.function)
        if one.kind == OPENED:
            since.setdefault(key, one.at)
        elif one.kind in _AGAIN and key in since:
            spans.append((*key, since.pop(key), one.at))
    spans += [(*key, at, float("inf")) for key, at in since.items()]
    return sum(
        1
        for call in calls
        if call.provider in case.dead
        and call.role not in {PROBE, STATIC}
        and any(
            provider == call.provider
            and function in {None, call.function}
            and at + KNOWN_MS < call.started < until
            for provider, function, at, until in spans
        )
    )


def _proved(case: Case, calls: Iterable[Call], onset: float) -> str:
    proved = Counter(
        f"{call.executed} {call.scope}"
        for call in calls
        if call.provider in case.dead and call.status == "FAILED" and call.started >= onset
    )
    return proved.most_common(1)[0][0] if proved else ""


def expected(case: Case) -> str:
    """What `proved` should say: the first spell's part of the table of outcomes."""
    spell = case.spells[0]
    return f"{spell.executed.value} {Scope(spell.scope).value}"
