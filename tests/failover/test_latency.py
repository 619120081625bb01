"""Quantiles beside exact ones, and how they fade."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.failover.latency import LEAST_MS, MOST_MS, Latency

HALF_LIFE = 600_000
NOW = 1_763_700_000_000
durations = st.floats(0.1, 14_400_000.0)


@given(
    samples=st.lists(durations, min_size=1, max_size=200),
    q=st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.5, 0.95, 0.99, 0.999])),
    now=st.sampled_from([0, 1, NOW]),
)
@settings(max_examples=400, deadline=None)
def test_a_quantile_is_off_by_five_percent_at_most(samples: list[float], q: float, now: int) -> None:
    latency = Latency(HALF_LIFE)
    for sample in samples:
        latency.add(sample, now)
    total = len(samples)
    rank = next(index for index in range(1, total + 1) if index >= q * total)
    exact = sorted(samples)[rank - 1]
    estimate = latency.quantile(q)
    assert estimate is not None
    assert estimate == pytest.approx(exact, rel=0.05)
    assert latency.samples == pytest.approx(total)


@given(samples=st.lists(st.tuples(durations, st.integers(0, 10_000_000)), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_samples_fade_by_half_each_half_life_and_quantiles_keep_their_order(
    samples: list[tuple[float, int]],
) -> None:
    latency, now = Latency(HALF_LIFE), NOW
    ages: list[int] = []
    for duration, passed in samples:
        now += passed
        latency.add(duration, now)
        ages.append(now)
    assert latency.samples == pytest.approx(sum(0.5 ** ((now - at) / HALF_LIFE) for at in ages))
    told = [latency.quantile(q) for q in (0.0, 0.5, 0.95, 0.99, 0.999, 1.0)]
    assert all(a is not None and b is not None and a <= b for a, b in pairwise(told))


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Latency().quantile(0.99) is None
    assert Latency().samples == 0


def test_new_answers_outweigh_old_ones_after_a_half_life() -> None:
    latency = Latency(HALF_LIFE)
    for _ in range(100):
        latency.add(10, NOW)
    for _ in range(60):
        latency.add(1_000, NOW + HALF_LIFE)
    assert latency.samples == pytest.approx(110)
    assert latency.quantile(0.5) == pytest.approx(1_000, rel=0.05)


def test_weeks_without_an_answer_leave_only_the_new_one() -> None:
    latency = Latency(HALF_LIFE)
    latency.add(10, NOW)
    latency.add(500, NOW + 30 * 86_400_000)
    assert latency.samples == pytest.approx(1)
    assert latency.quantile(0.01) == pytest.approx(500, rel=0.05)


@pytest.mark.parametrize("duration", [-1.0, 0.0, 1e-9, 1e12, float("inf"), float("nan")])
def test_a_duration_beyond_all_bounds_counts_as_the_least_or_the_most(duration: float) -> None:
    latency = Latency()
    latency.add(duration, NOW)
    estimate = latency.quantile(0.5)
    assert estimate is not None
    assert LEAST_MS <= estimate <= MOST_MS
