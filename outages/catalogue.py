"""All cases: the outages, a case for each row of the table of errors, healthy days, and the replays.

What the clouds do is told in the rules of localcloud. A case's numbers are shares of its time, so that the
short form plays the same outage in less.
"""

from typing import Final

from core.failover.outcome import Executed, Scope
from outages.cases import Act, Case, Deed, Promise, Spell
from outages.days import HEALTHY_DAYS, REPLAYS
from outages.rows import ROWS

_SINGLE: Final = frozenset({Promise.COMPLETE})
_CLEAR: Final = frozenset({Promise.COMPLETE, Promise.CHEAP})
"""Where a breaker opens, and stays open until the outage is over."""

_HOLE: Final = frozenset({Promise.COMPLETE, Promise.CHEAP, Promise.OPENS_FAST, Promise.FEW_STUCK})

_SOON: Final = {
    "SIDESTEP_FAILOVER__RAMP_AFTER_SECONDS": "4",
    "SIDESTEP_FAILOVER__OPEN_SECONDS": "1",
    "SIDESTEP_FAILOVER__RAMP_SECONDS": "2",
}
"""For cases that are to show the way back, which takes minutes with the defaults."""

_SHORT_LEASE: Final = {"SIDESTEP_LEASE_SECONDS": "2", "SIDESTEP_GRACE_SECONDS": "2"}


def _out(kind: str, provider: str = "AWS", begin: float = 0.4, end: float = 0.8, **options: object) -> Spell:
    return Spell(provider, kind, begin, end, options)


def _hole(kind: str) -> Spell:
    """For longer than a timeout of 10 s, so that a strategy that waits for timeouts can learn from them."""
    return Spell("AWS", kind, 0.3, 0.75, executed=Executed.MAYBE)


def _maybe(kind: str, executed: Executed = Executed.MAYBE, scope: Scope = Scope.PROVIDER) -> Spell:
    return Spell("AWS", kind, executed=executed, scope=scope)


OUTAGES: Final = (
    Case("refused", "AWS refuses connections", "outage", _CLEAR, (_out("refused"),)),
    Case(
        "refused-and-back",
        "AWS refuses connections, and is called again",
        "outage",
        _SINGLE,
        (_out("refused", begin=0.2, end=0.35),),
        seconds=40.0,
        settings=_SOON,
    ),
    Case("nxdomain", "AWS's name does not resolve", "outage", _CLEAR, (_out("dns-nxdomain"),), names=True),
    Case(
        "bad-certificate",
        "AWS shows a certificate that nobody signed",
        "outage",
        _CLEAR,
        (_out("bad-certificate"),),
        tls=True,
    ),
    Case(
        "black-hole-before",
        "AWS takes requests, and neither runs nor answers them",
        "outage",
        _HOLE,
        (_hole("blackhole"),),
        seconds=30.0,
    ),
    Case(
        "black-hole-after",
        "AWS runs the functions, and answers nothing",
        "outage",
        _HOLE,
        (_hole("blackhole-after"),),
        seconds=30.0,
    ),
    Case(
        "reply-lost",
        "AWS runs the functions, then resets the connection",
        "outage",
        _CLEAR,
        (_maybe("reply-lost"),),
    ),
    Case(
        "throttle",
        "AWS takes two calls in three, and throttles the third",
        "outage",
        frozenset({Promise.COMPLETE, Promise.PLACES_QUIET}),
        (
            Spell(
                "AWS",
                "throttled",
                options={"percent": 33, "seed": 1},
                executed=Executed.NO,
                scope=Scope.SATURATION,
                again=True,
            ),
        ),
    ),
    Case(
        "throttle-all",
        "AWS throttles every call",
        "outage",
        frozenset({Promise.COMPLETE, Promise.PLACES_QUIET}),
        (Spell("AWS", "throttled", executed=Executed.NO, scope=Scope.SATURATION, again=True),),
    ),
    Case(
        "thirty-percent",
        "AWS fails 30 % of its calls (ServiceException)",
        "outage",
        _SINGLE,
        (
            Spell(
                "AWS",
                "error",
                options={"name": "ServiceException", "percent": 30, "seed": 1},
                executed=Executed.MAYBE,
            ),
        ),
    ),
    Case(
        "one-function",
        "one function's deployment on AWS is broken",
        "outage",
        frozenset({Promise.COMPLETE, Promise.ONE_FUNCTION, Promise.PLACES_QUIET}),
        (
            Spell(
                "AWS",
                "error",
                options={"name": "InvalidRuntimeException", "function": "echo-meta"},
                scope=Scope.FUNCTION,
            ),
        ),
    ),
    Case(
        "flapping",
        "AWS refuses connections for 5 s, works for 5 s, and so on",
        "outage",
        frozenset({Promise.COMPLETE, Promise.FEW_MOVES}),
        (_out("refused", begin=0.1, end=1.0, flap=[5, 5]),),
        seconds=55.0,
    ),
    Case(
        "slow-ramp",
        "AWS gets slower and slower, to ten times as long",
        "outage",
        _SINGLE,
        (
            Spell(
                "AWS", "slow", options={"delay_ms": 0, "factor": 10, "ramp_seconds": 6}, executed=Executed.YES
            ),
        ),
    ),
    Case(
        "corrupt-body",
        "AWS answers with broken JSON",
        "outage",
        frozenset({Promise.PLACES_QUIET}),
        (_maybe("corrupt", Executed.YES, Scope.RESPONSE),),
    ),
    Case(
        "expired-credentials",
        "AWS takes the credentials for expired",
        "outage",
        frozenset({Promise.COMPLETE, Promise.PLACES_QUIET}),
        (Spell("AWS", "expired-credentials", scope=Scope.CREDENTIALS),),
    ),
    Case(
        "slow-fallback",
        "AWS refuses connections, and the fallback takes 400 ms a call",
        "outage",
        _SINGLE,
        (
            _out("refused"),
            Spell("GCP", "slow", options={"delay_ms": 400}, executed=Executed.YES),
            Spell("AZURE", "slow", options={"delay_ms": 400}, executed=Executed.YES),
        ),
    ),
    Case(
        "both-down-one-back",
        "all clouds refuse connections; GCP and Azure come back first",
        "outage",
        frozenset(),
        (
            _out("refused", "AWS", 0.4, 0.8),
            _out("refused", "GCP", 0.4, 0.6),
            _out("refused", "AZURE", 0.4, 0.6),
        ),
    ),
    Case(
        "database-down",
        "AWS's database is down, so that its functions raise",
        "outage",
        frozenset({Promise.NO_SIDESTEPS, Promise.QUIET}),
        (_maybe("function-raises", Executed.YES, Scope.FUNCTION),),
    ),
    Case(
        "database-down-failover-on",
        "the same, and the steps say failoverOn: functionError",
        "outage",
        frozenset({Promise.QUIET}),
        (_maybe("function-raises", Executed.YES, Scope.FUNCTION),),
        on_function_error=True,
    ),
    Case(
        "killed-mid-sidestep",
        "AWS refuses connections, and the server is killed while it sidesteps",
        "outage",
        _SINGLE,
        (_out("refused"),),
        (Deed(Act.KILL_SERVER, 0.42, 0.46),),
        settings=_SHORT_LEASE,
    ),
    Case(
        "second-replica",
        "AWS is a black hole; two replicas",
        "outage",
        frozenset({Promise.COMPLETE, Promise.CHEAP, Promise.OPENS_FAST, Promise.OTHERS_KNOW}),
        (_maybe("blackhole"),),
        replicas=2,
        # Each replica has half of the calls, and takes twice as long to know how long they take.
        seconds=30.0,
    ),
    Case(
        "partitioned-replica",
        "AWS refuses connections, and one of two replicas is cut off from the store",
        "outage",
        _SINGLE,
        (_out("refused"),),
        (Deed(Act.CUT_STORE, 0.3, 0.7),),
        replicas=2,
        settings=_SHORT_LEASE,
    ),
)

CATALOGUE: Final = (*OUTAGES, *ROWS, *HEALTHY_DAYS, *REPLAYS)
"""In the order in which the table shows them."""


def case_of(name: str) -> Case:
    """The case of this name. Raises KeyError."""
    return {one.name: one for one in CATALOGUE}[name]
