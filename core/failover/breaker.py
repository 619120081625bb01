"""Circuit breakers, pure: a breaker and what was counted go in, the next breaker comes out.

There are two levels, and both are this same machine: a function's breaker (provider, region, function) and a
provider's (provider, region). What differs is what counts as a failure (evidence.py) and how many functions
must agree. Time comes in as Unix epoch milliseconds that never go back, chance as a draw from [0, 1).

    CLOSED <-> SUSPECT -> OPEN -> HALF_OPEN -> RAMPING -> CLOSED
                            ^_________|___________|

OPEN refuses calls. HALF_OPEN lets single probes through. RAMPING lets a share through that grows by stages.
Which of them a person forced is no state of a breaker: an override (health.py) hides the breaker, which goes
on counting beneath it.
"""

from enum import StrEnum
from math import ceil
from typing import assert_never

import msgspec
from msgspec.structs import replace

from core.failover.settings import FailoverSettings


class Phase(StrEnum):
    """Where a breaker stands."""

    CLOSED = "CLOSED"
    SUSPECT = "SUSPECT"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"
    RAMPING = "RAMPING"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one key in the window, since the breaker last changed.

    `failures` and `overdue` are among the `calls`: ended badly, and still under way for too long. `streak` is
    how many calls in a row, by the time they were sent, failed or are overdue with no success after them.
    `failing` is how many functions agree that it fails, `failing_overdue` those whose only evidence are
    overdue calls, of `active` ones; all 1 for a function's own breaker. `probe_failed` says that a probe of
    the key failed lately. `pending` of the calls have no answer yet and are not overdue: on the way back they
    prove nothing.
    """

    calls: int = 0
    failures: int = 0
    overdue: int = 0
    streak: int = 0
    failing: int = 1
    failing_overdue: int = 0
    active: int = 1
    probe_failed: bool = False
    pending: int = 0


class Breaker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One breaker. `since` is when it came into its phase (RAMPING: its stage), `why` what led there.

    `openings` are the instants of its openings that still matter; `times` counts them and failed probes since
    it was last closed for good (the time that it stays open doubles with each). `until` ends OPEN,
    `successes` counts good probes, `stage` indexes the settings' ramp.
    """

    phase: Phase = Phase.CLOSED
    since: int = 0
    why: str = ""
    openings: tuple[int, ...] = ()
    times: int = 0
    until: int = 0
    successes: int = 0
    stage: int = 0


def needed(active: int, settings: FailoverSettings) -> int:
    """How many failing functions make a failing provider, of so many in use.

    `agreeing` of them, or `agreeing_share` (rounded up) where that is fewer; but never one of several: a
    function that hangs is not a provider that does. With the defaults 1 of 1, 2 of 2 to 6, 3 of 7 or more:
    the share alone would let 1 of 3 speak for the other two, the number alone would let no provider of which
    only two functions are in use ever open.
    """
    if active <= 1:
        return 1
    # 30 % of 10 is 3, though floats may make it a little more.
    share = ceil(round(active * settings.agreeing_share, 9))
    return max(2, min(settings.agreeing, share))


def breach(counts: Counts, settings: FailoverSettings) -> str | None:
    """Why these counts open a breaker, in words; None where they do not."""
    if counts.failing < needed(counts.active, settings):
        return None
    # Overdue calls alone speak for their function; for a provider of several only where enough functions do.
    on_time = counts.failing - counts.failing_overdue >= needed(counts.active, settings)
    agreed = counts.active <= 1 or counts.probe_failed or counts.failing >= settings.agreeing
    if not on_time and not agreed:
        return None
    bad = counts.failures + counts.overdue
    if counts.calls >= settings.minimum_calls and bad >= settings.failing * counts.calls:
        return _told(counts)
    if counts.streak >= settings.consecutive:
        # Of many calls these are few: that they are the last ones is what matters.
        return _told(counts) if bad * 2 >= counts.calls else f"the last {counts.streak} {_how(counts)}"
    return None


def suspicious(counts: Counts, settings: FailoverSettings) -> str | None:
    """Why these counts are suspicious, in words; None where they are not. As many functions must agree as for
    an opening: one that fails makes its provider no suspect to the others.
    """
    if counts.failing < needed(counts.active, settings):
        return None
    bad = counts.failures + counts.overdue
    if counts.calls >= settings.minimum_calls and bad >= settings.suspect * counts.calls:
        return _told(counts)
    return None


def judge(
    breaker: Breaker, counts: Counts, now: int, settings: FailoverSettings, draw: float = 0.5
) -> Breaker:
    """The breaker after looking at the counts at `now`; the same object where nothing changed."""
    match breaker.phase:
        case Phase.CLOSED | Phase.SUSPECT:
            why = breach(counts, settings)
            if why is not None:
                return opened(breaker, why, now, settings, draw)
            hint = suspicious(counts, settings)
            if hint is not None and breaker.phase is Phase.CLOSED:
                return replace(breaker, phase=Phase.SUSPECT, since=now, why=hint)
            if hint is None and breaker.phase is Phase.SUSPECT:
                return replace(breaker, phase=Phase.CLOSED, since=now, why="calls succeed again")
            return _forgiven(breaker, now, settings)
        case Phase.OPEN:
            if now < breaker.until:
                return breaker
            return replace(
                breaker, phase=Phase.HALF_OPEN, since=now, why="it was open long enough", successes=0
            )
        case Phase.HALF_OPEN:
            if breaker.successes < settings.probe_successes or now < ramp_at(breaker, settings):
                return breaker
            why = f"{breaker.successes} probes succeeded"
            return replace(breaker, phase=Phase.RAMPING, since=now, why=why, stage=0)
        case Phase.RAMPING:
            why = breach(counts, settings)
            if why is not None:
                return opened(breaker, why, now, settings, draw)
            # Under heavy load all stages would pass before the first call of them could even be overdue.
            proven = counts.calls - counts.pending
            if proven < settings.ramp_calls and now - breaker.since < settings.ramp_seconds * 1000:
                return breaker
            return _next_stage(breaker, now, settings)
        case _:
            assert_never(breaker.phase)


def probed(
    breaker: Breaker, *, ok: bool, why: str, now: int, settings: FailoverSettings, draw: float = 0.5
) -> Breaker:
    """The breaker after a probe, which only HALF_OPEN heeds. `why` tells how a probe failed."""
    if breaker.phase is not Phase.HALF_OPEN:
        return breaker
    if ok:
        return replace(breaker, successes=min(breaker.successes + 1, settings.probe_successes))
    times = breaker.times + 1
    return replace(
        breaker,
        phase=Phase.OPEN,
        since=now,
        why=f"a probe failed: {why}",
        times=times,
        until=now + open_ms(times, settings, draw),
        successes=0,
    )


def opened(breaker: Breaker, why: str, now: int, settings: FailoverSettings, draw: float = 0.5) -> Breaker:
    """The breaker, open from `now` on."""
    oldest = now - settings.flap_seconds * 1000
    recent = (*(at for at in breaker.openings if at > oldest), now)
    times = breaker.times + 1
    return Breaker(
        phase=Phase.OPEN,
        since=now,
        why=why,
        # What is older than the newest few changes nothing.
        openings=recent[-max(1, settings.flapping) :],
        times=times,
        until=now + open_ms(times, settings, draw),
    )


def open_ms(times: int, settings: FailoverSettings, draw: float) -> int:
    """How long it stays open the `times`-th time: doubled each time, jittered, never longer than the longest.

    Jitter that would pass the longest goes below it instead, so that breakers still spread there.
    """
    doublings = min(times - 1, 32)
    longest = settings.open_longest_seconds
    doubled = min(longest, settings.open_seconds * 2.0**doublings)
    jittered = doubled * (1 + settings.open_jitter * (2 * draw - 1))
    if jittered > longest:
        jittered = 2 * longest - jittered
    return max(1, int(jittered * 1000))


def ramp_at(breaker: Breaker, settings: FailoverSettings) -> int:
    """The earliest instant at which calls may come back. One that flaps is held longer."""
    if not breaker.openings:
        return 0
    last = breaker.openings[-1]
    recent = [at for at in breaker.openings if at > last - settings.flap_seconds * 1000]
    hold = settings.flap_seconds if len(recent) >= settings.flapping else settings.ramp_after_seconds
    return last + int(hold * 1000)


def share(breaker: Breaker, settings: FailoverSettings) -> float:
    """Which share of its calls a breaker lets through, probes aside: 0 to 1."""
    match breaker.phase:
        case Phase.OPEN | Phase.HALF_OPEN:
            return 0.0
        case Phase.RAMPING:
            # Another replica's settings may have more stages than ours.
            return settings.ramp[min(breaker.stage, len(settings.ramp) - 1)] if settings.ramp else 1.0
        case Phase.CLOSED | Phase.SUSPECT:
            return 1.0
        case _:
            assert_never(breaker.phase)


def _next_stage(breaker: Breaker, now: int, settings: FailoverSettings) -> Breaker:
    stage = breaker.stage + 1
    if stage < len(settings.ramp):
        why = f"nothing speaks against it at {settings.ramp[breaker.stage]:.0%}"
        return replace(breaker, since=now, stage=stage, why=why)
    # `openings` and `times` stay until they are old: soon open again is open longer.
    return replace(
        breaker, phase=Phase.CLOSED, since=now, why="all calls are back", until=0, stage=0, successes=0
    )


def _forgiven(breaker: Breaker, now: int, settings: FailoverSettings) -> Breaker:
    """Openings are forgotten once the last one is old enough."""
    if breaker.times and (not breaker.openings or now - breaker.openings[-1] > settings.flap_seconds * 1000):
        return replace(breaker, openings=(), times=0)
    return breaker


def _how(counts: Counts) -> str:
    if not counts.overdue:
        return "failed"
    return "failed or are overdue" if counts.failures else "are overdue"


def _told(counts: Counts) -> str:
    """`7 of 9 overdue`, `5 of 12 failed`, as people read it."""
    calls = max(counts.calls, counts.failures + counts.overdue)
    if not counts.overdue:
        return f"{counts.failures} of {calls} failed"
    if not counts.failures:
        return f"{counts.overdue} of {calls} overdue"
    return f"{counts.failures} of {calls} failed, {counts.overdue} overdue"
