"""What the death of a region cost: the client's list and the surviving journals, against the ledgers.

RPO: executions that were acknowledged before the death and are not in the surviving store, and how much
older than the death the newest event is that survived. RTO: from the death to the promotion, to the first
acknowledgement, to the first execution that ended in the second region, and until every execution that was
open has an owner there that writes to its journal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final

from chaos.audit import Found
from cli.demo.doubles import View

ENDS: Final = frozenset({"WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED", "WORKFLOW_TIMED_OUT"})


@dataclass(slots=True)
class Times:
    """When things happened, in epoch seconds."""

    killed: float = 0.0
    promoted: float = 0.0
    up: float = 0.0
    leaving: float = 0.0
    returned: float = 0.0


@dataclass(frozen=True, slots=True)
class Losses:
    """One rehearsal. Seconds are counted from the death of the first region, `back_*` from the fail back."""

    min_replicas: int
    distance_ms: float
    submitted: int
    acknowledged: int
    acknowledged_before: int
    lost_before: tuple[str, ...]
    lost_after: tuple[str, ...]
    tail_ms: float
    unjournaled: int
    explained: int
    unexplained: int
    at_most_once: int
    parked: int
    open_at_death: int
    median_before_ms: float | None
    promoted: float
    up: float
    first_acknowledged: float | None
    first_ended: float | None
    taken_over: float | None
    fenced: bool
    back_acknowledged: float | None
    broken: tuple[str, ...]


def measure(
    min_replicas: int,
    distance_ms: float,
    acks: Mapping[str, float],
    views: Mapping[str, View],
    found: Found,
    times: Times,
    problems: Sequence[str],
    *,
    fenced: bool,
) -> Losses:
    """Count. `acks`: when each execution was acknowledged, in epoch seconds; `views`: all that survived."""
    # The second region answers nobody before its promotion: what the dead one sent may arrive until then.
    before = {name for name, at in acks.items() if at <= times.promoted}
    journals = [sorted(_times(view)) for view in views.values()]
    survived = [at for journal in journals for at, _ in journal if at <= times.killed]
    ended = [at for journal in journals for at, kind in journal if kind in ENDS]
    interrupted = [journal for journal in journals if _open(journal, times.killed)]
    resumed = [at for journal in interrupted if (at := _after((at for at, _ in journal), times.killed))]
    calm = [
        (journal[-1][0] - journal[0][0]) * 1_000
        for journal in journals
        if journal[-1][1] in ENDS and journal[-1][0] <= times.killed
    ]
    lost = {one.split()[0] for one in found.lost}  # behind its id stands how it is lost
    lost_before, lost_after = lost & before, lost - before
    return Losses(
        min_replicas=min_replicas,
        distance_ms=distance_ms,
        submitted=found.submitted,
        acknowledged=found.acknowledged,
        acknowledged_before=len(before),
        lost_before=tuple(sorted(lost_before)),
        lost_after=tuple(sorted(lost_after)),
        tail_ms=round((times.killed - max(survived, default=times.killed)) * 1_000, 1),
        unjournaled=len(found.unjournaled),
        explained=found.explained,
        unexplained=len(found.unexplained),
        at_most_once=len(found.at_most_once),
        parked=found.parked,
        open_at_death=len(interrupted),
        median_before_ms=round(median(calm), 1) if calm else None,
        promoted=round(times.promoted - times.killed, 2),
        up=round(times.up - times.killed, 2),
        first_acknowledged=_since(times.killed, _after(acks.values(), times.promoted)),
        first_ended=_since(times.killed, _after(ended, times.killed)),
        taken_over=_since(times.killed, max(resumed, default=None)),
        fenced=fenced,
        back_acknowledged=_since(times.leaving, _after(acks.values(), times.returned)),
        broken=(*_broken(min_replicas, found, lost_before, lost_after, fenced=fenced), *problems),
    )


def _broken(
    min_replicas: int, found: Found, lost_before: set[str], lost_after: set[str], *, fenced: bool
) -> Iterator[str]:
    """What must not be, whatever was set; and what must not be with `MIN_REPLICAS`."""
    if lost_after:
        yield f"{len(lost_after)} acknowledged after the death and lost: {', '.join(sorted(lost_after)[:3])}"
    if not fenced:
        yield "the first region's Redis took a write after its return"
    lists = (
        ("completed twice", found.completed_twice),
        ("created twice", found.created_twice),
        ("failed without a reason", found.failed_otherwise),
    )
    yield from (f"{len(them)} {what}: {'; '.join(them[:3])}" for what, them in lists if them)
    if not min_replicas:
        return
    counts = (
        ("acknowledged before the death and lost", len(lost_before)),
        ("calls that no journal holds", len(found.unjournaled)),
        ("ran twice without an explanation", len(found.unexplained)),
        ("ran twice though atMostOnce", len(found.at_most_once)),
    )
    yield from (f"{count} {what}" for what, count in counts if count)


def _times(view: View) -> Iterator[tuple[float, str]]:
    for event in view["history"]:
        yield datetime.fromisoformat(event["timestamp"]).timestamp(), str(event["type"])


def _open(journal: Sequence[tuple[float, str]], death: float) -> bool:
    """Whether the execution had begun, and was neither ended nor parked by then."""
    past = [kind for at, kind in journal if at <= death]
    return bool(past) and past[-1] not in ENDS and "PARKED" not in past[-1]


def _after(times: Iterable[float], moment: float) -> float | None:
    found = [at for at in times if at > moment]
    return min(found, default=None)


def _since(moment: float, at: float | None) -> float | None:
    return None if at is None else round(at - moment, 2)
