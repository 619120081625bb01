"""A caller that asks and does not read holds no connection for longer than it may, however it ends."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.exchange import HIGH_WATER
from api.limits import Limits
from api.protocol import Connection, protocol_class

LOOPS = pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n"

# All are over with an answer that fills no buffer so far that its writer has to wait.
ENDINGS = {
    "it is to be the last": ASKED + b"Connection: close\r\n\r\n",
    "nothing follows": ASKED + b"\r\n",
    "what follows is no HTTP": ASKED + b"\r\n" + b"\0",
    "the head that follows never ends": ASKED + b"\r\n" + ASKED,
}


async def below_high_water(_scope: Scope, _receive: Receive, send: Send) -> None:
    body = b"x" * (HIGH_WATER - 5_000)
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


async def ends_in_time(sent: bytes, *, half: bool) -> None:
    """Ask, and wait until the server has let go of a connection that is not read."""
    config = uvicorn.Config(below_high_water, log_config=None, timeout_keep_alive=1)
    config.load()
    made: asyncio.Queue[Connection] = asyncio.Queue()
    lost = asyncio.Event()

    class Told(protocol_class(Limits(stall_seconds=0.2, head_seconds=0.2))):  # type: ignore[misc]  # made by a function
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
            super().connection_made(transport)
            made.put_nowait(self)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            lost.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Told(config, ServerState(), {}), "127.0.0.1", 0)
    with contextlib.closing(server), socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        caller.setblocking(False)
        await loop.sock_connect(caller, server.sockets[0].getsockname())
        one = await made.get()
        await loop.sock_sendall(caller, sent)
        async with asyncio.timeout(5):
            while not (one.transport.get_write_buffer_size() or lost.is_set()):
                await asyncio.sleep(0)
            if half:
                caller.shutdown(socket.SHUT_WR)
            await lost.wait()


@LOOPS
@pytest.mark.parametrize("name", ENDINGS)
def test_a_connection_ends_though_its_answer_is_not_read(name: str, loop: Any) -> None:
    loop(ends_in_time(ENDINGS[name], half=False))


@LOOPS
def test_a_caller_that_says_no_more_and_does_not_read_is_hung_up_on(loop: Any) -> None:
    loop(ends_in_time(ASKED + b"\r\n", half=True))
