"""Gives up calls whose adapter ignores their time limit.

One timer watches over all calls under way: it is set for the one that is due first, which has ended by then,
mostly, and then for the next. As patience.py has it, a limit that is noticed late is extended once: the
process stood still, and the answer may lie unread in its socket.
"""

import asyncio

from core.engine.patience import LATE_SECONDS


class Guarded:
    """One call, made by `task`. `due` is the loop's time at which it is given up, `given_up` says that it
    was.
    """

    __slots__ = ("due", "extended", "given_up", "task")

    def __init__(self, task: "asyncio.Task[object] | None", due: float) -> None:
        self.task = task
        self.due = due
        self.extended = False
        self.given_up = False


class Guard:
    """Cancels the task of a call `grace` seconds beyond its limit; one that is noticed late gets so long once
    more. All calls are made on one event loop.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._calls: dict[Guarded, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def enter(self, seconds: float) -> Guarded:
        """The running task makes a call that limits itself to so long; `leave` when it is over."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds + self._grace
        call = Guarded(asyncio.current_task(), due)
        self._calls[call] = None
        if self._timer is None or due < self._at:
            self._set(loop, due)
        return call

    def gave_up(self, call: Guarded) -> bool:
        """Asked where a call ends with CancelledError: whether this guard cancelled it, and nobody else."""
        return call.given_up and call.task is not None and not call.task.uncancel()

    def leave(self, call: Guarded) -> None:
        """The call is over, however it ended."""
        self._calls.pop(call, None)

    def _set(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = loop.call_at(at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        late = now - self._at > LATE_SECONDS
        for call in [call for call in self._calls if call.due <= now]:
            if late and not call.extended:
                call.extended, call.due = True, now + self._grace
                continue
            del self._calls[call]
            call.given_up = True
            if call.task is not None:
                call.task.cancel()
        if self._calls:
            self._set(loop, min(call.due for call in self._calls))
