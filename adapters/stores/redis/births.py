"""Executions that this process takes on in the act that creates them, for a claim of its own that waits, or
did a moment ago.

It spares the way over the stream: a blocking read that ends and begins anew, a claim, and for an execution
alone the time of both. What is taken on so is bounded, since nobody else gets a share of it: beyond that, and
wherever a ticket waits already, a creation leaves a ticket to all workers.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from core.ports.store import Claim, Loaded, NewExecution

MOST = 128
"""Executions in hand that were taken on at their birth."""

EPOCH = 2
"""What `create.lua` gives to what is taken on. A first claim by the stream has 1: so whoever did not hear the
answer can give back the one without harm to the other.
"""

_FORGOTTEN_SECONDS = 30.0
"""After which one in hand counts no more: it may have been lost to another worker."""

KEPT_SECONDS = 0.25
"""For how long what was taken on waits for the next claim, before it is given back."""


class Births:
    """What is wanted, is under way, and has come. For the event loop's thread only."""

    def __init__(self, monotonic: Callable[[], float], give_back: Callable[[Claim], None]) -> None:
        self._monotonic = monotonic
        self._give_back = give_back
        self._room = 0  # what the claim that waits, or did just now, can still take
        self._room_until = 0.0
        self._lease_seconds = 0.0
        self._idle_ms = 0
        self._in_hand: dict[str, float] = {}  # since when
        self._born: list[tuple[Claim, Loaded]] = []
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def wanted(self) -> bool:
        """Whether a claim waits."""
        return self._waiter is not None

    async def wait(
        self,
        limit: int,
        lease_seconds: float,
        idle_ms: int,
        other: asyncio.Future[Any],
        seconds: float,
    ) -> None:
        """Wait, as a claim that can take so many, until something was born, `other` has ended, or `seconds`
        have passed.
        """
        if self._born or other.done():
            return
        loop = asyncio.get_running_loop()
        self._room, self._lease_seconds, self._idle_ms = limit, lease_seconds, idle_ms
        self._room_until = math.inf
        self._waiter = loop.create_future()
        other.add_done_callback(self._stir)
        timer = loop.call_later(seconds, self._stir)
        try:
            await self._waiter
        finally:
            timer.cancel()
            other.remove_done_callback(self._stir)
            self._waiter = None
            self._keep_open(self._room)

    def take(self, limit: int) -> list[tuple[Claim, Loaded]]:
        """What was born and not taken yet, `limit` at most."""
        taken, self._born = self._born[:limit], self._born[limit:]
        if taken:
            self._keep_open(limit - len(taken))
        if self._timer is not None and not self._born:
            self._timer.cancel()
            self._timer = None
        return taken

    def begin(self, execution_id: str) -> "Birth | None":
        """A creation begins: what to ask for, where it is to be taken on."""
        now = self._monotonic()
        if self._room <= 0 or now > self._room_until:
            return None
        if len(self._in_hand) >= MOST:
            self._in_hand = {
                name: since for name, since in self._in_hand.items() if now - since < _FORGOTTEN_SECONDS
            }
            if len(self._in_hand) >= MOST:
                return None
        self._room -= 1
        self._in_hand[execution_id] = now
        return Birth(now + self._lease_seconds, self._idle_ms)

    def end(self, new: NewExecution, birth: "Birth", *, taken: bool) -> None:
        """The creation was answered."""
        if not taken:
            self.let_go(new.execution_id)
            return
        batches = (new.batch.data,) if new.batch.count else ()
        journal = Loaded(digest=new.digest, version=new.batch.count, snapshot=None, batches=batches, inbox=())
        claim = Claim(new.execution_id, EPOCH, birth.lease_until)
        self._born.append((claim, journal))
        self._stir()
        # Also where a claim waits: it may go off with what was read, and be the last for long.
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._give_up)

    def unknown(self, execution_id: str) -> None:
        """The creation was not answered: if it happened, it is to be everybody's."""
        self.let_go(execution_id)
        self._give_back(Claim(execution_id, EPOCH, 0.0))

    def let_go(self, execution_id: str) -> None:
        """It is in hand no more."""
        self._in_hand.pop(execution_id, None)

    def give_up(self) -> list[Claim]:
        """All that was born and not taken, which is to be given back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        born, self._born = self._born, []
        claims = [claim for claim, _ in born]
        for claim in claims:
            self.let_go(claim.execution_id)
        return claims

    def _keep_open(self, room: int) -> None:
        """The next claim follows at once, mostly: what is created until then is its own."""
        self._room, self._room_until = room, self._monotonic() + KEPT_SECONDS / 2

    def _give_up(self) -> None:
        self._timer = None
        for claim in self.give_up():
            self._give_back(claim)

    def _stir(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Birth:
    """How a creation is to be taken on: with a lease until then (monotonic), and with so much idle time."""

    __slots__ = ("idle_ms", "lease_until")

    def __init__(self, lease_until: float, idle_ms: int) -> None:
        self.lease_until = lease_until
        self.idle_ms = idle_ms
