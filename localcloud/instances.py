"""Cold starts: how many instances of each function there are, and who waits for a new one."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Function:
    instances: int
    busy: int = 0


@dataclass(slots=True)
class Stay:
    """One execution in an instance; `delay` seconds pass first if the instance is made for it."""

    function: str
    delay: float
    over: bool = field(default=False)


class Instances:
    """The instances of every function, under one rule. Thread-safe.

    `warm` of each are there at the beginning. An execution that finds all of them busy makes one more,
    waits `delay` seconds for it, and leaves it behind warm.
    """

    def __init__(self, warm: int, delay: float) -> None:
        self._warm = warm
        self._delay = delay
        self._functions: dict[str, _Function] = {}
        self._lock = threading.Lock()
        self.made = 0

    def enter(self, function: str) -> Stay:
        """An execution arrives. Whoever enters must `leave`."""
        with self._lock:
            found = self._functions.get(function)
            if found is None:
                found = self._functions[function] = _Function(self._warm)
            found.busy += 1
            if found.busy <= found.instances:
                return Stay(function, 0.0)
            found.instances += 1
            self.made += 1
            return Stay(function, self._delay)

    def leave(self, stay: Stay) -> None:
        """The execution is over, or was never begun. To say it twice is harmless."""
        with self._lock:
            if not stay.over:
                stay.over = True
                self._functions[stay.function].busy -= 1
