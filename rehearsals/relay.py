"""The distance between two regions: a TCP relay on loopback that holds every byte back for a while.

What is on its way when the link is cut is lost, as it would be between regions.
"""

import asyncio
from typing import Final, Self

_CHUNK: Final = 1 << 16


class Relay:
    """Carries connections to `target` (a port of loopback), each byte `delay` seconds late, both ways."""

    def __init__(self, target: int, delay: float) -> None:
        self.port = 0
        self._target = target
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: set[asyncio.WriteTransport] = set()

    async def start(self) -> Self:
        """Listen on a free port, `port`."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def cut(self) -> None:
        """Cut the link at once; what is on its way is lost, and new connections are refused."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for transport in self._transports:
            transport.abort()

    async def close(self) -> None:
        """Cut it and wait until nothing of it runs."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transports.add(writer.transport)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._transports.add(back.transport)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._one_way(reader, back))
                    group.create_task(self._one_way(there, writer))
            finally:
                self._drop(back)
        except* OSError:
            pass  # either side has gone; the other is told by the abort below
        finally:
            self._drop(writer)

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what is read, late. Raises ConnectionError at its end, so that both ways end together."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, chunk = await waiting.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                writer.write(chunk)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while chunk := await reader.read(_CHUNK):
                waiting.put_nowait((loop.time() + self._delay, chunk))
                if delivering.done():
                    break
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
        raise ConnectionResetError("one side closed the connection")

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._transports.discard(writer.transport)
        writer.transport.abort()
