r"""Dotted paths into JSON: `order.items.0.sku`.

A path is keys joined by dots. On an object a key is a member's name; on a list it is an index, written
without a sign or a leading zero. A dot that belongs to a name is written `\.` and a backslash `\\`; a
backslash before anything else is an error, so that a later version may give it a meaning. An empty key
(`a..b`, or an empty path) is an error too.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, Literal

from core.errors import InvalidInput

Json = Any
"""A JSON value as Python's json module reads it: None, bool, int, float, str, list or dict."""

MAX_LENGTH: Final = 1_024
"""The longest path, in characters."""

MAX_KEYS: Final = 64
"""The most keys of a path: no document that we accept is nested deeper."""


class Missing(Enum):
    """The type of `MISSING`: nothing is there, which is not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

_PIECES: Final = re.compile(r"(?:[^.\\]|\\[.\\])+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([.\\])")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def split(path: str) -> tuple[str, ...]:
    """The keys of a dotted path, unescaped; at least one.

    Raises InvalidInput, with a sentence that says what is wrong, for a path that is empty, longer than
    `MAX_LENGTH` characters, deeper than `MAX_KEYS` keys, has an empty key or a stray backslash.
    """
    if not path:
        raise InvalidInput("A path needs at least one key.")
    if len(path) > MAX_LENGTH:
        raise InvalidInput(f"A path has at most {MAX_LENGTH} characters; this one has {len(path)}.")
    keys = []
    at = 0
    while True:
        piece = _PIECES.match(path, at)
        if piece is None:
            stray = at < len(path) and path[at] == "\\"
            raise InvalidInput(_STRAY if stray else f"The path has an empty key at character {at}.")
        keys.append(_ESCAPED.sub(r"\1", piece.group()))
        at = piece.end()
        if at == len(path):
            break
        if path[at] == "\\":
            raise InvalidInput(_STRAY)
        at += 1
    if len(keys) > MAX_KEYS:
        raise InvalidInput(f"A path has at most {MAX_KEYS} keys; this one has {len(keys)}.")
    return tuple(keys)


_STRAY: Final = r"In a path a backslash stands only before a dot or another backslash ('\.' or '\\')."


def join(keys: Sequence[str]) -> str:
    r"""The dotted path of `keys`, escaped: what `split` reads back."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def lookup(data: Json, path: Sequence[str]) -> Json | Literal[Missing.MISSING]:
    """What stands at `path` in `data`, or `MISSING`. Never raises."""
    here = data
    for key in path:
        if isinstance(here, dict):
            if key not in here:
                return MISSING
            here = here[key]
        elif isinstance(here, list):
            index = _index(key)
            if index is None or index >= len(here):
                return MISSING
            here = here[index]
        else:
            return MISSING
    return here


def assign(data: Json, path: Sequence[str], value: Json) -> Json:
    """`data` with `value` at `path`: a new value that shares with the old one all that is off the path.

    It always succeeds, since a failure handler has nowhere to fail to: what is missing on the way becomes
    an object, the index just past a list's end appends, and whatever else the path cannot go through (a
    scalar, null, a list under a name or a far index) is replaced by an object.
    """
    if not path:
        return value
    levels = []
    here = data
    for key in path:
        levels.append(here)
        here = lookup(here, (key,))
    result = value
    for key, level in zip(reversed(path), reversed(levels), strict=True):
        result = _with(level, key, result)
    return result


def _with(level: Json, key: str, value: Json) -> Json:
    if isinstance(level, dict):
        return {**level, key: value}
    if isinstance(level, list):
        index = _index(key)
        if index is not None and index <= len(level):
            return [*level[:index], value, *level[index + 1 :]]
    return {key: value}


def _index(key: str) -> int | None:
    return int(key) if _INDEX.fullmatch(key) else None
