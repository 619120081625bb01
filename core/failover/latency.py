"""How long a function's answers take: a histogram that forgets. No clock: time is a value.

Buckets grow by a constant factor, so that the relative error of every quantile is bounded (the idea of
DDSketch: Masson, Rim and Lee, 2019). Old answers fade by half each half life. They do so by making new ones
weigh more ("forward decay": Cormode, Shkapenyuk, Srivastava and Xu, 2009), so that adding touches one bucket.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate
from math import log

LEAST_MS = 0.1
GROWTH = 1.1
"""A bucket reaches from x to 1.1 x; its middle (by ratio of errors) is off by 1/21 at most: 4.8 %."""

BUCKETS = 200
"""From 0.1 ms to 0.1 ms x 1.1^199: about 4.8 hours, more than any provider lets a call run."""

MOST_MS = LEAST_MS * GROWTH ** (BUCKETS - 1)
"""What takes longer counts as this long."""

_SCALE = 1 / log(GROWTH)
_HEAVY = 2.0**64
"""Weights start at 1 again once they come to this."""


class Latency:
    """Durations of answers in milliseconds, weighed by age; `half_life_ms` halves a weight."""

    __slots__ = ("_cumulative", "_half_life", "_landmark", "_newest", "_weight", "_weights")

    def __init__(self, half_life_ms: int = 600_000) -> None:
        self._half_life = max(1, half_life_ms)
        self._weights = [0.0] * BUCKETS
        self._landmark = 0
        self._newest = 0
        self._weight = 1.0
        self._cumulative: list[float] | None = [0.0] * BUCKETS

    def add(self, duration_ms: float, now_ms: int) -> None:
        """An answer took `duration_ms` and came at `now_ms` (any clock that never goes back)."""
        if now_ms > self._newest:
            self._newest = now_ms
            self._weight = 2.0 ** min((now_ms - self._landmark) / self._half_life, 1_000.0)
            if self._weight >= _HEAVY:
                self._start_again(now_ms)
        if duration_ms > LEAST_MS:
            bucket = int(log(duration_ms / LEAST_MS) * _SCALE) + 1 if duration_ms < MOST_MS else BUCKETS
            self._weights[bucket if bucket < BUCKETS else BUCKETS - 1] += self._weight
        else:
            self._weights[0] += self._weight
        self._cumulative = None

    @property
    def samples(self) -> float:
        """How many answers are known, each weighed by its age when the newest came."""
        return self._sums()[-1] / self._weight

    def quantile(self, q: float) -> float | None:
        """The duration that the share `q` (0 to 1) of the answers did not exceed, by nearest rank; None where
        none is known. It is off by 5 % at most between 0.1 ms and 4 hours.
        """
        sums = self._sums()
        total = sums[-1]
        if not total:
            return None
        # A rank of 0 would be the first bucket, whether or not anything is in it.
        bucket = bisect_left(sums, q * total) if q > 0 else bisect_right(sums, 0.0)
        if bucket == 0:
            return LEAST_MS
        return LEAST_MS * float(GROWTH ** (bucket - 1)) * 2 * GROWTH / (GROWTH + 1)

    def _sums(self) -> list[float]:
        if self._cumulative is None:
            self._cumulative = list(accumulate(self._weights))
        return self._cumulative

    def _start_again(self, now_ms: int) -> None:
        self._weights = [weight / self._weight for weight in self._weights]
        self._landmark = now_ms
        self._weight = 1.0
