"""Connections between calls: the last one used is the first one used again, and their number is bounded."""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.providers.wire import outcomes
from adapters.providers.wire.connection import Connection
from adapters.providers.wire.dialling import Unreached
from adapters.providers.wire.origins import Origin
from core.engine.patience import Patience

Dial = Callable[[Origin, Callable[[int], Connection]], Awaitable[Connection]]

_CLOSING_SECONDS = 1.0
"""How long `close` waits for sockets that are broken off; that takes one turn of the loop."""


class Pool:
    """At most `limit` connections, of which idle ones are kept for `keep_seconds` (0: none is kept)."""

    def __init__(self, dial: Dial, *, limit: int, keep_seconds: float, max_body: int) -> None:
        self._dial = dial
        self._limit = limit
        self._keep_seconds = keep_seconds
        self._max_body = max_body
        self._loop = asyncio.get_running_loop()
        self._idle: dict[str, dict[Connection, float]] = {}
        """By key, the one used last at the end, each with the time since when it is idle."""
        self._used = 0
        self._live: set[Connection] = set()
        self._dials: set[asyncio.Task[Connection]] = set()
        self._waiting: dict[object, asyncio.Future[None]] = {}
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._empty: asyncio.Future[None] | None = None

    def take(self, key: str) -> Connection | None:
        """An idle connection of that key; None where there is none, or others have waited for longer."""
        if self._waiting:
            return None
        return self._pop(key)

    def _pop(self, key: str) -> Connection | None:
        stack = self._idle.get(key)
        while stack:
            connection, since = stack.popitem()
            if connection.usable and self._loop.time() - since <= self._keep_seconds:
                return connection
            connection.abort()
        return None

    async def acquire(self, origin: Origin, key: str, seconds: float) -> Connection:
        """An idle connection, or a new one, waited for up to `seconds` in all. Raises `Unreached`."""
        try:
            async with Patience(seconds):
                connection = await self._turn(key)
                return await self._new(origin, key) if connection is None else connection
        except TimeoutError:
            raise Unreached(outcomes.no_connection()) from None

    async def _turn(self, key: str) -> Connection | None:
        """An idle connection, or None with the right to make a new one; in the order of coming."""
        ticket, called = object(), not self._waiting
        try:
            while not self._closed:
                if called:
                    connection = self._pop(key)
                    if connection is not None:
                        return connection
                    if self._used < self._limit or self._evict():
                        self._used += 1
                        return None
                # Who was called for nothing keeps its place: the dict has the order of first entries.
                self._waiting[ticket] = future = self._loop.create_future()
                await future
                called = True
        finally:
            # Even where this one got nothing or was given up: what it was called for may be the next one's.
            self._waiting.pop(ticket, None)
            self._wake()
        raise Unreached(outcomes.closed())

    async def _new(self, origin: Origin, key: str) -> Connection:
        task = self._loop.create_task(self._dialled(origin, key), name=f"dial {origin}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            task.add_done_callback(_abandon)
            raise
        if task.cancelled() or self._closed:
            _abandon(task)
            raise Unreached(outcomes.closed())
        return task.result()

    async def _dialled(self, origin: Origin, key: str) -> Connection:
        def protocol(fd: int) -> Connection:
            return Connection(self, key, fd, self._max_body)

        try:
            connection = await self._dial(origin, protocol)
        except BaseException:
            self._free()
            raise
        if connection.closed:
            self._free()
            raise Unreached(outcomes.unwritten())
        self._live.add(connection)
        return connection

    def _evict(self) -> bool:
        """Close the connection that is idle for longest; False where none is."""
        oldest = [next(iter(stack.items())) for stack in self._idle.values() if stack]
        if not oldest:
            return False
        connection, _ = min(oldest, key=lambda one: one[1])
        connection.abort()
        return True

    def _free(self) -> None:
        self._used -= 1
        self._wake()

    def _wake(self) -> None:
        """Call the first who waits and was not called yet; it stays in the queue until it has run."""
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)
                return

    # ---- what connections tell

    def keep(self, connection: Connection) -> None:
        """Its call is over: have it ready for the next, if connections are kept."""
        if self._closed or not self._keep_seconds:
            connection.close()
            return
        stack = self._idle.get(connection.key)
        if stack is None:
            stack = self._idle[connection.key] = {}
        stack[connection] = self._loop.time()
        if self._waiting:
            self._wake()
        if self._reaper is None:
            self._reaper = self._loop.call_later(self._keep_seconds, self._reap)

    def drop(self, connection: Connection) -> None:
        """It is not used any more."""
        stack = self._idle.get(connection.key)
        if stack is not None:
            stack.pop(connection, None)
        if connection in self._live:
            self._free()

    def lost(self, connection: Connection) -> None:
        """Its socket is closed."""
        self._live.discard(connection)
        if self._empty is not None and not self._live and not self._empty.done():
            self._empty.set_result(None)

    # ---- time

    def _reap(self) -> None:
        """Close what was idle for too long."""
        self._reaper = None
        last = self._loop.time() - self._keep_seconds
        for key, stack in list(self._idle.items()):
            for connection in [connection for connection, since in stack.items() if since <= last]:
                connection.close()
            if not stack:
                del self._idle[key]
        if self._idle:
            oldest = min(next(iter(stack.values())) for stack in self._idle.values())
            self._reaper = self._loop.call_at(oldest + self._keep_seconds, self._reap)

    async def close(self) -> None:
        """Break off every connection and end every wait; calls end as outcomes."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for _ in range(len(self._waiting)):
            self._wake()
        for task in tuple(self._dials):
            task.cancel()
        if self._dials:
            await asyncio.wait(tuple(self._dials))
        for connection in tuple(self._live):
            connection.abort()
        if self._live:
            self._empty = self._loop.create_future()
            await asyncio.wait((self._empty,), timeout=_CLOSING_SECONDS)


def _abandon(task: "asyncio.Task[Connection]") -> None:
    """Close a connection that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
