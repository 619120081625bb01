"""Pub/Sub on a connection of its own, made again when it is lost. What was published meanwhile is missed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from adapters.stores.redis.address import Dial
from adapters.stores.redis.line import Backoff
from adapters.stores.redis.wire import Wire, pack
from core.errors import ConfigurationError, StoreUnavailable

_log = logging.getLogger("sidestep.redis")

Ring = Callable[[bytes], None]


class Bell:
    """Channels and who listens to them. `find` says which node to connect to, for each attempt."""

    def __init__(self, find: Callable[[], Awaitable[Dial]], *, limit: float) -> None:
        self._find = find
        self._limit = limit
        self._rings: dict[str, list[Ring]] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def subscribe(self, channel: str, ring: Ring) -> Callable[[], Awaitable[None]]:
        """Have `ring(payload)` called for every message. Returns when Redis has confirmed, or after the limit
        of a connection where it is away: it is subscribed to as soon as it is back.
        """
        rings = self._rings.setdefault(channel, [])
        rings.append(ring)
        confirmed = self._confirmed.setdefault(channel, asyncio.Event())
        if len(rings) == 1:
            self._tell("SUBSCRIBE", channel)
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._keep())
        with suppress(TimeoutError):
            await asyncio.wait_for(confirmed.wait(), self._limit)
        done = False

        async def end() -> None:
            nonlocal done
            if done:
                return
            done = True
            rings.remove(ring)
            if not rings and self._rings.get(channel) is rings:
                del self._rings[channel]
                del self._confirmed[channel]
                self._tell("UNSUBSCRIBE", channel)

        return end

    def drop(self, dial: Dial, why: str) -> None:
        """Connect anew where this was the node: it is lost, or another has its place."""
        if self._wire is not None and self._wire.dial == dial:
            self._wire.drop(why)

    async def close(self) -> None:
        """End the connection; a second call does nothing."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _tell(self, *words: str) -> None:
        if self._wire is not None:
            self._wire.tell(pack(*words))

    async def _keep(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except (StoreUnavailable, ConfigurationError) as error:
                _log.debug("not listening to Redis: %s", error)
            await asyncio.sleep(backoff.pause())

    async def _listen(self, backoff: Backoff) -> None:
        wire = await Wire.connect(await self._find(), limit=self._limit)
        ended = asyncio.Event()
        wire.on_lost = ended.set
        wire.listener = self._take
        try:
            self._wire = wire
            if self._rings:
                wire.tell(pack("SUBSCRIBE", *self._rings))
            while not ended.is_set():
                asked = asyncio.get_running_loop().time()
                wire.tell(pack("PING"))
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), self._limit)
                if wire.heard < asked:
                    wire.drop(f"no answer within {self._limit:g} s")
                backoff.reset()
        finally:
            self._wire = None
            for event in self._confirmed.values():
                event.clear()
            wire.on_lost = None
            wire.drop("closed")

    def _take(self, reply: Any) -> None:
        match reply:
            case [b"message", channel, payload]:
                for ring in tuple(self._rings.get(channel.decode(), ())):
                    try:
                        ring(payload)
                    except Exception:  # noqa: BLE001 - one listener's mistake is not another's
                        _log.exception("a listener to Redis failed")
            case [b"subscribe", channel, _]:
                event = self._confirmed.get(channel.decode())
                if event is not None:
                    event.set()
            case _:  # a PONG, or the end of a subscription
                pass
