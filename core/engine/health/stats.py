"""What is shown of each provider since the process started: calls by kind and end, and the newest ends."""

from collections import Counter, deque

from core.engine.health.report import Seen
from core.failover.latency import Latency
from core.failover.outcome import Outcome
from core.failover.roles import HEDGE, PROBE, REHEARSAL
from core.graph.model import Target

KEPT = 50
"""How many recent outcomes are kept for each provider."""


class Stats:
    """One provider's."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = 0
        self.failed = 0
        self.parked = 0
        self.probes = 0
        self.roles: Counter[str] = Counter()
        self.signals: Counter[str] = Counter()
        self.latency = Latency()
        # Not the outcomes: a payload must not live as long as this does.
        self._recent: deque[tuple[int, Target, bool, str, str, str, str, float]] = deque(maxlen=KEPT)

    @property
    def hedges(self) -> int:
        """Calls beside another one."""
        return self.roles[HEDGE]

    @property
    def rehearsals(self) -> int:
        """Calls for practice."""
        return self.roles[REHEARSAL]

    @property
    def all_probes(self) -> int:
        """The prober's, and real calls in their place."""
        return self.probes + self.roles[PROBE]

    def probe(self) -> None:
        """The prober asked it."""
        self.probes += 1

    def end(
        self, at: int, target: Target, outcome: Outcome, duration_ms: float, *, given_up: bool = False
    ) -> None:
        """A call ended. One that was `given_up` in time (a hedge lost its race) is no failure."""
        self.ended += 1
        self.failed += not outcome.ok and not given_up
        self.signals[outcome.signal] += 1
        self._recent.append(
            (
                at,
                target,
                outcome.ok,
                outcome.executed,
                outcome.scope,
                outcome.signal,
                outcome.error,
                duration_ms,
            )
        )

    def recent(self) -> tuple[Seen, ...]:
        """The newest first."""
        return tuple(
            Seen(
                at_ms=at,
                target=target,
                ok=ok,
                executed=str(executed),
                scope=str(scope),
                signal=signal,
                error=error,
                duration_ms=duration_ms,
            )
            for at, target, ok, executed, scope, signal, error, duration_ms in reversed(self._recent)
        )
