"""Bounds on values that are made: bytes of compact JSON, and depth.

A value may share its parts (`{"a.$": "$", "b.$": "$"}`), so that few instructions could make gigabytes of
JSON. A `Budget` is charged for each part as it is taken, before the whole is put together.
"""

import json
from typing import Final

import msgspec

from core.data.decoding import check_depth
from core.data.failures import TooLarge
from core.data.paths import Json
from core.errors import InvalidInput

MAX_DEPTH: Final = 128
"""How deep a value that is made may nest; what comes in from outside nests less (decoding.py)."""

MAX_VALUE: Final = 1 << 20
"""Bytes of JSON of one intermediate result, an expression's or a function's."""


def text(value: Json) -> bytes:
    """`value` as compact JSON in UTF-8; lone surrogates are escaped. Raises TooLarge where it nests too
    deeply to be written.
    """
    try:
        return msgspec.json.encode(value)
    except RecursionError as deep:
        raise TooLarge(f"It is nested deeper than {MAX_DEPTH} levels.") from deep
    except (UnicodeEncodeError, TypeError, msgspec.MsgspecError):
        try:
            return json.dumps(value, separators=(",", ":")).encode()
        except RecursionError as deep:
            raise TooLarge(f"It is nested deeper than {MAX_DEPTH} levels.") from deep


def check(value: Json, limit: int) -> int:
    """The bytes of `value` as JSON. Raises TooLarge if they are more than `limit`, or it is too deep."""
    written = text(value)
    if len(written) > limit:
        raise TooLarge(f"It has {len(written)} bytes of JSON; the limit is {limit}.")
    try:
        check_depth(written, MAX_DEPTH)
    except InvalidInput as deep:
        raise TooLarge(f"It is nested deeper than {MAX_DEPTH} levels.") from deep
    return len(written)


class Budget:
    """Bytes that are left for one value that is being put together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def take(self, value: Json) -> None:
        """Charge for a part. Raises TooLarge where the parts together pass the limit."""
        if isinstance(value, str):
            self.spend(len(value) + 2)
        elif value is None or isinstance(value, bool | int | float):
            self.spend(1)
        else:
            self.spend(check(value, self._limit))

    def spend(self, size: int) -> None:
        """Charge for `size` bytes. Raises TooLarge as `take` does."""
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"It has more than {self._limit} bytes of JSON.")
