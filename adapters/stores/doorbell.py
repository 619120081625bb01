"""The doorbell of a store that lives in one process."""

import itertools
import logging
from collections.abc import Callable, Collection

from core.ports.doorbell import Doorbell, Topic

_log = logging.getLogger("sidestep.stores.doorbell")

_Ring = Callable[[str], None]
_Listener = tuple[_Ring, Collection[str] | None]
"""Who is rung, and after what statuses only."""
_Subject = tuple[Topic, str | None]
"""What is listened to: a topic, of one execution or of all."""


class InProcessDoorbell(Doorbell):
    """Calls its listeners in the order in which they came. Use it on the event loop's thread only."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._listeners: dict[_Subject, dict[int, _Listener]] = {}
        # Rung many times a second and changed seldom, so rings walk a copy that is made at a change.
        self._rung: dict[_Subject, tuple[_Listener, ...]] = {}

    def subscribe(
        self,
        topic: Topic,
        ring: _Ring,
        execution_id: str | None = None,
        statuses: Collection[str] | None = None,
    ) -> Callable[[], None]:
        """Have `ring(execution_id)` called for each ring of `topic` until the returned callable is called."""
        number, subject = next(self._numbers), (topic, execution_id)
        self._listeners.setdefault(subject, {})[number] = ring, statuses
        self._copy(subject)

        def end() -> None:
            self._listeners.get(subject, {}).pop(number, None)
            self._copy(subject)

        return end

    def ring(self, topic: Topic, execution_id: str, status: str | None = None) -> None:
        """Tell every listener, but those who want to hear of other statuses than this only. One that raises
        is logged: it must not undo what it is told about.
        """
        for subject in ((topic, None), (topic, execution_id)):
            for listener, statuses in self._rung.get(subject, ()):
                if status is not None and statuses is not None and status not in statuses:
                    continue
                try:
                    listener(execution_id)
                except Exception:  # noqa: BLE001 - a listener is a stranger; the write it hears of has happened
                    _log.exception("a listener of %s failed for %s", topic.value, execution_id)

    def _copy(self, subject: _Subject) -> None:
        listeners = self._listeners.get(subject)
        if listeners:
            self._rung[subject] = tuple(listeners.values())
        else:
            self._listeners.pop(subject, None)
            self._rung.pop(subject, None)
