"""A connection that is made again: callers share it, and hear at once while it is down."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from adapters.stores.redis.address import Dial
from adapters.stores.redis.wire import Answer, Wire
from core.errors import ConfigurationError, StoreUnavailable

_log = logging.getLogger("sidestep.redis")

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5


class Backoff:
    """Pauses in seconds that double up to LONGEST_PAUSE; jitter keeps processes from coming at once."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def pause(self) -> float:
        """The next pause."""
        now, self._next = self._next, min(LONGEST_PAUSE, self._next * 2)
        return now * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._next = FIRST_PAUSE


class Line:
    """The shared connection to one primary. `find` says where it is now, and is asked for each attempt."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Dial]],
        *,
        limit: float,
        min_replicas: int = 0,
        on_down: Callable[[Dial], None] | None = None,
    ) -> None:
        self._find = find
        self._limit = limit
        self._min_replicas = min_replicas
        self._on_down = on_down
        self._wire: Wire | None = None
        self._why = "not connected yet"
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    @property
    def dial(self) -> Dial | None:
        """Where the line leads, while it is up."""
        return None if self._wire is None else self._wire.dial

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._wire is not None

    async def open(self) -> None:
        """Connect once. Raises StoreUnavailable or ConfigurationError."""
        await self._attach()

    def start(self) -> None:
        """Connect in the background, again and again until it is done."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._mend())

    async def tried(self) -> None:
        """Wait for the end of the first attempt, whatever came of it."""
        await self._tried.wait()

    def send(self, packed: bytes, *, write: bool = False, asking: bool = False) -> Answer:
        """Have a command sent at the end of this turn. Raises StoreUnavailable where the line is down."""
        if self._wire is None:
            raise StoreUnavailable(self._why)
        return self._wire.submit(packed, write=write, asking=asking)

    def distrust(self, why: str) -> None:
        """Drop the connection and look again where it should lead."""
        if self._wire is not None:
            self._wire.drop(why)

    def leave_for(self, host: str, port: int) -> None:
        """Look again at once where the line should lead, unless it leads there already."""
        if self._wire is not None:
            if (self._wire.dial.host, self._wire.dial.port) != (host, port):
                self._wire.drop("another node is the primary now")
        elif self._task is not None:
            self._task.cancel()  # an attempt at the old one may take its whole limit; `_mend` begins anew

    async def close(self) -> None:
        """Drop the connection; a second call does nothing."""
        self._closed = True
        self._why = "the connection to Redis is closed"
        self._tried.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.on_lost = None
            wire.drop("closed")

    async def _attach(self) -> None:
        try:
            dial = await self._find()
            wire = await Wire.connect(dial, limit=self._limit, min_replicas=self._min_replicas)
        except (StoreUnavailable, ConfigurationError) as error:
            self._why = str(error)
            raise
        finally:
            self._tried.set()
        if self._closed or wire.lost:
            wire.drop("closed")
            raise StoreUnavailable(f"Redis at {dial.where} is away: {wire.why}")
        wire.on_lost = lambda: self._lost(wire)
        self._wire = wire

    def _lost(self, wire: Wire) -> None:
        if self._wire is not wire:
            return
        self._wire = None
        self._why = f"Redis at {wire.dial.where} is away: {wire.why}"
        if self._closed:
            return
        _log.warning("lost Redis at %s: %s", wire.dial.where, wire.why)
        self.start()
        if self._on_down is not None:
            self._on_down(wire.dial)

    async def _mend(self) -> None:
        backoff = Backoff()
        said = ""
        try:
            while not self._closed:
                try:
                    await self._attach()
                except (StoreUnavailable, ConfigurationError) as error:
                    if str(error) != said:
                        said = str(error)
                        _log.warning("%s; trying again", said)
                    await asyncio.sleep(backoff.pause())
                else:
                    if said and self._wire is not None:
                        _log.warning("Redis at %s is back", self._wire.dial.where)
                    return
        finally:
            self._task = None
            # Lost again between the connection and this line: `_lost` met a task that was still there.
            if self._wire is None and not self._closed and self._tried.is_set():
                asyncio.get_running_loop().call_soon(self._again)

    def _again(self) -> None:
        if self._wire is None:
            self.start()
