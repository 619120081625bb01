"""One provider at the wire: its socket, its connections, and every request's way through the outages.

The socket is made by hand, for two reasons. A refused provider must have no listening socket, and
must come back on the same port: while it is refused a bound socket that does not listen holds the
port, so that connections are refused and nobody else gets it. And a reset must be a reset: the
connection is closed with a linger of zero, which makes the kernel send RST.

What meets new connections only (a name that does not resolve, a certificate of a stranger) leaves open
connections as they are, here as in the real world, where they last for minutes. Such a rule therefore
closes them when it begins, unless it is told not to: the idle ones at once, each other after its answer.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
from typing import Any, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from localcloud.executor import Call, Raises, Reply
from localcloud.outages import Outages
from localcloud.vendor import Vendor

log = logging.getLogger("sidestep.localcloud.wire")

_BACKLOG = 1024
_KEEPALIVE_SECONDS = 75.0
_BIND_ATTEMPTS = 100
_TURNED_AWAY = 400
_DOWN = "the database does not answer"
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Front:
    """Serves one vendor on one bound socket: `open`, `sync` after each change of its outages, `close`.

    With `tls` it speaks HTTPS only. One that is not `refusable` keeps its socket and connections whatever
    the outages say; its requests meet them all the same.
    """

    def __init__(
        self,
        vendor: Vendor,
        outages: Outages,
        bound: socket.socket,
        tls: ssl.SSLContext | None = None,
        *,
        refusable: bool = True,
    ) -> None:
        self.vendor = vendor
        self.outages = outages
        self.tls = tls
        self._refusable = refusable
        self.host, self.port = bound.getsockname()[:2]
        self._http: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = bound
        self._cutting: frozenset[tuple[str, float]] = frozenset()
        self._busy: set[web.RequestHandler] = set()
        self._doomed: frozenset[web.RequestHandler] = frozenset()
        self._timer: asyncio.TimerHandle | None = None
        self._syncs: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def listening(self) -> bool:
        """Whether its port takes connections."""
        return self._server is not None

    async def open(self) -> None:
        """Listen, unless it is refused."""
        self._http = web.Server(
            self._serve,
            request_factory=self._request,
            handler_cancellation=True,  # a caller that hangs up frees what waits for it
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            auto_decompress=False,  # signatures and limits are about the bytes as sent
        )
        await self.sync()

    async def sync(self) -> None:
        """Make the socket what the outages say, at once, and come back when they will say otherwise."""
        async with self._lock:
            if self._closed:
                return
            if not self._refusable:
                await self._listen()
                return
            if self.outages.refused():
                await self._refuse()
            else:
                await self._listen()
            cutting = self.outages.cutting()
            if cutting - self._cutting:
                self._end_connections()
            self._cutting = cutting
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            wait = self.outages.next_socket_change()
            if wait is not None:
                # A hair later, so that the change has happened when it is looked at.
                self._timer = asyncio.get_running_loop().call_later(max(wait, 0) + 0.001, self._sync_soon)

    async def close(self) -> None:
        """Close the socket and every connection, answered or not."""
        async with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._server is not None:
                self._server.close()
                self._server = None
            if self._held is not None:
                self._held.close()
                self._held = None
            if self._http is not None:
                self._reset_all()
                await self._http.shutdown(timeout=1.0)

    def _sync_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self.sync())
        self._syncs.add(task)
        task.add_done_callback(self._syncs.discard)

    async def _listen(self) -> None:
        if self._server is None and self._http is not None and self._held is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                self._http, sock=self._held, backlog=_BACKLOG, ssl=self.tls
            )
            self._held = None

    async def _refuse(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for attempt in range(_BIND_ATTEMPTS):
            try:
                self._held = bind(self.host, self.port)
                break
            except OSError:  # uvloop closes the old socket on its next round
                if attempt == _BIND_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.001)
        self._reset_all()

    def _reset_all(self) -> None:
        if self._http is not None:
            for connection in list(self._http.connections):
                _reset(connection.transport)

    def _end_connections(self) -> None:
        if self._http is not None:
            connections = frozenset(self._http.connections)
            self._doomed = connections & self._busy
            for connection in self._doomed:
                connection.close()  # once it has answered
            for connection in connections - self._busy:
                connection.force_close()

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: Any,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        limit = self.vendor.max_body
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=limit)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            return await self._take(request)
        finally:
            self._busy.discard(request.protocol)

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            response = await self._send(request, self.vendor.too_large(), close=True)
            request.protocol.force_close()
            return response
        path, _, query = request.raw_path.partition("?")
        call = Call(request.method, path, query, request.headers, body)
        try:
            return await self._through_outages(request, call)
        finally:
            # Whoever was answered has been settled already; the first word stands.
            self.vendor.executor.lose(call)

    async def _through_outages(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        verdict = self.outages.meet(self.vendor.function_of(call))
        rule, call.instances = verdict.rule, verdict.instances
        if verdict.instances and rule is None:
            call.delay = verdict.delay  # it is the instances that are slow, and busy meanwhile
        elif verdict.delay > 0:
            await asyncio.sleep(verdict.delay)
        if rule is None:
            return await self._deliver(request, call, await self._answer(call, verdict.factor))
        if rule.error is not None:
            call.raises = Raises(
                rule.error, rule.options.message or _DOWN, marked=rule.kind == "function-raises"
            )
            return await self._deliver(request, call, await self._answer(call, verdict.factor))
        if rule.fault is not None and not rule.executed:
            return await self._send(request, self.vendor.fault(rule.fault, rule.options))
        if rule.kind in ("blackhole", "reset"):
            if rule.kind == "reset":
                _reset(request.transport)
            return await _hang()
        reply = await self._answer(call, verdict.factor)
        if call.run is None and reply.status >= _TURNED_AWAY:  # there is no result to be lost or garbled
            return await self._deliver(request, call, reply)
        self.vendor.executor.lose(call)
        if rule.fault is not None:
            return await self._send(request, self.vendor.fault(rule.fault, rule.options))
        match rule.kind:
            case "blackhole-after":
                return await _hang()
            case "reply-lost":
                _reset(request.transport)
                return await _hang()
            case "truncated":
                await _send_half(request, reply)
                return await _hang()
            case _:  # corrupt: the rules know no other kind that comes here
                return await self._send(request, _corrupted(reply))

    async def _answer(self, call: Call, factor: float) -> Reply:
        if factor <= 1:
            return await self.vendor.answer(call)
        clock = asyncio.get_running_loop().time
        started = clock()
        reply = await self.vendor.answer(call)
        await asyncio.sleep((clock() - started) * (factor - 1))
        return reply

    async def _send(
        self, request: web.BaseRequest, reply: Reply, *, close: bool = False
    ) -> web.StreamResponse:
        return await _send(request, reply, close=close or request.protocol in self._doomed)

    async def _deliver(self, request: web.BaseRequest, call: Call, reply: Reply) -> web.StreamResponse:
        response = await self._send(request, reply)
        transport = request.transport
        if transport is not None and not transport.is_closing():
            self.vendor.executor.delivered(call)
        return response


def bind_datagram(host: str, port: int) -> socket.socket:
    """Bind a UDP socket. Raises OSError."""
    return _bind(host, port, socket.SOCK_DGRAM)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 takes a free one. Raises OSError if the port is taken."""
    return _bind(host, port, socket.SOCK_STREAM)


def _bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:  # two may share a UDP port so
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _hang() -> web.StreamResponse:
    """Wait until the connection goes away, which cancels the request."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError  # the future has no other end than cancellation


async def _send(request: web.BaseRequest, reply: Reply, *, close: bool = False) -> web.StreamResponse:
    response = web.Response(status=reply.status, headers=reply.headers, body=reply.body)
    response.headers.setdefault("Server", "localcloud")
    if close:
        response.force_close()
    await response.prepare(request)
    await response.write_eof()
    return response


async def _send_half(request: web.BaseRequest, reply: Reply) -> None:
    body = reply.body or b" " * 64
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # what was written goes out, then the end comes too early


def _corrupted(reply: Reply) -> Reply:
    """A whole answer whose JSON is broken: its second half is missing and no byte tells."""
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2] + b'"\x00{')


def _reset(transport: asyncio.BaseTransport | None) -> None:
    if transport is None:
        return  # it is gone already
    sock = transport.get_extra_info("socket")
    # A duplicate descriptor reaches the same socket under every event loop.
    with contextlib.suppress(OSError, AttributeError):
        twin = socket.socket(fileno=os.dup(sock.fileno()))
        try:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        finally:
            twin.close()
    cast("asyncio.Transport", transport).abort()  # by duck: uvloop's transports are no subclass
