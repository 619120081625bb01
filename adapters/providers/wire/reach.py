"""Whether a vendor's token service can be reached, as the threads see it that ask it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 1.0
"""A token service that has said nothing for this long is out of reach (`connect_timeout_ms`'s default)."""


class Reach:
    """What the requests to one token service came to. Any answer, a refusal too, shows that it is there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[object, float] = {}
        self._answered_at = float("-inf")
        self._lost = False

    @contextmanager
    def asking(self, *lost: type[Exception]) -> Iterator[None]:
        """One request, in any thread; `lost` are the exceptions that say that no answer came."""
        request = object()
        with self._lock:
            self._under_way[request] = self._clock()
        try:
            yield
        except lost:
            with self._lock:
                self._lost = True
            raise
        else:
            with self._lock:
                self._lost = False
                self._answered_at = self._clock()
        finally:
            with self._lock:
                del self._under_way[request]

    def gone(self, waited: float) -> bool:
        """Whether it cannot be reached, for a call that waited up to `waited` seconds for a token.

        So it is where the last request that ended had no answer, or where one has had none for a second, or
        for half of the wait if that is less (the other half may have gone by before it was sent), and nothing
        else was answered meanwhile.
        """
        with self._lock:
            silent_since = self._clock() - min(PATIENCE_SECONDS, waited / 2)
            return self._lost or any(
                self._answered_at <= since <= silent_since for since in self._under_way.values()
            )
