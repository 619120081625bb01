"""A doorbell that rings across processes, through Redis's publish and subscribe."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from adapters.stores.doorbell import InProcessDoorbell
from adapters.stores.redis.acts import Acts
from adapters.stores.redis.client import Redis
from adapters.stores.redis.keys import Keys
from core.errors import StoreError
from core.ports.doorbell import Topic

_log = logging.getLogger("sidestep.stores.redis")

_RETRY_SECONDS = 1.0

_Ring = Callable[[str], None]


class RedisDoorbell(InProcessDoorbell):
    """Rings what this process does by itself, and hears of others: of the inboxes of what this process owns,
    and of those journals that somebody here listens to by id.
    """

    def __init__(self, redis: Redis, station: str) -> None:
        super().__init__()
        self._redis = redis
        self._station = station.encode()
        self._keys: Keys | None = None
        self._acts: Acts | None = None
        self._wanted: Counter[str] = Counter()  # listeners of each execution's journal
        self._ends: dict[str, Callable[[], Awaitable[None]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def subscribe(
        self,
        topic: Topic,
        ring: _Ring,
        execution_id: str | None = None,
        statuses: Collection[str] | None = None,
    ) -> Callable[[], None]:
        """As the port says."""
        end = super().subscribe(topic, ring, execution_id, statuses)
        if topic is not Topic.JOURNAL or execution_id is None:
            return end
        self._wanted[execution_id] += 1
        self._settle(execution_id)
        live = True

        def end_both() -> None:
            nonlocal live
            end()
            if live:
                live = False
                self._wanted[execution_id] -= 1
                self._settle(execution_id)

        return end_both

    def start(self, keys: Keys, acts: Acts) -> None:
        """The store is open: listen to the journals that were asked for so far."""
        self._keys, self._acts = keys, acts
        for execution_id in list(self._wanted):
            self._settle(execution_id)

    async def stop(self) -> None:
        """The store closes: Redis is not listened to any more. Who listens here stays."""
        self._keys = self._acts = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._ends.clear()

    def _settle(self, execution_id: str) -> None:
        if self._keys is not None and self._acts is not None and execution_id not in self._tasks:
            following = self._follow(execution_id, self._keys, self._acts)
            task = asyncio.get_running_loop().create_task(following)
            self._tasks[execution_id] = task
            task.add_done_callback(lambda done: self._followed(execution_id, done))

    def _followed(self, execution_id: str, done: asyncio.Task[None]) -> None:
        """A follower has ended. Who came or went since its last look found it still there."""
        del self._tasks[execution_id]
        if done.cancelled():
            return
        if error := done.exception():
            _log.error("a journal cannot be listened to", exc_info=error)
        elif (self._wanted[execution_id] > 0) is not (execution_id in self._ends):
            self._settle(execution_id)

    async def _follow(self, execution_id: str, keys: Keys, acts: Acts) -> None:
        """Subscribe or unsubscribe until that is what is wanted."""

        def heard(payload: bytes) -> None:
            # An older program says who it is, and no status.
            station, _, status = payload.partition(b" ")
            if station != self._station:
                self.ring(Topic.JOURNAL, execution_id, status.decode() or None)

        while (self._wanted[execution_id] > 0) is not (execution_id in self._ends):
            try:
                if execution_id in self._ends:
                    await self._ends.pop(execution_id)()
                else:
                    # Said first, so that a failure here leaves nothing behind that would have to be ended.
                    await acts.run("watch", keys.base(execution_id), execution_id, write=False)
                    channel = keys.journal(execution_id)
                    self._ends[execution_id] = await self._redis.subscribe(channel, heard)
            except StoreError as error:
                _log.info("a journal cannot be listened to yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
        if not self._wanted[execution_id]:
            del self._wanted[execution_id]
