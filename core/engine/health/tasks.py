"""Loops that outlive what goes wrong in them."""

import logging
from collections.abc import Awaitable, Callable

from core.ports.clock import Clock

log = logging.getLogger("sidestep.health")

LONGEST_PAUSE = 10.0


async def for_ever(
    name: str, clock: Clock, act: Callable[[], Awaitable[object]], pause: Callable[[], float]
) -> None:
    """Do `act`, wait `pause()` seconds, and again, until cancelled. An exception is logged, and makes the
    next wait twice as long, up to ten seconds; what works again starts over.
    """
    failures = 0
    while True:
        try:
            await act()
        except Exception:
            failures += 1
            log.exception("the health board's %s failed; it goes on", name)
        else:
            failures = 0
        wait = pause()
        await clock.sleep(min(max(wait, LONGEST_PAUSE), wait * 2.0 ** min(failures, 16)))
