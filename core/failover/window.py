"""Calls of the last seconds, and failures in a row, both by when calls were sent. No clock: time is a value.

A call counts in the second in which it was sent, not in which it ended: calls that hang then weigh as much as
calls that fail at once, and an answer that comes late speaks of the time at which it was asked for.

Times are milliseconds of one clock that never goes back. Endings may come in any order.
"""

from bisect import bisect_right, insort

import msgspec

from core.failover.evidence import Against


class Counted(msgspec.Struct, frozen=True):
    """Calls; those that failed by their provider's fault; those that failed by their function's."""

    calls: int = 0
    failures: int = 0
    faults: int = 0


class Window:
    """Sums over the last `seconds` whole seconds, the present one included, in as many buckets.

    A call is `sent` once and `ended` at most once. All methods take constant time, except that time which
    passed is caught up with once, a bucket a second.
    """

    __slots__ = ("_calls", "_failures", "_faults", "_from", "_head", "_newest", "_seconds", "_sums")

    def __init__(self, seconds: int) -> None:
        self._seconds = max(1, seconds)
        self._calls = [0] * self._seconds
        self._failures = [0] * self._seconds
        self._faults = [0] * self._seconds
        self._sums = [0, 0, 0]
        self._head = -1
        self._newest = 0
        self._from = 0

    def sent(self, at_ms: int) -> None:
        """Count a call that is sent at `at_ms`."""
        second = at_ms // 1000
        if second > self._head:
            self._advance(second)
        elif second <= self._head - self._seconds:
            return
        if at_ms < self._from:
            return
        self._newest = max(self._newest, at_ms)
        self._calls[second % self._seconds] += 1
        self._sums[0] += 1

    def ended(self, sent_ms: int, against: Against) -> None:
        """Count how a call that was sent at `sent_ms` ended; one that has left the window is ignored.

        SATURATION and UNKNOWN take the call itself out: it says nothing, neither way.
        """
        if against is Against.NOBODY:
            return
        bucket = self._bucket(sent_ms)
        if bucket is None or self._calls[bucket] <= self._failures[bucket] + self._faults[bucket]:
            return
        if against is Against.PROVIDER:
            self._failures[bucket] += 1
            self._sums[1] += 1
        elif against is Against.FUNCTION:
            self._faults[bucket] += 1
            self._sums[2] += 1
        else:
            self._calls[bucket] -= 1
            self._sums[0] -= 1

    def uncount(self, sent_ms: int, against: Against = Against.UNKNOWN) -> None:
        """Take back what was counted of a call that was sent at `sent_ms`.

        With PROVIDER or FUNCTION the failure that `ended` counted before: the call succeeded after all, and
        stays as a call. Otherwise the call itself, which must not have ended.
        """
        bucket = self._bucket(sent_ms)
        if bucket is None:
            return
        if against is Against.PROVIDER:
            if self._failures[bucket]:
                self._failures[bucket] -= 1
                self._sums[1] -= 1
        elif against is Against.FUNCTION:
            if self._faults[bucket]:
                self._faults[bucket] -= 1
                self._sums[2] -= 1
        elif self._calls[bucket] > self._failures[bucket] + self._faults[bucket]:
            self._calls[bucket] -= 1
            self._sums[0] -= 1

    def counts(self, now_ms: int) -> Counted:
        """The sums as of `now_ms`."""
        second = now_ms // 1000
        if second > self._head:
            self._advance(second)
        return Counted(*self._sums)

    def second(self, at_s: int) -> Counted:
        """What was counted of the calls sent in this second (of the same clock); zeros outside the window."""
        if not self._head - self._seconds < at_s <= self._head:
            return Counted()
        bucket = at_s % self._seconds
        return Counted(self._calls[bucket], self._failures[bucket], self._faults[bucket])

    def forget(self, at_ms: int | None = None) -> None:
        """Start anew: calls sent before `at_ms` (None: the newest known) no longer count, nor do their
        endings when they come.
        """
        self._from = max(self._from, self._newest if at_ms is None else at_ms)
        self._empty()

    def _bucket(self, sent_ms: int) -> int | None:
        second = sent_ms // 1000
        if sent_ms < self._from or not self._head - self._seconds < second <= self._head:
            return None
        return second % self._seconds

    def _advance(self, second: int) -> None:
        if second - self._head >= self._seconds:
            self._empty()
        else:
            for passed in range(self._head + 1, second + 1):
                bucket = passed % self._seconds
                self._sums[0] -= self._calls[bucket]
                self._sums[1] -= self._failures[bucket]
                self._sums[2] -= self._faults[bucket]
                self._calls[bucket] = self._failures[bucket] = self._faults[bucket] = 0
        self._head = second

    def _empty(self) -> None:
        for sums in (self._calls, self._failures, self._faults):
            sums[:] = [0] * self._seconds
        self._sums = [0, 0, 0]


class Streak:
    """Failures in a row by sending order: calls that failed and were sent after the newest-sent success.

    One sent in the same millisecond as that success was not sent after it. `longest` bounds memory: `length`
    never says more.
    """

    __slots__ = ("_failed", "_from", "_longest", "newest_success")

    def __init__(self, longest: int = 1_000) -> None:
        self._failed: list[int] = []
        self._from = -1
        self._longest = max(1, longest)
        self.newest_success: int | None = None
        """When the newest-sent call of those that succeeded was sent; None where none has."""

    @property
    def length(self) -> int:
        """How many there are now, `longest` at most."""
        return len(self._failed)

    def failed(self, sent_ms: int) -> None:
        """A call that was sent at `sent_ms` failed."""
        if sent_ms < self._from or (self.newest_success is not None and sent_ms <= self.newest_success):
            return
        failed = self._failed
        if not failed or sent_ms >= failed[-1]:
            failed.append(sent_ms)
        else:
            insort(failed, sent_ms)
        if len(failed) > self._longest:
            del failed[0]

    def succeeded(self, sent_ms: int) -> None:
        """A call that was sent at `sent_ms` succeeded: it ends what failed of the calls sent before it."""
        if self.newest_success is not None and sent_ms <= self.newest_success:
            return
        self.newest_success = sent_ms
        if self._failed:
            del self._failed[: bisect_right(self._failed, sent_ms)]

    def forget(self, at_ms: int | None = None) -> None:
        """Start anew: failures known until now no longer count, nor do those of calls that were sent before
        `at_ms` when they come. The newest success stays known.
        """
        self._failed.clear()
        if at_ms is not None:
            self._from = max(self._from, at_ms)
