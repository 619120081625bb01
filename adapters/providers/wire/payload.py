"""JSON to and from the wire."""

from typing import Any

import msgspec

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


def decode(body: bytes) -> Any:
    """The JSON value in `body`. Raises `NotJson` (syntax, UTF-8, NaN, nesting beyond the stack)."""
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError, msgspec.MsgspecError) as problem:
        raise NotJson("the body is not JSON") from problem
