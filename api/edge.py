"""The edge: what is refused before a request reaches a route.

One pure ASGI middleware checks whom the request is addressed to, bounds what it may send and how long it
may take to, and answers what nobody else answered. The body is read here, whole, so that routes never wait
for a slow sender.
"""

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.direct import Route, WholeRequest, answered
from api.exchange import AT_HAND
from api.limits import SMALL, Limits
from api.memory import Memory, adds_work
from api.outgoing import LARGE, Outgoing, send_until_taken
from api.problems import MEDIA_TYPE, RETRY_AFTER, Refusal, unexpected

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ALWAYS_SERVED = frozenset({"/health", "/livez", "/readyz"})
_ADDED = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Edge:
    """Wraps the application. `hosts` are the names by which it may be addressed; "*" allows every name.
    `memory` gives that of the process, once there are requests. What has a `direct` route is answered by
    that, and the rest by the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        hosts: Iterable[str],
        memory: Callable[[], Memory],
        direct: Callable[[Scope], Route | None],
    ) -> None:
        self._app = app
        self._direct = direct
        self._limits = limits
        self._hosts = frozenset(name.lower().rstrip(".") for name in hosts)
        self._under_way = 0
        self._served = 0
        self._memory = memory
        self._outgoing = Outgoing(limits.answer_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is no HTTP request is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(send, self._outgoing)
        self._under_way += 1
        try:
            await self._serve(scope, receive, reply)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing inside is told
            refusal = unexpected(error, f"{scope['method']} {scope['path'][:200]!r}")
            if not reply.started:
                await _refuse(refusal, reply)
        finally:
            reply.end()
            self._under_way -= 1

    async def _serve(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        headers = _Headers(scope)
        try:
            self._check_head(headers)
            self._check_address(scope, headers)
            if self._under_way > self._limits.requests and scope["path"] not in _ALWAYS_SERVED:
                raise _busy("requests are under way")
            if adds_work(scope["method"], scope["path"]):
                self._memory().check()
            self._check_body(scope, headers)
        except Refusal as refusal:
            await self._refuse_unread(refusal, headers, receive, reply)
            return
        if scope["method"] not in _WITH_BODY or not headers.has_body:
            await self._pass_on(scope, receive, reply, b"")
            return
        held = _Held()
        try:
            try:
                body = await self._read(scope, receive, held)
            except Refusal as refusal:
                await self._refuse_unread(refusal, headers, receive, reply)
                return
            large = held.bytes if held.bytes > SMALL else 0
            if large and self._served and self._served + large > self._limits.served_bytes:
                await _refuse(_busy("large bodies are being worked on"), reply)
                return
            self._served += large
            try:
                await self._pass_on(scope, receive, reply, body)
            finally:
                self._served -= large
        finally:
            self._memory().give_back(held.bytes)

    async def _pass_on(self, scope: Scope, receive: Receive, reply: "_Reply", body: bytes) -> None:
        route = self._direct(scope)
        if route is None:
            await self._app(scope, _replay(body, receive) if body else receive, reply)
        else:
            response = await answered(route, WholeRequest(scope, receive, body))
            await response(scope, receive, reply)

    def _check_head(self, headers: "_Headers") -> None:
        """Refuse what a proxy in front may have read otherwise, and a head that came whole but is too large.

        RFC 9112, section 6.1: with both framings the connection has to be closed after the answer.
        """
        detail = ""
        if headers.framed_twice:
            detail = "The request has both Content-Length and Transfer-Encoding. Send one of them."
        elif headers.bytes > self._limits.head_bytes:
            detail = f"The request's head is larger than {self._limits.head_bytes} bytes."
        if detail:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "not-http",
                "Not an HTTP request",
                detail,
                headers={"connection": "close"},
            )

    def _check_address(self, scope: Scope, headers: "_Headers") -> None:
        """Refuse a foreign Host (a rebound DNS name) and a change that a foreign web page asks for."""
        if "*" in self._hosts:
            return
        name = _host_name(headers.host)
        if name not in self._hosts:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "foreign-host",
                "Host not allowed",
                "This server is not known by the name in the Host header. Use its own name, or add that name "
                "to SIDESTEP_ALLOWED_HOSTS.",
            )
        if headers.origin is not None and scope["method"] in _WITH_BODY:
            try:
                origin = urlsplit(headers.origin).hostname
            except ValueError:
                origin = None
            if origin not in self._hosts:
                raise Refusal(
                    HTTPStatus.FORBIDDEN,
                    "foreign-origin",
                    "Origin not allowed",
                    "A web page of another origin may not change anything here.",
                )

    def _check_body(self, scope: Scope, headers: "_Headers") -> None:
        """Refuse by the head alone what cannot be taken."""
        if headers.length is not None and headers.length > self._limits.body_bytes:
            raise self._too_large()
        if scope["method"] not in _WITH_BODY or not headers.has_body:
            return
        if headers.encoding not in ("", "identity"):
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported-encoding",
                "Unsupported content encoding",
                "Send the body as it is, without Content-Encoding.",
            )
        if not _is_json(headers.content_type):
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                "Send the body as JSON in UTF-8, with the header Content-Type: application/json.",
            )

    async def _read(self, scope: Scope, receive: Receive, held: "_Held") -> bytes:
        at_hand = scope.get("extensions", {}).get(AT_HAND)
        whole: bytes | None = at_hand() if at_hand is not None else None
        if whole is not None:
            # The usual case: it came with the head, so that there is nothing to wait for.
            self._hold(held, whole)
            return whole
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    chunk = message.get("body", b"")
                    self._hold(held, chunk)
                    body += chunk
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT,
                "body-too-slow",
                "Request body too slow",
                f"The body did not arrive within {self._limits.body_seconds:g} seconds. Send it at once.",
            ) from None
        return bytes(body)

    def _hold(self, held: "_Held", chunk: bytes) -> None:
        """Take a piece of a body in, or refuse the rest."""
        memory = self._memory()
        held.bytes += len(chunk)
        memory.take(len(chunk))
        if held.bytes > self._limits.body_bytes:
            raise self._too_large()
        if memory.bodies > self._limits.buffered_bytes:
            raise _busy("large bodies are being received")

    def _too_large(self) -> Refusal:
        return Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body-too-large",
            "Request body too large",
            f"A body may have {self._limits.body_bytes} bytes at most. Pass large data by reference: put it "
            "into an object store and send its address.",
        )

    async def _refuse_unread(
        self, refusal: Refusal, headers: "_Headers", receive: Receive, reply: "_Reply"
    ) -> None:
        """Answer before the body was read, and close the connection.

        What its sender still sends is dropped for a moment: a connection that closes over unread data is
        reset, and the answer may be lost with it.
        """
        if not headers.has_body:
            await _refuse(refusal, reply)
            return
        refusal.headers["connection"] = "close"
        await _refuse(refusal, reply, more=True)
        if not headers.expects_continue:
            await self._drop(receive)
        await reply({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop(self, receive: Receive) -> None:
        left = self._limits.linger_bytes
        try:
            async with asyncio.timeout(self._limits.linger_seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return


class _Gone(Exception):
    """The caller hung up."""


class _Held:
    """How much of the common buffer a request holds."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class _Reply:
    """The way back: adds what every answer carries, and knows whether it began."""

    __slots__ = ("_outgoing", "_refused", "_send", "_size", "started")

    def __init__(self, send: Send, outgoing: Outgoing) -> None:
        self._send = send
        self._outgoing = outgoing
        self._size = 0
        self._refused = False
        self.started = False

    async def __call__(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start":
            size = _length(message)
            if size >= LARGE:
                if not self._outgoing.take(size):
                    await _refuse(_busy("large answers are under way"), self)
                    self._refused = True
                    return
                self._size = size
            self.started = True
            message = {**message, "headers": [*message.get("headers", ()), *_ADDED]}
        elif self._size and not message.get("more_body"):
            await send_until_taken(message, self._send)
            return
        await self._send(message)

    def end(self) -> None:
        """Nothing more is sent."""
        self._outgoing.give_back(self._size)
        self._size = 0


def _length(start: Message) -> int:
    """The Content-Length of an answer; 0 for one of unknown length, which is a stream."""
    for name, value in start.get("headers", ()):
        if name == b"content-length":
            return int(value)
    return 0


class _Headers:
    """The few request headers that the edge looks at."""

    __slots__ = (
        "bytes",
        "content_type",
        "encoding",
        "expects_continue",
        "framed_twice",
        "has_body",
        "host",
        "length",
        "origin",
    )

    def __init__(self, scope: Scope) -> None:
        self.host: str | None = None
        self.origin: str | None = None
        self.content_type: str | None = None
        self.encoding = ""
        self.length: int | None = None
        self.expects_continue = False
        self.bytes = len(scope["raw_path"] or b"") + len(scope["query_string"])
        chunked = False
        for name, value in scope["headers"]:
            self.bytes += len(name) + len(value) + 4  # a colon, a space and the end of the line
            match name:
                case b"host":
                    self.host = value.decode("latin-1")
                case b"origin":
                    self.origin = value.decode("latin-1")
                case b"content-type":
                    self.content_type = value.decode("latin-1")
                case b"content-encoding":
                    self.encoding = value.decode("latin-1").strip().lower()
                case b"content-length":
                    # The server under us has refused what is no number.
                    self.length = int(value)
                case b"transfer-encoding":
                    chunked = True
                case b"expect":
                    self.expects_continue = True
                case _:
                    pass
        self.has_body = chunked or bool(self.length)
        self.framed_twice = chunked and self.length is not None


def _host_name(host: str | None) -> str | None:
    """The name in a Host header, without port, brackets and a final dot; None where it is unusable."""
    if not host:
        return None
    name, port = host.strip().lower(), ""
    if name.startswith("["):
        name, closed, port = name[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = name.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return name.rstrip(".")


def _is_json(content_type: str | None) -> bool:
    if content_type == "application/json":
        return True
    kind, *parameters = (content_type or "").lower().split(";")
    if kind.strip() != "application/json":
        return False
    charsets = [
        value.strip().strip('"')
        for key, _, value in (p.partition("=") for p in parameters)
        if key.strip() == "charset"
    ]
    return all(charset in ("utf-8", "utf8") for charset in charsets)


def _busy(why: str) -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "busy",
        "Too busy",
        f"Too many {why}. Send the request again in a moment.",
        headers=RETRY_AFTER,
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body first, and then what the connection says."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(refusal: Refusal, reply: Send, *, more: bool = False) -> None:
    body = refusal.body()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **refusal.headers}
    await reply(
        {
            "type": "http.response.start",
            "status": refusal.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    await reply({"type": "http.response.body", "body": body, "more_body": more})
