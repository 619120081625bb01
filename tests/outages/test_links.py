"""A link carries every byte, to the last one, until it is cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from outages.links import Link


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that answers what it was sent once its client has said all, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def ask(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_what_is_said_last_arrives_although_the_connection_ends(echo: int) -> None:
    link = await Link(echo).start()
    try:
        said = b"x" * 300_000
        assert await ask(link.port, said) == said
    finally:
        await link.close()


async def test_a_link_that_is_cut_refuses_until_it_is_mended(echo: int) -> None:
    link = await Link(echo).start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"on its way")
        await writer.drain()
        link.cut()
        with pytest.raises(OSError):  # noqa: PT011 - which one is the kernel's business
            await ask(link.port, b"more")
        with suppress(ConnectionResetError):  # it may be told by a reset as well
            assert await reader.read() == b""
        writer.close()
        port = link.port
        await link.start()
        assert link.port == port
        assert await ask(port, b"again") == b"again"
    finally:
        await link.close()
