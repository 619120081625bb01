"""Calls that hang where too few answers are known to call them overdue, pure: values in, values out.

A black hole at low traffic: one call is under way, its function has hardly ever answered, so only its time
limit would tell, and that may be 15 minutes away. What can be told sooner is whether the place itself still
answers: it is asked with the cheapest probe, which runs nothing. An answer says that the call is slow, not
lost; several silences in a row say that the place is dark.

Times here are board time: milliseconds that pass only while the process looks.
"""

import msgspec
from msgspec.structs import replace

from core.failover.breaker import Breaker, Phase, opened
from core.failover.settings import FailoverSettings

NEVER = float("-inf")


class Hang(msgspec.Struct, frozen=True, kw_only=True):
    """What probes of one place showed while calls hung there. `well_at` is when it last answered a call or a
    probe, `probed_at` when the last of these probes went out, `failed` how many of them failed since it
    answered.
    """

    well_at: float = NEVER
    probed_at: float = NEVER
    failed: int = 0


def due_at(sent_at: float, hang: Hang, settings: FailoverSettings) -> float:
    """When a call that was sent then, and has no answer, is reason to ask its place.

    After `hang_seconds`; and where the place has answered since the call was sent, when the call is twice as
    old as it was at that answer. So a call of five minutes costs six probes at a place that is well.
    """
    return sent_at + max(settings.hang_seconds * 1000, 2 * (hang.well_at - sent_at))


def next_probe_at(hang: Hang, settings: FailoverSettings) -> float:
    """When the place may be asked next, however long calls have hung."""
    # Nothing is due sooner than half of `hang_seconds` after an answer: of calls that were sent before it,
    # for their age doubles; of later ones, for they are young.
    return max(
        hang.probed_at + settings.hang_probe_seconds * 1000, hang.well_at + settings.hang_seconds * 500
    )


def answered(at: float) -> Hang:
    """The place answered a call then: what was held against it is void."""
    return Hang(well_at=at)


def asked(hang: Hang, at: float) -> Hang:
    """A probe goes out."""
    return replace(hang, probed_at=at)


def probed(hang: Hang, *, failed: bool, sent_at: float, at: float) -> Hang:
    """A probe that went out at `sent_at` ended. Its failure says nothing where an answer came meanwhile."""
    if not failed:
        return replace(hang, well_at=at, failed=0)
    return hang if hang.well_at >= sent_at else replace(hang, failed=hang.failed + 1)


def hung(
    breaker: Breaker, hang: Hang, hung_ms: float, now: int, settings: FailoverSettings, draw: float = 0.5
) -> Breaker:
    """The breaker of a place at which a call has hung for so long, after its probes: open where enough of
    them failed in a row, else the same object. `now` is Unix epoch milliseconds.
    """
    if hang.failed < settings.hang_probes or breaker.phase in {Phase.OPEN, Phase.HALF_OPEN}:
        return breaker
    why = f"{hang.failed} {'probe' if hang.failed == 1 else 'probes'} failed while a call hung"
    return opened(breaker, f"{why} for {hung_ms / 1000:.0f} s", now, settings, draw)


def overdue_at_open_ms(p99_ms: float | None, settings: FailoverSettings) -> float:
    """After how many milliseconds a call is overdue at a place whose breaker is open, where too few answers
    of its function are known for a threshold of its own. Where a little is known, a function that takes long
    is given its time.
    """
    known = 0.0 if p99_ms is None else settings.overdue_factor * p99_ms
    return max(settings.hang_seconds * 1000, known)
