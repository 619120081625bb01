"""Whether the store is there for this process: asked by probes, and told in a sentence."""

import asyncio
import logging

from core.errors import StoreError, StoreFull
from core.ports.clock import Clock
from core.ports.store import Store

log = logging.getLogger("sidestep.server")

READY_SECONDS = 2.0

PROVED_FOR = 1.0
"""Seconds for which one proof that the store takes writes, or takes none, does for all who ask."""


class Readiness:
    """What a probe learns of a store that is open."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._proving = asyncio.Lock()
        self._proved: tuple[float, bool] | None = None

    async def why_not(self) -> str | None:
        """Why the store cannot be worked with now, in a sentence; None where it can. A store that is full for
        creations still takes what was accepted before, so that is no reason.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._store.get_fact("ready")
                return None if await self._writable() else "The store takes no writes."
        except (StoreError, TimeoutError):
            return "The store does not answer."

    async def _writable(self) -> bool:
        """Whether the store keeps what it is given: a full disk still reads. Raises TimeoutError."""
        async with self._proving:
            if self._proved is not None and self._clock.monotonic() - self._proved[0] < PROVED_FOR:
                return self._proved[1]
            try:
                # A new value each time, so that no store can take it for written already.
                await self._store.put_fact("ready", b"%d" % self._clock.now_ms())
            except StoreFull:
                writable = self._store.full() is not None
            except StoreError:
                log.warning("the store takes no writes", exc_info=True)
                writable = False
            else:
                writable = True
            self._proved = (self._clock.monotonic(), writable)
            return writable
