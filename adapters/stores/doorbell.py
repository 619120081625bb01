"""The doorbell of a store that lives in one process."""

import itertools
import logging
from collections.abc import Callable

from core.ports.doorbell import Doorbell, Topic

_log = logging.getLogger("sidestep.stores.doorbell")


class InProcessDoorbell(Doorbell):
    """Calls its listeners in the order in which they came. Use it on the event loop's thread only."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._listeners: dict[Topic, dict[int, Callable[[str], None]]] = {topic: {} for topic in Topic}
        # Rung many times a second and changed seldom, so rings walk a copy that is made at a change.
        self._rung: dict[Topic, tuple[Callable[[str], None], ...]] = dict.fromkeys(Topic, ())

    def subscribe(self, topic: Topic, ring: Callable[[str], None]) -> Callable[[], None]:
        """Have `ring(execution_id)` called for each ring of `topic` until the returned callable is called."""
        number = next(self._numbers)
        listeners = self._listeners[topic]
        listeners[number] = ring
        self._rung[topic] = tuple(listeners.values())

        def end() -> None:
            listeners.pop(number, None)
            self._rung[topic] = tuple(listeners.values())

        return end

    def ring(self, topic: Topic, execution_id: str) -> None:
        """Tell every listener. One that raises is logged: it must not undo what it is told about."""
        for listener in self._rung[topic]:
            try:
                listener(execution_id)
            except Exception:  # noqa: BLE001 - a listener is a stranger; the write it hears of has happened
                _log.exception("a listener of %s failed for %s", topic.value, execution_id)
