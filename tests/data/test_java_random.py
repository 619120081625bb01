import pytest

from core.data.java_random import JavaRandom


def test_a_seed_draws_what_it_draws_in_java() -> None:
    # `new Random(42).nextInt()` gives these; `nextInt(bound)` takes the upper 31 bits modulo the bound.
    first, second = -1_170_105_035, 234_785_527
    random = JavaRandom(42)
    assert [random.below(100) for _ in range(2)] == [
        (number % 2**32 >> 1) % 100 for number in (first, second)
    ]
    assert JavaRandom(42).below(1 << 30) == (first % 2**32) >> 2
    assert JavaRandom(42).double() == 0.7275636800328681
    assert JavaRandom(0).double() == 0.730967787376657


@pytest.mark.parametrize("bound", [1, 2, 3, 8, 1_000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
def test_numbers_stay_below_the_bound(bound: int) -> None:
    random = JavaRandom(7)
    drawn = [random.below(bound) for _ in range(100)]
    assert all(0 <= number < bound for number in drawn)
    assert len(set(drawn)) > min(bound, 50) // 2
