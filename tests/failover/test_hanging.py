"""When a call that hangs is reason to ask its place, and what the answers mean."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.failover.breaker import Breaker, Phase
from core.failover.hanging import (
    Hang,
    answered,
    asked,
    due_at,
    hung,
    next_probe_at,
    overdue_at_open_ms,
    probed,
)
from core.failover.settings import DEFAULTS

NOW = 1_763_700_000_000


def probes_of(duration_ms: float) -> list[float]:
    """When one call of that length makes a place be asked that always answers at once."""
    hang, asked_at = Hang(), []
    while (at := max(due_at(0, hang, DEFAULTS), next_probe_at(hang, DEFAULTS))) < duration_ms:
        asked_at.append(at)
        hang = probed(asked(hang, at), failed=False, sent_at=at, at=at)
    return asked_at


def test_a_slow_call_at_a_place_that_answers_is_asked_about_each_time_it_is_twice_as_old() -> None:
    assert probes_of(300_000) == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000]
    assert len(probes_of(900_000)) == 8
    assert probes_of(4_999) == []


def test_a_silent_place_is_asked_again_two_seconds_after_each_probe() -> None:
    hang, asked_at = Hang(), []
    for _ in range(3):
        at = max(due_at(0, hang, DEFAULTS), next_probe_at(hang, DEFAULTS))
        asked_at.append(at)
        hang = probed(asked(hang, at), failed=True, sent_at=at, at=at + 2_000)
    assert asked_at == [5_000, 7_000, 9_000]
    assert hang.failed == 3


@given(
    sent=st.floats(0, 1e9),
    well=st.floats(0, 1e9),
    later=st.floats(0, 1e6),
    seconds=st.sampled_from([1.0, 5.0]),
)
def test_an_answer_only_puts_off_what_is_due_and_nothing_is_due_soon_after_one(
    sent: float, well: float, later: float, seconds: float
) -> None:
    policy = replace(DEFAULTS, hang_seconds=seconds)
    before, after = answered(well), answered(well + later)
    assert due_at(sent, before, policy) <= due_at(sent, after, policy)
    assert due_at(sent, before, policy) >= min(next_probe_at(before, policy), sent + seconds * 1000) - 1e-3
    assert due_at(sent, before, policy) >= sent + seconds * 1000


def test_an_answer_voids_the_failures_before_it_and_of_the_probe_under_way() -> None:
    hang = probed(Hang(), failed=True, sent_at=5_000, at=7_000)
    assert hang.failed == 1
    assert answered(7_500).failed == 0
    assert probed(answered(7_500), failed=True, sent_at=7_000, at=9_000).failed == 0
    assert probed(answered(6_500), failed=True, sent_at=7_000, at=9_000).failed == 1
    assert probed(hang, failed=False, sent_at=7_000, at=7_010) == Hang(well_at=7_010)


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.SUSPECT, Phase.RAMPING])
def test_three_silences_in_a_row_open_a_place_and_say_why(phase: Phase) -> None:
    breaker = Breaker(phase=phase)
    assert hung(breaker, Hang(failed=2), 9_000, NOW, DEFAULTS) is breaker
    opened = hung(breaker, Hang(failed=3), 9_000, NOW, DEFAULTS)
    assert (opened.phase, opened.since) == (Phase.OPEN, NOW)
    assert opened.why == "3 probes failed while a call hung for 9 s"


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.HALF_OPEN])
def test_what_is_open_is_not_opened_again(phase: Phase) -> None:
    breaker = Breaker(phase=phase, until=NOW + 1)
    assert hung(breaker, Hang(failed=9), 9_000, NOW, DEFAULTS) is breaker


def test_at_an_open_place_a_function_that_is_known_to_take_long_is_given_its_time() -> None:
    assert overdue_at_open_ms(None, DEFAULTS) == 5_000
    assert overdue_at_open_ms(30, DEFAULTS) == 5_000
    assert overdue_at_open_ms(60_000, DEFAULTS) == 180_000
    known = [overdue_at_open_ms(ms, DEFAULTS) for ms in (None, 1_000, 2_000, 9_000)]
    assert all(one <= other for one, other in pairwise(known))
