"""Ids of executions: ordered by time, and bearing their shard."""

import hashlib

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 10
_CHANCE_CHARS = 16
_CHANCE_BYTES = 10


def execution_id(now_ms: int, chance: int, shard: int = 0) -> str:
    """A ULID (48 bits of time, 80 of `chance`, lower case), then `-` and the shard: later ids sort higher."""
    return f"{_base32(now_ms, _TIME_CHARS)}{_base32(chance, _CHANCE_CHARS)}-{shard}"


def child_id(parent: str, told: str, now_ms: int, entropy: int) -> str:
    """The id of a child of the execution `parent`, in its shard.

    `told` is what tells it from the parent's other children of this instant and draw; the 80 bits of chance
    are a BLAKE2b hash of that, the parent and the draw.
    """
    named = f"{parent}\n{told}\n{entropy}".encode()
    chance = int.from_bytes(hashlib.blake2b(named, digest_size=_CHANCE_BYTES).digest())
    return execution_id(now_ms, chance, shard_in(parent))


def shard_in(execution: str) -> int:
    """The shard that an id bears; 0 where it bears none."""
    _, _, shard = execution.rpartition("-")
    return int(shard) if shard.isascii() and shard.isdecimal() else 0


def first_id_at(ms: int) -> str:
    """The lowest id that an execution of this millisecond (Unix epoch) can have: as a cursor of a listing, it
    keeps what was created before.
    """
    return execution_id(ms, 0)


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
