"""Asking again: a server that is busy or gone for a moment does not end a command that takes many calls."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from cli.failures import UNREACHABLE, Stop

T = TypeVar("T")

TRIES: Final = 12
"""How often in a row one call is made, at most: with the pauses, for about 45 seconds."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0

_BUSY: Final = 503


class Patience:
    """Makes calls that may be repeated. `remark` is told why it waits; `pause` is the first one's seconds.

    A 503 is waited out, and from the first answer on also a server that is gone. Everything else, and what
    does not pass in time, comes out as the Stop that it is.
    """

    def __init__(self, remark: Callable[[str], None], *, pause: float = FIRST_PAUSE) -> None:
        self._remark = remark
        self._pause = pause
        self._heard = False

    def ask(self, call: Callable[[], T]) -> T:
        """What `call` returns, in the end."""
        pause = self._pause
        for last in [False] * (TRIES - 1) + [True]:
            try:
                answer = call()
            except Stop as stop:
                if last or not self._passes(stop):
                    raise
                self._remark(f"{stop.message.splitlines()[0]} Trying again in {pause:g} s.")
            else:
                self._heard = True
                return answer
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        raise AssertionError("the last try returns or raises")

    def _passes(self, stop: Stop) -> bool:
        if stop.code == UNREACHABLE:
            return self._heard
        return stop.problem is not None and stop.problem.get("status") == _BUSY
