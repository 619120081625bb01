"""The ledger: every execution that really ran, so that a double execution is counted and not assumed.

A run is written when the function starts, in the thread that starts it. What a function refused
to start (see the function wrapper: it came after its not-after instant) is kept as `refused` and
counts as no execution. Entries are bounded; the tallies (by function, by idempotency key) stay
exact when entries are dropped, up to `max_keys` distinct keys, and say so when they are not.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from localcloud.metadata import Metadata

State = Literal["running", "completed", "raised", "abandoned", "refused"]

MAX_LIMIT = 5_000
_LISTED_KEYS = 1_000


@dataclass(slots=True)
class Run:
    """One execution. Times are epoch milliseconds.

    `state`: `abandoned` means that its cloud gave it up (a timeout, a shutdown) before it ended.
    `replied`: whether the caller could have seen the reply; None while that is open.
    """

    sequence: int
    provider: str
    region: str
    function: str
    metadata: Metadata
    started_at: int
    ended_at: int | None = None
    state: State = "running"
    replied: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return {
            "sequence": self.sequence,
            "provider": self.provider,
            "region": self.region,
            "function": self.function,
            "idempotencyKey": self.metadata.key,
            "attempt": self.metadata.attempt,
            "notAfter": self.metadata.not_after,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "state": self.state,
            "replied": self.replied,
        }


class Ledger:
    """Thread-safe. Memory is bounded by `max_entries` and `max_keys`."""

    def __init__(self, max_entries: int = 50_000, max_keys: int = 2_000_000) -> None:
        self._lock = threading.Lock()
        self._max_keys = max_keys
        self._entries: deque[Run] = deque(maxlen=max_entries)
        self._sequence = 0
        self._reset()

    def _reset(self) -> None:
        self._entries.clear()
        self._first = self._sequence + 1
        self._dropped = 0
        self._runs: Counter[tuple[str, str]] = Counter()
        self._states: Counter[tuple[str, str, str]] = Counter()
        self._keys: dict[str, str] = {}  # to the provider that ran it first
        self._twice: dict[str, Counter[str]] = {}
        self._unkeyed = 0
        self._unknown_keys = 0

    def begin(self, provider: str, region: str, function: str, metadata: Metadata) -> Run:
        """Write that an execution starts now."""
        now = _now()
        with self._lock:
            self._sequence += 1
            run = Run(self._sequence, provider, region, function, metadata, now)
            if len(self._entries) == self._entries.maxlen:
                self._dropped += 1
            self._entries.append(run)
            self._count(run, 1)
            return run

    def finish(self, run: Run, state: State) -> None:
        """Write how an execution ended. The first word stands: what was abandoned stays abandoned."""
        now = _now()
        with self._lock:
            if run.state != "running":
                return
            run.state = state
            run.ended_at = now
            if run.sequence < self._first:
                return  # the ledger was cleared while it ran
            if state == "refused":
                self._count(run, -1)
            self._states[run.provider, run.function, state] += 1

    def settle(self, run: Run, *, replied: bool) -> None:
        """Write whether the caller could have seen the reply. The first word stands."""
        with self._lock:
            if run.replied is None:
                run.replied = replied

    def abandon_running(self) -> None:
        """The clouds go away: whatever still runs is abandoned, and nobody will see its reply."""
        with self._lock:
            running = [run for run in self._entries if run.state == "running"]
        for run in running:
            self.finish(run, "abandoned")
            self.settle(run, replied=False)

    def clear(self) -> None:
        """Forget everything. Sequence numbers go on."""
        with self._lock:
            self._reset()

    def entries(
        self,
        *,
        provider: str | None = None,
        function: str | None = None,
        key: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Run]:
        """The runs after a sequence number, oldest first, at most `limit` (itself at most 5,000)."""
        with self._lock:
            skip = max(0, after - self._entries[0].sequence + 1) if self._entries else 0
            chosen: Iterator[Run] = (
                run
                for run in islice(self._entries, skip, None)
                if (provider is None or run.provider == provider)
                and (function is None or run.function == function)
                and (key is None or run.metadata.key == key)
            )
            return list(islice(chosen, min(limit, MAX_LIMIT)))

    def summary(self) -> dict[str, Any]:
        """Exact counts: by provider and function, and the keys that ran more than once (1,000 listed)."""
        with self._lock:
            providers: dict[str, dict[str, Any]] = {}
            for (provider, function), runs in sorted(self._runs.items()):
                functions = providers.setdefault(provider, {"executions": 0, "functions": {}})
                functions["executions"] += runs
                states = {
                    state: self._states[provider, function, state]
                    for state in ("completed", "raised", "abandoned", "refused")
                    if self._states[provider, function, state]
                }
                functions["functions"][function] = {"executions": runs, **states}
            return {
                "executions": sum(self._runs.values()),
                "providers": providers,
                "keys": len(self._keys),
                "withoutKey": self._unkeyed,
                "runTwice": {
                    "keys": len(self._twice),
                    "extraExecutions": sum(c.total() - 1 for c in self._twice.values()),
                    "listed": [
                        {"idempotencyKey": key, "executions": counts.total(), "providers": dict(counts)}
                        for key, counts in islice(self._twice.items(), _LISTED_KEYS)
                    ],
                },
                "droppedEntries": self._dropped,
                "exact": self._unknown_keys == 0,
            }

    def dropped(self) -> int:
        """How many entries the bound pushed out since the last `clear`."""
        return self._dropped

    def _count(self, run: Run, by: Literal[1, -1]) -> None:
        self._runs[run.provider, run.function] += by
        key = run.metadata.key
        if key is None:
            self._unkeyed += by
        elif key in self._twice:
            counts = self._twice[key]
            counts[run.provider] += by
            if counts.total() == 1:
                del self._twice[key]
                self._keys[key] = next(counts.elements())
        elif by < 0:
            self._keys.pop(key, None)
        elif key in self._keys:
            self._twice[key] = Counter((self._keys[key], run.provider))
        elif len(self._keys) < self._max_keys:
            self._keys[key] = run.provider
        else:
            self._unknown_keys += 1


def _now() -> int:
    return time.time_ns() // 1_000_000
