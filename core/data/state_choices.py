r"""Choice rules of the States Language in JSONPath (its specification, "Choice State").

A value of another kind than the operator's is unequal to everything and in no order: the rule is false. A
path that names nothing fails the state, but for IsPresent. In StringMatches `*` stands for any text, and
`\*` and `\\` for the characters.
"""

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from core.data.failures import NothingThere, runtime
from core.data.flow import Json
from core.data.jsonpath import NotAPath, compile_path
from core.data.scope import Scope
from core.data.timestamps import nanoseconds

MAX_NESTING: Final = 32
"""How deep And, Or and Not may nest."""

KINDS: Final = ("Boolean", "Numeric", "String", "Timestamp")
TESTS: Final = ("IsBoolean", "IsNull", "IsNumeric", "IsPresent", "IsString", "IsTimestamp")
COMPOSITE: Final = ("And", "Or", "Not")

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}


@lru_cache(maxsize=1)
def comparisons() -> Mapping[str, tuple[str, str, bool]]:
    """The comparing operators: the kind, the order, and whether the other side is a path."""
    found = {}
    for kind in KINDS:
        for order in _ORDERS:
            if kind == "Boolean" and order != "Equals":
                continue
            found[f"{kind}{order}"] = (kind, order, False)
            found[f"{kind}{order}Path"] = (kind, order, True)
    found["StringMatches"] = ("String", "Matches", False)
    return found


def holds(rule: Json, scope: Scope) -> bool:
    """Whether a rule holds. Raises Failed (`States.Runtime`) and what Scope.find raises."""
    return _holds(rule, scope, 0)


def operand(kind: str, value: Json) -> Json:
    """`value` as the operators of `kind` compare it; None where it is of another kind."""
    match kind:
        case "Boolean":
            return value if isinstance(value, bool) else None
        case "Numeric":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "String":
            # Java, and so AWS, orders strings by their UTF-16 code units.
            return value.encode("utf-16-be", "surrogatepass") if isinstance(value, str) else None
        case _:
            return nanoseconds(value) if isinstance(value, str) else None


def _holds(rule: Json, scope: Scope, depth: int) -> bool:
    if not isinstance(rule, dict) or depth > MAX_NESTING:
        raise runtime("A choice rule is an object, and nests at most 32 deep.")
    match rule:
        case {"And": list(parts)}:
            return all(_holds(part, scope, depth + 1) for part in parts)
        case {"Or": list(parts)}:
            return any(_holds(part, scope, depth + 1) for part in parts)
        case {"Not": part}:
            return not _holds(part, scope, depth + 1)
        case _:
            return _compare(rule, scope)


def _compare(rule: Mapping[str, Json], scope: Scope) -> bool:
    name = next((key for key in rule if key in comparisons() or key in TESTS), None)
    if name is None:
        raise runtime("A choice rule has no operator that is known.")
    try:
        value = _find(rule.get("Variable"), scope)
    except NothingThere:
        if name == "IsPresent":
            return rule[name] is False
        raise
    wanted = rule[name]
    if name in TESTS:
        return _is(name, value) is wanted
    kind, order, is_path = comparisons()[name]
    other = _find(wanted, scope) if is_path else wanted
    if order == "Matches":
        return isinstance(value, str) and isinstance(other, str) and matches(other, value)
    left, right = operand(kind, value), operand(kind, other)
    return left is not None and right is not None and _ORDERS[order](left, right)


def _find(path: Json, scope: Scope) -> Json:
    if not isinstance(path, str):
        raise runtime("A choice rule's variable is a path.")
    try:
        return scope.find(compile_path(path))
    except NotAPath as refused:
        raise runtime(f"The choice rule's path '{path}' cannot be read: {refused}") from refused
    except NothingThere as missing:
        cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
        raise NothingThere(path, cause) from missing


def _is(name: str, value: Json) -> bool:
    match name:
        case "IsPresent":
            return True
        case "IsNull":
            return value is None
        case _:
            return operand(name.removeprefix("Is"), value) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is what `pattern` says. Takes time about linear in the text's length."""
    parts = _parts(pattern)
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _parts(pattern: str) -> list[str]:
    """The literal text between the wildcards."""
    parts = [""]
    at = 0
    while at < len(pattern):
        here = pattern[at]
        if here == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
            at += 1
            parts[-1] += pattern[at]
        elif here == "*":
            parts.append("")
        else:
            parts[-1] += here
        at += 1
    return parts
