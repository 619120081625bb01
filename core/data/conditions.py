"""Conditions over JSON: what a CHOICE asks, and the answer.

One rule for every operator: values are compared only with values of their own kind. The kinds are null,
boolean, number, string, list and object; a boolean is not a number, and 1 and 1.0 are the same number.

| operator | true when |
|---|---|
| `eq` | the variable equals the value, deeply; the order of an object's members does not matter |
| `ne` | `eq` is not: so also when the kinds differ or the variable is missing |
| `gt` `gte` `lt` `lte` | both are numbers, or both are strings (compared by code point), in that order |
| `contains` | a string has the value as a part; a list has it as an item; an object has it as a key |
| `in` | the value, a list, has the variable as an item |
| `exists` | the variable is there (null counts as there), with the value true; with false, it is not |
| `matches` | the variable is a string in which the regular expression is found somewhere |

A missing variable, or one of another kind, makes every other operator false. Anchor a regular expression
with `^` and `$` to match the whole. Expressions are RE2's: linear time in the text, hence no
backreferences and no look-around.
"""

from typing import Final, Literal, assert_never

import msgspec
import re2

from core.data.paths import MISSING, Json, lookup
from core.errors import InvalidInput

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "contains", "in", "exists", "matches"]

MAX_PATTERN: Final = 1_000
"""The longest regular expression, in characters."""

PATTERN_MEMORY: Final = 1 << 20
"""Bytes that RE2 may use for one compiled expression, its caches included."""


class Comparison(msgspec.Struct, frozen=True, tag="comparison"):
    """`variable` is a dotted path, already split; what it names is compared with `value`."""

    variable: tuple[str, ...]
    operator: Operator
    value: Json


class AllOf(msgspec.Struct, frozen=True, tag="and"):
    """True when every part is."""

    parts: tuple["Condition", ...]


class AnyOf(msgspec.Struct, frozen=True, tag="or"):
    """True when one part is."""

    parts: tuple["Condition", ...]


class Negation(msgspec.Struct, frozen=True, tag="not"):
    """True when its part is not."""

    part: "Condition"


Condition = Comparison | AllOf | AnyOf | Negation


def holds(condition: Condition, data: Json) -> bool:
    """Whether `condition` is true of `data`. Never raises, whatever JSON `data` is."""
    match condition:
        case Comparison():
            return _compare(condition, lookup(data, condition.variable))
        case AllOf(parts=parts):
            return all(holds(part, data) for part in parts)
        case AnyOf(parts=parts):
            return any(holds(part, data) for part in parts)
        case Negation(part=part):
            return not holds(part, data)
        case _:
            assert_never(condition)


def check_pattern(pattern: str) -> None:
    """Raise InvalidInput, with RE2's own reason, if `pattern` cannot be used by `matches`."""
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(f"A regular expression has at most {MAX_PATTERN} characters.")
    try:
        re2.compile(pattern, _options())
    except re2.error as refused:
        reason = refused.args[0] if refused.args else "it cannot be compiled"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidInput(f"Not a regular expression that RE2 accepts: {text}.") from refused
    except UnicodeEncodeError as refused:
        raise InvalidInput("A regular expression is Unicode text without lone surrogates.") from refused


def same(left: Json, right: Json) -> bool:
    """Deep equality of two JSON values, by kind: true is not 1. Walks without recursion."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif _kind(one) is not _kind(other) or one != other:
            return False
    return True


def _compare(comparison: Comparison, found: Json) -> bool:
    value = comparison.value
    operator = comparison.operator
    match operator:
        case "exists":
            return (found is not MISSING) is value
        case "eq":
            return same(found, value)
        case "ne":
            return not same(found, value)
        case "gt" | "gte" | "lt" | "lte":
            return _in_order(operator, found, value)
        case "contains":
            return _contains(found, value)
        case "in":
            return (
                found is not MISSING and isinstance(value, list) and any(same(item, found) for item in value)
            )
        case "matches":
            return isinstance(found, str) and isinstance(value, str) and _matches(value, found)
        case _:
            assert_never(operator)


def _in_order(operator: Literal["gt", "gte", "lt", "lte"], found: Json, value: Json) -> bool:
    if _kind(found) is not _kind(value) or _kind(found) not in (float, str):
        return False
    match operator:
        case "gt":
            return bool(found > value)
        case "gte":
            return bool(found >= value)
        case "lt":
            return bool(found < value)
        case "lte":
            return bool(found <= value)
        case _:
            assert_never(operator)


def _contains(found: Json, value: Json) -> bool:
    match found:
        case str() | dict():
            return isinstance(value, str) and value in found
        case list():
            return any(same(item, value) for item in found)
        case _:
            return False


def _matches(pattern: str, text: str) -> bool:
    try:
        return re2.search(pattern, text, _options()) is not None
    except (re2.error, UnicodeEncodeError):
        # A pattern is checked when it is read; a lone surrogate in the text has no UTF-8 to search.
        return False


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


def _kind(value: Json) -> type:
    """The kind of a value as a type; every number is a float here."""
    return float if type(value) is int else type(value)
