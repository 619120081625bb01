"""One connection: a request goes out, its reply comes in, and what is known of both is told exactly.

Whatever is odd about a reply ends the connection, so that no byte of one call's answer is ever read as the
beginning of another's.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol, cast

from adapters.providers.wire import outcomes
from adapters.providers.wire.reading import Progress, ReplyReader
from adapters.providers.wire.reply import Broken, Reply
from core.engine.patience import GRACE_SECONDS, LATE_SECONDS
from core.failover.outcome import Outcome

_TIMER_SECONDS = 0.001
"""The loops' timers are this exact."""


class Owner(Protocol):
    """Who holds connections between calls."""

    def keep(self, connection: "Connection") -> None:
        """Its call is over, and it can take another."""

    def drop(self, connection: "Connection") -> None:
        """It is not used any more; told once."""

    def lost(self, connection: "Connection") -> None:
        """Its socket is closed; told once, after `drop`."""


class Connection(asyncio.Protocol):
    """A connection that carries one call at a time."""

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_answer",
        "_deadline",
        "_extended",
        "_loop",
        "_owner",
        "_reader",
        "_ready",
        "_transport",
        "closed",
        "key",
    )

    def __init__(self, owner: Owner, key: str, fd: int, max_body: int) -> None:
        """`fd` is its socket's; `max_body` bounds a reply's body in bytes."""
        self.key = key
        self.closed = False
        """True once it is not used any more."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._ready = _watch(fd)
        self._reader = ReplyReader(max_body)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply | Outcome] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = self._deadline = 0.0
        self._extended = False

    # ---- for the pool and the client

    @property
    def usable(self) -> bool:
        """False where the peer closed it or sent something unasked, even if the loop has not read it yet."""
        return not self.closed and not self._ready()

    def send(self, request: bytes, deadline: float) -> "asyncio.Future[Reply | Outcome]":
        """Send `request`, which counts as written from here on; its reply is awaited until `deadline` (in the
        loop's time). The connection must not be `closed`.
        """
        self._reader.begin()
        self._answer = answer = self._loop.create_future()
        self._deadline = deadline
        self._extended = False
        if self._alarm is None or self._alarm_at > deadline:
            # One that rings earlier, of a call before, is left: it sets itself anew.
            self._set_alarm(deadline)
        cast("asyncio.Transport", self._transport).write(request)
        return answer

    def give_up(self, answer: "asyncio.Future[Reply | Outcome]") -> None:
        """Nobody waits for `answer` any more: close the connection, unless it carries another call by now."""
        if self._answer is answer:
            self._answer = None
            self.abort()

    def close(self) -> None:
        """Close it in good order; no call is under way."""
        self._retire()
        if self._transport is not None:
            self._transport.close()

    def abort(
        self,
        broken: Broken = Broken.TRUNCATED,
        lost: Callable[[], Outcome] = lambda: outcomes.lost("it was closed here"),
    ) -> None:
        """Break it off. A call under way ends as `broken` where its status was read, else as `lost`."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(lost() if self._reader.in_head else self._reader.reply(broken))
        self._retire()
        if self._transport is not None:
            self._transport.abort()

    def _retire(self) -> None:
        if not self.closed:
            self.closed = True
            self._owner.drop(self)

    # ---- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody asked for ends the connection."""
        if self._answer is None:
            self.abort()
            return
        progress = self._reader.feed(data)
        if progress is Progress.WHOLE:
            self._finish(self._answer)
        elif progress is Progress.MALFORMED:
            self.abort(Broken.TRUNCATED, outcomes.malformed)
        elif progress is Progress.TOO_LARGE:
            self.abort(Broken.TOO_LARGE)

    def eof_received(self) -> None:
        """The peer says no more: the end of a body without a length, and of everything else too early."""
        self._end("the peer closed it", clean=True)

    def connection_lost(self, problem: Exception | None) -> None:
        """The socket is closed."""
        self._end("the peer closed it" if problem is None else type(problem).__name__, clean=problem is None)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._reader.close()
        self._transport = None
        self._owner.lost(self)

    # ---- how a call ends

    def _finish(self, answer: "asyncio.Future[Reply | Outcome]") -> None:
        """The reply is whole."""
        self._answer = None
        # An answer can come before its question was sent whole: the rest would precede the next question.
        unsent = self._transport is not None and self._transport.get_write_buffer_size()
        if answer.done():  # cancelled: whoever waited is about to give the connection up
            self.abort()
            return
        answer.set_result(self._reader.reply())
        if unsent:
            # In good order it would close once the rest is taken: with a peer that reads no more, never.
            self.abort()
        elif self._reader.reusable and not self.closed:
            self._owner.keep(self)
        else:
            self.close()

    def _end(self, why: str, *, clean: bool) -> None:
        """No more will come."""
        if self._answer is not None and clean and self._reader.ends_with_connection:
            self._finish(self._answer)
        else:
            self.abort(Broken.TRUNCATED, lambda: outcomes.lost(why))

    # ---- time

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """The time of this call, or of one before it, is over."""
        self._alarm = None
        if self._answer is None:
            return
        now = self._loop.time()
        if now < self._deadline - _TIMER_SECONDS:
            self._set_alarm(self._deadline)
        elif not self._extended and now - self._alarm_at > LATE_SECONDS:
            # The loop stood still: let it read what has come meanwhile (core.engine.patience says why).
            self._extended = True
            self._deadline = now + GRACE_SECONDS
            self._set_alarm(self._deadline)
        else:
            self.abort(Broken.LATE, outcomes.read_timeout)


def _watch(fd: int) -> Callable[[], bool]:
    """Asks the kernel whether there is anything to read, an end or an error included."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([fd], [], [fd], 0)[0])
    ready = select.poll()
    ready.register(fd, select.POLLIN | select.POLLPRI)
    poll = ready.poll
    return lambda: bool(poll(0))
