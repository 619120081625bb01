"""Ids of executions: ordered by time, and bearing their shard."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 10
_CHANCE_CHARS = 16


def new_execution_id(now_ms: int, shard: int = 0) -> str:
    """A ULID (48 bits of time, 80 of chance) in lower case, then `-` and the shard: later ids sort higher."""
    chance = secrets.randbits(80)
    return f"{_base32(now_ms, _TIME_CHARS)}{_base32(chance, _CHANCE_CHARS)}-{shard}"


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
