"""What a connection takes for HTTP: every way to spell a request that another program could read otherwise is
refused, and how its bytes are cut up changes nothing.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.exchange import HIGH_WATER, PIECES
from api.limits import Limits
from api.protocol import Connection, protocol_class

HEAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

REFUSED = {
    "both framings": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings the other way round": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "one length said twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a hexadecimal length": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "an empty length": HEAD + b"Content-Length: \r\n\r\n{}",
    "a length beyond 64 bits": HEAD + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "a length with thousands of zeros": HEAD + b"Content-Length: " + b"0" * 5_000 + b"2\r\n\r\n{}",
    "a chunk size that is none": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk size that ends in a lone LF": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "a chunk's extension with a lone LF": CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"2\r\n{}xx\r\n0\r\n\r\n",
    "a chunk without an end": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "a chunk that ends in a lone LF": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "a length in the trailer": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n",
    "an endless trailer": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 20_000,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two headers": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked and then something else": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "nearly chunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked behind a control character": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": HEAD + b"X: y\r\n z\r\n\r\n",
    "a folded framing": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded length": HEAD + b"Content-Length:\r\n 2\r\n\r\n{}",
    "a space before the first header": b"GET /a HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "lone LFs": b"GET /a HTTP/1.1\nHost: localhost\n\n",
    "one lone LF": b"GET /a HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "a lone LF at the end": b"GET /a HTTP/1.1\r\nHost: localhost\r\n\n",
    "a lone CR": b"GET /a HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
    "a NUL": HEAD + b"X: a\0b\r\n\r\n",
    "a header without a name": HEAD + b": y\r\n\r\n",
    "a header with a space in its name": HEAD + b"X y: z\r\n\r\n",
    "a header without a colon": HEAD + b"X\r\n\r\n",
    "no Host": b"GET /a HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "HTTP/2.0": b"GET /a HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/1.10": b"GET /a HTTP/1.10\r\nHost: localhost\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target that is not ASCII": b"GET /\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a control character in the target": b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a head without an end": HEAD + b"X: " + b"y" * 100_000,
    "headers without an end": HEAD + b"X: y\r\n" * 20_000,
}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was asked: method, path, query and body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    said = b" ".join((scope["method"].encode(), scope["raw_path"], scope["query_string"], body))
    length = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": said})


class Wire:
    """A server's connections, and callers of it."""

    def __init__(self, port: int, taken: "asyncio.Queue[Connection]") -> None:
        self.port = port
        self.taken = taken

    async def said_to(self, pieces: list[bytes]) -> bytes:
        """All that the server says, until it closes, to a caller whose bytes it gets in these pieces."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            connection = await self.taken.get()
            for piece in pieces:
                connection.data_received(piece)
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def wire(app: Callable[[Scope, Receive, Send], object] = echo) -> AsyncIterator[Wire]:
    config = uvicorn.Config(app, log_config=None, timeout_keep_alive=5)
    config.load()
    state, kind = ServerState(), protocol_class(Limits())
    taken: asyncio.Queue[Connection] = asyncio.Queue()

    def connection() -> Connection:
        made = kind(config, state, {})
        taken.put_nowait(made)
        return made

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        yield Wire(server.sockets[0].getsockname()[1], taken)
    finally:
        server.close()
        await server.wait_closed()


def in_bytes(sent: bytes) -> list[bytes]:
    return [sent[at : at + 1] for at in range(len(sent))]


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_once_and_nothing_behind_it_is_read(name: str) -> None:
    sent = REFUSED[name] + NEXT
    async with wire() as server:
        for pieces in ([sent], in_bytes(sent)):
            said = await server.said_to(pieces)
            assert said.startswith(b"HTTP/1.1 400 ")
            assert said.count(b"HTTP/1.1 ") == 1
            assert b"connection: close\r\n" in said
            assert b"smuggled" not in said


async def test_what_is_refused_behind_good_requests_is_refused_after_their_answers() -> None:
    good = HEAD + b"Content-Length: 2\r\n\r\n{}"
    async with wire() as server:
        said = await server.said_to([good + good + REFUSED["both framings"] + NEXT])
        assert [part[:3] for part in said.split(b"HTTP/1.1 ")] == [b"", b"200", b"200", b"400"]


async def test_nothing_is_read_behind_a_request_that_was_to_be_the_last() -> None:
    async with wire() as server:
        said = await server.said_to(
            [b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + NEXT]
        )
        assert said.count(b"HTTP/1.1 200 ") == 1
        assert b"smuggled" not in said


async def test_who_speaks_the_old_version_is_answered_and_hung_up_on() -> None:
    async with wire() as server:
        said = await server.said_to([b"GET /a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"])
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close\r\n" in said


async def test_a_large_body_that_nobody_takes_holds_up_no_request_behind_it() -> None:
    asked = asyncio.Event()

    async def takes_nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asked.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with wire(takes_nothing) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        connection = await server.taken.get()
        size = 10 * HIGH_WATER
        writer.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"x" * size + LAST)
        async with asyncio.timeout(10):
            # What nobody outside can see is that the server reads no more for now.
            while connection._reading:
                await asyncio.sleep(0)
            asked.set()
            said = await reader.read()
        assert said.count(b"HTTP/1.1 200 ") == 2
        writer.close()
        await writer.wait_closed()


async def test_a_body_of_tiny_chunks_that_nobody_takes_is_held_in_few_pieces() -> None:
    asked = asyncio.Event()

    async def takes_nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asked.wait()

    async with wire(takes_nothing) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        connection = await server.taken.get()
        connection.data_received(
            b"GET /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"2\r\nab\r\n" * 10_000
        )
        read = connection._read
        assert read is not None
        assert read.held == 20_000
        # What nobody outside can see is what is bounded.
        assert len(read._body) <= PIECES
        asked.set()
        writer.close()
        await writer.wait_closed()


async def test_tiny_chunks_come_in_their_order() -> None:
    said = b"".join(b"%05d" % at for at in range(3_000))
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in said)
    async with wire() as server:
        answered = await server.said_to([CHUNKED + chunks + b"0\r\n\r\n" + LAST])
        assert bodies(answered) == [b"POST /a  " + said, b"GET /last  "]


async def test_who_speaks_the_old_version_is_sent_no_interim_answer() -> None:
    head = b"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with wire() as server:
        said = await server.said_to([head, b"{}"])
        assert said.startswith(b"HTTP/1.1 200 ")


GOOD = [
    (b"GET /plain?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /plain x=1 "),
    (HEAD + b"Content-Length: 5\r\n\r\nhello", b"POST /a  hello"),
    (CHUNKED + b"3;x=y\r\nhel\r\n02\r\nlo\r\n0\r\nTrailer: z\r\n\r\n", b"POST /a  hello"),
    (
        HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        b"POST /a  hello",
    ),
    (
        b"GET /up HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /up  ",
    ),
    (HEAD + b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000, b"POST /a  " + b"x" * 70_000),
]
LAST = b"\r\nGET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def bodies(said: bytes) -> list[bytes]:
    """The bodies of answers that stand behind one another."""
    found = []
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(
            int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")
        )
        found.append(said[:length])
        said = said[length:]
    return found


@settings(deadline=None, max_examples=60)
@given(
    asked=st.lists(st.sampled_from(GOOD), max_size=6),
    cuts=st.lists(st.integers(0, 1_000_000), max_size=12),
)
def test_however_the_bytes_are_cut_up_each_request_is_answered_in_its_turn(
    asked: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    sent = b"".join(request for request, _ in asked) + LAST
    marks = sorted({0, len(sent), *(cut % len(sent) for cut in cuts)})
    pieces = [sent[begin:end] for begin, end in itertools.pairwise(marks)]

    async def story() -> None:
        async with wire() as server:
            assert bodies(await server.said_to(pieces)) == [*(body for _, body in asked), b"GET /last  "]

    asyncio.run(story())


async def test_byte_by_byte_each_request_is_answered_in_its_turn() -> None:
    async with wire() as server:
        asked = GOOD[:-1]
        said = await server.said_to(in_bytes(b"".join(request for request, _ in asked) + LAST))
        assert bodies(said) == [*(body for _, body in asked), b"GET /last  "]


async def test_thousands_of_requests_in_one_go_are_read_as_they_are_answered() -> None:
    most = 0
    async with wire() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        connection = await server.taken.get()
        connection.data_received(NEXT * 5_000 + LAST)
        said = b""
        async with asyncio.timeout(30):
            while piece := await reader.read(1 << 16):
                said += piece
                # What nobody outside can see is what is bounded.
                most = max(most, len(connection._waiting))
        assert said.count(b"HTTP/1.1 200 ") == 5_001
        assert 0 < most < 1_000
        writer.close()
        await writer.wait_closed()
