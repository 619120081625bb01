"""What a driver waits for: answers and deliveries in their order, rings of the doorbell, times that came."""

import asyncio

from core.engine.facts import Answer, size_of
from core.engine.posting import Told

News = Answer | Told | Exception


class Mailbox:
    """One driver takes out what calls, timers and the doorbell put in; nobody waits to put something in."""

    __slots__ = ("_awake", "_news", "_rung", "_waiter")

    def __init__(self) -> None:
        # An empty deque takes 700 bytes, and there are as many mailboxes as executions.
        self._news: list[News] = []
        self._rung = False
        self._awake = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, news: News) -> None:
        """Something came of what is under way."""
        self._news.append(news)
        self.wake()

    def ring(self) -> None:
        """Something is in the inbox, or the engine wants attention."""
        self._rung = True
        self.wake()

    def wake(self) -> None:
        """A time has come, or there is another reason to decide again."""
        self._awake = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take out, and no reason to look."""
        return not self._awake

    async def wait(self) -> None:
        """Return once there is something, or a reason to look."""
        if not self._awake:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def take(self, budget: int) -> tuple[list[Answer | Told], bool]:
        """What came, oldest first, and whether the bell rang.

        As much as `budget` bytes of output allow, and the answer that passes it: many large outputs that come
        at once must not make a commit that no store can hold. Raises an exception that was put in.
        """
        rung, self._rung = self._rung, False
        taken: list[Answer | Told] = []
        size = 0
        for news in self._news:
            if size > budget:
                break
            if isinstance(news, Exception):
                raise news
            taken.append(news)
            size += size_of(news)
        del self._news[: len(taken)]
        self._awake = bool(self._news)
        return taken, rung
