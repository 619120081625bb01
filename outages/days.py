"""Healthy days, on which nothing may open, and replays of outages that happened.

The replays have the shape of the vendors' own reports, their hours compressed into seconds: AWS on 19 and 20
October 2025 (us-east-1: DynamoDB's name did not resolve, then instances and functions did not start, then
load balancers dropped connections), Google Cloud on 12 June 2025 (Service Control crashed in every region:
503 nearly everywhere, then overload as it came back), Azure Front Door on 29 October 2025 (a configuration
that broke names and TLS, taken back step by step).
"""

from typing import Final

from core.failover.outcome import Executed, Scope
from outages.cases import Act, Case, Deed, Promise, Spell

_WELL: Final = frozenset({Promise.COMPLETE, Promise.QUIET})

HEALTHY_DAYS: Final = (
    Case("calm", "nothing happens", "healthy day", _WELL | {Promise.NO_SIDESTEPS}),
    Case(
        "cold-starts",
        "calls take 60 ms longer, so that new instances must start: each takes 1.5 s",
        "healthy day",
        _WELL,
        (
            Spell("AWS", "slow", 0.4, 0.7, {"delay_ms": 60}, executed=Executed.YES),
            Spell("AWS", "cold-start", 0.4, 0.7, {"delay_ms": 1_500, "warm": 1}, executed=Executed.YES),
        ),
    ),
    Case(
        "slow-one-percent",
        "one call of a function in a hundred takes 2 s",
        "healthy day",
        _WELL,
        (
            Spell(
                "AWS",
                "slow",
                0.05,
                1.0,
                {"delay_ms": 2_000, "percent": 1, "seed": 5, "function": "slow-func"},
                executed=Executed.YES,
            ),
        ),
    ),
    Case(
        "one-hanging-function",
        "one function on AWS hangs: its own breaker only",
        "healthy day",
        frozenset({Promise.COMPLETE, Promise.PLACES_QUIET, Promise.ONE_FUNCTION}),
        (Spell("AWS", "blackhole", options={"function": "echo-meta"}, executed=Executed.MAYBE),),
    ),
    Case(
        "stopped-replica",
        "one of two replicas is stopped for 5 s and goes on",
        "healthy day",
        _WELL,
        deeds=(Deed(Act.STOP_REPLICA, 0.4, 0.65),),
        replicas=2,
    ),
    Case(
        "way-out-cut",
        "one of two replicas reaches no cloud any more",
        "healthy day",
        frozenset({Promise.QUIET}),
        deeds=(Deed(Act.CUT_WAY_OUT, 0.4, 0.7),),
        replicas=2,
    ),
    Case(
        "user-bug-everywhere",
        "a bug in every call of one function, on every cloud",
        "healthy day",
        frozenset({Promise.QUIET, Promise.NO_SIDESTEPS}),
        swaps={"echo-meta": "buggy-func"},
    ),
)

REPLAYS: Final = (
    Case(
        "aws-2025-10-19",
        "AWS, 19 and 20 October 2025: DNS, then launch failures, then connection errors",
        "replay",
        frozenset({Promise.COMPLETE}),
        (
            Spell("AWS", "dns-nxdomain", 0.3, 0.5),
            Spell(
                "AWS",
                "error",
                0.5,
                0.7,
                {"name": "EC2ThrottledException", "percent": 60, "seed": 7},
                scope=Scope.FUNCTION,
            ),
            Spell("AWS", "reset", 0.7, 0.85, {"percent": 40, "seed": 8}, executed=Executed.MAYBE),
        ),
        seconds=30.0,
        names=True,
    ),
    Case(
        "gcp-2025-06-12",
        "Google Cloud, 12 June 2025: 503 everywhere, then overload",
        "replay",
        frozenset({Promise.COMPLETE}),
        (
            Spell("GCP", "error", 0.3, 0.65, {"name": "unavailable"}, executed=Executed.MAYBE),
            Spell(
                "GCP",
                "error",
                0.65,
                0.8,
                {"name": "unavailable", "percent": 40, "seed": 9},
                executed=Executed.MAYBE,
            ),
        ),
        primary="GCP",
        seconds=30.0,
    ),
    Case(
        "azure-2025-10-29",
        "Azure Front Door, 29 October 2025: names and TLS break, then come back step by step",
        "replay",
        frozenset({Promise.COMPLETE}),
        (
            Spell("AZURE", "dns-nxdomain", 0.3, 0.5),
            Spell("AZURE", "bad-certificate", 0.5, 0.7),
            Spell("AZURE", "reset", 0.7, 0.8, {"percent": 20, "seed": 10}, executed=Executed.MAYBE),
        ),
        primary="AZURE",
        seconds=30.0,
        tls=True,
        names=True,
    ),
)
