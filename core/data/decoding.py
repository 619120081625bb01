"""Decoding JSON from strangers: bounded in size, depth and time, and stricter than most decoders.

Refused beside malformed text (RFC 8259): NaN and infinities, numbers that a double cannot hold, lone
surrogates, text that is not UTF-8, and an object that names a member twice, since decoders disagree about
which one counts (RFC 8259, section 4).
"""

import json
import re
from typing import Any, Final

import msgspec

from core.data.paths import Json
from core.errors import InvalidInput

MAX_DEPTH: Final = 64
"""How deep lists and objects may nest."""

MAX_DIGITS: Final = 308
"""Digits of a whole number: what a double can hold (RFC 8259, section 6, on interoperability)."""

SHOWN: Final = 80
"""Characters of a caller's text that a message repeats."""

# Strings are skipped whole, an unfinished one to the end, so that one pass is linear on any input.
_TOKENS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_DIGITS: Final = b"0123456789"
_OFFSET: Final = re.compile(r"\(byte ([0-9]+)\)")
_VALUE: Final = re.compile(r"`(\$[^`]*)`")


class _Brought(msgspec.Struct):
    """A body that brings a workflow along; the rest of it is not looked at."""

    workflow: msgspec.Raw = msgspec.Raw(b"")


_BROUGHT: Final = msgspec.json.Decoder(_Brought)


def loads(data: bytes, *, max_bytes: int = 1 << 20, max_depth: int = MAX_DEPTH) -> Json:
    """The JSON value that `data` spells.

    Raises InvalidInput, with a sentence that says what is wrong and where, for whatever is not such a value
    or passes a limit. Takes time linear in the size of `data`, and never recurses deeper than `max_depth`.
    """
    if len(data) > max_bytes:
        raise InvalidInput(f"The JSON has {len(data)} bytes; the limit is {max_bytes}.")
    check_depth(data, max_depth)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as refused:
        raise InvalidInput(_reason(data, refused)) from refused
    if not _is_plain(data, value):
        _refuse_ambiguity(data)
    return value


def workflow_in(data: bytes) -> bytes | None:
    """The text of the member `workflow` of the object that `data` spells, where one can be told and stands
    nowhere else in it. Nothing else of `data` is judged, and that text is not, either.
    """
    try:
        text = bytes(_BROUGHT.decode(data).workflow)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return text if text and data.count(text) == 1 else None


def check_depth(data: bytes, limit: int = MAX_DEPTH) -> None:
    """Raise InvalidInput where lists and objects nest deeper in this JSON than `limit`."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = 0
    for token in _TOKENS.finditer(data):
        match data[token.start()]:
            case 0x5B | 0x7B:
                depth += 1
                if depth > limit:
                    where = _position(data, token.start())
                    raise InvalidInput(f"The JSON is nested deeper than {limit} levels, at {where}.")
            case 0x5D | 0x7D:
                depth -= 1
            case _:
                pass


def _is_plain(data: bytes, value: Json) -> bool:
    """Whether it is clear without a second look that no object of `data` names a member twice, and that no
    whole number is too long.

    Without a backslash in it, a text and what is written again from its value have the same strings; so they
    have the same number of colons, unless a member was lost on the way.
    """
    if _has_long_run(data):
        return False
    colons = data.count(b":")
    return colons <= 1 or (b"\\" not in data and msgspec.json.encode(value).count(b":") == colons)


def _has_long_run(data: bytes) -> bool:
    """Whether more than MAX_DIGITS digits stand behind one another: one of them is then at a multiple of that
    length, so that few places have to be looked at.
    """
    for at in range(MAX_DIGITS, len(data), MAX_DIGITS + 1):
        if data[at] in _DIGITS:
            before, after = data[at - MAX_DIGITS : at], data[at : at + MAX_DIGITS + 1]
            outside = len(before.rstrip(_DIGITS)) + len(after.lstrip(_DIGITS))
            if len(before) + len(after) - outside > MAX_DIGITS:
                return True
    return False


def _refuse_ambiguity(data: bytes) -> None:
    """Refuse members named twice and whole numbers without bound; `data` is well-formed."""

    def members(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidInput(f"An object of the JSON has the member {json.dumps(name[:SHOWN])} twice.")
            seen.add(name)

    def whole(digits: str) -> None:
        if len(digits.lstrip("-")) > MAX_DIGITS:
            raise InvalidInput(f"A number of the JSON has more than {MAX_DIGITS} digits.")

    json.loads(data, object_pairs_hook=members, parse_int=whole, parse_float=_nothing)


def _reason(data: bytes, refused: Exception) -> str:
    if isinstance(refused, UnicodeDecodeError):
        # msgspec counts from the start of the string; the whole text gives the place.
        return f"The JSON is not UTF-8, at {_position(data, _first_bad_byte(data))}."
    message = str(refused)
    if "out of range" in message.lower():
        return f"A number of the JSON is larger than a double can hold{_path(message)}."
    found = _OFFSET.search(message)
    if found is None:
        return _truncated(data)
    offset = int(found[1])
    what = found.string[: found.start()].removeprefix("JSON is malformed: ").strip()
    if data[offset : offset + 1] in (b"N", b"I"):
        what = "NaN and Infinity are no JSON numbers"
    return f"This is not JSON: {what}, at {_position(data, offset)}."


def _truncated(data: bytes) -> str:
    if not data.strip():
        return "The JSON is empty."
    try:
        json.loads(data, parse_int=_nothing)
    except ValueError:
        return f"This is not JSON: it ends too early, at {_position(data, len(data))}."
    return "A string of the JSON ends in half of a surrogate pair."


def _first_bad_byte(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as refused:
        return refused.start
    return 0


def _path(message: str) -> str:
    found = _VALUE.search(message)
    return f", at {found[1][:200]}" if found else ""


def _position(data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    column = offset - (data.rfind(b"\n", 0, offset) + 1) + 1
    return f"line {line}, column {column}"


def _nothing(_: str) -> None:
    """Stand for a number whose value does not matter."""
