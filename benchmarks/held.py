"""An HTTP endpoint in a process of its own that answers nobody until it is told to.

`python -m benchmarks.held` prints its port. A first line on its standard input lets all calls be answered,
those that come later at once; the end of its input ends it.
"""

import asyncio
import resource
import sys
from typing import cast

BODY = b'{"order":"A-1001","amount":12.5,"items":[1,2,3]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class Held(asyncio.Protocol):
    """Answers each request once its body is whole and `released` is set."""

    def __init__(self, released: asyncio.Event, waiting: set["Held"]) -> None:
        self._released = released
        self._waiting = waiting
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody waits here any more."""
        self._waiting.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete, or remember that it waits."""
        self._seen += data
        head, found, rest = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._seen = rest[length:]
        if self._released.is_set():
            self.answer()
        else:
            self._waiting.add(self)

    def answer(self) -> None:
        """Answer the one request that is under way."""
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


def many_files() -> None:
    """Let this process have as many connections as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def main() -> None:
    """Serve until standard input ends."""
    many_files()
    loop = asyncio.get_running_loop()
    released = asyncio.Event()
    waiting: set[Held] = set()
    server = await loop.create_server(lambda: Held(released, waiting), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    if await loop.run_in_executor(None, sys.stdin.readline):
        released.set()
        for one in tuple(waiting):
            one.answer()
        await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
