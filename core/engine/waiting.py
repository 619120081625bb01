"""How many executions a worker keeps in hand that only wait for room at a target.

Kept in hand, one goes on the moment there is room. But a worker drives a bounded number of executions, and
those of a crowded fallback must not keep it from all others: beyond the bound they are given back, with a
timer, and ask again.
"""

ASK_AGAIN_MS = 1_000
"""When an execution that was given back asks again."""


class WaitingRoom:
    """Counts those kept in hand, up to `seats`."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._taken = 0

    def enter(self) -> bool:
        """Whether there was a seat; who gets one leaves it again."""
        if self._taken >= self._seats:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """Free the seat."""
        self._taken -= 1
