"""Strategies and steps that the breaker's tests share."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from msgspec.structs import replace

from core.failover.breaker import Breaker, Counts, Phase, judge, probed
from core.failover.settings import DEFAULTS, FailoverSettings

START = 1_763_700_000_000

policies = st.one_of(
    st.just(DEFAULTS),
    st.builds(
        lambda consecutive, minimum, longest, successes, ramp, flapping: replace(
            DEFAULTS,
            consecutive=consecutive,
            minimum_calls=minimum,
            open_longest_seconds=longest,
            probe_successes=successes,
            ramp=ramp,
            flapping=flapping,
        ),
        consecutive=st.integers(1, 10),
        minimum=st.integers(1, 40),
        longest=st.sampled_from([5.0, 17.0, 300.0]),
        successes=st.integers(0, 5),
        ramp=st.sampled_from([(1.0,), (0.1, 1.0), DEFAULTS.ramp]),
        flapping=st.integers(1, 4),
    ),
)
small = st.integers(0, 60)
counted = st.builds(
    lambda calls, bad, overdue, streak, failing, failing_overdue, active, failed, pending: Counts(
        calls=calls,
        failures=min(bad, calls),
        overdue=min(overdue, calls - min(bad, calls)),
        streak=streak,
        failing=min(failing, active),
        failing_overdue=min(failing_overdue, failing, active),
        active=active,
        probe_failed=failed,
        pending=min(pending, calls),
    ),
    calls=small,
    bad=small,
    overdue=small,
    streak=st.integers(0, 12),
    failing=st.integers(0, 12),
    failing_overdue=st.integers(0, 12),
    active=st.integers(1, 12),
    failed=st.booleans(),
    pending=st.integers(0, 60),
)
draws = st.floats(0, 1, exclude_max=True)
clean = st.builds(lambda calls: Counts(calls=calls), calls=small)
dead = st.builds(lambda calls: Counts(calls=calls, failures=calls, streak=calls), calls=st.integers(20, 40))
waits = st.one_of(st.integers(0, 2_000), st.integers(0, 700_000))

observations = st.lists(
    st.tuples(
        waits,
        draws,
        st.one_of(counted, clean, dead, st.booleans(), st.sampled_from([True, True, True, False])),
    ),
    max_size=60,
)
"""How much time passes, a draw, and then either counts to judge by or how a probe went."""


@dataclass(slots=True)
class Life:
    """A breaker and every step that it took."""

    settings: FailoverSettings
    breaker: Breaker = field(default_factory=Breaker)
    now: int = START
    steps: list[tuple[int, Counts | bool, Breaker, Breaker]] = field(default_factory=list)

    def see(self, passed: int, draw: float, what: Counts | bool) -> None:
        """Let time pass, then judge by counts or tell how a probe went."""
        self.now += passed
        before = self.breaker
        if isinstance(what, Counts):
            self.breaker = judge(before, what, self.now, self.settings, draw)
        else:
            self.breaker = probed(
                before, ok=what, why="refused", now=self.now, settings=self.settings, draw=draw
            )
        self.steps.append((self.now, what, before, self.breaker))

    def recover(self, seconds: int) -> None:
        """Every second a clean look and, where it is half open, a good probe."""
        for _ in range(seconds):
            if self.breaker.phase is Phase.CLOSED:
                return
            self.see(1_000, 0.5, Counts())
            if self.breaker.phase is Phase.HALF_OPEN:
                self.see(0, 0.5, what=True)


def lived(settings: FailoverSettings, seen: list[tuple[int, float, Counts | bool]]) -> Life:
    """A breaker that saw all this."""
    life = Life(settings)
    for passed, draw, what in seen:
        life.see(passed, draw, what)
    return life
