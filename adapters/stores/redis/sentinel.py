"""Asking sentinels where the primary is, and hearing from them when it changes."""

import asyncio
import random
from collections import Counter

import hiredis

from adapters.stores.redis.address import Dial, Place
from adapters.stores.redis.bell import Bell
from adapters.stores.redis.line import Line
from adapters.stores.redis.wire import Wire, pack
from core.errors import ConfigurationError, StoreUnavailable

_ANSWER_SECONDS = 1.0  # a sentinel that takes longer has no vote this time


async def find_primary(place: Place) -> Dial:
    """The primary that most sentinels name; the answer comes when a majority of those configured agrees, or
    with the most votes when all had their chance. A sentinel that was cut off names the old one, and is
    outvoted.

    Raises StoreUnavailable where none answers, ConfigurationError where all that answered know no such name.
    """
    asked = [asyncio.ensure_future(_ask(dial, place.name)) for dial in place.dials]
    votes: Counter[tuple[str, int]] = Counter()
    unknown = 0
    refused: ConfigurationError | None = None
    try:
        for each in asyncio.as_completed(asked):
            try:
                named = await each
            except StoreUnavailable:
                continue
            except ConfigurationError as error:
                refused = error
                continue
            if named is None:
                unknown += 1
                continue
            votes[named] += 1
            if votes[named] * 2 > len(asked):
                break
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if votes:
        (host, port), _ = votes.most_common(1)[0]
        return place.node.at(host, port)
    if refused is not None:
        raise refused
    where = ", ".join(dial.where for dial in place.dials)
    if unknown:
        raise ConfigurationError(
            f"the sentinels at {where} watch no primary named {place.name!r}: put its name behind the hosts"
        )
    raise StoreUnavailable(f"no sentinel answers at {where}")


class SwitchWatch:
    """Listens to one sentinel at a time for a new primary, and sends the line there at once: an old primary
    that is stopped or cut off would hold its connections until they time out.
    """

    def __init__(self, place: Place, line: Line) -> None:
        self._place = place
        self._line = line
        self._bell = Bell(self._any, limit=_ANSWER_SECONDS)

    async def open(self) -> None:
        """Begin to listen; no sentinel that answers is no error, since it is tried again."""
        await self._bell.subscribe("+switch-master", self._switched)

    async def close(self) -> None:
        """End the connection."""
        await self._bell.close()

    async def _any(self) -> Dial:
        return random.choice(self._place.dials)  # noqa: S311 - the next try is to meet another

    def _switched(self, message: bytes) -> None:
        # "name old-host old-port new-host new-port" (Sentinel's documentation, "Pub/Sub messages")
        words = message.decode(errors="replace").split(" ")
        if len(words) == 5 and words[0] == self._place.name and words[4].isdigit():  # noqa: PLR2004 - see above
            self._line.leave_for(words[3], int(words[4]))


async def _ask(dial: Dial, name: str) -> tuple[str, int] | None:
    wire = await Wire.connect(dial, limit=_ANSWER_SECONDS)
    try:
        reply = await wire.submit(pack("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name))
    finally:
        wire.drop("answered")
    if isinstance(reply, hiredis.ReplyError):
        raise StoreUnavailable(f"the sentinel at {dial.where} refused the question")
    return None if reply is None else (reply[0].decode(), int(reply[1]))
