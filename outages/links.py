"""A TCP link on loopback that can be cut and mended, between a replica and its store or its clouds."""

import asyncio
from contextlib import suppress
from typing import Final, Self

_CHUNK: Final = 1 << 16


class Link:
    """Carries connections to `target`, a port of loopback, as they are. `start` it, `close` it."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> Self:
        """Listen on a free port, `port`; after a cut on the same one again."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def cut(self) -> None:
        """Cut it at once: connections are reset, and new ones refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cut it, and wait until nothing of it runs."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back: asyncio.StreamWriter | None = None
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(back)
            await asyncio.gather(_one_way(reader, back), _one_way(there, writer))
        except OSError:
            pass  # one side has gone; the other is told by the end of its connection
        finally:
            for one in (writer, back):
                if one is not None:
                    self._writers.discard(one)
                    one.close()


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is read, and then the end. Raises OSError where either side is gone."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()
