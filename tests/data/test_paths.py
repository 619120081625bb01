import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.paths import MAX_KEYS, MAX_LENGTH, MISSING, assign, join, lookup, split
from core.errors import InvalidInput

ORDER = {"order": {"items": [{"sku": "book"}, {"sku": "pen"}], "a.b": 1, "0": "zero"}, "none": None}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("order", ("order",)),
        ("order.items.0.sku", ("order", "items", "0", "sku")),
        (r"order.a\.b", ("order", "a.b")),
        (r"back\\slash", ("back\\slash",)),
        (r"\\\.", ("\\.",)),
        ("with space.ünï", ("with space", "ünï")),
    ],
)
def test_a_path_is_split_at_its_plain_dots(path: str, keys: tuple[str, ...]) -> None:
    assert split(path) == keys
    assert join(keys) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "at least one key"),
        (".", "empty key at character 0"),
        ("a..b", "empty key at character 2"),
        ("a.", "empty key at character 2"),
        (r"a\b", "backslash"),
        ("a\\", "backslash"),
        (r"a.\b", "backslash"),
        ("a" * (MAX_LENGTH + 1), "1024 characters"),
        (".".join("a" * (MAX_KEYS + 1)), "64 keys"),
    ],
)
def test_a_malformed_path_is_refused_with_its_reason(path: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        split(path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("order.items.1.sku", "pen"),
        (r"order.a\.b", 1),
        ("order.0", "zero"),
        ("none", None),
        ("order.items.2", MISSING),
        ("order.items.-1", MISSING),
        ("order.items.01", MISSING),
        ("order.items.sku", MISSING),
        ("order.items.\u0660", MISSING),
        ("order.items.99999999999999999999", MISSING),
        ("none.deeper", MISSING),
        ("order.items.0.sku.0", MISSING),
    ],
)
def test_a_path_finds_what_stands_there_or_nothing(path: str, found: Any) -> None:
    assert lookup(ORDER, split(path)) == found


@pytest.mark.parametrize(
    ("data", "path", "result"),
    [
        ({"a": 1}, "b", {"a": 1, "b": "new"}),
        ({"a": {"b": 1, "c": 2}}, "a.b", {"a": {"b": "new", "c": 2}}),
        ({}, "a.b.c", {"a": {"b": {"c": "new"}}}),
        ({"a": [1, 2]}, "a.1", {"a": [1, "new"]}),
        ({"a": [1, 2]}, "a.2", {"a": [1, 2, "new"]}),
        ({"a": [1, 2]}, "a.3", {"a": {"3": "new"}}),
        ({"a": [{"b": 1}]}, "a.0.b", {"a": [{"b": "new"}]}),
        ({"a": "text"}, "a.b", {"a": {"b": "new"}}),
        ({"a": None}, "a.b", {"a": {"b": "new"}}),
        ([], "0", ["new"]),
    ],
)
def test_assigning_makes_a_new_value_and_leaves_the_old_one(data: Any, path: str, result: Any) -> None:
    before = copy.deepcopy(data)
    assert assign(data, split(path), "new") == result
    assert data == before


def test_assigning_copies_only_what_is_on_the_path() -> None:
    data: dict[str, Any] = {"here": {"x": 1}, "elsewhere": {"large": [1, 2, 3]}}
    changed = assign(data, ("here", "x"), 2)
    assert changed["elsewhere"] is data["elsewhere"]
    assert changed["here"] is not data["here"]


KEYS = st.lists(st.text(min_size=1, max_size=10) | st.integers(0, 3).map(str), min_size=1, max_size=8).map(
    tuple
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(0, 3).map(str), inner, max_size=3)
    ),
)


@given(KEYS)
def test_splitting_undoes_joining(keys: tuple[str, ...]) -> None:
    assert split(join(keys)) == keys


@given(JSON, KEYS, JSON)
def test_what_was_assigned_is_found(data: Any, keys: tuple[str, ...], value: Any) -> None:
    assert lookup(assign(data, keys, value), keys) == value


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert join(split(text)) == text
