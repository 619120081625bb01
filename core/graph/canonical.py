"""The canonical form of a document, and its digest.

UTF-8 JSON without white space, members sorted by the code points of their names, numbers as Python's json
module writes them. Two documents that differ only in white space, escapes or the order of members have one
canonical form; `1` and `1.0` are two different ones.
"""

import hashlib
import json
import math
from typing import Final, NamedTuple

from core.errors import InvalidInput
from core.graph.findings import Place, pointer
from core.graph.limits import Limits
from core.graph.model import Json

MAX_NUMBER_BITS: Final = 1_023
"""The largest whole number: what a double can hold (RFC 8259, section 6, on interoperability)."""


class Unfit(NamedTuple):
    """Why a value has no canonical form."""

    place: Place
    code: str
    detail: str
    mend: str


def canonical(document: Json, limits: Limits | None = None) -> bytes:
    """The canonical form of `document`.

    Raises InvalidInput, with a pointer, for what has none: NaN, infinities, lone surrogates, member names
    that are no strings, values that are not JSON, and nesting or sizes over `limits`.
    """
    limits = limits or Limits()
    unfit = find_unfit(document, limits)
    if unfit is not None:
        raise InvalidInput(f"{unfit.detail} (at '{pointer(unfit.place)}')")
    source = encode(document)
    if len(source) > limits.definition_bytes:
        raise InvalidInput(f"The document has {len(source)} bytes; the limit is {limits.definition_bytes}.")
    return source


def digest(source: bytes) -> str:
    """The SHA-256 of a canonical form, in hex."""
    return hashlib.sha256(source).hexdigest()


def encode(document: Json) -> bytes:
    """The canonical form of a document in which `find_unfit` finds nothing."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def find_unfit(document: Json, limits: Limits) -> Unfit | None:
    """The first value that has no canonical form, or None.

    Walks without recursion, and visits at most as many values as a document of the allowed size can hold:
    each takes a byte at least.
    """
    # Each entry links to its parent's, so that a place is only spelt out for a problem.
    stack: list[_Entry] = [_Entry(document, None, "", 0)]
    visited = 0
    while stack:
        entry = stack.pop()
        visited += 1
        if visited > limits.definition_bytes:
            return Unfit((), "definition-too-large", _too_large(limits), "Split the workflow.")
        value = entry.value
        kind = type(value)
        if kind is str:
            if not _encodable(value):
                return Unfit(
                    entry.place(), "not-json", "The text has a lone surrogate.", "Send valid Unicode."
                )
        elif kind is dict or kind is list:
            if entry.depth >= limits.depth:
                detail = f"Lists and objects are nested deeper than {limits.depth} levels."
                return Unfit(entry.place(), "too-deep", detail, "Flatten the document.")
            if kind is list:
                stack.extend(
                    _Entry(value[at], entry, at, entry.depth + 1) for at in range(len(value) - 1, -1, -1)
                )
                continue
            for name in reversed(value):
                if type(name) is not str or not _encodable(name):
                    detail = "A member's name is not valid Unicode text."
                    return Unfit(entry.place(), "not-json", detail, "Use plain text for names.")
                stack.append(_Entry(value[name], entry, name, entry.depth + 1))
        elif kind is float:
            if not math.isfinite(value):
                detail = f"{value} is not a JSON number."
                return Unfit(entry.place(), "not-json", detail, "Use a finite number, or null.")
        elif kind is int:
            if value.bit_length() > MAX_NUMBER_BITS:
                detail = "The number is larger than a double can hold."
                return Unfit(entry.place(), "not-json", detail, "Send it as a string.")
        elif kind is not bool and value is not None:
            detail = f"A value of type {kind.__name__} is not JSON."
            return Unfit(
                entry.place(), "not-json", detail, "Use objects, lists, strings, numbers, booleans, null."
            )
    return None


def _too_large(limits: Limits) -> str:
    return f"The definition is larger than {limits.definition_bytes} bytes in canonical form."


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Entry:
    """A value to look at, and where it stands."""

    __slots__ = ("depth", "key", "parent", "value")

    def __init__(self, value: Json, parent: "_Entry | None", key: str | int, depth: int) -> None:
        self.value = value
        self.parent = parent
        self.key = key
        self.depth = depth

    def place(self) -> Place:
        parts = []
        entry = self
        while entry.parent is not None:
            parts.append(entry.key)
            entry = entry.parent
        return tuple(reversed(parts))
