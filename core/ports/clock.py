"""The clock port: the only way that time comes in."""

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Host time and monotonic time. Only `core.engine` and adapters hold one; the machine is given values."""

    def now_ms(self) -> int:
        """The host's time: Unix epoch, milliseconds. Never goes backwards; a jump of the wall clock of a
        running process does not move it.
        """
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only runs forward; for leases and durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time; at once where that is not positive."""
        ...

    def call_later(self, seconds: float, ring: Callable[[], object]) -> Callable[[], None]:
        """Have the running event loop call `ring` after `seconds` of this clock's time, and never within this
        call. Returns what takes that back; taking back what is over does nothing.
        """
        ...
