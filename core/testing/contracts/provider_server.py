"""A loopback HTTP server that does to a client whatever a test wants, one request at a time.

It speaks HTTP/1.1 over bare sockets, so that it can answer with half a response, reset a connection or say
nothing at all. It counts connections and requests: a retry that nobody asked for shows.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came: header names in lower case; `connection` numbers the connections from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, whole."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def bytes(self) -> bytes:
        """The response as it goes on the wire."""
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        headers = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **self.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A response with a JSON body."""
    return Answer(status, headers or {}, json.dumps(value).encode())


class Exchange:
    """One request and what to do about it."""

    def __init__(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen = seen
        self._reader = reader
        self._writer = writer

    async def send(self, raw: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(raw)
        await self._writer.drain()

    async def until_gone(self) -> None:
        """Say nothing (more) until the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection in good order."""
        self._writer.close()


Behaviour = Callable[[Exchange], Awaitable[None]]


def answers(answer: Answer) -> Behaviour:
    """Give this answer to every request."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(answer.bytes())

    return behave


class ProviderServer:
    """The server. Set `behaviour`; read `seen` and `connections`; `gone` is set when a client left."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = answers(json_answer(None))
        self.seen: list[Seen] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["ProviderServer"]:
        """Listen on a free loopback port while the context lasts."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        try:
            yield self
        finally:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while (seen := await self._read(reader, number)) is not None:
                self.seen.append(seen)
                self.arrived.set()
                await self.behaviour(Exchange(seen, reader, writer))
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the server is being stopped; both end the connection
        finally:
            self.gone.set()
            writer.close()
            self._open.discard(task)

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Seen | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ValueError):
            return None
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Seen(method, path, headers, body, number)


@contextlib.contextmanager
def silent_port() -> Any:
    """A loopback port whose connections are never completed (its queue is full), as where packets vanish.

    Linux drops the opening packet then; yields the port's number.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
