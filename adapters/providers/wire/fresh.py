"""A credential that is fetched in a thread, kept, and replaced before it expires.

Nothing is fetched on the way of a call while a usable value is there. A call waits only where there is none:
before the first fetch ended, or after the last value was refused by the provider. However many calls wait,
one fetch runs.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from adapters.providers.wire.threads import in_thread

T = TypeVar("T")

log = logging.getLogger("sidestep.providers")

FORCE_EVERY_SECONDS = 30.0
"""A refusal starts a new fetch at most this often: a right that is missing does not come by asking again."""

_FIRST_BACKOFF, _LAST_BACKOFF = 1.0, 60.0
_EXPIRY_MARGIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """A value, when it ends (Unix seconds; None: never, or nobody knows) and when to fetch the next one."""

    value: T
    expires_at: float | None = None
    refresh_at: float | None = None


def ahead_of(expires_at: float, now: float) -> float:
    """When to replace what ends at `expires_at`: a quarter of its life before, at most 15 minutes before
    (botocore's advisory refresh).
    """
    return expires_at - min(900.0, max(0.0, expires_at - now) / 4)


class Fresh(Generic[T]):
    """Keeps one value fresh. `fetch(force)` blocks and runs in a thread; `force` asks it to use no cache of
    its own. It must bound itself by timeouts.
    """

    def __init__(
        self,
        fetch: Callable[[bool], Fetched[T]],
        *,
        name: str,
        clock: Callable[[], float] = time.time,
        gate: asyncio.Semaphore | None = None,
    ) -> None:
        """`gate` bounds how many fetches of its owner run at once."""
        self._fetch = fetch
        self._name = name
        self._clock = clock
        self._gate = gate or asyncio.Semaphore(1)
        self._kept: Fetched[T] | None = None
        self._refused: T | None = None
        self._forced_at: float | None = None
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    @property
    def current(self) -> T | None:
        """The value that a call may use now, or None."""
        kept = self._kept
        if kept is None or kept.value == self._refused:
            return None
        if kept.expires_at is not None and kept.expires_at - _EXPIRY_MARGIN_SECONDS <= self._clock():
            return None
        return kept.value

    def start(self) -> None:
        """Fetch now, and from then on ahead of time."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name=f"fresh {self._name}")

    async def get(self, seconds: float) -> T | None:
        """The value, waited for up to `seconds` where there is none; None where none came."""
        if self.current is None:
            # Shielded: who stops waiting must not stop the others' fetch.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(self._fly(force=self._refused is not None))
        return self.current

    def refuse(self, value: T) -> bool:
        """The provider refused `value`: use it no more, and fetch another.

        True where a try with the next value makes sense: `value` was replaced already, or a fetch began.
        Where the last refusal is recent, `value` stays in use and the answer is False: a missing right, not
        an old credential.
        """
        kept = self._kept
        if kept is not None and kept.value != value:
            return True
        now = self._clock()
        if self._forced_at is not None and now - self._forced_at < FORCE_EVERY_SECONDS:
            return False
        self._forced_at = now
        self._refused = value
        self._fly(force=True)
        return True

    @property
    def stopped(self) -> bool:
        """True when nothing is fetched any more."""
        return all(task is None or task.done() for task in (self._keeper, self._flight))

    def stop(self) -> None:
        """Stop fetching, soon."""
        for task in (self._keeper, self._flight):
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Stop fetching; returns when it has stopped."""
        self.stop()
        await asyncio.gather(*filter(None, (self._keeper, self._flight)), return_exceptions=True)
        self._keeper = self._flight = None

    def _fly(self, *, force: bool) -> asyncio.Task[None]:
        if self._flight is None or self._flight.done():
            self._flight = asyncio.get_running_loop().create_task(
                self._once(force=force), name=f"fetch {self._name}"
            )
        return self._flight

    async def _once(self, *, force: bool) -> None:
        try:
            async with self._gate:
                self._kept = await in_thread(lambda: self._fetch(force), name=self._name)
        except Exception as problem:  # noqa: BLE001  vendors' libraries raise what they like; the caller goes on
            # The type alone: messages of token services can repeat what they were sent.
            log.warning("%s could not be fetched (%s)", self._name, type(problem).__name__)
        finally:
            # If the fetch brought the same value again, or failed, the old one is all there is: use it.
            self._refused = None
            self._wake.set()

    async def _keep(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            before = self._kept
            await asyncio.shield(self._fly(force=False))
            kept = self._kept
            if kept is None or (kept is before and kept.refresh_at is not None):
                pause = backoff * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, hides nothing
                backoff = min(backoff * 2, _LAST_BACKOFF)
            elif kept.refresh_at is None:
                return
            else:
                backoff = _FIRST_BACKOFF
                pause = max(kept.refresh_at - self._clock(), _FIRST_BACKOFF)
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but start counting anew where a forced fetch changed the value meanwhile."""
        self._wake.clear()
        kept = self._kept
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()
            if self._kept is not kept:
                if self._kept is not None and self._kept.refresh_at is not None:
                    seconds = max(self._kept.refresh_at - self._clock(), _FIRST_BACKOFF)
                kept = self._kept
