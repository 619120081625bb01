"""HTTP/1.1 on a connection: uvicorn's, with bounds on callers who dawdle and errors that are problems."""

import asyncio
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.limits import Limits
from api.problems import MEDIA_TYPE, Refusal


def protocol_class(limits: Limits) -> type[H11Protocol]:
    """The class of connections with these limits, as uvicorn wants it."""

    class Bounded(BoundedProtocol):
        """A connection of one server."""

    Bounded.limits = limits
    return Bounded


class BoundedProtocol(H11Protocol):
    """Hangs up on a caller that does not finish a request's head, or does not read its answer."""

    limits: Limits

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first head."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what came, then see whether a head is still incomplete."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        _stop(self._head_timer)
        self._head_timer = None
        _stop(self._stall_timer)
        self._stall_timer = None
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's never keeps the connection
        """Answer what was asked in full, though the caller sends no more; without that, close.

        A caller that is gone altogether looks the same until something is written to it, so this holds for
        what changes something, and not for reading and streams.
        """
        self._half_closed = self._owes_an_answer() and self.scope["method"] in {"POST", "PUT"}
        return self._half_closed

    def on_response_complete(self) -> None:
        """After the last answer to a caller that sends no more, hang up."""
        super().on_response_complete()
        if self._half_closed and not self._owes_an_answer():
            self.transport.close()

    def pause_writing(self) -> None:
        """The caller does not read as fast as we write: give it a while."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        _stop(self._stall_timer)
        self._stall_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature; its text is fixed
        """What is not HTTP gets a problem too, and the connection ends."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # An answer is on its way: there is no place for another.
            self.transport.abort()
            return
        refusal = Refusal(
            HTTPStatus.BAD_REQUEST,
            "not-http",
            "Not an HTTP request",
            f"The request is not HTTP/1.1, or its head is larger than {self.limits.head_bytes} bytes.",
        )
        body = refusal.body()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = h11.Response(status_code=HTTPStatus.BAD_REQUEST, headers=headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _owes_an_answer(self) -> bool:
        """True while a request that came whole waits for its answer to begin."""
        # The cycle is None before the first request, whatever uvicorn's annotation says.
        return bool(self.cycle) and not self.cycle.response_started and not self.cycle.more_body

    def _watch_head(self) -> None:
        """Run the timer while a caller has connected and not finished a head; the pause between two requests
        is bounded by uvicorn's own keep-alive timer.
        """
        if self.conn.their_state is not h11.IDLE or self.conn.our_state is not h11.IDLE:
            _stop(self._head_timer)
            self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
