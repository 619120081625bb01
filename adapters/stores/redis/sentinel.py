"""Asking sentinels where the primary is."""

import asyncio
from collections import Counter

import hiredis

from adapters.stores.redis.address import Dial, Place
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


async def _ask(dial: Dial, name: str) -> tuple[str, int] | None:
    wire = await Wire.connect(dial, limit=_ANSWER_SECONDS)
    try:
        reply = await wire.submit(pack("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name))
    finally:
        wire.drop("answered")
    if isinstance(reply, hiredis.ReplyError):
        raise StoreUnavailable(f"the sentinel at {dial.where} refused the question")
    return None if reply is None else (reply[0].decode(), int(reply[1]))
