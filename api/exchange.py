"""One request on a connection and its answer: the two ends that an ASGI application holds."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Scope

log = logging.getLogger("sidestep.server")

HIGH_WATER = 65_536
"""Bytes of a body that wait to be taken before its sender is kept waiting, and those of an answer up to which
head and body go out in one write.
"""

PIECES = 64
"""A body that waits lies in so many pieces at most: one of two bytes takes thirty times its length."""

AT_HAND = "sidestep.body"
"""The ASGI extension that gives the body at once: a callable whose answer is the body where it has come
whole, and None where it has to be received.
"""

_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Carrier(Protocol):
    """What an exchange asks of its connection."""

    transport: asyncio.Transport

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer carries."""
        ...

    async def drained(self) -> None:
        """Return when the caller has read enough to be sent more."""
        ...

    def taken(self) -> None:
        """What had come of the body was taken."""
        ...

    def answered(self) -> None:
        """The answer is complete."""
        ...

    def hang_up(self) -> None:
        """End once what was written is taken, within bounds."""
        ...


class Exchange:
    """`receive` and `send` of one request. `whole`: the request came to its end; `started` and `complete` are
    about the answer, and `held` counts the bytes of the body that wait to be taken.
    """

    __slots__ = (
        "_body",
        "_carrier",
        "_chunked",
        "_expects",
        "_given",
        "_head",
        "_left",
        "_waiter",
        "complete",
        "gone",
        "held",
        "keep_alive",
        "scope",
        "started",
        "whole",
    )

    def __init__(self, carrier: Carrier, scope: Scope, *, keep_alive: bool, expects: bool) -> None:
        self._carrier = carrier
        self.scope = scope
        scope["extensions"] = {AT_HAND: self.at_hand}
        self.keep_alive = keep_alive
        self._expects = expects
        self._body: list[bytes] = []
        self.held = 0
        self._given = False
        self._head: list[bytes] = []
        self._chunked = False
        self._left: int | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.whole = False
        self.gone = False
        self.started = False
        self.complete = False

    async def run(self, app: ASGIApp) -> None:
        """Have it answered; what is left unanswered ends the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._carrier.hang_up()
            raise
        except Exception:
            log.exception("a request was left unanswered")
        if not self.complete:
            self._carrier.hang_up()

    def take(self, body: bytes) -> None:
        """A piece of the body has come. Behind an answer, it is dropped."""
        if self.complete:
            return
        self._body.append(body)
        if len(self._body) > PIECES:
            self._body = [b"".join(self._body)]
        self.held += len(body)
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.whole = True
        self._wake()

    def leave(self) -> None:
        """The caller is gone, or is told something else."""
        self.gone = True
        self._wake()

    def at_hand(self) -> bytes | None:
        """The body, once, where it is whole and nothing of it was received."""
        if not self.whole or self._given or self.gone:
            return None
        body = b"".join(self._body)
        self._body, self.held = [], 0
        self._given = True
        self._carrier.taken()
        return body

    async def receive(self) -> Message:
        """All that waits of the body; after the last of it, the end of the exchange once it is there."""
        if self._expects and not self.started and not self._carrier.transport.is_closing():
            self._carrier.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expects = False
        while not (self.gone or self.complete or ((self._body or self.whole) and not self._given)):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.gone or self.complete:
            return {"type": "http.disconnect"}
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self.held = [], 0
        self._given = self.whole
        self._carrier.taken()
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, message: Message) -> None:
        """Write one message of the answer, once the caller has read enough of those before."""
        await self._carrier.drained()
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.started:
            self._begin(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.started and not self.complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"an answer cannot go on with {kind!r} here")

    def _begin(self, status: int, headers: Any) -> None:
        """Compose the head. It goes out with the first of the body, in one write."""
        self.started = True
        self._expects = False
        lines = [_status_line(status)]
        framed = bodiless = status in _BODILESS or self.scope["method"] == "HEAD"
        for name, value in (*self._carrier.default_headers(), *headers):
            if name == b"content-length":
                framed = True
                self._left = 0 if bodiless else int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            lines.append(b"%b: %b\r\n" % (name, value))
        if not framed:
            self._chunked = self.scope["http_version"] == "1.1"
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                # Its end is the end of the connection.
                self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if any(line.count(b"\n") != 1 for line in lines):
            raise RuntimeError("a header of an answer has a line break in it")
        self._head = lines

    def _go_on(self, body: bytes, *, more: bool) -> None:
        pieces, self._head = self._head, []
        if self._chunked:
            if body:
                pieces += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                pieces.append(b"0\r\n\r\n")
        elif self.scope["method"] != "HEAD":
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("an answer has another length than it said")
            pieces.append(body)
        transport = self._carrier.transport
        if len(body) > HIGH_WATER:
            transport.writelines(pieces)
        elif pieces:
            transport.write(b"".join(pieces))
        if not more:
            self.complete = True
            # What came of a body that nobody took must not keep its sender from the next request.
            self._body, self.held = [], 0
            self._wake()
            if not self.keep_alive:
                self._carrier.hang_up()
            self._carrier.answered()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_LINES: dict[int, bytes] = {one: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}


def _status_line(status: int) -> bytes:
    return _LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
