"""The map of a Cluster: which node serves which slot, and one line to each primary.

The map is read from any node that answers (CLUSTER SLOTS). It is read again when a command is told MOVED and
when a connection is lost, and then until every primary that it names has its line.
"""

import asyncio
import logging
from binascii import crc_hqx
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import hiredis

from adapters.stores.redis.address import Dial, Place
from adapters.stores.redis.line import Backoff, Line
from adapters.stores.redis.wire import Wire, pack
from core.errors import ConfigurationError, StoreUnavailable

_log = logging.getLogger("sidestep.redis")

SLOTS = 16384
_CACHED_TAGS = 4096
_ASK_SECONDS = 1.0  # how long one node may take to tell its map

Address = tuple[str, int]
_Map = list[Address | None]


def tag_of(key: str) -> str:
    """The part of a key that decides its slot: what stands between the first `{` and the next `}`, where that
    is not empty, else all (Redis Cluster specification, "Hash tags").
    """
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start + 1)
        if end > start + 1:
            return key[start + 1 : end]
    return key


def slot_of(key: str) -> int:
    """A key's slot: CRC16 (XMODEM) of its tag, modulo 16384."""
    return crc_hqx(tag_of(key).encode(), 0) % SLOTS


class Cluster:
    """The map and the lines; see above."""

    def __init__(
        self, place: Place, *, limit: float, min_replicas: int, on_down: Callable[[Dial], None]
    ) -> None:
        self._place = place
        self._limit = limit
        self._min_replicas = min_replicas
        self._on_down = on_down
        self._slots: _Map = [None] * SLOTS
        self._lines: dict[Address, Line] = {}
        self._known: dict[Address, None] = {}  # every node that was ever named, replicas too
        self._doubted: dict[Address, float] = {}  # when each last said that the cluster is down
        self._cached: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self._dying: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Read the map and connect to every primary.

        Raises StoreUnavailable or ConfigurationError; a primary that is away is connected to later.
        """
        await self.refresh()
        await asyncio.gather(*(line.tried() for line in self._lines.values()))
        if not any(line.up for line in self._lines.values()):
            raise StoreUnavailable("no primary of the Redis cluster answers")

    async def close(self) -> None:
        """Drop everything; a second call does nothing."""
        self._closed = True
        tasks = [task for task in (self._reading, self._mending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._dying, return_exceptions=True)
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            await line.close()

    def lines(self) -> list[Line]:
        """The lines to all primaries that have slots."""
        serving = dict.fromkeys(address for address in self._slots if address is not None)
        return [self._lines[address] for address in serving if address in self._lines]

    def line(self, key: str) -> Line:
        """The line of the primary that serves a key. Raises StoreUnavailable where none is known."""
        tag = tag_of(key)
        slot = self._cached.get(tag)
        if slot is None:
            slot = crc_hqx(tag.encode(), 0) % SLOTS
            if len(self._cached) < _CACHED_TAGS:
                self._cached[tag] = slot
        address = self._slots[slot]
        line = None if address is None else self._lines.get(address)
        if line is None:
            self.mend()
            raise StoreUnavailable(f"no node of the Redis cluster serves slot {slot}")
        return line

    async def moved(self, slot: int, host: str, port: int) -> Line:
        """The line that a MOVED names; the whole map is read again in the background."""
        address = (host, port)
        self._slots[slot] = address
        self.mend()
        return await self.node(address)

    async def node(self, address: Address) -> Line:
        """The line to a node that a redirection names, tried at least once."""
        line = self._line_to(address)
        await line.tried()
        return line

    def _down(self, dial: Dial) -> None:
        self.mend()
        self._on_down(dial)

    def doubt(self, dial: Dial) -> None:
        """This node says that the cluster is down. Where only it is cut off, its map never changes again: the
        others are asked first from now on.
        """
        self._doubted[dial.host, dial.port] = asyncio.get_running_loop().time()
        self.mend()

    def mend(self) -> None:
        """Read the map in the background until all its primaries are connected."""
        if self._mending is None and not self._closed:
            self._mending = asyncio.get_running_loop().create_task(self._mend())

    async def refresh(self) -> None:
        """Read the map; callers at the same time share one reading. Raises as `open` does."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._refresh())
            self._reading.add_done_callback(self._read)
        await asyncio.shield(self._reading)

    def _read(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()  # seen: whoever waits gets it, and the mender tries again

    async def _mend(self) -> None:
        backoff = Backoff()
        try:
            while not self._closed:
                with suppress(StoreUnavailable, ConfigurationError):
                    await self.refresh()
                    await asyncio.gather(*(line.tried() for line in self.lines()))
                    if all(self._slots) and all(line.up for line in self.lines()):
                        return
                await asyncio.sleep(backoff.pause())
        finally:
            self._mending = None

    async def _refresh(self) -> None:
        reply = await self._ask_anyone()
        slots: _Map = [None] * SLOTS
        for first, last, *nodes in reply:
            addresses = [(bytes(node[0]).decode(), int(node[1])) for node in nodes]
            for address in addresses:
                self._known[address] = None
            slots[first : last + 1] = [addresses[0]] * (last + 1 - first)
        if not any(slots):
            raise StoreUnavailable("the Redis cluster has no slots assigned")
        serving = {address for address in slots if address is not None}
        self._slots = slots
        for address in serving:
            self._line_to(address)
        for address in set(self._lines) - serving:
            task = asyncio.get_running_loop().create_task(self._lines.pop(address).close())
            self._dying.add(task)
            task.add_done_callback(self._dying.discard)

    async def _ask_anyone(self) -> list[Any]:
        """CLUSTER SLOTS from the first node that knows it: those connected first, then all ever heard of;
        each time those first whose word was not doubted, or longest ago.
        """
        refused: ConfigurationError | None = None
        why = "no node of the Redis cluster answers"
        question = pack("CLUSTER", "SLOTS")
        addresses = sorted(self._lines, key=self._doubted_at)
        for line in [self._lines[address] for address in addresses if self._lines[address].up]:
            dial = line.dial
            with suppress(StoreUnavailable):
                reply = await asyncio.wait_for(line.send(question), _ASK_SECONDS)
                if dial is not None and isinstance(reply, list) and reply:
                    return _named(reply, dial)
            # The line itself is bounded by its own limit; another node may be quicker to tell.
        places = dict.fromkeys([*self._place.dials, *(self._place.node.at(*one) for one in self._known)])
        for dial in sorted(places, key=lambda dial: self._doubted_at((dial.host, dial.port))):
            try:
                wire = await Wire.connect(dial, limit=_ASK_SECONDS)
                try:
                    reply = await wire.submit(question)
                finally:
                    wire.drop("answered")
            except StoreUnavailable as error:
                why = str(error)
                continue
            except ConfigurationError as error:
                refused = error
                continue
            if isinstance(reply, hiredis.ReplyError):
                why = f"Redis at {dial.where} is no node of a cluster, or not ready"
            elif reply:
                return _named(reply, dial)
        raise refused or StoreUnavailable(why)

    def _doubted_at(self, address: Address) -> float:
        return self._doubted.get(address, 0.0)

    def _line_to(self, address: Address) -> Line:
        line = self._lines.get(address)
        if line is None:
            dial = self._place.node.at(*address)

            async def find() -> Dial:
                return dial

            line = Line(find, limit=self._limit, min_replicas=self._min_replicas, on_down=self._down)
            self._lines[address] = line
            line.start()
        return line


def _named(reply: list[Any], dial: Dial) -> list[Any]:
    """The reply with the host of the node that told it in place of an empty one, which means "this one"."""
    for _, _, *nodes in reply:
        for node in nodes:
            if not node[0] or node[0] == b"?":
                node[0] = dial.host.encode()
    return reply
