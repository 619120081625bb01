"""What holds of a breaker whatever it sees: counts, probes, and time that only grows."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.failover.breaker import (
    Breaker,
    Counts,
    Phase,
    breach,
    judge,
    needed,
    open_ms,
    opened,
    probed,
    ramp_at,
    share,
)
from core.failover.settings import DEFAULTS, FailoverSettings
from tests.failover.breakers import START, Life, counted, draws, lived, observations, policies

Seen = list[tuple[int, float, Counts | bool]]
DEAD = Counts(calls=20, failures=20, streak=20)
CLEAN = Counts()

MOVES = {
    (Phase.CLOSED, Phase.SUSPECT),
    (Phase.CLOSED, Phase.OPEN),
    (Phase.SUSPECT, Phase.CLOSED),
    (Phase.SUSPECT, Phase.OPEN),
    (Phase.OPEN, Phase.HALF_OPEN),
    (Phase.HALF_OPEN, Phase.OPEN),
    (Phase.HALF_OPEN, Phase.RAMPING),
    (Phase.RAMPING, Phase.OPEN),
    (Phase.RAMPING, Phase.CLOSED),
}


@given(policy=policies, seen=observations)
@settings(max_examples=400, deadline=None)
def test_a_breaker_closes_from_anywhere_once_probes_and_calls_succeed(
    policy: FailoverSettings, seen: Seen
) -> None:
    life = lived(policy, seen)
    # The longest: still open, held because it flapped, then all stages without a single call.
    life.recover(int(policy.open_longest_seconds + policy.flap_seconds + 10 * (len(policy.ramp) + 1)) + 10)
    assert life.breaker.phase is Phase.CLOSED
    assert share(life.breaker, policy) == 1.0


@given(policy=policies, seen=observations)
@settings(max_examples=400, deadline=None)
def test_a_breaker_only_makes_the_moves_of_the_diagram(policy: FailoverSettings, seen: Seen) -> None:
    for now, what, before, after in lived(policy, seen).steps:
        if before.phase is not after.phase:
            assert (before.phase, after.phase) in MOVES
            assert after.since == now
            assert after.why
        if after.phase is Phase.OPEN and before.phase is not Phase.OPEN:
            assert what is False or (isinstance(what, Counts) and breach(what, policy) is not None)
        if before.phase is Phase.OPEN and after is not before:
            assert now >= before.until
        if isinstance(what, bool) and before.phase is not Phase.HALF_OPEN:
            assert after is before


@given(policy=policies, seen=observations)
@settings(max_examples=400, deadline=None)
def test_the_way_back_never_overshoots(policy: FailoverSettings, seen: Seen) -> None:
    life = lived(policy, seen)
    life.recover(2_000)
    for now, what, before, after in life.steps:
        assert share(after, policy) in {0.0, 1.0, *policy.ramp}
        if after.phase is Phase.RAMPING and before.phase is not Phase.RAMPING:
            assert share(after, policy) == policy.ramp[0]
            assert before.successes >= policy.probe_successes
            assert now >= ramp_at(before, policy) >= before.openings[-1] + policy.ramp_after_seconds * 1000
        if before.phase is Phase.RAMPING and after is not before and after.phase is not Phase.OPEN:
            assert isinstance(what, Counts)
            answered = what.calls - what.pending
            assert answered >= policy.ramp_calls or now - before.since >= policy.ramp_seconds * 1000
            assert after.since == now
            if after.phase is Phase.RAMPING:
                assert after.stage == before.stage + 1
                assert share(after, policy) == policy.ramp[before.stage + 1]
            else:
                assert before.stage == len(policy.ramp) - 1


@given(policy=policies, seen=observations)
@settings(max_examples=400, deadline=None)
def test_any_breach_on_the_way_back_opens_again(policy: FailoverSettings, seen: Seen) -> None:
    for _, what, before, after in lived(policy, seen).steps:
        if before.phase is Phase.RAMPING and isinstance(what, Counts):
            assert (after.phase is Phase.OPEN) == (breach(what, policy) is not None)
        if before.phase is Phase.HALF_OPEN and what is False:
            assert after.phase is Phase.OPEN


@given(policy=policies, seen=observations)
@settings(max_examples=400, deadline=None)
def test_open_time_doubles_with_each_opening_and_failed_probe(policy: FailoverSettings, seen: Seen) -> None:
    times = 0
    for now, _, before, after in lived(policy, seen).steps:
        if after.phase is Phase.OPEN and after is not before:
            times += 1
            longest = policy.open_longest_seconds
            wanted = min(longest, policy.open_seconds * 2 ** (times - 1)) * 1000
            assert 0.9 * wanted - 1 <= after.until - now <= min(1.1 * wanted, longest * 1000)
        if not after.times and before.times:
            assert after.phase in {Phase.CLOSED, Phase.SUSPECT}
            assert now - before.openings[-1] > policy.flap_seconds * 1000
            times = 0
        assert after.times == times


@given(times=st.integers(1, 10_000), draw=draws)
def test_no_breaker_stays_open_for_more_than_300_seconds(times: int, draw: float) -> None:
    assert open_ms(times, DEFAULTS, draw) <= 300_000


@pytest.mark.parametrize(
    ("times", "least", "most"),
    [
        (1, 4_500, 5_500),
        (2, 9_000, 11_000),
        (3, 18_000, 22_000),
        (6, 144_000, 176_000),
        (7, 270_000, 300_000),
        (40, 270_000, 300_000),
    ],
)
def test_jitter_spreads_open_times_over_ten_percent_either_way(times: int, least: int, most: int) -> None:
    spread = [open_ms(times, DEFAULTS, draw / 100) for draw in range(100)]
    assert least <= min(spread) <= 1.02 * least
    assert 0.98 * most <= max(spread) <= most
    assert len(set(spread)) > 45


@given(
    gaps=st.lists(st.integers(61_000, 900_000), min_size=1, max_size=8),
    policy=st.sampled_from([DEFAULTS, replace(DEFAULTS, flapping=2)]),
)
@settings(max_examples=200, deadline=None)
def test_so_many_openings_in_ten_minutes_hold_the_way_back_for_ten(
    gaps: list[int], policy: FailoverSettings
) -> None:
    breaker, now, openings = Breaker(), START, []
    for gap in gaps:
        now += gap
        breaker = opened(breaker, "dead", now, policy)
        openings.append(now)
    lately = sum(at > now - 600_000 for at in openings)
    hold = 600_000 if lately >= policy.flapping else 60_000
    half_open = judge(breaker, CLEAN, breaker.until, policy)
    assert half_open.phase is Phase.HALF_OPEN
    for _ in range(policy.probe_successes):
        half_open = probed(half_open, ok=True, why="", now=breaker.until, settings=policy)
    early, due = now + hold - 1, now + hold
    if early >= breaker.until:
        assert judge(half_open, CLEAN, early, policy) is half_open
    assert judge(half_open, CLEAN, max(due, breaker.until), policy).phase is Phase.RAMPING


@pytest.mark.parametrize(
    ("active", "wanted"),
    [(0, 1), (1, 1), (2, 2), (3, 2), (6, 2), (7, 3), (10, 3), (100, 3), (10_000, 3)],
)
def test_a_provider_fails_where_enough_of_its_functions_do(active: int, wanted: int) -> None:
    assert needed(active, DEFAULTS) == wanted
    if active:
        dead = replace(DEAD, active=active, failing=wanted)
        assert breach(dead, DEFAULTS) is not None
        assert breach(replace(dead, failing=wanted - 1), DEFAULTS) is None


@given(active=st.integers(2, 200), percent=st.integers(1, 100))
@example(active=25, percent=28)
def test_a_share_of_functions_is_rounded_up_without_the_errors_of_floats(active: int, percent: int) -> None:
    policy = replace(DEFAULTS, agreeing=1_000, agreeing_share=percent / 100)
    assert needed(active, policy) == max(2, -(-active * percent // 100))


@given(counts=counted)
@settings(max_examples=500, deadline=None)
def test_one_function_of_several_never_opens_a_provider(counts: Counts) -> None:
    one = replace(counts, active=max(2, counts.active), failing=1, failing_overdue=min(1, counts.overdue))
    assert breach(one, DEFAULTS) is None
    assert judge(Breaker(), one, START, DEFAULTS).phase is not Phase.OPEN


def test_two_functions_that_hang_open_a_provider_only_with_a_probe_that_failed() -> None:
    hanging = Counts(calls=20, overdue=20, streak=20, active=5, failing=2, failing_overdue=2)
    assert breach(hanging, DEFAULTS) is None
    assert breach(replace(hanging, probe_failed=True), DEFAULTS) == "20 of 20 overdue"
    assert breach(replace(hanging, failing=3, failing_overdue=3), DEFAULTS) is not None
    assert breach(replace(hanging, failing_overdue=0, overdue=0, failures=20), DEFAULTS) is not None


@pytest.mark.parametrize(
    ("counts", "opens"),
    [
        (Counts(calls=5, failures=5, streak=5), True),
        (Counts(calls=4, failures=4, streak=4), False),
        (Counts(calls=5, failures=3, overdue=2, streak=5), True),
        (Counts(calls=20, failures=10, streak=1), True),
        (Counts(calls=20, failures=9, streak=1), False),
        (Counts(calls=19, failures=19, streak=4), False),
        (Counts(calls=20, failures=5, overdue=5, streak=1), True),
    ],
)
def test_five_in_a_row_or_half_of_twenty_open(counts: Counts, opens: bool) -> None:
    assert (judge(Breaker(), counts, START, DEFAULTS).phase is Phase.OPEN) == opens


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        (Counts(calls=20, failures=4), Phase.SUSPECT),
        (Counts(calls=20, failures=2, overdue=2), Phase.SUSPECT),
        (Counts(calls=20, failures=3), Phase.CLOSED),
        (Counts(calls=19, failures=9), Phase.CLOSED),
    ],
)
def test_a_fifth_of_twenty_is_suspicious_until_it_is_no_more(counts: Counts, phase: Phase) -> None:
    suspect = judge(Breaker(), counts, START, DEFAULTS)
    assert suspect.phase is phase
    assert judge(suspect, counts, START + 50, DEFAULTS) is suspect
    assert judge(suspect, CLEAN, START + 100, DEFAULTS).phase is Phase.CLOSED


def test_what_follows_an_outage_of_a_minute_takes_its_time() -> None:
    life = Life(DEFAULTS)
    life.see(0, 0.5, DEAD)
    for _ in range(60):
        life.see(1_000, 0.5, CLEAN)
        life.see(0, 0.5, what=False)
    life.recover(200)
    told = [
        (round((now - START) / 1000), after.phase, share(after, DEFAULTS))
        for now, _, before, after in life.steps
        if (before.phase, before.stage) != (after.phase, after.stage)
    ]
    assert [(phase, part) for _, phase, part in told[-7:]] == [
        (Phase.HALF_OPEN, 0.0),
        *((Phase.RAMPING, part) for part in DEFAULTS.ramp),
        (Phase.CLOSED, 1.0),
    ]
    assert told[-6][0] >= 60
    assert all(later - sooner == 10 for (sooner, *_), (later, *_) in pairwise(told[-6:]))


def test_calls_that_have_no_answer_yet_bring_no_more_calls_back() -> None:
    ramping = Breaker(phase=Phase.RAMPING, since=START, openings=(START - 60_000,), times=1)
    burst = Counts(calls=500, pending=481)
    assert judge(ramping, burst, START + 50, DEFAULTS) is ramping
    assert judge(ramping, replace(burst, pending=480), START + 50, DEFAULTS).stage == 1
    assert judge(ramping, burst, START + 10_000, DEFAULTS).stage == 1


def test_a_breaker_that_opens_soon_again_stays_open_longer_and_one_that_was_well_starts_anew() -> None:
    life = Life(DEFAULTS)
    life.see(0, 0.5, DEAD)
    life.recover(200)
    life.see(1_000, 0.5, DEAD)
    assert life.breaker.until - life.now == 10_000
    life.recover(200)
    life.see(601_000, 0.5, CLEAN)
    assert life.breaker == Breaker(since=life.breaker.since, why="all calls are back")
    life.see(1_000, 0.5, DEAD)
    assert life.breaker.until - life.now == 5_000


def test_a_probe_that_fails_after_all_that_were_needed_opens_again() -> None:
    life = Life(DEFAULTS)
    life.see(0, 0.5, DEAD)
    life.see(5_000, 0.5, CLEAN)
    for _ in range(5):
        life.see(1_000, 0.5, what=True)
    assert life.breaker.successes == 3
    life.see(1_000, 0.5, what=False)
    assert (life.breaker.phase, life.breaker.successes) == (Phase.OPEN, 0)
    assert life.breaker.why == "a probe failed: refused"
    assert life.breaker.openings == (START,)


def test_a_stage_that_these_settings_do_not_have_is_the_last_one() -> None:
    strange = Breaker(phase=Phase.RAMPING, since=START, stage=7)
    assert share(strange, DEFAULTS) == 1.0
    assert share(strange, replace(DEFAULTS, ramp=())) == 1.0
    assert judge(strange, CLEAN, START + 10_000, DEFAULTS).phase is Phase.CLOSED


def test_a_breaker_of_which_nothing_changed_is_the_same_object() -> None:
    for phase in Phase:
        breaker = Breaker(phase=phase, since=START, until=START + 5_000, openings=(START,), times=1)
        counts = Counts(calls=20, failures=4) if phase is Phase.SUSPECT else CLEAN
        assert judge(breaker, counts, START + 1, DEFAULTS) is breaker


def test_one_failing_function_makes_its_provider_no_suspect_to_the_others() -> None:
    alone = Counts(calls=100, failures=30, failing=1, active=4)
    assert judge(Breaker(), alone, 1_000, DEFAULTS).phase is Phase.CLOSED
    agreed = Counts(calls=100, failures=30, failing=2, active=4)
    assert judge(Breaker(), agreed, 1_000, DEFAULTS).phase is Phase.SUSPECT
