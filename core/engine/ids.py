"""Making ids of executions: what chance and the number of shards have to do with it."""

import hashlib
import secrets

from core.machine.ids import execution_id, first_id_at

__all__ = ["any_shard", "first_id_at", "new_execution_id", "shard_of"]


def new_execution_id(now_ms: int, shard: int = 0) -> str:
    """An id of an execution that is created now, unlike every other."""
    return execution_id(now_ms, secrets.randbits(80), shard)


def shard_of(caller: str, key: str, shards: int) -> int:
    """The shard of a keyed creation, the same for ever: its idempotency record is looked up there.

    The first 64 bits of a BLAKE2b hash of caller and key, modulo the number of shards.
    """
    named = caller.encode() + b"\0" + key.encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest()) % shards


def any_shard(shards: int) -> int:
    """The shard of a creation without a key: any of them, so that all get the same share."""
    # 64 bits against a few shards leave no bias that counts, and cost one question to the system.
    return secrets.randbits(64) % shards
