"""Connections for commands that block: never shared, kept for the next one."""

import asyncio
from typing import Any

from adapters.stores.redis.address import Dial
from adapters.stores.redis.wire import Wire
from core.errors import StoreUnavailable


class BlockingPool:
    """Up to `size` connections at once; more callers wait for one."""

    def __init__(self, *, limit: float, size: int) -> None:
        self._limit = limit
        self._room = asyncio.Semaphore(size)
        self._idle: dict[Dial, list[Wire]] = {}
        self._busy: set[Wire] = set()
        self._closed = False

    async def run(self, dial: Dial, packed: bytes, timeout: float, *, asking: bool = False) -> Any:
        """The reply, errors of Redis included, within `timeout` seconds and the limit of a connection.

        Raises StoreUnavailable. Where the caller is cancelled the connection goes with it, since its reply
        is still to come; what the command may have done is not undone.
        """
        async with self._room:
            wire = await self._take(dial)
            self._busy.add(wire)
            wire.limit = timeout + self._limit
            try:
                return await wire.submit(packed, asking=asking)
            except BaseException:
                wire.drop("a blocking command was given up")
                raise
            finally:
                self._busy.discard(wire)
                if not wire.lost:
                    self._idle.setdefault(dial, []).append(wire)

    def drop(self, dial: Dial, why: str) -> None:
        """End the connections to a node: it has gone, or another has its place."""
        busy = [wire for wire in self._busy if wire.dial == dial]
        for wire in [*busy, *self._idle.pop(dial, [])]:
            wire.drop(why)

    def close(self) -> None:
        """End all connections for good."""
        self._closed = True
        for dial in {*self._idle, *(wire.dial for wire in self._busy)}:
            self.drop(dial, "closed")

    async def _take(self, dial: Dial) -> Wire:
        if self._closed:
            raise StoreUnavailable("the connection to Redis is closed")
        idle = self._idle.get(dial, [])
        while idle:
            wire = idle.pop()
            if not wire.lost:
                return wire
        return await Wire.connect(dial, limit=self._limit)
