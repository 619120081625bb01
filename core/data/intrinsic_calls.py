r"""The text of intrinsic function calls, read: `States.Format('{} of {}', $.n, States.ArrayLength($.all))`.

Arguments are strings in single quotes, numbers, `true`, `false`, `null`, paths and further calls. In a
string `\'`, `\{`, `\}` and `\\` stand for the second character, and a backslash before any other is an
error, as on AWS. The raw text keeps its escapes: Format tells `\{\}` from a place `{}`.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from core.data.jsonpath import NotAPath, Path, compile_path
from core.data.paths import Json

MAX_CALL: Final = 10_000
"""Characters of one expression (AWS: Step Functions' intrinsic functions take at most 10,000)."""

MAX_NESTING: Final = 10
"""How deep calls may nest (AWS, "Intrinsic functions for JSONPath states", on nested ones)."""

ARGUMENTS: Final = {
    "Array": (0, None), "ArrayPartition": (2, 2), "ArrayContains": (2, 2), "ArrayRange": (3, 3),
    "ArrayGetItem": (2, 2), "ArrayLength": (1, 1), "ArrayUnique": (1, 1), "Base64Encode": (1, 1),
    "Base64Decode": (1, 1), "Format": (1, None), "Hash": (2, 2), "JsonMerge": (3, 3), "JsonToString": (1, 1),
    "MathAdd": (2, 2), "MathRandom": (2, 3), "StringSplit": (2, 2), "StringToJson": (1, 1), "UUID": (0, 0),
}  # fmt: skip
"""The functions, with the least and the most arguments that each takes."""


class NotACall(ValueError):
    """The text is no call of an intrinsic function; the message says why."""


class Literal(msgspec.Struct, frozen=True):
    """A constant. A string's `raw` text still has its escapes; `value` has none."""

    value: Json
    raw: str = ""


class Call(msgspec.Struct, frozen=True):
    """A call; `name` is without `States.`, `source` as it is written."""

    name: str
    arguments: tuple["Argument", ...]
    source: str


Argument = Literal | Path | Call

_HEAD: Final = re.compile(r"\s*States\.([A-Za-z0-9_]+)\s*\(")
_SPACE: Final = re.compile(r"\s*")
_STRING: Final = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,307})(\.[0-9]{1,308})?([eE][+-]?[0-9]{1,3})?")
_WORD: Final = re.compile(r"(true|false|null)\b")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}


def is_call(text: str) -> bool:
    """Whether `text` is meant as a call rather than a path."""
    return text.lstrip().startswith("States.")


@lru_cache(maxsize=4_096)
def compile_call(text: str) -> Call:
    """The call that `text` spells. Raises NotACall, with a sentence, for any other text."""
    if len(text) > MAX_CALL:
        raise NotACall(f"An intrinsic function's call has at most {MAX_CALL} characters.")
    call, at = _call(text, 0, 1)
    if _skip(text, at) != len(text):
        raise NotACall(f"The call ends at character {at}, but the text goes on.")
    return call


def _call(text: str, at: int, depth: int) -> tuple[Call, int]:
    if depth > MAX_NESTING:
        raise NotACall(f"Calls nest at most {MAX_NESTING} deep.")
    start = _skip(text, at)
    head = _HEAD.match(text, at)
    if head is None:
        raise NotACall(f"A call of the form States.Name(...) is missing at character {at}.")
    name = head[1]
    if name not in ARGUMENTS:
        raise NotACall(f"There is no intrinsic function 'States.{name[:40]}'.")
    arguments = []
    at = _skip(text, head.end())
    if text.startswith(")", at):
        at += 1
    else:
        while True:
            argument, at = _argument(text, at, depth)
            arguments.append(argument)
            at = _skip(text, at)
            if text.startswith(")", at):
                at += 1
                break
            if not text.startswith(",", at):
                raise NotACall(f"A ',' or ')' is missing at character {at}.")
            at = _skip(text, at + 1)
    least, most = ARGUMENTS[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = f"at least {least}" if most is None else " or ".join(map(str, range(least, most + 1)))
        raise NotACall(f"States.{name} takes {wanted} argument(s), not {len(arguments)}.")
    return Call(name, tuple(arguments), text[start:at]), at


def _argument(text: str, at: int, depth: int) -> tuple[Argument, int]:
    if text.startswith("'", at):
        found = _STRING.match(text, at)
        if found is None:
            raise NotACall(f"The string at character {at} has no end.")
        for escape in _ESCAPED.finditer(found[1]):
            if escape[1] not in "'{}\\":
                raise NotACall(f"The string at character {at} has a stray backslash before '{escape[1]}'.")
        return Literal(_ESCAPED.sub(r"\1", found[1]), found[1]), found.end()
    if text.startswith("$", at):
        end = _path_end(text, at)
        try:
            return compile_path(text[at:end].rstrip()), end
        except NotAPath as refused:
            raise NotACall(str(refused)) from refused
    if found := _WORD.match(text, at):
        return Literal(_WORDS[found[1]]), found.end()
    if found := _NUMBER.match(text, at):
        whole = found[1] is None and found[2] is None
        number = int(found.group()) if whole else float(found.group())
        if number in (float("inf"), float("-inf")):
            raise NotACall(f"The number at character {at} is larger than a double can hold.")
        return Literal(number), found.end()
    return _call(text, at, depth + 1)


def _path_end(text: str, at: int) -> int:
    """Where the path that starts at `at` ends: at a comma, or a parenthesis that it has not opened."""
    depth = 0
    quote = ""
    while at < len(text):
        here = text[at]
        if quote:
            if here == "\\":
                at += 1
            elif here == quote:
                quote = ""
        elif here in "'\"":
            quote = here
        elif here in "[(":
            depth += 1
        elif here in ")]":
            if depth == 0:
                break
            depth -= 1
        elif here == "," and depth == 0:
            break
        at += 1
    return min(at, len(text))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
