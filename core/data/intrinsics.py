"""The intrinsic functions of the States Language (its specification, appendix B, and AWS's guide).

Numbers that ought to be whole are rounded half up, as AWS does (Java's Math.round). Every failure is
`States.IntrinsicFailure`. Results are bounded while they are made.
"""

import base64
import binascii
import hashlib
import math
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NoReturn, assert_never

from core.data.decoding import loads
from core.data.failures import Failed, NothingThere, TooLarge, intrinsic
from core.data.intrinsic_calls import Argument, Call, Literal
from core.data.java_random import JavaRandom
from core.data.java_text import java_text
from core.data.jsonpath import Path
from core.data.paths import Json
from core.data.scope import Scope, shown
from core.data.sizes import MAX_VALUE, Budget, check, text
from core.errors import InvalidInput

MAX_RANGE: Final = 1_000
"""Items of one ArrayRange (AWS, "Intrinsic functions for JSONPath states")."""

MAX_TEXT: Final = 10_000
"""Characters that are encoded, decoded or hashed at once (the same page)."""

MAX_INTEGER: Final = (1 << 31) - 1
"""The largest whole number that MathAdd and MathRandom take (the same page)."""

_HASHES: Final[Mapping[str, str]] = {
    "MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512",
}  # fmt: skip

_GLANCES: Final = frozenset({"ArrayLength", "ArrayGetItem"})
"""Functions that take no longer for a longer list."""


def call(made: Call, scope: Scope) -> Json:
    """The result of a call. Raises Failed, and what Scope.find raises; Unbounded also where the calls of one
    bounded request read too much.
    """
    try:
        return _run(made, scope)
    except NothingThere as missing:
        # AWS names the whole expression, and the state's input whatever was looked through.
        sought = f"The JsonPath argument for the field '{missing.path}' could not be found in the input"
        cause = f"The function '{made.source}' had the following error: {sought} '{shown(scope.data)}'"
        raise Failed(missing.error, cause) from missing
    except Failed as failed:
        raise intrinsic(f"The function '{made.source}' had the following error: {failed.cause}") from failed


def _run(made: Call, scope: Scope) -> Json:
    values = [_value(argument, scope) for argument in made.arguments]
    if scope.bounded and made.name not in _GLANCES:
        for value in values:
            scope.effort.spend(value)
    if made.name == "Format":
        result = _format(made.arguments[0], values)
    elif made.name == "UUID":
        result = str(uuid.UUID(bytes=scope.chance.draw(16), version=4))
    elif made.name == "MathRandom":
        result = _random(values, scope)
    else:
        result = _functions()[made.name](*values)
    check(result, MAX_VALUE)
    return result


def _value(argument: Argument, scope: Scope) -> Json:
    match argument:
        case Literal(value=value):
            return value
        case Path():
            return scope.find(argument)
        case Call():
            return _run(argument, scope)
        case _:
            assert_never(argument)


@lru_cache(maxsize=1)
def _functions() -> Mapping[str, Callable[..., Json]]:
    return {
        "Array": _array,
        "ArrayPartition": _partition,
        "ArrayContains": _contains,
        "ArrayRange": _range,
        "ArrayGetItem": _item,
        "ArrayLength": lambda items: len(_list(items, "ArrayLength")),
        "ArrayUnique": _unique,
        "Base64Encode": _encode,
        "Base64Decode": _decode,
        "Hash": _hash,
        "JsonMerge": _merge,
        "JsonToString": lambda value: text(value).decode("utf-8", "replace"),
        "MathAdd": _add,
        "StringSplit": _split,
        "StringToJson": _parse,
    }


def _array(*items: Json) -> Json:
    budget = Budget(MAX_VALUE)
    for item in items:
        budget.take(item)
    return list(items)


def _partition(items: Json, size: Json) -> Json:
    values = _list(items, "ArrayPartition")
    length = _whole(size, "ArrayPartition")
    if length < 1:
        _refuse("States.ArrayPartition takes a positive size of the parts.")
    return [values[at : at + length] for at in range(0, len(values), length)]


def _contains(items: Json, wanted: Json) -> Json:
    key = _identity(wanted)
    return any(_identity(item) == key for item in _list(items, "ArrayContains"))


def _range(first: Json, last: Json, step: Json) -> Json:
    start, stop, width = (_whole(value, "ArrayRange") for value in (first, last, step))
    if width == 0:
        _refuse("States.ArrayRange takes a step other than 0.")
    numbers = range(start, stop + (1 if width > 0 else -1), width)
    # The length of a range of large numbers may pass what len() can say.
    if numbers and abs(numbers[-1] - numbers[0]) // abs(width) + 1 > MAX_RANGE:
        _refuse(f"States.ArrayRange makes at most {MAX_RANGE} items.")
    return list(numbers)


def _item(items: Json, index: Json) -> Json:
    values = _list(items, "ArrayGetItem")
    at = _whole(index, "ArrayGetItem")
    if not 0 <= at < len(values):
        _refuse(f"States.ArrayGetItem found no item at {at}: the array has {len(values)}.")
    return values[at]


def _unique(items: Json) -> Json:
    kept: dict[bytes, Json] = {}
    for item in _list(items, "ArrayUnique"):
        kept.setdefault(_identity(item), item)
    return list(kept.values())


def _encode(data: Json) -> Json:
    return base64.b64encode(_text(data, "Base64Encode").encode("utf-8", "replace")).decode()


def _decode(data: Json) -> Json:
    written = _text(data, "Base64Decode")
    try:
        padded = written + "=" * (-len(written) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        _refuse("States.Base64Decode takes a string in Base64.")


def _hash(data: Json, algorithm: Json) -> Json:
    written = data if isinstance(data, str) else text(data).decode("utf-8", "replace")
    if len(written) > MAX_TEXT:
        _refuse(f"States.Hash takes at most {MAX_TEXT} characters.")
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        _refuse(f"States.Hash knows the algorithms {', '.join(_HASHES)}.")
    # The workflow's author chooses; what it is for is not ours to know.
    return hashlib.new(
        _HASHES[algorithm], written.encode("utf-8", "replace"), usedforsecurity=False
    ).hexdigest()


def _merge(one: Json, other: Json, deep: Json) -> Json:
    if not isinstance(one, dict) or not isinstance(other, dict):
        _refuse("States.JsonMerge merges two objects.")
    if deep is not False:
        _refuse("States.JsonMerge takes false as its third argument: it merges the top level only.")
    return {**one, **other}


def _add(one: Json, other: Json) -> Json:
    left, right = (_small(value, "MathAdd") for value in (one, other))
    return left + right


def _split(data: Json, characters: Json) -> Json:
    if not isinstance(data, str) or not isinstance(characters, str):
        _refuse("States.StringSplit takes two strings.")
    if not characters:
        return [data]
    one = characters[0]
    for other in set(characters):
        data = data.replace(other, one)
    return [part for part in data.split(one) if part]


def _parse(data: Json) -> Json:
    if not isinstance(data, str):
        _refuse("States.StringToJson takes a string.")
    if not data.strip():
        # Blank text is no JSON; AWS reads it as nothing, not as an error.
        return None
    try:
        return loads(data.encode("utf-8", "surrogatepass"), max_bytes=MAX_VALUE)
    except InvalidInput as refused:
        raise intrinsic(str(refused)) from refused


def _random(values: list[Json], scope: Scope) -> Json:
    start, end = (_small(value, "MathRandom") for value in values[:2])
    if start >= end:
        _refuse("States.MathRandom takes a start that is less than its end.")
    if values[2:]:
        return start + JavaRandom(_whole(values[2], "MathRandom")).below(end - start)
    return start + int.from_bytes(scope.chance.draw(16), "big") % (end - start)


def _format(template: Argument, values: list[Json]) -> Json:
    raw = template.raw if isinstance(template, Literal) else None
    if not isinstance(values[0], str):
        _refuse("States.Format takes a string as its first argument.")
    pieces = _pieces(values[0] if raw is None else raw, literal=raw is not None)
    if len(pieces) != len(values):
        _refuse(f"States.Format has {len(pieces) - 1} places {{}}, but {len(values) - 1} values.")
    budget = Budget(MAX_VALUE)
    made = [pieces[0]]
    for value, piece in zip(values[1:], pieces[1:], strict=True):
        budget.take(value)
        made += (java_text(value), piece)
    result = "".join(made)
    if len(result) > MAX_VALUE:
        raise TooLarge(f"States.Format makes at most {MAX_VALUE} characters.")
    return result


def _pieces(template: str, *, literal: bool) -> list[str]:
    r"""The text between the places `{}`. `\{` and `\}` are braces that make none; in a literal the other
    escapes stand for their characters too.
    """
    pieces = [""]
    part: list[str] = []
    at = 0
    while at < len(template):
        here = template[at]
        following = template[at + 1 : at + 2]
        if here == "\\" and following and (literal or following in "{}"):
            part.append(following)
            at += 2
        elif here == "{" and following == "}":
            pieces[-1] = "".join(part)
            pieces.append("")
            part = []
            at += 2
        elif here in "{}" and literal:
            _refuse(
                f"States.Format has a stray '{here}' at character {at}: write '\\{here}' for the character."
            )
        else:
            part.append(here)
            at += 1
    pieces[-1] = "".join(part)
    return pieces


def _identity(value: Json) -> bytes:
    """The same for equal values only: members in any order, 1 and 1.0 alike."""
    if isinstance(value, dict):
        members = sorted((text(name), _identity(member)) for name, member in value.items())
        return b"{" + b",".join(name + b":" + member for name, member in members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_identity, value)) + b"]"
    if isinstance(value, float) and value.is_integer():
        return text(int(value))
    return text(value)


def _list(value: Json, name: str) -> list[Json]:
    if not isinstance(value, list):
        _refuse(f"States.{name} takes an array as its first argument.")
    return value


def _text(value: Json, name: str) -> str:
    if not isinstance(value, str):
        _refuse(f"States.{name} takes a string.")
    if len(value) > MAX_TEXT:
        _refuse(f"States.{name} takes at most {MAX_TEXT} characters.")
    return value


def _whole(value: Json, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"States.{name} takes a whole number.")
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        _refuse(f"States.{name} takes a finite number.")
    return math.floor(value + 0.5)


def _small(value: Json, name: str) -> int:
    number = _whole(value, name)
    if not -MAX_INTEGER - 1 <= number <= MAX_INTEGER:
        _refuse(f"States.{name} takes whole numbers between {-MAX_INTEGER - 1} and {MAX_INTEGER}.")
    return number


def _refuse(cause: str) -> NoReturn:
    raise intrinsic(cause)
