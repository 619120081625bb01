"""Whether expressions can be read at all: what front ends refuse before a workflow is registered.

Pure; a finding is a place (keys and indexes from the checked value down) and a sentence.
"""

from collections.abc import Iterator
from typing import Final

from core.data.flow import Json, Language
from core.data.intrinsic_calls import NotACall, compile_call, is_call
from core.data.jsonata import check_jsonata
from core.data.jsonpath import NotAPath, compile_path, keys
from core.data.paths import split
from core.data.state_choices import BESIDE, COMPOSITE, MAX_NESTING, TESTS, comparisons, operand
from core.data.templates import CLOSING, OPENING, expression_of
from core.errors import InvalidInput

Place = tuple[str | int, ...]
Finding = tuple[Place, str]

RESERVED: Final = "states"
"""No variable may be named so."""


def check_path(text: str, *, reference: bool = False) -> str | None:
    """Why `text` is no path (with `reference`: no reference path, as ResultPath has to be); None if it is."""
    try:
        path = compile_path(text)
    except NotAPath as refused:
        return str(refused)
    if not reference:
        return None
    if keys(path) is None:
        return "A reference path has names and indexes only: no wildcard, slice, filter, '..' or function."
    return None


def check_intrinsic(text: str) -> str | None:
    """Why `text` is no call of intrinsic functions; None if it is."""
    try:
        compile_call(text)
    except NotACall as refused:
        return str(refused)
    return None


def check_find(text: str) -> str | None:
    """Why `text` is neither a path nor a call: what a member that ends in `.$` may hold."""
    return check_intrinsic(text) if is_call(text) else check_path(text)


def check_expression(text: str) -> str | None:
    """Why a string of a JSONata template cannot be evaluated; None for any string without `{%`."""
    if not text.startswith(OPENING):
        return None
    expression = expression_of(text)
    if expression is None:
        return f"An expression that starts with '{OPENING}' ends with '{CLOSING}'."
    return check_jsonata(expression)


def check_template(template: Json, language: Language) -> list[Finding]:
    """All that is wrong with a template's expressions."""
    return list(_template(template, language, ()))


def check_rule(rule: Json) -> list[Finding]:
    """All that is wrong with a choice rule in JSONPath, apart from Next, Assign and Output."""
    return list(_rule(rule, (), 0))


def _template(value: Json, language: Language, place: Place) -> Iterator[Finding]:
    match value:
        case dict():
            for name, member in value.items():
                if language == "jsonpath" and name.endswith(".$"):
                    yield from _member(value, name, (*place, name))
                else:
                    yield from _template(member, language, (*place, name))
        case list():
            for at, item in enumerate(value):
                yield from _template(item, language, (*place, at))
        case str() if language != "jsonpath":
            wrong = check_expression(value)
            if wrong is None and language == "native" and value.startswith("$."):
                wrong = _dotted(value[2:])
            if wrong is not None:
                yield place, wrong
        case _:
            pass


def _member(value: dict[str, Json], name: str, place: Place) -> Iterator[Finding]:
    text = value[name]
    if not isinstance(text, str):
        yield (
            place,
            "The value of a member whose name ends in '.$' is a path or an intrinsic function's call.",
        )
        return
    wrong = check_find(text)
    if wrong is not None:
        yield place, wrong
    if name.removesuffix(".$") in value:
        yield place, f"The member '{name.removesuffix('.$')}' is there too."


def _dotted(path: str) -> str | None:
    try:
        split(path)
    except InvalidInput as refused:
        return str(refused)
    return None


def _rule(rule: Json, place: Place, depth: int) -> Iterator[Finding]:
    if not isinstance(rule, dict):
        yield place, "A choice rule is an object."
        return
    if depth > MAX_NESTING:
        yield place, f"Choice rules nest at most {MAX_NESTING} deep."
        return
    names = [name for name in rule if name not in BESIDE]
    known = [name for name in names if name in COMPOSITE or name in TESTS or name in comparisons()]
    for name in names:
        if name not in known:
            yield (*place, name), f"'{name[:80]}' is no operator of a choice rule."
    if len(known) != 1:
        yield place, "A choice rule has one operator."
        return
    yield from _operator(rule, known[0], place, depth)


def _operator(rule: dict[str, Json], name: str, place: Place, depth: int) -> Iterator[Finding]:
    wanted = rule[name]
    here = (*place, name)
    if name == "Not":
        yield from _rule(wanted, here, depth + 1)
        return
    if name in COMPOSITE:
        if not isinstance(wanted, list) or not wanted:
            yield here, f"{name} has a list of at least one rule."
            return
        for at, part in enumerate(wanted):
            yield from _rule(part, (*here, at), depth + 1)
        return
    variable = rule.get("Variable")
    if not isinstance(variable, str):
        yield (*place, "Variable") if "Variable" in rule else place, "A rule's Variable is a path."
    elif wrong := check_path(variable):
        yield (*place, "Variable"), wrong
    if name in TESTS:
        if not isinstance(wanted, bool):
            yield here, f"{name} is true or false."
        return
    kind, _, is_path = comparisons()[name]
    if is_path:
        wrong = check_path(wanted) if isinstance(wanted, str) else f"{name} is a path."
        if wrong is not None:
            yield here, wrong
    elif operand(kind, wanted) is None:
        yield here, f"{name} is compared with a value of the kind {kind}."
