"""The health board of one process: which providers cannot be called, and what attempts proved lately."""

from collections import Counter, deque
from collections.abc import Callable, Mapping

import msgspec

from core.failover.health import Health
from core.failover.outcome import Outcome
from core.graph.model import PROVIDERS, Target
from core.machine.events import AttemptStarted
from core.ports.clock import Clock

KEPT = 50
"""How many recent outcomes are kept for each provider."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended; `at_ms` is Unix epoch milliseconds. It holds no payload."""

    at_ms: int
    target: Target
    ok: bool
    executed: str
    scope: str
    signal: str
    error: str
    duration_ms: float


class ProviderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: whether it is configured (else why not), calls by signal, and the newest outcomes."""

    name: str
    configured: bool
    why_not: str | None
    in_flight: int
    calls: int
    failures: int
    signals: dict[str, int]
    recent: tuple[Seen, ...]


class _Flight:
    """One call under way."""

    def __init__(self, board: "LocalBoard", target: Target) -> None:
        self._board = board
        self._target = target

    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Keep how it ended."""
        self._board.observe(self._target, outcome, duration_ms)


class LocalBoard:
    """Implements the health board port within one process."""

    def __init__(self, refused: Mapping[str, str], clock: Clock) -> None:
        self._health = Health(dict(refused))
        self._clock = clock
        self._recent: dict[str, deque[Seen]] = {name: deque(maxlen=KEPT) for name in PROVIDERS}
        self._signals: dict[str, Counter[str]] = {name: Counter() for name in PROVIDERS}
        self._sent: Counter[str] = Counter()
        self._sidesteps: Counter[tuple[str, str]] = Counter()
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def view(self) -> Health:
        """What decisions need to know."""
        return self._health

    def decided(self, started: AttemptStarted) -> None:
        """As the port says; nothing is limited here."""

    def parked(self, target: Target) -> None:
        """As the port says."""

    def queue(self, targets: tuple[Target, ...], ring: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - nothing is limited here
        """As the port says."""
        ring()
        return lambda: None

    def sent(self, started: AttemptStarted) -> "_Flight":
        """Count a call when it is sent."""
        self._sent[started.target.provider] += 1
        return _Flight(self, started.target)

    def sidestepped(self, left: Target, taken: Target) -> None:
        """Count a sidestep."""
        self._sidesteps[left.provider, taken.provider] += 1

    @property
    def sidesteps(self) -> Mapping[tuple[str, str], int]:
        """How often steps went from one provider to another, by both names."""
        return dict(self._sidesteps)

    def observe(self, target: Target, outcome: Outcome, duration_ms: float) -> None:
        """Keep how a call ended."""
        name = target.provider
        self._ended[name] += 1
        self._failed[name] += not outcome.ok
        self._signals.setdefault(name, Counter())[outcome.signal] += 1
        self._recent.setdefault(name, deque(maxlen=KEPT)).append(
            Seen(
                at_ms=self._clock.now_ms(),
                target=target,
                ok=outcome.ok,
                executed=outcome.executed.value,
                scope=outcome.scope.value,
                signal=outcome.signal,
                error=outcome.error,
                duration_ms=duration_ms,
            )
        )

    def report(self) -> tuple[ProviderReport, ...]:
        """Every provider, by name; the newest outcome first."""
        return tuple(
            ProviderReport(
                name=name,
                configured=name not in self._health.refused,
                why_not=self._health.refused.get(name),
                in_flight=self._sent[name] - self._ended[name],
                calls=self._sent[name],
                failures=self._failed[name],
                signals=dict(self._signals[name]),
                recent=tuple(reversed(self._recent[name])),
            )
            for name in self._recent
        )
