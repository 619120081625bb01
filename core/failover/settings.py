"""Every number of the failover policy, with its default.

Sources: Envoy's outlier detection (consecutive failures, ejection times that grow), resilience4j (half open,
share of failing calls), Finagle and gRPC A6 (retry budgets), the AWS Builders' Library (jitter, retries at
one level), "The Tail at Scale" (hedging at p95). docs/explanation/failover.md tells them in context.
"""

import msgspec


class FailoverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, milliseconds where the name says so, shares from 0 to 1, counts.

    Window: `window_seconds` in as many buckets of a second; a call counts in the second in which it was sent.
    A breaker opens after `consecutive` failures, or `minimum_calls` calls or more of which the share
    `failing` failed; from the share `suspect` on it is SUSPECT. A provider's opens only where `agreeing`
    functions agree, or the share `agreeing_share` of those in use, but never on one of several.

    A call under way is overdue once it is older than `overdue_factor` x p99.9 of its function, at least
    `overdue_floor_ms` and at most its timeout; with fewer than `overdue_samples` answers, its timeout. But
    while one is under way for longer than `hang_seconds`, its place is asked, every `hang_probe_seconds` at
    most, whether it still answers; it opens when `hang_probes` probes in a row fail. Five seconds are longer
    than nearly every cold start, so calls in good order are hardly ever reason to ask; two, the time that a
    probe may take, keep probes apart; one probe can be lost to chance, three together hardly are.

    It stays open for `open_seconds`, doubled with each opening up to `open_longest_seconds`, give or take the
    share `open_jitter`; then probes, one at a time, `probe_every_seconds` apart, `probe_successes` of which
    let calls back: at the shares `ramp`, each for `ramp_calls` calls or `ramp_seconds`. The way back starts
    `ramp_after_seconds` after the opening at the earliest; `flapping` openings in `flap_seconds` hold it for
    `flap_seconds` after the last.

    Engine's own retries: the share `retry_share` of the calls and `retry_floor` a second, kept for
    `retry_seconds`. Hedges: the share `hedge_share` of the calls of `pure` steps. A first attempt leaves its
    fallback min(`reserve_share` of the deadline, `reserve_factor` x the fallback's p99). `fallback_room`
    calls may be under way at a function as sidesteps before it has shown that it bears more; `static_room`
    at a function that is called although it is known to fail, because nothing else is left. `rehearse` is
    the share of `pure` steps that go to their fallback on a healthy day, so that it is never cold.

    A provider without calls for `idle_seconds` is probed that often; a probe may take `probe_timeout_ms`.
    """

    window_seconds: int = 10
    consecutive: int = 5
    minimum_calls: int = 20
    failing: float = 0.5
    suspect: float = 0.2
    agreeing: int = 3
    agreeing_share: float = 0.3
    overdue_factor: float = 3.0
    overdue_floor_ms: int = 500
    overdue_samples: int = 200
    hang_seconds: float = 5.0
    hang_probe_seconds: float = 2.0
    hang_probes: int = 3
    open_seconds: float = 5.0
    open_longest_seconds: float = 300.0
    open_jitter: float = 0.1
    probe_every_seconds: float = 1.0
    probe_timeout_ms: int = 2_000
    probe_successes: int = 3
    ramp: tuple[float, ...] = (0.01, 0.05, 0.25, 0.5, 1.0)
    ramp_calls: int = 20
    ramp_seconds: float = 10.0
    ramp_after_seconds: float = 60.0
    flapping: int = 3
    flap_seconds: float = 600.0
    retry_share: float = 0.2
    retry_floor: float = 10.0
    retry_seconds: float = 10.0
    hedge_share: float = 0.02
    reserve_share: float = 0.4
    reserve_factor: float = 2.0
    fallback_room: int = 100
    static_room: int = 10
    rehearse: float = 0.0
    idle_seconds: float = 30.0


DEFAULTS = FailoverSettings()
"""The policy where nothing is set."""
