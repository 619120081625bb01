"""Where things lie in Redis: the shard of an execution, and the names of keys.

Every key of an execution bears its shard's hash tag, `sidestep:{s17}:...`, so that an act touches one slot.
The scripts build the rest of a name from that base; `docs/decisions/0006-redis-layout.md` lists them all.
"""

import hashlib
import zlib
from collections.abc import Iterable

from core.ports.store import Idempotency

LONGEST_NUMBER = 6
"""Digits that the number of a shard has at most."""


class Keys:
    """Names under `prefix` for a store of `shards` shards."""

    def __init__(self, prefix: str, shards: int) -> None:
        self.prefix = prefix
        self.shards = shards
        self.bases = tuple(f"{prefix}:{{s{number}}}:" for number in range(shards))
        self.tickets = tuple(f"{base}t" for base in self.bases)
        self.workflows = f"{prefix}:{{w}}:"
        self.inbox_channel = f"{prefix}:inbox:"
        """What precedes a station in the name of the channel that rings for its executions' inboxes."""

    def shard(self, execution_id: str) -> int:
        """The shard that an id names behind its last `-`, else one that follows from its letters."""
        _, dash, number = execution_id.rpartition("-")
        if dash and len(number) <= LONGEST_NUMBER and number.isascii() and number.isdigit():
            named = int(number)
            if named < self.shards:
                return named
        return zlib.crc32(execution_id.encode()) % self.shards

    def base(self, execution_id: str) -> str:
        """What precedes every key of an execution's shard."""
        return self.bases[self.shard(execution_id)]

    def record(self, execution_id: str) -> str:
        """The hash that is an execution's record."""
        return f"{self.base(execution_id)}x:{execution_id}"

    def journal(self, execution_id: str) -> str:
        """An execution's journal, and the channel that rings when it grows."""
        return f"{self.base(execution_id)}j:{execution_id}"

    def by_shard(self, execution_ids: Iterable[str]) -> dict[int, list[int]]:
        """The places in `execution_ids` of each shard's ids, in order."""
        places: dict[int, list[int]] = {}
        for place, execution_id in enumerate(execution_ids):
            places.setdefault(self.shard(execution_id), []).append(place)
        return places


def meta_key(prefix: str) -> str:
    """The hash that says what this store is: format, shards, longest lease."""
    return f"{prefix}:meta"


def place_of(idempotency: Idempotency) -> str:
    """What stands for caller and key in the name of an idempotency record: both may be long."""
    caller = idempotency.caller.encode()
    key = idempotency.key.encode()
    return hashlib.sha256(b"%d:%b%b" % (len(caller), caller, key)).hexdigest()[:40]
