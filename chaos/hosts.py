"""The store under a row, and what can be done to it.

Redis's times are told by this machine's wall clock, in epoch seconds. A store is back when it takes writes
and, where replicas are asked for, when every primary has enough of them: before that nothing may be
acknowledged.
"""

import asyncio
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from chaos.plan import Fault
from chaos.programs import Program
from chaos.rows import Kind, Row
from tests.redis_servers import (
    ClusterNodes,
    Node,
    Sentinels,
    start_cluster,
    start_node,
    start_sentinel,
)

_PATIENCE: Final = 60.0
_PAUSE: Final = 0.05
_SQLITE_ROOM: Final = 128 * 1024
_BALLAST: Final = 64 * 1024
_BALLAST_KEY: Final = "chaos:ballast:{}"


class Host(Protocol):
    """A store that a row runs on."""

    def environment(self) -> Mapping[str, str]:
        """The settings that point Sidestep at it."""
        ...

    async def suffer(self, fault: Fault) -> float | None:
        """Do it and undo it; when the store could be used again, None where it never was away.

        Raises TimeoutError where it does not come back.
        """
        ...

    async def close(self) -> None:
        """End its processes."""
        ...


class SqliteHost:
    """One file, of the one process `server` that uses it."""

    def __init__(self, folder: Path, server: Callable[[], Program]) -> None:
        self._file = folder / "sidestep.db"
        self._server = server

    def environment(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {"SIDESTEP_STORE": f"sqlite:{self._file}"}

    async def suffer(self, fault: Fault) -> float | None:
        """Let no file of the server's grow for a while.

        `max_page_count` would have to be set on the server's own connection. The kernel's limit on the size
        of a process's files has the same effect from outside, and can be taken away again: a write past it
        fails.
        """
        server = self._server()
        if not server.up:
            return None
        # Its log may grow: what it says then is what one wants to read.
        room = server.log.stat().st_size + _SQLITE_ROOM
        with suppress(ProcessLookupError):
            before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            limited = server.pid
            await asyncio.sleep(fault.seconds)
            resource.prlimit(limited, resource.RLIMIT_FSIZE, before)
        return time.time()

    async def close(self) -> None:
        """Nothing is left to end."""


class NodeHost:
    """One Redis."""

    def __init__(self, node: Node, row: Row) -> None:
        self._node = node
        self._row = row

    def environment(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {"SIDESTEP_STORE": self._node.url}

    async def suffer(self, fault: Fault) -> float | None:
        """Kill it or end it and start it again, or fill it to the brim."""
        match fault.kind:
            case Kind.KILL_REDIS | Kind.END_REDIS:
                end = self._node.kill if fault.kind is Kind.KILL_REDIS else self._node.stop
                await asyncio.to_thread(end)
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(self._node.restart)
            case Kind.FILL_REDIS:
                await asyncio.to_thread(fill, self._node)
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(relieve, self._node)
            case _:
                raise ValueError(f"{fault.kind} is not done to one Redis")
        return time.time()

    async def close(self) -> None:
        """End it."""
        await asyncio.to_thread(self._node.close)


def fill(node: Node) -> None:
    """Set `maxmemory` to little more than what is used, and use that up with ballast."""
    with node.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used + 4 * _BALLAST)
        with suppress(RedisError):
            for number in range(64):
                client.set(_BALLAST_KEY.format(number), b"." * _BALLAST)


def relieve(node: Node) -> None:
    """Take the ballast and the limit away."""
    with node.client() as client:
        client.delete(*(_BALLAST_KEY.format(number) for number in range(64)))
        client.config_set("maxmemory", 0)


class SentinelHost:
    """A primary and two replicas under three sentinels."""

    def __init__(self, group: Sentinels, row: Row) -> None:
        self._group = group
        self._row = row

    def environment(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {
            "SIDESTEP_STORE": self._group.url,
            "SIDESTEP_REDIS__MIN_REPLICAS": str(self._row.min_replicas),
        }

    async def suffer(self, fault: Fault) -> float | None:
        """Kill the primary, or stop one replica or all."""
        match fault.kind:
            case Kind.KILL_PRIMARY:
                return await asyncio.to_thread(self._fail_over, fault.seconds)
            case Kind.CUT_REPLICA:
                replicas = await asyncio.to_thread(self._group.replicas)
                if fault.victim < len(replicas):
                    await _stopped([replicas[fault.victim]], fault.seconds)
                    return None
                # All of them: whatever is written now is unknown until one is back.
                await _stopped(replicas, fault.seconds)
                return time.time()
            case _:
                raise ValueError(f"{fault.kind} is not done to Sentinel's nodes")

    async def close(self) -> None:
        """End all of them."""
        await asyncio.to_thread(self._group.close)

    def _fail_over(self, seconds: float) -> float:
        old = self._group.primary()
        began = time.monotonic()
        old.kill()
        _until(lambda: self._group.primary() is not old and self._serving(), "a failover")
        back = time.time()
        # It comes back as a replica of the new one.
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        old.restart()
        return back

    def _serving(self) -> bool:
        return _is_primary(self._group.primary(), self._row.min_replicas)


class ClusterHost:
    """Three primaries and three replicas."""

    def __init__(self, cluster: ClusterNodes, row: Row) -> None:
        self._cluster = cluster
        self._row = row

    def environment(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {
            "SIDESTEP_STORE": self._cluster.url,
            "SIDESTEP_REDIS__MIN_REPLICAS": str(self._row.min_replicas),
        }

    async def suffer(self, fault: Fault) -> float | None:
        """Kill a primary, or stop a replica."""
        match fault.kind:
            case Kind.KILL_PRIMARY:
                return await asyncio.to_thread(self._fail_over, fault.victim, fault.seconds)
            case Kind.CUT_REPLICA:
                replicas = await asyncio.to_thread(self._replicas)
                # The only one of its primary: what is written to that shard is unknown until it is back.
                await _stopped([replicas[fault.victim % len(replicas)]], fault.seconds)
                return time.time()
            case _:
                raise ValueError(f"{fault.kind} is not done to a Cluster's nodes")

    async def close(self) -> None:
        """End all of them."""
        await asyncio.to_thread(self._cluster.close)

    def _fail_over(self, victim: int, seconds: float) -> float:
        primaries = self._cluster.primaries()
        count, old = len(primaries), primaries[victim % len(primaries)]
        began = time.monotonic()
        old.kill()
        _until(lambda: len(self._cluster.primaries()) == count, "a promotion")
        # Each primary has one replica: the shard serves again when the old primary has become the new one's.
        time.sleep(max(0.0, min(seconds, 1.0) - (time.monotonic() - began)))
        old.restart()
        _until(
            lambda: all(_is_primary(one, self._row.min_replicas) for one in self._cluster.primaries()),
            "the old primary's return as a replica",
        )
        return time.time()

    def _replicas(self) -> list[Node]:
        primaries = self._cluster.primaries()
        return [node for node in self._cluster.running() if node not in primaries]


async def open_host(row: Row, folder: Path, server: Callable[[], Program]) -> Host:
    """The row's store, started. `server` gives the one process of a row that has one only."""
    match row.host:
        case "sqlite":
            return SqliteHost(folder, server)
        case "node":
            return await _opened(lambda: NodeHost(start_node(appendfsync=row.appendfsync), row))
        case "sentinel":
            # On a starved machine half a second of silence is no death, and a second failover on the heels of
            # the first promotes a replica that is still being fed: Redis itself loses everything then.
            return await _opened(lambda: SentinelHost(start_sentinel(down_after_ms=2_000), row))
        case "cluster":
            return await _opened(lambda: ClusterHost(start_cluster(), row))


async def _opened(start: Callable[[], Host]) -> Host:
    """What `start` makes, in a thread. Servers that nobody waits for any more are ended again."""
    starting = asyncio.ensure_future(asyncio.to_thread(start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).close()
        raise


async def _stopped(nodes: Sequence[Node], seconds: float) -> None:
    try:
        for node in nodes:
            node.pause()
        await asyncio.sleep(seconds)
    finally:
        for node in nodes:
            with suppress(ProcessLookupError):
                node.resume()


def _is_primary(node: Node, replicas: int) -> bool:
    role: Any = node.command("ROLE")
    return str(role[0]) == "master" and len(role[2]) >= replicas


def _until(check: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with suppress(RedisError, OSError, RuntimeError, StopIteration):
            if check():
                return
        time.sleep(_PAUSE)
    raise TimeoutError(f"{what} did not happen within {_PATIENCE:.0f} s")
