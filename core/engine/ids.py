"""Ids of executions: ordered by time, and bearing their shard."""

import hashlib
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 10
_CHANCE_CHARS = 16


def new_execution_id(now_ms: int, shard: int = 0) -> str:
    """A ULID (48 bits of time, 80 of chance) in lower case, then `-` and the shard: later ids sort higher."""
    chance = secrets.randbits(80)
    return f"{_base32(now_ms, _TIME_CHARS)}{_base32(chance, _CHANCE_CHARS)}-{shard}"


def shard_of(caller: str, key: str, shards: int) -> int:
    """The shard of a keyed creation, the same for ever: its idempotency record is looked up there.

    The first 64 bits of a BLAKE2b hash of caller and key, modulo the number of shards.
    """
    named = caller.encode() + b"\0" + key.encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest()) % shards


def any_shard(shards: int) -> int:
    """The shard of a creation without a key: any of them, so that all get the same share."""
    return secrets.randbelow(shards)


def first_id_at(ms: int) -> str:
    """The lowest id that an execution of this millisecond (Unix epoch) can have: as a cursor of a listing, it
    keeps what was created before.
    """
    return f"{_base32(ms, _TIME_CHARS)}{_base32(0, _CHANCE_CHARS)}-0"


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
