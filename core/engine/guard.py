"""Gives up calls whose adapter ignores their time limit.

One timer watches over all calls under way: it is set for the one that is due first, which has ended by then,
mostly, and then for the next. As patience.py has it, a limit that is noticed late is extended once: the
process stood still, and the answer may lie unread in its socket.
"""

import asyncio
from typing import Any

from core.engine.patience import LATE_SECONDS

Caller = asyncio.Task[Any]


class Guard:
    """Cancels the task of a call `grace` seconds beyond its limit; one that is noticed late gets so long once
    more. A task makes one call at a time. All are made on one event loop.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._due: dict[Caller, float] = {}
        self._extended: set[Caller] = set()
        self._given_up: set[Caller] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def enter(self, seconds: float) -> Caller:
        """The running task, which is returned, makes a call that limits itself to so long; `leave` when it is
        over.
        """
        loop = asyncio.get_running_loop()
        caller = asyncio.current_task(loop)
        if caller is None:
            raise RuntimeError("a call is made by a task")
        self._due[caller] = due = loop.time() + seconds + self._grace
        if self._timer is None or due < self._at:
            self._set(loop, due)
        return caller

    def gave_up(self, caller: Caller) -> bool:
        """Asked where a call ends with CancelledError: whether this guard cancelled it, and nobody else."""
        return caller in self._given_up and not caller.uncancel()

    def leave(self, caller: Caller) -> None:
        """The call is over, however it ended."""
        self._due.pop(caller, None)
        if self._extended:
            self._extended.discard(caller)
        if self._given_up:
            self._given_up.discard(caller)

    def _set(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = loop.call_at(at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        late = now - self._at > LATE_SECONDS
        for caller in [caller for caller, due in self._due.items() if due <= now]:
            if late and caller not in self._extended:
                self._extended.add(caller)
                self._due[caller] = now + self._grace
            else:
                del self._due[caller]
                self._given_up.add(caller)
                caller.cancel()
        if self._due:
            self._set(loop, min(self._due.values()))
