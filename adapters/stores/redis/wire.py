"""One connection to one node, shared by all callers of an event loop.

All commands of one turn of the loop leave in one write; replies are read in order and resolve futures. A
future's result is the reply as hiredis read it, error replies included (`hiredis.ReplyError`); its exception
is StoreUnavailable, when the connection ended before the reply came.

With `min_replicas`, a batch that writes is followed by WAIT in the same write, and its results are held back
until WAIT has counted enough replicas; a short count makes all of them unknown. WAIT counts only what its
own connection has written, which is why it cannot travel on another one. Redis reads nothing from a
connection that waits, so what comes meanwhile is collected and goes together: the way to the replicas is
paid once for all of it.

Time is bounded by silence: a connection that owes replies and has sent nothing for `limit` seconds is
dropped. A connection ends once and for ever; `line` makes the next one.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from adapters.stores.redis.address import Dial
from adapters.stores.redis.replies import code_of, judge
from core.errors import ConfigurationError, StoreError, StoreUnavailable

Word = bytes | str | int | float
Answer = asyncio.Future[Any]

MAX_COMMAND_BYTES = 64 * 1024 * 1024
MAX_WAITING = 50_000  # commands that wait for a reply
MAX_QUEUED_BYTES = 256 * 1024 * 1024  # what may wait for a peer that does not read
_REFUSED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


def pack(*words: Word) -> bytes:
    """A command as Redis reads it. Raises StoreError above MAX_COMMAND_BYTES."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub knows tuples of one length only
    if len(packed) > MAX_COMMAND_BYTES:
        raise StoreError(f"a command to Redis of {len(packed)} bytes is above the limit {MAX_COMMAND_BYTES}")
    return packed


class _Batch:
    """The calls of one write that wait for one WAIT."""

    __slots__ = ("answers", "replies")

    def __init__(self, answers: list[Answer | None]) -> None:
        self.answers = answers
        self.replies: list[Any] = []


class Wire(asyncio.Protocol):
    """See above. Made by `connect`."""

    def __init__(self, dial: Dial, *, limit: float, min_replicas: int = 0) -> None:
        self.dial = dial
        self.limit = limit
        self.on_lost: Callable[[], None] | None = None
        self.listener: Callable[[Any], None] | None = None
        """Where set, all replies go here (a connection that listens to channels)."""
        self.why = ""
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._min_replicas = 0
        self._wanted = min_replicas
        self._wait = b""
        self._waiting: deque[Answer | _Batch | None] = deque()
        self._size = 0
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._queued: list[Answer | None] = []
        self._writes = False
        self._confirming = False  # a WAIT is under way
        self._scheduled = False
        self._paused = False
        self.heard = self._loop.time()
        self._watcher: asyncio.TimerHandle | None = None

    @classmethod
    async def connect(cls, dial: Dial, *, limit: float, min_replicas: int = 0) -> "Wire":
        """Connect, log in, choose the database and check the role, within `limit` seconds.

        Raises StoreUnavailable; ConfigurationError where user, password or certificate are refused.
        """
        wire = cls(dial, limit=limit, min_replicas=min_replicas)
        loop = wire._loop
        try:
            async with asyncio.timeout(limit):
                if dial.path:
                    await loop.create_unix_connection(lambda: wire, dial.path)
                else:
                    await loop.create_connection(lambda: wire, dial.host, dial.port, ssl=dial.tls)
                await wire._greet()
        except ssl.SSLCertVerificationError as error:
            wire.drop("its certificate is not trusted")
            raise ConfigurationError(
                f"the certificate of Redis at {dial.where} is not trusted ({error.verify_message}):"
                " name its authority's file by ?ca="
            ) from None
        except TimeoutError:
            wire.drop(f"no answer within {limit:g} s")
            raise StoreUnavailable(f"Redis at {dial.where} is away: {wire.why}") from None
        except OSError as error:
            wire.drop(error.strerror or type(error).__name__)
            raise StoreUnavailable(f"Redis at {dial.where} is away: {wire.why}") from None
        except BaseException:
            wire.drop("the greeting failed")
            raise
        return wire

    async def _greet(self) -> None:
        dial = self.dial
        replies = []
        if dial.password is not None:
            secret = (dial.username, dial.password) if dial.username else (dial.password,)
            replies.append(self.submit(pack("AUTH", *secret)))
        if dial.db:
            replies.append(self.submit(pack("SELECT", dial.db)))
        role = self.submit(pack("ROLE")) if dial.primary else self.submit(pack("PING"))
        for each in (*replies, role):
            reply = await each
            if isinstance(reply, hiredis.ReplyError):
                raise self._refused(str(reply))
        if dial.primary and role.result()[0] != b"master":
            raise StoreUnavailable(f"Redis at {dial.where} is a replica")
        if self._wanted:
            self._min_replicas = self._wanted
            # Half of the limit: a short count is to arrive before the silence counts as an end.
            self._wait = pack("WAIT", self._wanted, max(1, int(self.limit * 500)))

    def _refused(self, text: str) -> Exception:
        code = code_of(text)
        if code in _REFUSED or "AUTH" in text:
            return ConfigurationError(
                f"Redis at {self.dial.where} refuses the user or the password: put them right in its URL"
            )
        if "not allowed in cluster mode" in text:
            return ConfigurationError(
                f"Redis at {self.dial.where} is of a cluster, which has one database: name none in its URL"
            )
        if "DB index" in text:
            return ConfigurationError(f"Redis at {self.dial.where} has no database {self.dial.db}")
        error = judge(text, self.dial.where)
        return error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error))

    def submit(self, packed: bytes, *, write: bool = False, asking: bool = False) -> Answer:
        """Have a command sent at the end of this turn. Raises StoreUnavailable where it cannot be queued."""
        if self.lost:
            raise self._gone()
        if self._size >= MAX_WAITING or self._queued_bytes + len(packed) > MAX_QUEUED_BYTES:
            raise StoreUnavailable(f"Redis at {self.dial.where} is behind: too much waits for it")
        answer: Answer = self._loop.create_future()
        if asking:
            self._queue.append(pack("ASKING"))
            self._queued.append(None)
            self._size += 1
        self._queue.append(packed)
        self._queued.append(answer)
        self._queued_bytes += len(packed)
        self._size += 1
        if write:
            self._writes = True
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return answer

    def tell(self, packed: bytes) -> None:
        """Write a command whose replies go to the listener."""
        if not self.lost and self._transport is not None:
            self._transport.write(packed)

    def _flush(self) -> None:
        self._scheduled = False
        if self.lost or self._paused or self._confirming or not self._queue or self._transport is None:
            return
        if not self._waiting:
            self.heard = self._loop.time()
        queue, queued = self._queue, self._queued
        if self._writes and self._min_replicas:
            self._confirming = True
            queue.append(self._wait)
            self._waiting.append(_Batch(queued))
        else:
            self._waiting.extend(queued)
        self._queue, self._queued = [], []
        self._queued_bytes = 0
        self._writes = False
        self._transport.write(queue[0] if len(queue) == 1 else b"".join(queue))
        if self._watcher is None:
            self._watcher = self._loop.call_later(self.limit, self._watch)

    def _watch(self) -> None:
        self._watcher = None
        if self.lost or not (self._waiting or self._queue):
            return
        left = self.heard + self.limit - self._loop.time()
        if left <= 0:
            self.drop(f"no answer within {self.limit:g} s")
        else:
            self._watcher = self._loop.call_later(left, self._watch)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)  # a stream's; uvloop's is no subclass
        if self.lost:
            self._transport.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self.heard = self._loop.time()
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                self._take(reply)
                if self.lost:
                    return
        except hiredis.ProtocolError:
            self.drop("it does not speak Redis's protocol")

    def _take(self, reply: Any) -> None:
        waiting = self._waiting
        if not waiting:
            if self.listener is not None:
                self.listener(reply)
            else:
                # "max number of clients reached" comes unasked; anything else is a peer that lost count.
                self.drop("it answered what was not asked")
            return
        head = waiting[0]
        if head is None or isinstance(head, asyncio.Future):
            waiting.popleft()
            self._size -= 1
            if head is not None and not head.done():
                head.set_result(reply)
            return
        if len(head.replies) < len(head.answers):
            head.replies.append(reply)
            return
        waiting.popleft()
        self._size -= len(head.answers)
        self._release(head, reply)
        self._confirming = False
        self._flush()

    def _release(self, batch: _Batch, count: Any) -> None:
        enough = isinstance(count, int) and count >= self._min_replicas
        for answer, reply in zip(batch.answers, batch.replies, strict=True):
            if answer is None or answer.done():
                continue
            if enough:
                answer.set_result(reply)
            else:
                answer.set_exception(
                    StoreUnavailable(
                        f"fewer than {self._min_replicas} replicas of Redis at {self.dial.where} have it:"
                        " whether it lasts is unknown"
                    )
                )

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._paused = True

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._end((isinstance(exc, OSError) and exc.strerror) or "it closed the connection")

    def drop(self, why: str) -> None:
        """End the connection: everything under way is unknown. A second call does nothing."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def _end(self, why: str) -> None:
        if self.lost:
            return
        self.lost = True
        self.why = why
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        open_answers = list(self._queued)
        for item in self._waiting:
            open_answers += item.answers if isinstance(item, _Batch) else [item]
        self._waiting.clear()
        self._queue, self._queued = [], []
        for answer in open_answers:
            if answer is not None and not answer.done():
                answer.set_exception(self._gone())
                answer.exception()  # seen: a caller that has gone away is no news
        if self.on_lost is not None:
            self.on_lost()

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(f"Redis at {self.dial.where} is away: {self.why}")
