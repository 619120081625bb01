"""What the store needs of Redis: scripts, commands, blocking commands and rings.

The same calls work on one node, behind Sentinel and on a Cluster. Every call goes to the primary that serves
its key, over a connection that all callers of the event loop share (`wire` says how). Nothing here repeats a
write whose outcome is unknown: that raises StoreUnavailable, and whoever knows whether a repetition is
harmless repeats it. Redirections, and a script that Redis has forgotten, are proofs that nothing was
executed, and are followed.

Replies are as Redis sent them: bytes, integers, lists, None. Messages of errors name nodes, never secrets.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import hiredis

from adapters.stores.redis.address import Dial, Kind, parse
from adapters.stores.redis.bell import Bell, Ring
from adapters.stores.redis.blocking import BlockingPool
from adapters.stores.redis.cluster import Cluster
from adapters.stores.redis.facts import parse_info
from adapters.stores.redis.line import Line
from adapters.stores.redis.replies import Script, ScriptRefused, code_of, judge
from adapters.stores.redis.sentinel import SwitchWatch, find_primary
from adapters.stores.redis.wire import Word, pack
from core.errors import ConfigurationError, StoreUnavailable

__all__ = ["Redis", "Script", "ScriptRefused", "Word"]

_REDIRECTIONS = 5
_CLOSED = "Redis is closed: open it first"


class _NoScript(Exception):
    """Redis does not know the script: nothing was executed."""


class Redis:
    """A client of one store. `timeout` is the silence in seconds after which a connection counts as dead, and
    so about the longest wait for a reply; `blocking` is the number of blocking commands at once.

    With `min_replicas`, results of writes are given out only when so many replicas have them.
    """

    def __init__(self, url: str, *, min_replicas: int = 0, timeout: float = 2.0, blocking: int = 16) -> None:
        self._place = parse(url)
        self._min_replicas = min_replicas
        self._timeout = timeout
        self._blocking_size = blocking
        self._line: Line | None = None
        self._watch: SwitchWatch | None = None
        self._cluster: Cluster | None = None
        self._pool: BlockingPool | None = None
        self._bell: Bell | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over primaries; known once open."""
        return self._cluster is not None

    async def open(self) -> None:
        """Connect. Raises StoreUnavailable where Redis is away (it may be called again) and
        ConfigurationError where it refuses the user, the password, the database or the certificate.
        """
        try:
            if self._place.kind is Kind.CLUSTER or await self._open_line():
                await self._open_cluster()
        except BaseException:
            await self.close()
            raise
        self._pool = BlockingPool(limit=self._timeout, size=self._blocking_size)
        self._bell = Bell(self._any_primary, limit=self._timeout)

    async def close(self) -> None:
        """Drop all connections; what is under way raises StoreUnavailable. A second call does nothing."""
        bell, pool, line, cluster = self._bell, self._pool, self._line, self._cluster
        watch, self._watch = self._watch, None
        self._bell = self._pool = self._line = self._cluster = None
        if watch is not None:
            await watch.close()
        if bell is not None:
            await bell.close()
        if pool is not None:
            pool.close()
        if line is not None:
            await line.close()
        if cluster is not None:
            await cluster.close()

    async def script(
        self, script: Script, keys: Sequence[str], args: Sequence[Word], *, write: bool = True
    ) -> Any:
        """Run a script on the primary of its first key: by its hash, or by its text where it was forgotten.

        Raises ScriptRefused for the script's own refusal, StoreFull, StoreUnavailable, and StoreError for a
        mistake in the script.
        """
        line = self._route(keys[0])
        try:
            packed = pack("EVALSHA", script.sha1, len(keys), *keys, *args)
            return await self._ask(line, packed, write=write)
        except _NoScript:
            packed = pack("EVAL", script.source, len(keys), *keys, *args)
            return await self._ask(self._route(keys[0]), packed, write=write)

    async def call(self, key: str, *command: Word, write: bool = False) -> Any:
        """Send any command that does not block to the primary of `key`. Raises as `script` does."""
        return await self._ask(self._route(key), pack(*command), write=write)

    async def block(self, key: str, *command: Word, timeout: float) -> Any:
        """Send a command that may block for `timeout` seconds, on a connection of its own. Raises as `script`
        does; in addition StoreUnavailable when the primary is lost while the command blocks.
        """
        if self._pool is None:
            raise StoreUnavailable(_CLOSED)
        packed = pack(*command)
        line, asking = self._route(key), False
        for _ in range(_REDIRECTIONS):
            dial = line.dial
            if dial is None:
                line.send(b"")  # raises and says why
                raise StoreUnavailable("Redis is away")
            reply = await self._pool.run(dial, packed, timeout, asking=asking)
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            line, asking = await self._follow(str(reply), line, dial)
        raise StoreUnavailable("Redis sent a command from node to node")

    async def info(self) -> list[Mapping[str, str]]:
        """INFO of every primary that answers, read at about the same time; `sidestep_where` is added, its
        address. Raises StoreUnavailable where none answers.
        """
        lines = self._lines()
        asked = (self._ask(line, pack("INFO"), write=False) for line in lines)
        replies = await asyncio.gather(*asked, return_exceptions=True)
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        for error in failed:
            if not isinstance(error, StoreUnavailable) or len(failed) == len(replies):
                raise error
        return [
            parse_info(reply) | {"sidestep_where": line.dial.where if line.dial else "?"}
            for line, reply in zip(lines, replies, strict=True)
            if not isinstance(reply, BaseException)
        ]

    async def subscribe(self, channel: str, ring: Ring) -> Callable[[], Awaitable[None]]:
        """Have `ring(payload)` called on the event loop for each message of a channel, wherever on a Cluster
        it was published. After a reconnection the subscription goes on; what was published meanwhile is
        missed. Returns what ends the subscription.
        """
        if self._bell is None:
            raise StoreUnavailable(_CLOSED)
        return await self._bell.subscribe(channel, ring)

    async def _open_line(self) -> bool:
        """Open the one line; True where its node turns out to be one of a Cluster."""
        line = Line(self._find, limit=self._timeout, min_replicas=self._min_replicas, on_down=self._down)
        self._line = line
        try:
            await line.open()
        except StoreUnavailable as error:
            # A replica of a Cluster leads to the primaries as well as any other node.
            if self._place.kind is not Kind.SINGLE or "is a replica" not in str(error):
                raise
            return await self._seed_is_cluster()
        reply = await self._ask(line, pack("INFO", "cluster"), write=False)
        if parse_info(reply).get("cluster_enabled") == "1":
            self._as_cluster()
            return True
        if self._place.kind is Kind.SENTINEL:
            self._watch = SwitchWatch(self._place, line)
            await self._watch.open()
        return False

    async def _seed_is_cluster(self) -> bool:
        seed = replace(self._place.node, primary=False)
        line = Line(lambda: _known(seed), limit=self._timeout)
        try:
            await line.open()
            reply = await self._ask(line, pack("INFO", "cluster"), write=False)
        finally:
            await line.close()
        if parse_info(reply).get("cluster_enabled") != "1":
            raise StoreUnavailable(f"Redis at {seed.where} is a replica: give the address of its primary")
        self._as_cluster()
        return True

    def _as_cluster(self) -> None:
        if self._place.node.db or self._place.node.path or self._place.kind is Kind.SENTINEL:
            raise ConfigurationError(
                "this Redis is a cluster, with one database and no sentinels: write redis+cluster://"
            )
        seed = replace(self._place.node, primary=False)
        self._place = replace(self._place, kind=Kind.CLUSTER, dials=(seed,), node=seed)

    async def _open_cluster(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()
        cluster = Cluster(
            self._place, limit=self._timeout, min_replicas=self._min_replicas, on_down=self._down
        )
        self._cluster = cluster
        await cluster.open()

    async def _find(self) -> Dial:
        if self._place.kind is Kind.SENTINEL:
            return await find_primary(self._place)
        return self._place.node

    async def _any_primary(self) -> Dial:
        dials = [line.dial for line in self._lines() if line.dial is not None]
        if not dials:
            raise StoreUnavailable("Redis is away")
        return random.choice(dials)  # noqa: S311 - listeners are to be spread, not hidden

    def _down(self, dial: Dial) -> None:
        """A primary was lost: whoever waits on another connection to it is not to wait any longer."""
        if self._pool is not None:
            self._pool.drop(dial, "the primary was lost")
        if self._bell is not None:
            self._bell.drop(dial, "the primary was lost")

    def _lines(self) -> list[Line]:
        if self._cluster is not None:
            return self._cluster.lines()
        return [] if self._line is None else [self._line]

    def _route(self, key: str) -> Line:
        if self._line is not None:
            return self._line
        if self._cluster is not None:
            return self._cluster.line(key)
        raise StoreUnavailable(_CLOSED)

    async def _ask(self, line: Line, packed: bytes, *, write: bool) -> Any:
        asking = False
        for _ in range(_REDIRECTIONS):
            dial = line.dial
            reply = await line.send(packed, write=write, asking=asking)
            if reply.__class__ is not hiredis.ReplyError:
                return reply
            line, asking = await self._follow(str(reply), line, dial)
        raise StoreUnavailable("Redis sent a command from node to node")

    async def _follow(self, text: str, line: Line, dial: Dial | None) -> tuple[Line, bool]:
        """Where a redirection leads, and whether ASKING goes before the command. Raises for other errors."""
        code = code_of(text)
        where = dial.where if dial is not None else "?"
        match code:
            case "NOSCRIPT":
                raise _NoScript
            case "MOVED" | "ASK" if self._cluster is not None:
                _, slot, address = text.split(" ")[:3]
                host, _, port = address.rpartition(":")
                node = (host or (dial.host if dial is not None else ""), int(port))
                if code == "ASK":
                    return await self._cluster.node(node), True
                return await self._cluster.moved(int(slot), *node), False
            case "READONLY":
                line.distrust("it is a replica now")
            case "CLUSTERDOWN" if self._cluster is not None and dial is not None:
                self._cluster.doubt(dial)
            case _:
                pass
        raise judge(text, where)


async def _known(dial: Dial) -> Dial:
    return dial
