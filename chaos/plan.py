"""The plan of faults: a pure function of the row, the seed and the length.

Four tracks run side by side, so that faults meet: owners, the store, the APIs, the clouds. Within a track
one fault is over, and had time to be healed, before the next begins.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from chaos.rows import Kind, Row

T = TypeVar("T")

LEASE_SECONDS: Final = 10.0
"""The lease of a full run, the product's default; the pauses below are for it and shrink with it."""

_FIRST: Final = 0.08
_LAST: Final = 0.94
"""Faults fall between these shares of the length: on work under way, and in time to be seen healed."""

_API_EVERY: Final = 15.0
_CLOUD_EVERY: Final = 9.0
_HOST_EVERY: Final = {"sqlite": 22.0, "node": 14.0, "sentinel": 22.0, "cluster": 22.0}
_JUMPS: Final = (-3600, -120, 120, 3600)

OUTAGES: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("AWS", {"kind": "refused"}),
    ("AWS", {"kind": "reply-lost", "percent": 50}),
    ("GCP", {"kind": "503"}),
    ("AWS", {"kind": "blackhole", "percent": 60}),
    ("AZURE", {"kind": "reset", "percent": 50}),
    ("AWS", {"kind": "error", "name": "ServiceException", "percent": 70}),
    ("GCP", {"kind": "reply-lost", "percent": 30}),
    ("AWS", {"kind": "throttled", "percent": 40}),
    ("AZURE", {"kind": "refused"}),
    ("AWS", {"kind": "blackhole-after", "percent": 30}),
    ("GCP", {"kind": "slow", "delay_ms": 700}),
    ("AWS", {"kind": "refused", "flap": [1, 1]}),
    ("AZURE", {"kind": "corrupt", "percent": 30}),
    ("AWS", {"kind": "expired-credentials", "percent": 50}),
)
"""Provider and rule of localcloud. One cloud is out at a time, so that every step has somewhere to go."""


@dataclass(frozen=True, slots=True)
class Fault:
    """At `at` seconds do `kind` to the victim of that number; undo it (restart, wake) after `seconds`.

    `detail` holds the jump of a clock in seconds, or the provider and rule of an outage.
    """

    at: float
    kind: Kind
    victim: int
    seconds: float
    detail: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> str:
        """The fault in a line."""
        more = " ".join(f"{name}={value}" for name, value in self.detail.items())
        return f"{self.at:7.2f} s  {self.kind} #{self.victim} for {self.seconds:.2f} s {more}".rstrip()


def plan(
    row: Row, seed: int, seconds: float, workers: int, apis: int, lease: float = LEASE_SECONDS
) -> tuple[Fault, ...]:
    """The faults of `seconds` of load, in the order of their times. The same arguments, the same plan."""
    draw = random.Random(f"{seed}/{row.name}")  # noqa: S311 - a schedule that can be repeated, no secret
    pace = min(1.0, max(0.3, lease / LEASE_SECONDS))
    owners = 1 if row.alone else workers
    faults: list[Fault] = []
    for at, kind in _track(draw, row.owners, seconds, lease + 4 * pace):
        match kind:
            case Kind.STOP_WORKER:
                faults.append(Fault(at, kind, draw.randrange(owners), round(lease * 1.25, 2)))
            case Kind.CLOCK:
                jump = {"jump": draw.choice(_JUMPS)}
                faults.append(Fault(at, kind, draw.randrange(owners), round(5 * pace, 2), jump))
            case _:
                faults.append(Fault(at, kind, draw.randrange(owners), _drawn(draw, 0.3, 1.0)))
    for at, kind in _track(draw, row.hosts, seconds, _HOST_EVERY[row.host] * pace):
        lasts = {
            Kind.FILL_REDIS: 5 * pace,
            Kind.FILL_SQLITE: 5 * pace,
            Kind.CUT_REPLICA: 5 * pace,
            # The old primary comes back as a replica, once the others have agreed on a new one.
            Kind.KILL_PRIMARY: 8 * pace,
        }.get(kind)
        faults.append(Fault(at, kind, draw.randrange(3), round(lasts or _drawn(draw, 0.3, 1.5), 2)))
    if not row.alone:
        for at, kind in _track(draw, (Kind.KILL_API,), seconds, _API_EVERY * pace):
            faults.append(Fault(at, kind, draw.randrange(apis), _drawn(draw, 0.2, 0.8)))
    for at, (provider, rule) in _track(draw, OUTAGES, seconds, _CLOUD_EVERY * pace):
        lasts_seconds = round(_drawn(draw, 3.0, 6.0) * pace, 2)
        detail = {"provider": provider, **rule, "seed": draw.randrange(1 << 30)}
        faults.append(Fault(at, Kind.CLOUD, 0, lasts_seconds, detail))
    return tuple(sorted(faults, key=lambda one: (one.at, one.kind, one.victim)))


def _track(
    draw: random.Random, kinds: Sequence[T], seconds: float, every: float
) -> Iterator[tuple[float, T]]:
    """Times about `every` apart or more with what happens then: the first kinds, in drawn order, repeated."""
    begin, end = seconds * _FIRST, seconds * _LAST
    count = max(1, int((end - begin) / every))
    chosen = [kinds[number % len(kinds)] for number in range(count)]
    draw.shuffle(chosen)
    slot = (end - begin) / count
    for number, kind in enumerate(chosen):
        yield round(begin + slot * number + draw.uniform(0, max(0.0, slot - every) + every * 0.1), 2), kind


def _drawn(draw: random.Random, low: float, high: float) -> float:
    return round(draw.uniform(low, high), 2)
