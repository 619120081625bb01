"""Warnings that thousands of executions would repeat: one line for all of them now and then."""

import logging

from core.ports.clock import Clock

_EVERY = 5.0
"""Seconds between two lines of one kind."""


class Complaints:
    """Says each kind of trouble once in a while, and how often it was met since it was last said."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, error: object) -> None:
        """Log `kind` (a fixed phrase) with the newest error, unless it was logged a moment ago."""
        now = self._clock.monotonic()
        at, kept_back = self._said.get(kind, (now - _EVERY, 0))
        if now - at < _EVERY:
            self._said[kind] = (at, kept_back + 1)
            return
        self._said[kind] = (now, 0)
        more = f" ({kept_back} more times since this was last said)" if kept_back else ""
        self._log.warning("%s: %s%s", kind, error, more)
