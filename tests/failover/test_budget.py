"""Budgets give what calls earned, and no more."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from core.failover.budget import Budget

shares = st.sampled_from([0.0, 0.02, 0.1, 0.2, 1 / 3, 1.0])
floors = st.sampled_from([0.0, 0.5, 1.0, 10.0])
steps = st.lists(
    st.tuples(st.sampled_from(["call", "take", "wait"]), st.integers(0, 4_000), st.integers(1, 30)),
    max_size=60,
)


@given(share=shares, floor=floors, kept=st.integers(1, 10), steps=steps)
@settings(max_examples=300, deadline=None)
def test_a_budget_gives_what_a_list_of_tokens_gives_and_never_more_than_was_earned(
    share: float, floor: float, kept: int, steps: list[tuple[str, int, int]]
) -> None:
    budget = Budget(share, floor, kept)
    # The model: what each second earned and has not given yet, exactly.
    exact_share, exact_floor = (Fraction(round(part * 1_000_000), 1_000_000) for part in (share, floor))
    now = start = 1_763_700_000_250
    assert budget.left(now) == float(exact_floor)
    earned: dict[int, Fraction] = {now // 1000: exact_floor}
    calls = taken = 0
    for what, amount, times in steps:
        if what == "wait":
            for second in range(now // 1000 + 1, (now + amount) // 1000 + 1):
                earned[second] = exact_floor
            now += amount
            earned = {at: left for at, left in earned.items() if at > now // 1000 - kept}
        for _ in range(times if what != "wait" else 0):
            if what == "call":
                budget.called(now)
                calls += 1
                earned[now // 1000] += exact_share
            else:
                given_one = budget.take(now)
                assert given_one == (sum(earned.values()) >= 1)
                taken += given_one
                owed = Fraction(int(given_one))
                for at in sorted(earned):
                    paid = min(owed, earned[at])
                    earned[at] -= paid
                    owed -= paid
        left = budget.left(now)
        assert left >= 0
        assert left == float(sum(earned.values()))
        begun = now // 1000 - start // 1000 + 1
        assert taken <= exact_share * calls + exact_floor * begun


def test_a_retry_storm_gets_a_fifth_of_the_calls_and_ten_a_second() -> None:
    budget = Budget(0.2, 10, 10)
    taken = 0
    for now in range(0, 60_000, 10):  # 100 calls a second, each of which wants a retry
        budget.called(now)
        taken += budget.take(now)
    assert taken <= 0.2 * 6_000 + 10 * 60
    assert taken >= 0.95 * (0.2 * 6_000 + 10 * 60)


def test_tokens_that_nobody_takes_die() -> None:
    budget = Budget(0.5, 0, 10)
    for _ in range(10):
        budget.called(0)
    assert budget.left(9_999) == 5
    assert budget.left(10_000) == 0
    assert not budget.take(10_000)


def test_rest_saves_up_no_more_than_the_floor_of_the_seconds_that_are_kept() -> None:
    budget = Budget(0.2, 10, 10)
    assert budget.left(0) == 10
    assert budget.left(3_600_000) == 100
