"""The limit: a bare loop of the same client and the same append, with nothing else of ours.

`python -m benchmarks.limit STORE ORIGIN [CLIENT]` answers questions on standard input as the generator does:
so many executions of ten steps at once for so many seconds. A step is one call of the static endpoint, its
answer read as JSON, and one append of an encoded event, which is waited for: the event and its execution's
record, as one act. On Redis a script of two commands through the store's own wire (all of a turn of the loop
in one write), in SQLite two statements by the store's own writer (group commit, synchronous=FULL). No leases,
no decisions, no API, no history, no health. `CLIENT` is `wire` (the adapters' client) or `aiohttp` (that
library as it is: what a first prototype would do).
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import apsw
import msgspec
from yarl import URL

from adapters.providers.wire.client import WireClient, WireConfig
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.origins import address_rules
from adapters.providers.wire.reply import Reply
from adapters.stores.redis.address import Dial
from adapters.stores.redis.wire import Wire, pack
from adapters.stores.sqlite_file import connect
from adapters.stores.sqlite_worker import Worker
from benchmarks.generator import Seen
from benchmarks.line import FIRST, STEPS

_APPEND = """
local n = redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'version', n)
return n
"""
"""The least that a step's commit is on Redis: an event appended, and its execution's record kept, as one."""

FIXED = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "sidestep",
}
OF_A_CALL = {
    "Idempotency-Key": "01K9XH2RJ7V0M3N8Q5T6W1Y2Z4/s0#1",
    "Sidestep-Attempt": "1",
    "Sidestep-Not-After": "1763689200123",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
"""As many and as long as an adapter sends."""

Call = Callable[[bytes], Awaitable[bytes]]
Append = Callable[[str, bytes], Awaitable[object]]


class Wanted(msgspec.Struct, frozen=True):
    """So many at once, until the seconds are over or so many executions are done."""

    at_once: int
    seconds: float = 3_600.0
    count: int = 1_000_000_000


class Event(msgspec.Struct, frozen=True):
    """What a step adds to a journal, about as long as ours."""

    kind: str
    visit: str
    attempt: int
    provider: str
    at: int
    latency: float
    output: msgspec.Raw


@asynccontextmanager
async def calling(client: str, url: str) -> AsyncIterator[Call]:
    """One call with the client."""
    if client == "aiohttp":
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def plain(body: bytes) -> bytes:
                async with session.post(url, data=body, headers=FIXED | OF_A_CALL) as answer:
                    return await answer.read()

            yield plain
        return
    wire = WireClient(WireConfig(), address_rules(()))
    await wire.open()
    target = Endpoint.of(URL(url), FIXED)

    async def ours(body: bytes) -> bytes:
        reply = await wire.post(target, OF_A_CALL, body, timeout_ms=30_000, fresh=False)
        assert isinstance(reply, Reply), reply
        return reply.body

    try:
        yield ours
    finally:
        await wire.close()


@asynccontextmanager
async def appending(store: str) -> AsyncIterator[Append]:
    """One durable append to the store: `none`, `sqlite:PATH` or `redis://HOST:PORT`."""
    if store == "none":

        async def nothing(_key: str, _data: bytes) -> None:
            """A store that forgets."""

        yield nothing
    elif store.startswith("sqlite:"):
        path = Path(store.removeprefix("sqlite:"))
        connection = connect(path, None, cache_mib=64)
        connection.pragma("journal_mode", "wal")
        connection.execute("CREATE TABLE journal (j INTEGER PRIMARY KEY, n TEXT, data BLOB) STRICT")
        connection.execute("CREATE TABLE record (n TEXT PRIMARY KEY, version INTEGER) STRICT, WITHOUT ROWID")
        worker = Worker("limit", partial(connect, path, None, cache_mib=64), "BEGIN IMMEDIATE", lambda: None)
        worker.start(connection)

        def insert(cursor: apsw.Cursor, key: str, data: bytes) -> None:
            cursor.execute("INSERT INTO journal (n, data) VALUES (?, ?)", (key, data))
            cursor.execute(
                "INSERT INTO record VALUES (?, 1) ON CONFLICT DO UPDATE SET version = version + 1", (key,)
            )

        try:
            yield lambda key, data: worker.do(lambda cursor: insert(cursor, key, data))
        finally:
            await worker.stop()
    else:
        where = URL(store)
        wire = await Wire.connect(Dial(host=where.host or "", port=where.port or 0), limit=10.0)
        try:
            sha1 = await wire.submit(pack("SCRIPT", "LOAD", _APPEND))
            yield lambda key, data: wire.submit(
                pack("EVALSHA", sha1, 2, key, f"{key}:record", data), write=True
            )
        finally:
            wire.drop("done")


async def execution(number: int, call: Call, append: Append) -> None:
    """Ten steps, one after the other."""
    body, key = msgspec.json.encode(FIRST), f"limit:{number}"
    for step in range(STEPS):
        began = time.time()
        body = await call(body)
        msgspec.json.decode(body)
        event = Event(
            "ATTEMPT_SUCCEEDED",
            f"s{step}#1",
            1,
            "HTTP",
            int(began * 1000),
            time.time() - began,
            msgspec.Raw(body),
        )
        await append(key, msgspec.json.encode(event))


async def run(wanted: Wanted, call: Call, append: Append) -> Seen:
    """Keep so many under way."""
    until = time.perf_counter() + wanted.seconds
    spent: list[float] = []
    started = 0

    async def keep_going() -> None:
        nonlocal started
        while started < wanted.count and (began := time.perf_counter()) < until:
            started += 1
            await execution(started, call, append)
            spent.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(keep_going() for _ in range(wanted.at_once)))
    seconds = time.perf_counter() - began
    spent.sort()
    p99 = spent[min(len(spent) - 1, len(spent) * 99 // 100)]
    return Seen(len(spent), seconds, median(spent) * 1000, p99 * 1000)


async def main(store: str, origin: str, client: str = "wire") -> None:
    """Answer questions until standard input ends."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        at = f"sqlite:{folder}/limit.db" if store == "sqlite" else store
        async with calling(client, f"{origin}/fn") as call, appending(at) as append:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                seen = await run(msgspec.json.decode(line, type=Wanted), call, append)
                sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*sys.argv[1:]))
