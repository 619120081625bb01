"""Which waiting execution is due next, in memory that does not grow with the number that waits.

A store with an index of its own keeps only the nearest timers here: everything up to a horizon. What lies
beyond is read again (`refill`) when the near ones are used up.
"""

import heapq
from collections.abc import Container, Iterable

from msgspec import Struct

Key = tuple[int, str]  # (wake_at_ms, execution_id): the order in which timers fire

NOWHERE: Key = (-(2**63), "")  # a horizon before every timer


class Due(Struct, frozen=True):
    """A timer: the execution that it wakes, when (Unix epoch milliseconds), and its last durable epoch."""

    execution_id: str
    wake_at_ms: int
    epoch: int


class Timers:
    """The nearest timers. `window` bounds how many are kept (None: all of them, and nothing is refilled)."""

    def __init__(self, window: int | None = None) -> None:
        self._window = window
        self._heap: list[Key] = []
        self._live: dict[str, Due] = {}
        # Every timer up to and with this key is here; None says that there are no others.
        self.horizon: Key | None = None if window is None else NOWHERE

    def __len__(self) -> int:
        return len(self._live)

    def set(self, due: Due) -> bool:
        """Add a timer, replacing the execution's other one. Says whether it is now the earliest of all."""
        key = (due.wake_at_ms, due.execution_id)
        self._live.pop(due.execution_id, None)
        if self.horizon is not None and key > self.horizon:
            return False
        self._live[due.execution_id] = due
        heapq.heappush(self._heap, key)
        self._trim()
        return self._first() == key

    def discard(self, execution_id: str) -> None:
        """Forget an execution's timer, if it has one."""
        if self._live.pop(execution_id, None) is not None:
            self._trim()

    def pop_due(self, now_ms: int) -> list[Due]:
        """Take out the timers whose time has come, earliest first."""
        due = []
        while (key := self._first()) is not None and key[0] <= now_ms:
            heapq.heappop(self._heap)
            due.append(self._live.pop(key[1]))
        return due

    def next_ms(self) -> int | None:
        """When the earliest known timer is due. Where it is None, `exhausted` says whether others wait."""
        key = self._first()
        return None if key is None else key[0]

    @property
    def exhausted(self) -> bool:
        """Whether the near timers are used up while farther ones may exist: time to refill."""
        return self.horizon is not None and self._first() is None

    def refill(self, rows: Iterable[Due], read_from: Key, over: Container[str], *, complete: bool) -> None:
        """Take in the timers that follow `read_from`, in order, but for those of the executions in `over`;
        `complete` says that there are no others.

        Rows that were read from a horizon that has moved since are ignored: they would leave a gap.
        """
        if self.horizon != read_from:
            return
        last = read_from
        for due in rows:
            last = (due.wake_at_ms, due.execution_id)
            if due.execution_id in over:
                continue
            self._live[due.execution_id] = due
            heapq.heappush(self._heap, last)
        self.horizon = None if complete else last
        self._trim()

    def _first(self) -> Key | None:
        heap = self._heap
        while heap:
            live = self._live.get(heap[0][1])
            if live is not None and live.wake_at_ms == heap[0][0]:
                return heap[0]
            heapq.heappop(heap)
        return None

    def _trim(self) -> None:
        live = self._live
        if self._window is not None and len(live) > self._window:
            kept = heapq.nsmallest(self._window // 2, ((due.wake_at_ms, id_) for id_, due in live.items()))
            self.horizon = kept[-1]
            self._live = {id_: live[id_] for _, id_ in kept}
            self._heap = kept  # sorted, and so a heap
        elif len(self._heap) > 2 * len(live) + 64:
            self._heap = [(due.wake_at_ms, id_) for id_, due in live.items()]
            heapq.heapify(self._heap)
