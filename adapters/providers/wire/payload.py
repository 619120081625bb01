"""JSON to and from the wire."""

from typing import Any

import msgspec

from core.data.decoding import check_depth
from core.errors import InvalidInput

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class NotJson(ValueError):
    """Bytes that are not JSON, or a value that has no JSON form."""


def encode(value: Any) -> bytes:
    """`value` as JSON in UTF-8. Raises `NotJson`."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as problem:
        raise NotJson(f"the payload has no JSON form ({type(problem).__name__})") from problem


def too_deep(body: bytes) -> bool:
    """Whether this JSON nests deeper than a journal keeps."""
    try:
        check_depth(body)
    except InvalidInput:
        return True
    return False


def decode(body: bytes) -> Any:
    """The JSON value in `body`.

    Raises `NotJson`: for syntax, bytes that are not UTF-8, half a surrogate pair, NaN and numbers that are
    too large for a double, and for nesting beyond the stack.
    """
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError, msgspec.MsgspecError) as problem:
        raise NotJson("the body is not JSON") from problem
