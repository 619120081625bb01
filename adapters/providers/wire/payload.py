"""JSON to and from the wire, and a request body that knows whether any of it was written."""

from typing import Any

import msgspec
from aiohttp import ClientConnectionResetError, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict

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


class RequestBody(Payload):
    """Bytes to send. `written` turns True at the moment before the first of them may leave.

    aiohttp holds a request's headers back until its body is written, so while `written` is False nothing of
    the request has left this process: that is the proof behind every `executed = NO` after connecting. A
    pooled connection that is found closed at that moment is proof as well.
    """

    _autoclose = True

    def __init__(self, content: bytes) -> None:
        # Not super().__init__: it only derives what is known here, for 2 % of a call's cost.
        self._value = content
        self._size = len(content)
        self._headers = CIMultiDict({hdrs.CONTENT_TYPE: "application/json"})
        self._encoding = None
        self._filename = None
        self.written = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The content as text (part of aiohttp's interface)."""
        return bytes(self._value).decode(encoding, errors)

    @property
    def consumed(self) -> bool:
        """True once it was written: aiohttp does not send what was consumed a second time, and by itself it
        would a GET whose connection was lost.
        """
        return self.written

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it all. Raises ClientConnectionResetError, with nothing written, on a closed connection."""
        if isinstance(writer, StreamWriter):
            transport = writer.transport
            if transport is None or transport.is_closing():
                raise ClientConnectionResetError("the connection was closed before the request was written")
        self.written = True
        await writer.write(self._value)
