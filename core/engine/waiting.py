"""How many executions a worker keeps in hand that only wait for room at a target.

Kept in hand, one goes on the moment there is room. But a worker drives a bounded number of executions, and
those of a crowded fallback must not keep it from all others: beyond the bound they are given back, with a
timer, and ask again. So must their asking not: however many there are, only some ask in a second.
"""

ASK_AGAIN_MS = 1_000
"""When an execution that was given back asks again, at the earliest."""

ASKING_PER_SECOND = 200
"""How many of them ask again in a second, while that keeps none waiting too long; each costs a claim, a load
and a commit.
"""


LONGEST_MS = 5_000
"""However many there are: what would come back too late for its deadline is lost."""


class WaitingRoom:
    """Counts those kept in hand, up to `seats`, and spreads the others."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._taken = 0
        self._last = 0.0

    def enter(self) -> bool:
        """Whether there was a seat; who gets one leaves it again."""
        if self._taken >= self._seats:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """Free the seat."""
        self._taken -= 1

    def ask_again_at(self, now: int) -> int:
        """When the next one without a seat asks again (Unix epoch, milliseconds, as `now`)."""
        spread = max(self._last + 1_000 / ASKING_PER_SECOND, now + ASK_AGAIN_MS)
        self._last = min(spread, now + LONGEST_MS)
        return int(self._last)
