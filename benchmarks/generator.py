"""The load generator, in a process of its own: keep-alive connections, each with one request under way.

`python -m benchmarks.generator PORT` reads a question a line (JSON, `Wanted`) and answers it with a line
(`Seen`, or an object with `error`). It is a protocol and callbacks, no task and no future a request, so that
it takes little of the cores that it shares with the server.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, cast

import httptools
import msgspec

PLACE_OF_NUMBER = b"########"
"""Where this stands in a body, each request has a number of its own."""


class Wanted(msgspec.Struct, frozen=True):
    """`body` (JSON text) is posted to `path`, `at_once` under way, until `seconds` are over or `count` are
    done. With `wait` the answer is the execution's end, and another end than COMPLETED is an error.
    """

    body: str
    at_once: int
    seconds: float = 3_600.0
    count: int = 1_000_000_000
    wait: bool = True
    path: str = "/executions"


class Seen(msgspec.Struct, frozen=True):
    """How many requests were answered, in how many seconds, and their latency in milliseconds."""

    count: int
    seconds: float
    p50_ms: float
    p99_ms: float


class _Answer(msgspec.Struct):
    status: str


class Load:
    """One question's requests."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.over = asyncio.get_running_loop().create_future()
        self.until = time.perf_counter() + wanted.seconds
        self.latencies: list[float] = []
        self._before, self._found, self._after = wanted.body.encode().partition(PLACE_OF_NUMBER)
        prefer = b"Prefer: wait=60\r\n" if wanted.wait else b""
        self._head = b"".join(
            (
                b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n" % wanted.path.encode(),
                b"Content-Type: application/json\r\n",
                prefer,
                b"Content-Length: %d\r\n\r\n" % len(wanted.body.encode()),
            )
        )
        self._sent = self._open = 0

    def take(self) -> bytes | None:
        """The next request, or None where there is to be none."""
        if self._sent >= self.wanted.count or time.perf_counter() >= self.until:
            return None
        self._sent += 1
        self._open += 1
        return b"".join((self._head, self._before, b"%08d" % self._sent if self._found else b"", self._after))

    def done(self, seconds: float) -> None:
        """One was answered."""
        self._open -= 1
        self.latencies.append(seconds)

    def idle(self) -> None:
        """A connection found nothing more to do."""
        if not self._open and not self.over.done():
            self.over.set_result(None)

    def failed(self, why: str) -> None:
        """One was not answered as it should."""
        if not self.over.done():
            self.over.set_exception(RuntimeError(why))


class Connection(asyncio.Protocol):
    """One connection, with one request under way."""

    def __init__(self, lost: Callable[["Connection"], None]) -> None:
        self._lost = lost
        self._load: Load | None = None
        self._body: list[bytes] = []
        self._began = 0.0
        self._parser: Any = httptools.HttpResponseParser(self)
        self._decoder = msgspec.json.Decoder(_Answer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A request under way is lost with it."""
        self._lost(self)
        if self._load is not None:
            self._load.failed(f"the server closed a connection under a request ({exc})")

    def close(self) -> None:
        """End it."""
        self._transport.abort()

    def work(self, load: Load) -> None:
        """Send the next request, if there is one."""
        request = load.take()
        if request is None:
            self._load = None
            load.idle()
            return
        self._load = load
        self._body.clear()
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read the answer."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Part of httptools' protocol."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol: the answer is whole."""
        load = self._load
        if load is None:
            return
        status, body = self._parser.get_status_code(), b"".join(self._body)
        if status >= 300:
            load.failed(f"the server answered {status}: {body[:300].decode(errors='replace')}")
            return
        if load.wanted.wait and (ended := self._decoder.decode(body).status) != "COMPLETED":
            load.failed(f"an execution is {ended}: {body[:300].decode(errors='replace')}")
            return
        load.done(time.perf_counter() - self._began)
        self.work(load)


class Pool:
    """The connections, which outlive a question."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._all: list[Connection] = []

    async def run(self, wanted: Wanted) -> Seen:
        """Answer a question. Raises RuntimeError, OSError."""
        loop = asyncio.get_running_loop()
        while len(self._all) < wanted.at_once:
            _, one = await loop.create_connection(lambda: Connection(self._gone), "127.0.0.1", self._port)
            self._all.append(one)
        load = Load(wanted)
        began = time.perf_counter()
        for one in self._all[: wanted.at_once]:
            one.work(load)
        try:
            await load.over
        except RuntimeError:
            self.close()
            raise
        seconds = time.perf_counter() - began
        spent = sorted(load.latencies) or [0.0]
        p99 = spent[min(len(spent) - 1, len(spent) * 99 // 100)]
        return Seen(len(load.latencies), seconds, median(spent) * 1000, p99 * 1000)

    def _gone(self, one: Connection) -> None:
        if one in self._all:
            self._all.remove(one)

    def close(self) -> None:
        """End all of them."""
        for one in list(self._all):
            one.close()
        self._all.clear()


async def main(port: int) -> None:
    """Answer questions until standard input ends."""
    loop = asyncio.get_running_loop()
    pool = Pool(port)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer: Seen | dict[str, str]
        try:
            answer = await pool.run(msgspec.json.decode(line, type=Wanted))
        except (RuntimeError, OSError, msgspec.MsgspecError) as problem:
            answer = {"error": str(problem)}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()
    pool.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
