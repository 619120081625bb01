"""A static HTTP endpoint in a process of its own: every request is answered with the same small JSON.

`python -m benchmarks.endpoint [HOLD_SECONDS]` prints its port, and ends when its standard input does. With a
hold, each answer waits that long. It does as little as can be done in Python (it looks for the end of a head
and its Content-Length), so that it is not what is measured. One answer does for every vendor, as each of our
adapters takes a 200 with JSON for a success.

A line `count` on its standard input has calls counted from then on; a line `calls` prints how many there were
as JSON (`Calls`). Without it no header is read.
"""

import asyncio
import re
import sys
from collections import Counter
from typing import cast

import msgspec

BODY = b'{"order":"A-1001","amount":12.5,"items":[1,2,3]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]+)", re.IGNORECASE)
_ATTEMPT = re.compile(rb"\r\nsidestep-attempt: *(\d+)", re.IGNORECASE)


class Calls(msgspec.Struct, frozen=True):
    """What reached the endpoint: calls, how many idempotency keys they had, how many came more than once by
    key (a step was called again), and how many by key and attempt (an attempt was sent twice).
    """

    total: int
    keys: int
    repeated: int
    sent_twice: int


class Counting:
    """Calls by idempotency key and attempt, once `on`."""

    def __init__(self) -> None:
        self.on = False
        self._calls: Counter[tuple[bytes, bytes]] = Counter()

    def saw(self, head: bytes) -> None:
        """One call."""
        key, attempt = _KEY.search(head), _ATTEMPT.search(head)
        self._calls[(key[1] if key else b"", attempt[1] if attempt else b"")] += 1

    def told(self) -> Calls:
        """All so far."""
        total, keys = self._calls.total(), len({key for key, _ in self._calls})
        return Calls(total, keys, total - keys, total - len(self._calls))


class Static(asyncio.Protocol):
    """Answers each request once its body is whole."""

    def __init__(self, hold: float, counting: Counting) -> None:
        self._hold = hold
        self._counting = counting
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        if self._seen:
            data = self._seen + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) < whole:
                break
            if self._counting.on:
                self._counting.saw(data[: end + 2])
            data = data[whole:]
            if self._hold:
                asyncio.get_running_loop().call_later(self._hold, self._answer)
            else:
                self._transport.write(ANSWER)
        self._seen = data

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


def _obey(line: str, counting: Counting) -> None:
    """Do what a line of standard input says; on the event loop, where calls are counted."""
    if line == "count\n":
        counting.on = True
    elif line == "calls\n":
        sys.stdout.write(msgspec.json.encode(counting.told()).decode() + "\n")
        sys.stdout.flush()


async def main(hold: float) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    counting = Counting()
    server = await loop.create_server(lambda: Static(hold, counting), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _obey(line, counting)
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
