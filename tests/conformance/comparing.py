"""Whether a result is the one that was recorded.

Values are compared exactly, but for the case's wildcards. A string that holds a JSON object or list is
compared as that, since the order of members and white space in it are nobody's promise. A wildcard matches
any value, any name of a member, and as a token in angle brackets any part of a string. The cause of an error
is prose, and is not compared.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

FIELDS: Final = ("status", "output", "error")
FREE: Final = frozenset({"Parallel", "Map"})
"""Features that leave the order of states free."""


class Difference(NamedTuple):
    """One field of a result that is not as recorded."""

    field: str
    expected: Any
    actual: Any


def differences(case: Mapping[str, Any], result: Mapping[str, Any]) -> list[Difference]:
    """What differs; `result` has `status`, `output` or `error`, and `entered`, a list of states."""
    expect, wild = case["expect"], frozenset(case.get("wildcards", ()))
    found = [
        Difference(field, expect.get(field), result.get(field))
        for field in FIELDS
        if not alike(expect.get(field), result.get(field), wild)
    ]
    if "events" in expect and "entered" in result:
        wanted = [name for kind, name in expect["events"] if str(kind).endswith("StateEntered")]
        entered = list(result["entered"])
        free = bool(FREE & set(case.get("features", ())))
        if (Counter(wanted) != Counter(entered)) if free else (wanted != entered):
            found.append(Difference("entered", wanted, entered))
    return found


def alike(expected: Any, actual: Any, wild: Collection[str] = ()) -> bool:
    """Whether `actual` is `expected`, in which the strings `wild` stand for anything."""
    if isinstance(expected, str):
        if expected in wild or expected == actual:
            return True
        if isinstance(actual, str) and _fits(expected, actual, wild):
            return True
    expected, actual = _opened(expected), _opened(actual)
    match expected, actual:
        case bool(), _:
            return expected is actual
        case dict(), dict():
            return len(expected) == len(actual) and all(
                _has(actual, name, value, wild) for name, value in expected.items()
            )
        case list(), list():
            return len(expected) == len(actual) and all(
                alike(one, other, wild) for one, other in zip(expected, actual, strict=True)
            )
        case _, bool():
            return False
        case int() | float(), int() | float():
            return expected == actual
        case _:
            return type(expected) is type(actual) and bool(expected == actual)


def _has(actual: Mapping[str, Any], name: str, value: Any, wild: Collection[str]) -> bool:
    if name in actual and alike(value, actual[name], wild):
        return True
    return name in wild and any(alike(value, other, wild) for other in actual.values())


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _fits(expected: str, actual: str, wild: Collection[str]) -> bool:
    tokens = [re.escape(token) for token in wild if token.startswith("<") and token in expected]
    if not tokens:
        return False
    pattern = ".*".join(re.escape(part) for part in re.split("|".join(tokens), expected))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None
