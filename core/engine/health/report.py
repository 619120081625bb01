"""What a board shows of the providers, as values. Times are Unix epoch milliseconds."""

import msgspec

from core.graph.model import Target
from core.ports.link import Override


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended. It holds no payload."""

    at_ms: int
    target: Target
    ok: bool
    executed: str
    scope: str
    signal: str
    error: str
    duration_ms: float


class BreakerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker and its window. `state` is that of the breaker itself, whatever overrides it.

    `next_probe_ms` is when a probe may go out next (None: none is due), `ramp_ms` when calls may come back at
    the earliest, `share` what it lets through. `openings` counts those that are remembered. The window's
    counts hold the other replicas' too.
    """

    state: str
    why: str
    since_ms: int
    next_probe_ms: int | None
    ramp_ms: int | None
    share: float
    openings: int
    window_seconds: int
    calls: int
    failures: int
    overdue: int


class FunctionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One function that was called lately, or whose breaker is not closed. Quantiles are None until known.

    `room` is what its adaptive limit allows of sidestepped calls at once (None: it was never needed).
    """

    target: Target
    breaker: BreakerReport
    in_flight: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    room: int | None


class PlaceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One provider in one region. `functions` are the busiest first, a hundred at most."""

    region: str | None
    breaker: BreakerReport
    functions: tuple[FunctionReport, ...]


class ProviderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. `state` and `why` are what decisions go by: an override, or the worst of its places.

    `calls` and `failures` count since this process started, `signals` the ends of attempts by signal,
    `recent` the newest first. `sidesteps_in` and `sidesteps_out` count steps that came from or went to
    another provider, `hedges`, `rehearsals` and `probes` calls of those kinds, `parked` steps that a call of
    it left to a person, `queued` executions that wait for room at it now. `p50_ms` and `p95_ms` are of all
    its functions.
    """

    name: str
    configured: bool
    why_not: str | None
    state: str
    why: str
    overrides: tuple[Override, ...]
    places: tuple[PlaceReport, ...]
    in_flight: int
    calls: int
    failures: int
    signals: dict[str, int]
    recent: tuple[Seen, ...]
    p50_ms: float | None = None
    p95_ms: float | None = None
    sidesteps_in: int = 0
    sidesteps_out: int = 0
    hedges: int = 0
    rehearsals: int = 0
    probes: int = 0
    parked: int = 0
    queued: int = 0


class BoardReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, and this replica: `isolated` says why it takes itself for cut off (None: it does not),
    `alone` why it decides alone (None: it hears from the others), `replicas` how many beat lately.
    """

    replica: str
    replicas: int
    isolated: str | None
    alone: str | None
    providers: tuple[ProviderReport, ...]
