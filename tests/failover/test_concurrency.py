"""Limits grow by ones, are cut by factors, and stay within bounds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from core.failover.concurrency import MOST, Limit, cut, grown, room


@given(
    start=st.floats(1, MOST),
    least=st.sampled_from([1.0, 4.0]),
    factor=st.sampled_from([0.5, 0.7]),
    every=st.sampled_from([0, 1_000]),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 20_000), st.integers(1, 800)), max_size=100),
)
@settings(max_examples=300, deadline=None)
def test_a_limit_stays_within_its_bounds(
    start: float, least: float, factor: float, every: int, steps: list[tuple[bool, int, int]]
) -> None:
    limit, now, last_cut = Limit(start), 1_000, None
    for ok, in_flight, passed in steps:
        now += passed
        before = limit
        limit = grown(limit, in_flight) if ok else cut(limit, now, factor, least, every)
        assert min(start, least) <= limit.size <= MOST
        if ok:
            assert before.size <= limit.size <= before.size + 1
            assert (limit is before) or 2 * in_flight >= int(before.size)
            assert limit.cut_at == before.cut_at
        elif limit is not before:
            assert last_cut is None or now - last_cut >= every
            assert limit == Limit(min(before.size, max(least, before.size * factor)), now)
            last_cut = now
        else:
            assert last_cut is not None
            assert now - last_cut < every
        assert room(limit, in_flight) == max(0, int(limit.size) - in_flight)


def test_a_limit_in_use_grows_by_one_with_each_success_up_to_the_most() -> None:
    limit = Limit(MOST - 1.5)
    assert grown(limit, MOST).size == MOST - 0.5
    assert grown(Limit(MOST - 0.5), MOST).size == MOST
    assert grown(Limit(MOST), MOST).size == MOST


def test_a_limit_that_is_hardly_used_does_not_grow() -> None:
    assert grown(Limit(100), 49).size == 100
    assert grown(Limit(100), 50).size == 101
    assert grown(Limit(1), 1).size == 2


def test_a_burst_of_refusals_cuts_once_a_second() -> None:
    limit = Limit(100)
    for now in range(5_000, 6_000, 100):
        limit = cut(limit, now, 0.7, 4, 1_000)
    assert limit == Limit(70, 5_000)
    assert cut(limit, 6_000, 0.7, 4, 1_000).size == 49


def test_a_cut_never_enlarges_a_limit_that_is_below_the_least() -> None:
    assert cut(Limit(2), 5_000, 0.7, 4, 1_000).size == 2
