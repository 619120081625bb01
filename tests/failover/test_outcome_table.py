"""Whom each row of the table of signals speaks against, in terms of what the adapters make of it."""

import pytest

from core.failover.evidence import Against, against
from core.failover.outcome import Executed, Outcome, Scope, interrupted, succeeded

NO, MAYBE, YES = Executed.NO, Executed.MAYBE, Executed.YES

ROWS = {
    "DNS, refused, TLS, connect timeout": (Outcome(executed=NO, scope=Scope.PROVIDER), Against.PROVIDER),
    "reset or EOF after the request": (Outcome(executed=MAYBE, scope=Scope.PROVIDER), Against.PROVIDER),
    "read timeout, 502, 504": (Outcome(executed=MAYBE, scope=Scope.PROVIDER), Against.PROVIDER),
    "throttled": (Outcome(executed=NO, scope=Scope.SATURATION, retry_here=True), Against.SATURATION),
    "throttled, with a wish": (
        Outcome(executed=NO, scope=Scope.SATURATION, status=429, retry_after_ms=3_000),
        Against.SATURATION,
    ),
    "Lambda's ServiceException": (
        Outcome(executed=MAYBE, scope=Scope.PROVIDER, status=500),
        Against.PROVIDER,
    ),
    "Lambda's 502 family": (Outcome(executed=NO, scope=Scope.FUNCTION, status=502), Against.FUNCTION),
    "Lambda's 408, 409, 410": (
        Outcome(executed=NO, scope=Scope.FUNCTION, retry_here=True),
        Against.FUNCTION,
    ),
    "a request that is wrong": (Outcome(executed=NO, scope=Scope.CALLER, status=400), Against.NOBODY),
    "not deployed there": (Outcome(executed=NO, scope=Scope.FUNCTION, status=404), Against.FUNCTION),
    "credentials": (Outcome(executed=NO, scope=Scope.CREDENTIALS, status=401), Against.FUNCTION),
    "the function's own error": (
        Outcome(executed=YES, scope=Scope.FUNCTION, error="ValueError"),
        Against.NOBODY,
    ),
    "Lambda's Task timed out": (
        Outcome(executed=YES, scope=Scope.FUNCTION, partial=True),
        Against.FUNCTION,
    ),
    "503": (Outcome(executed=MAYBE, scope=Scope.PROVIDER, status=503), Against.PROVIDER),
    "503, no instance was available": (
        Outcome(executed=NO, scope=Scope.PROVIDER, status=503),
        Against.PROVIDER,
    ),
    "a 500 without a marker": (Outcome(executed=MAYBE, scope=Scope.FUNCTION, status=500), Against.FUNCTION),
    "another 5xx without a marker": (Outcome(executed=MAYBE, scope=Scope.PROVIDER), Against.PROVIDER),
    "its owner died": (interrupted(), Against.UNKNOWN),
    "a 2xx that is broken": (Outcome(executed=YES, scope=Scope.RESPONSE, status=200), Against.FUNCTION),
    "success": (succeeded({"n": 1}), Against.NOBODY),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_signal_speaks_against_whom_the_table_says(row: str) -> None:
    outcome, whom = ROWS[row]
    assert against(outcome) is whom


@pytest.mark.parametrize("scope", Scope)
def test_a_success_speaks_against_nobody_whatever_else_it_says(scope: Scope) -> None:
    assert against(Outcome(executed=YES, ok=True, scope=scope)) is Against.NOBODY
