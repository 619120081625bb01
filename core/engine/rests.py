"""Waiting for an execution to come to rest: as cheaply as it can be known.

Where this process drives the execution, its driver says so, and nobody is asked. Else the store is asked when
the journal's doorbell rings, and now and then besides, since rings may be missed. An execution that was made
here a moment ago is given a moment to be claimed here before anybody is asked.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.engine.endings import RESTING, Endings, Rested
from core.ports.clock import Clock
from core.ports.doorbell import Topic
from core.ports.store import Store

POLL_SECONDS = 1.0
"""How long a missed doorbell can delay a watcher."""

CLAIMED_WITHIN = 0.05
"""Seconds in which a worker of this process takes up what was created here, if it has room."""


class Rests:
    """Who waits in this process. `drives` says whether it drives an execution; None: it drives none."""

    def __init__(
        self, store: Store, clock: Clock, endings: Endings | None, drives: Callable[[str], bool] | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._endings = endings or Endings()
        self._drives = drives
        self._waiting: set[Rest] = set()
        self._over = False

    def end(self) -> None:
        """Have all waits end now, and those to come at once."""
        self._over = True
        for waiting in self._waiting:
            waiting.wake()

    @contextmanager
    def watch(self, execution_id: str) -> Iterator["Rest"]:
        """Watch an execution that may not exist yet; wait for its rest inside."""
        with self._endings.wait(execution_id) as coming:
            rest = Rest(coming)
            self._waiting.add(rest)
            try:
                yield rest
            finally:
                self._waiting.discard(rest)
                rest.stop_listening()

    async def wait(self, rest: "Rest", execution_id: str, seconds: float, *, fresh: bool) -> Rested | str:
        """How it comes to rest, as its driver says; or else its status at rest, or after `seconds`, or at the
        end of all waits. `fresh`: it was created after the watch began. Raises ExecutionNotFound.
        """
        ends = self._clock.monotonic() + seconds
        here = fresh and self._drives is not None
        if here:
            await rest.next(min(seconds, CLAIMED_WITHIN))
            here = self._drives is not None and self._drives(execution_id)
        while True:
            rested = rest.told()
            if rested is not None:
                return rested
            left = ends - self._clock.monotonic()
            over = self._over or left <= 0
            if over or not here:
                rest.listen(self._store, execution_id)
                # In this order: a message that is taken up between the two has changed the status by then.
                mail = await self._store.inbox(execution_id)
                status = (await self._store.get(execution_id)).summary.status
                if over or (status in RESTING and not mail):
                    return status
            await rest.next(min(left, POLL_SECONDS))
            here = self._drives is not None and self._drives(execution_id)


class Rest:
    """One who waits for one execution."""

    def __init__(self, coming: asyncio.Future[Rested]) -> None:
        self._coming = coming
        self._woken = False
        self._turn: asyncio.Future[None] | None = None
        self._quiet: Callable[[], None] | None = None
        coming.add_done_callback(self.wake)

    def told(self) -> Rested | None:
        """How it came to rest, once its driver has said so."""
        return self._coming.result() if self._coming.done() and not self._coming.cancelled() else None

    def listen(self, store: Store, execution_id: str) -> None:
        """Hear of its journal from now on, too, once it may be at rest."""
        if self._quiet is None:
            self._quiet = store.doorbell.subscribe(Topic.JOURNAL, self.wake, execution_id, RESTING)

    def stop_listening(self) -> None:
        """Hear nothing more."""
        if self._quiet is not None:
            self._quiet()
            self._quiet = None

    def wake(self, _: object = None) -> None:
        """Something may have happened."""
        self._woken = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def next(self, seconds: float) -> None:
        """Return once something may have happened since the last time, or after `seconds`."""
        if not self._woken:
            loop = asyncio.get_running_loop()
            self._turn = loop.create_future()
            alarm = loop.call_later(max(0.0, seconds), self.wake)
            try:
                await self._turn
            finally:
                alarm.cancel()
                self._turn = None
        self._woken = False
