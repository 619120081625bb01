"""How many calls a function may get at once: a limit that grows with success and is cut by failure. Pure.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does it: a fallback that suddenly
gets everything finds out what it bears, instead of failing next.
"""

import msgspec
from msgspec.structs import replace

MOST = 10_000
"""No limit grows beyond this many calls at once."""


class Limit(msgspec.Struct, frozen=True):
    """`size` calls at once (its whole part); `cut_at` is when it was last cut (0: never)."""

    size: float
    cut_at: int = 0


def grown(limit: Limit, in_flight: int) -> Limit:
    """The limit after a success, one larger; the same where less than half of it is in use.

    `in_flight` counts the call that succeeded. A limit that nobody comes near proves nothing by successes.
    """
    if limit.size >= MOST or 2 * in_flight < int(limit.size):
        return limit
    return replace(limit, size=min(MOST, limit.size + 1))


def cut(limit: Limit, now_ms: int, factor: float, least: float, every_ms: int) -> Limit:
    """The limit after a failure at `now_ms`: times `factor` (0 to 1), but never below `least`.

    The same where it was cut less than `every_ms` ago: what fails of one burst says one thing.
    """
    if limit.cut_at and now_ms - limit.cut_at < every_ms:
        return limit
    return Limit(min(limit.size, max(least, limit.size * factor)), now_ms)


def room(limit: Limit, in_flight: int) -> int:
    """How many more calls it allows; never below 0."""
    return max(0, int(limit.size) - in_flight)
