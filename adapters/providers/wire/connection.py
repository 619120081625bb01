"""One connection: a request goes out, its reply is read, and what is known of both is told exactly.

llhttp reads the replies, strictly. Its limits are set here: of a head, of a body, and of what may lie around
the pieces of a body. Whatever is odd about a reply ends the connection, so that no byte of one call's answer
is ever read as the beginning of another's.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from adapters.providers.wire import outcomes
from adapters.providers.wire.reply import FIRST_SUCCESS, Broken, Headers, Reply
from core.engine.patience import GRACE_SECONDS, LATE_SECONDS
from core.failover.outcome import Outcome

MAX_HEAD = 64 * 1024
"""Bytes of a reply's head, those of interim replies (1xx) before it included."""

_MOST_AROUND_A_BYTE = 8
"""Bytes that chunked coding may spend on one byte of a body; a chunk of one byte takes six."""

_CONTINUE, _SWITCHING = 100, 101
_TIMER_SECONDS = 0.001
"""The loops' timers are this exact."""


class Owner(Protocol):
    """Who holds connections between calls."""

    def keep(self, connection: "Connection") -> None:
        """Its call is over, and it can take another."""

    def drop(self, connection: "Connection") -> None:
        """It is not used any more; told once."""

    def lost(self, connection: "Connection") -> None:
        """Its socket is closed; told once, after `drop`."""


class Connection(asyncio.Protocol):
    """A connection that carries one call at a time."""

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_answer",
        "_bad",
        "_body",
        "_deadline",
        "_done",
        "_extended",
        "_fields",
        "_in_head",
        "_keep",
        "_length",
        "_loop",
        "_max_body",
        "_owner",
        "_parser",
        "_ready",
        "_received",
        "_status",
        "_transport",
        "closed",
        "key",
    )

    def __init__(self, owner: Owner, key: str, fd: int, max_body: int) -> None:
        """`fd` is its socket's; `max_body` bounds a reply's body in bytes."""
        self.key = key
        self.closed = False
        self._owner = owner
        self._max_body = max_body
        self._loop = asyncio.get_running_loop()
        self._ready = _watch(fd)
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._answer: asyncio.Future[Reply | Outcome] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._deadline = 0.0
        self._extended = False
        self._begin()

    def _begin(self) -> None:
        self._in_head = True
        self._done = self._bad = self._keep = False
        self._received = 0
        self._status = 0
        self._length: int | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: bytes | bytearray = b""

    # ---- for the pool and the client

    @property
    def usable(self) -> bool:
        """False where the peer closed it or sent something unasked, even if the loop has not read it yet."""
        return not self.closed and not self._ready()

    def send(self, request: bytes, deadline: float) -> "asyncio.Future[Reply | Outcome]":
        """Send `request`, which counts as written from here on, and await its reply until `deadline` (in the
        loop's time). The connection must not be closed.
        """
        self._begin()
        self._answer = answer = self._loop.create_future()
        self._deadline = deadline
        self._extended = False
        if self._alarm is None or self._alarm_at > deadline:
            # One that rings earlier, of a call before, is left: it sets itself anew.
            self._set_alarm(deadline)
        cast("asyncio.Transport", self._transport).write(request)
        return answer

    def give_up(self, answer: "asyncio.Future[Reply | Outcome]") -> None:
        """Nobody waits for `answer` any more: close the connection that it would come on."""
        if self._answer is answer:
            self._answer = None
            self.abort()

    def close(self) -> None:
        """Close it in good order; no call is under way."""
        self._retire()
        if self._transport is not None:
            self._transport.close()

    def abort(
        self,
        broken: Broken = Broken.TRUNCATED,
        lost: Callable[[], Outcome] = lambda: outcomes.lost("it was closed here"),
    ) -> None:
        """Break it off. A call under way ends as `broken` where its status was read, else as `lost`."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(
                lost() if self._in_head else Reply(self._status, Headers(self._fields), b"", broken)
            )
        self._retire()
        if self._transport is not None:
            self._transport.abort()

    def _retire(self) -> None:
        if not self.closed:
            self.closed = True
            self._owner.drop(self)

    # ---- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody asked for ends the connection."""
        if self._answer is None or self._parser is None:
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._bad = True
        if self._done:
            self._finish()
        elif self._bad:
            self.abort(Broken.TRUNCATED, outcomes.malformed)
        else:
            self._bound()

    def eof_received(self) -> None:
        """The peer says no more: the end of a body without a length, and of everything else too early."""
        self._end("the peer closed it", clean=True)

    def connection_lost(self, problem: Exception | None) -> None:
        """The socket is closed."""
        self._end("the peer closed it" if problem is None else type(problem).__name__, clean=problem is None)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._parser = None  # it holds this connection's methods
        self._transport = None
        self._owner.lost(self)

    # ---- the parser's calls

    def on_message_begin(self) -> None:
        """A reply begins; after the end of one it is unasked."""
        if self._done:
            self._bad = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after the head it is a trailer, and means nothing."""
        if self._in_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is read."""
        if not self._in_head or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status >= FIRST_SUCCESS:
            self._in_head = False
            self._status = status
            # More than is counted elsewhere: a head that came in one piece with the rest.
            if self._received > MAX_HEAD and sum(len(n) + len(v) for n, v in self._fields) > MAX_HEAD:
                self._in_head = self._bad = True
        elif status == _SWITCHING or status < _CONTINUE:
            self._bad = True
        else:
            self._fields = []

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._done:
            return
        if not self._body:
            self._body = data
        elif isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body = bytearray(self._body + data)

    def on_message_complete(self) -> None:
        """The end of a reply, unless that was an interim one."""
        if not self._in_head and not self._done and self._parser is not None:
            self._done = True
            self._keep = self._parser.should_keep_alive()

    # ---- how a call ends

    def _finish(self) -> None:
        """The reply is whole."""
        answer, transport = self._answer, self._transport
        if len(self._body) > self._max_body or answer is None or transport is None:
            self.abort(Broken.TOO_LARGE)
            return
        self._answer = None
        # Not where nobody waits any more (its task is about to give the connection up), nor after an answer
        # that came before its whole question was sent: the rest would precede the next one.
        keep = not (
            not self._keep or self._bad or self.closed or answer.done() or transport.get_write_buffer_size()
        )
        if not answer.done():
            answer.set_result(Reply(self._status, Headers(self._fields), bytes(self._body)))
        if keep:
            self._owner.keep(self)
        else:
            self.close()

    def _bound(self) -> None:
        """Hold the limits of a reply that is not whole yet."""
        if self._in_head:
            if self._received > MAX_HEAD:
                self.abort(Broken.TRUNCATED, outcomes.malformed)
            return
        if self._length is None:
            self._length = _length(self._fields)
        if max(self._length, len(self._body)) > self._max_body:
            self.abort(Broken.TOO_LARGE, outcomes.malformed)
        elif self._received > MAX_HEAD + _MOST_AROUND_A_BYTE * len(self._body):
            self.abort(Broken.TRUNCATED, outcomes.malformed)

    def _end(self, why: str, *, clean: bool) -> None:
        """No more will come."""
        if self._answer is not None and not self._in_head and clean and _until_close(self._fields):
            self._finish()
        else:
            self.abort(Broken.TRUNCATED, lambda: outcomes.lost(why))

    # ---- time

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """The time of this call, or of one before it, is over."""
        self._alarm = None
        if self._answer is None:
            return
        now = self._loop.time()
        if now < self._deadline - _TIMER_SECONDS:
            self._set_alarm(self._deadline)
        elif not self._extended and now - self._alarm_at > LATE_SECONDS:
            # The loop stood still: let it read what has come meanwhile (core.engine.patience says why).
            self._extended = True
            self._deadline = now + GRACE_SECONDS
            self._set_alarm(self._deadline)
        else:
            self.abort(Broken.LATE, outcomes.read_timeout)


def _length(fields: list[tuple[bytes, bytes]]) -> int:
    """The Content-Length, which llhttp has read as a number; 0 where there is none."""
    for name, value in fields:
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _until_close(fields: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body goes on until the connection is closed (RFC 9112, section 6.3)."""
    coding = b""
    for name, value in fields:
        match name.lower():
            case b"content-length":
                return False
            case b"transfer-encoding":
                coding = value
            case _:
                pass
    return coding.rpartition(b",")[2].strip().lower() != b"chunked"


def _watch(fd: int) -> Callable[[], bool]:
    """Asks the kernel whether there is anything to read, an end or an error included."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([fd], [], [fd], 0)[0])
    ready = select.poll()
    ready.register(fd, select.POLLIN | select.POLLPRI)
    poll = ready.poll
    return lambda: bool(poll(0))
