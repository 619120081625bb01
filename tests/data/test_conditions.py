import time
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Negation,
    Operator,
    check_pattern,
    holds,
    same,
)
from core.errors import InvalidInput


def compare(found: Any, operator: Operator, value: Any) -> bool:
    return holds(Comparison(("x",), operator, value), {"x": found})


@pytest.mark.parametrize(
    ("found", "operator", "value", "answer"),
    [
        (1, "eq", 1.0, True),
        (True, "eq", 1, False),
        (1, "eq", True, False),
        (0, "eq", False, False),
        (None, "eq", None, True),
        (None, "eq", False, False),
        ("1", "eq", 1, False),
        ({"a": 1, "b": [1]}, "eq", {"b": [1], "a": 1}, True),
        ({"a": [True]}, "eq", {"a": [1]}, False),
        ([1, 2], "eq", [1], False),
        ({"a": 1}, "eq", {"b": 1}, False),
        (1, "ne", 2, True),
        (1, "ne", 1, False),
        ("1", "ne", 1, True),
        (True, "ne", 1, True),
        (2, "gt", 1, True),
        (1, "gt", 1, False),
        (1.5, "gte", 1.5, True),
        (10**30, "gt", 1.5, True),
        (1, "lt", 2, True),
        (2, "lte", 1, False),
        (True, "gt", 0, False),
        (1, "gt", False, False),
        ("10", "lt", "2", True),
        ("b", "gte", "a", True),
        ("2", "gt", 1, False),
        (None, "lt", 1, False),
        ([2], "gt", [1], False),
        ("hello", "contains", "ell", True),
        ("hello", "contains", "", True),
        ("hello 1", "contains", 1, False),
        (["a", 1], "contains", 1.0, True),
        (["a", 1], "contains", True, False),
        ([[1], {"a": 1}], "contains", {"a": 1}, True),
        ({"key": 1}, "contains", "key", True),
        ({"key": 1}, "contains", 1, False),
        (5, "contains", 5, False),
        ("a", "in", ["a", "b"], True),
        (1, "in", [True, "1"], False),
        (None, "in", [None], True),
        ("a", "in", "abc", False),
        (None, "exists", True, True),
        (None, "exists", False, False),
        ("order-17", "matches", "[0-9]+", True),
        ("order-17", "matches", "^[0-9]+$", False),
        ("Ünicode", "matches", r"^\pL+$", True),
        (17, "matches", "17", False),
        ("\ud800", "matches", ".", False),
    ],
)
def test_comparing(found: Any, operator: Operator, value: Any, answer: bool) -> None:
    assert compare(found, operator, value) is answer


@pytest.mark.parametrize(
    ("operator", "value", "answer"),
    [
        ("eq", None, False),
        ("ne", 1, True),
        ("gt", 0, False),
        ("gte", 0, False),
        ("lt", 0, False),
        ("lte", "", False),
        ("contains", "", False),
        ("in", [None], False),
        ("exists", True, False),
        ("exists", False, True),
        ("matches", "", False),
    ],
)
def test_a_missing_variable_answers_only_ne_and_exists(operator: Operator, value: Any, answer: bool) -> None:
    assert holds(Comparison(("x", "y"), operator, value), {"x": {}}) is answer


YES = Comparison(("x",), "exists", value=True)
NO = Comparison(("x",), "exists", value=False)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (AllOf((YES, YES)), True),
        (AllOf((YES, NO)), False),
        (AnyOf((NO, YES)), True),
        (AnyOf((NO, NO)), False),
        (Negation(NO), True),
        (Negation(AllOf((YES, AnyOf((NO, YES))))), False),
    ],
)
def test_conditions_combine(condition: Condition, answer: bool) -> None:
    assert holds(condition, {"x": 1}) is answer


@pytest.mark.parametrize("pattern", ["(a", "a{1000}{1000}", r"(a)\1", "(?=a)", "a" * 1_001, "\ud800"])
def test_a_pattern_that_cannot_run_in_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        check_pattern(pattern)
    assert compare("aaa", "matches", pattern) is False


def test_a_hostile_pattern_takes_linear_time() -> None:
    pattern = "(a+)+(a|aa)*(x{0,200}y{0,200})*$"
    check_pattern(pattern)
    started = time.process_time()
    compare("a" * 100_000 + "!", "matches", pattern)
    # A backtracking engine would not end within the age of the world.
    assert time.process_time() - started < 2


def test_deep_values_are_compared_without_recursion() -> None:
    one: Any = 1
    other: Any = 1
    for _ in range(50_000):
        one, other = [one], [other]
    assert same(one, other)
    while one:  # taken apart by hand: freeing it in one go would recurse
        one, other = (one[0], other[0]) if isinstance(one, list) else (0, 0)


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text("ab1(", max_size=3)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
)


@given(JSON, st.sampled_from(get_args(Operator)), JSON)
def test_no_comparison_raises(data: Any, operator: Operator, value: Any) -> None:
    assert isinstance(holds(Comparison(("x",), operator, value), data), bool)
    assert isinstance(compare(data, operator, value), bool)


@given(JSON, JSON)
def test_ne_is_what_eq_is_not(found: Any, value: Any) -> None:
    assert compare(found, "ne", value) is not compare(found, "eq", value)
    assert compare(found, "eq", found)
    assert same(found, value) == same(value, found)


@given(st.integers() | st.floats(allow_nan=False), st.integers() | st.floats(allow_nan=False))
def test_numbers_are_ordered_totally(found: float, value: float) -> None:
    answers = [compare(found, operator, value) for operator in ("lt", "eq", "gt")]
    assert answers.count(True) == 1
    assert compare(found, "lte", value) is not compare(found, "gt", value)
    assert compare(found, "gte", value) is not compare(found, "lt", value)
