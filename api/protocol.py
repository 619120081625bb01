"""HTTP/1.1 on a connection: llhttp reads it, with bounds on callers who dawdle, and errors that are problems.

llhttp is strict about what proxies read in different ways (line ends, lengths, chunks, spaces), and refuses
both framings at once. What it lets pass and we do not: another version than 1.0 and 1.1, a request without a
Host or with two, a head or trailer without bound, and requests behind one another without bound: it is fed
in slices, and not at all while requests that came whole wait for their answers.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from api.exchange import HIGH_WATER, Exchange
from api.limits import Limits
from api.problems import MEDIA_TYPE, Refusal

LENGTH_DIGITS = 20
"""Digits of a Content-Length of 64 bits. llhttp takes any number of zeros before them, which not everything
behind it reads.
"""

SLICE = 16_384
"""Bytes that the parser gets at once; requests behind one another in them are read before they are wanted."""


def protocol_class(limits: Limits) -> type["Connection"]:
    """The class of connections with these limits, as uvicorn wants it."""

    class Bounded(Connection):
        """A connection of one server."""

    Bounded.limits = limits
    return Bounded


class _Malformed(Exception):
    """What llhttp lets pass and this server does not."""


class Connection(asyncio.Protocol):
    """Answers one request after the other. Hangs up on a caller that does not finish a request's head, or
    does not read its answer.
    """

    limits: Limits
    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_event_loop()
        self._parser: httptools.HttpRequestParser | None = None
        # What is being read.
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = False
        self._beyond = 0  # bytes of a head that has not ended, or of trailers
        self._read: Exchange | None = None
        self._unread = b""  # came behind requests that wait for their answers
        self._deaf = False  # nothing that still comes is read
        self._broken = False  # what came last is refused, once all before it is answered
        # What is being answered.
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._half_closed = False
        # Flow and time.
        self._reading = True
        self._writable: asyncio.Event | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    # Of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first head."""
        self.transport = transport  # type: ignore[assignment]  # of a stream, whatever asyncio annotates
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn knows its own only
        self._fixed = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "http",
            "root_path": self._config.root_path,
        }
        self._parser = httptools.HttpRequestParser(self)
        self._due_in(self.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as it is wanted now."""
        if self._deaf:
            return
        if self._unread:
            self._unread += data
        else:
            self._feed(data)
        self._regulate()

    def eof_received(self) -> bool:
        """Answer what was asked in full, though the caller sends no more; without that, close.

        A caller that is gone altogether looks the same until something is written to it, so this holds for
        what changes something, and not for reading and streams.
        """
        current = self._current
        self._half_closed = (
            current is not None
            and current.whole
            and not current.started
            and current.scope["method"] in {"POST", "PUT"}
        )
        if not self._half_closed:
            self.hang_up()
        return self._half_closed

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell who still answers, and forget the timers."""
        self._state.connections.discard(self)
        self._deaf, self._unread, self._parser = True, b"", None
        for timer in (self._timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall_timer = self._deadline = None
        self._waiting.clear()
        if self._current is not None:
            self._current.leave()
        if self._writable is not None:
            self._writable.set()

    def pause_writing(self) -> None:
        """The caller does not read as fast as we write: give it a while."""
        self._writable = asyncio.Event()
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._stall_timer is not None and not self.transport.is_closing():
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # Of uvicorn

    def shutdown(self) -> None:
        """The server stops: answer what is under way, and nothing more."""
        if self._current is None:
            self.hang_up()
        else:
            self._current.keep_alive = False

    # Of llhttp

    def on_message_begin(self) -> None:
        """A head begins."""
        self._url, self._headers, self._in_head, self._beyond, self._read = b"", [], True, 0, None

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or in a trailer one that nobody reads."""
        if self._in_head:
            self._headers.append((name.lower(), value))
            return
        self._beyond += len(name) + len(value)
        if self._beyond > self.limits.head_bytes:
            raise _Malformed

    def on_headers_complete(self) -> None:
        """The head came whole: begin to answer, or queue behind what is answered."""
        parser = self._its_parser()
        if parser.should_upgrade():
            return
        self._in_head = False
        version = parser.get_http_version()
        hosts, expects = 0, False
        for name, value in self._headers:
            if name == b"host":
                hosts += 1
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
            elif name == b"content-length" and len(value) > LENGTH_DIGITS:
                raise _Malformed
        if version not in ("1.0", "1.1") or hosts > 1 or (version == "1.1" and not hosts):
            raise _Malformed
        raw_path, _, query = self._url.partition(b"?")
        path = raw_path.decode("ascii")
        scope = {
            **self._fixed,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
        }
        keep_alive = version == "1.1" and parser.should_keep_alive()
        # Who speaks the old version knows no interim answers (RFC 9110, section 10.1.1).
        self._read = Exchange(self, scope, keep_alive=keep_alive, expects=expects and version == "1.1")
        if self._current is None:
            self._start(self._read)
        else:
            self._waiting.append(self._read)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._read is not None:
            self._read.take(body)

    def on_message_complete(self) -> None:
        """The request came whole."""
        if self._read is not None:
            self._read.end()

    # Of an exchange

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The date, which uvicorn keeps."""
        return self._state.default_headers

    async def drained(self) -> None:
        """Return when the caller has read enough to be sent more."""
        if self._writable is not None:
            await self._writable.wait()

    def taken(self) -> None:
        """What had come of the body was taken."""
        self._regulate()

    def answered(self) -> None:
        """Go on with what waits behind."""
        self._state.total_requests += 1
        self._current = None
        if self.transport.is_closing():
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        if self._unread:
            unread, self._unread = self._unread, b""
            self._feed(unread)
        self._rest()
        self._regulate()

    def hang_up(self) -> None:
        """Close once what was written is taken; break off where the caller does not take it."""
        if self.transport.is_closing():
            return
        self.transport.close()
        if self._stall_timer is None and self.transport.get_write_buffer_size():
            self._stall_timer = self._loop.call_later(self.limits.stall_seconds, self.transport.abort)

    # Inside

    def _its_parser(self) -> httptools.HttpRequestParser:
        if self._parser is None:
            raise _Malformed
        return self._parser

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._deadline = None
        task = self._loop.create_task(exchange.run(self._app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _rest(self) -> None:
        """Where nothing is under way: end, or give the next request a while."""
        if self._current is not None or self.transport.is_closing():
            return
        if self._broken:
            self._refuse()
        elif self._half_closed:
            self.hang_up()
        else:
            # Of a body that nobody wanted, the rest is due by then too.
            self._due_in(self.limits.head_seconds if self._in_head else self._config.timeout_keep_alive)

    def _feed(self, data: bytes) -> None:
        """Read slice by slice while there is no request that came whole and waits for its answer."""
        was_in_head = self._in_head
        at = 0
        while at < len(data) and not self._deaf:
            if self._current is not None and self._current.whole:
                self._unread = data[at:]
                break
            piece = data[at : at + SLICE]
            began_before = self._in_head
            at += self._parse(piece)
            if self._in_head and began_before:
                self._beyond += len(piece)
                if self._beyond > self.limits.head_bytes:
                    self._break()
        if self._in_head and not was_in_head and self._current is None:
            self._due_in(self.limits.head_seconds)

    def _parse(self, piece: bytes) -> int:
        """How many bytes of it were read: all, but where the caller would like another protocol.

        Nobody has to talk another one (RFC 9110, section 7.8). Since llhttp takes what follows for that one,
        the head is read again without the wish.
        """
        parser = self._its_parser()
        try:
            parser.feed_data(piece)
        except httptools.HttpParserError:
            self._break()
        except httptools.HttpParserUpgrade as wish:
            method, version = parser.get_method(), parser.get_http_version().encode()
            if method == b"CONNECT":
                self._break()
                return len(piece)
            lines = [b"%b %b HTTP/%b" % (method, self._url, version)]
            lines += [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
            self._parser = httptools.HttpRequestParser(self)
            self._parse(b"\r\n".join([*lines, b"", b""]))
            return int(wish.args[0])
        return len(piece)

    def _break(self) -> None:
        """What comes is not HTTP: answer what came before it, then refuse it."""
        if self._deaf:
            return
        self._deaf, self._unread = True, b""
        read = self._read
        if read is not None and read.whole and not read.keep_alive:
            # Behind a request that was to be the last, anything may stand.
            return
        self._broken = True
        if read is not None and not read.whole:
            if read.started:
                # An answer is on its way: there is no place for another.
                self.transport.abort()
                return
            read.leave()
            if read is self._current:
                self._current = None
            else:
                self._waiting.remove(read)
        if self._current is None:
            self._refuse()

    def _refuse(self) -> None:
        """What is not HTTP gets a problem too, and the connection ends."""
        refusal = Refusal(
            HTTPStatus.BAD_REQUEST,
            "not-http",
            "Not an HTTP request",
            f"The request is not HTTP/1.1, or its head is larger than {self.limits.head_bytes} bytes.",
        )
        body = refusal.body()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.hang_up()

    def _regulate(self) -> None:
        """Read on, or have the caller wait."""
        read = self._read
        reading = not self._unread and (read is None or read.held <= HIGH_WATER)
        if reading is self._reading or self.transport.is_closing():
            return
        self._reading = reading
        if reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _due_in(self, seconds: float) -> None:
        """Hang up after so many seconds, unless a request comes before. One timer serves all deadlines of a
        connection: it looks again when it was too early.
        """
        self._deadline = due = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self._loop.time():
            self._timer = self._loop.call_at(self._deadline, self._look)
        else:
            self.hang_up()
