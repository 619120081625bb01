"""A budget that calls earn: retries, hedges and the like are a share of the load, never a multiple of it.

Finagle's retry budget: each call earns the share of a token, each second earns the floor, a token that nobody
takes dies after a while. Counted in whole millionths of a token, so that no rounding adds one.
"""

from math import ceil

_TOKEN = 1_000_000


class Budget:
    """Tokens: `share` for each call and `floor_per_second` for each second that begins, kept for `seconds`.

    From its first use on, it never gave more than share x calls + floor x seconds (begun ones); the oldest
    tokens are taken first. Times are milliseconds of a clock that never goes back.
    """

    __slots__ = ("_earned", "_floor", "_head", "_kept", "_left", "_share")

    def __init__(self, share: float, floor_per_second: float, seconds: float) -> None:
        self._share = max(0, int(share * _TOKEN + 0.5))
        self._floor = max(0, int(floor_per_second * _TOKEN + 0.5))
        self._kept = max(1, ceil(seconds))
        self._earned = [0] * self._kept
        self._left = 0
        self._head: int | None = None

    def called(self, now_ms: int, calls: int = 1) -> None:
        """Calls of the ordinary kind are made: each earns its share."""
        head = self._advance(now_ms)
        earned = self._share * calls
        self._earned[head % self._kept] += earned
        self._left += earned

    def left(self, now_ms: int) -> float:
        """How many tokens there are; never below 0."""
        self._advance(now_ms)
        return self._left / _TOKEN

    def take(self, now_ms: int) -> bool:
        """Take one, where there is one."""
        head = self._advance(now_ms)
        if self._left < _TOKEN:
            return False
        self._left -= _TOKEN
        owed = _TOKEN
        for second in range(head + 1, head + 1 + self._kept):  # the oldest bucket comes after the newest
            bucket = second % self._kept
            paid = min(owed, self._earned[bucket])
            self._earned[bucket] -= paid
            owed -= paid
            if not owed:
                break
        return True

    def _advance(self, now_ms: int) -> int:
        second = now_ms // 1000
        head = self._head
        if head is not None and second <= head:
            return head
        first = second if head is None else max(head + 1, second - self._kept + 1)
        for begun in range(first, second + 1):
            bucket = begun % self._kept
            self._left += self._floor - self._earned[bucket]
            self._earned[bucket] = self._floor
        self._head = second
        return second
