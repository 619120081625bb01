"""What answers of Cloud Functions and Cloud Run mean, where our wrapper's mark does not say it."""

from collections.abc import Iterable

from adapters.providers.wire import outcomes, platform
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.rows import (
    GATEWAY_TIMEOUT,
    NOT_DEPLOYED,
    PROVIDER_FAULT,
    REFUSED_REQUEST,
    THROTTLED,
    UNAUTHORISED,
    Row,
)
from core.failover.outcome import Executed, Outcome, Scope

ROWS = (
    THROTTLED,
    UNAUTHORISED,
    NOT_DEPLOYED,
    REFUSED_REQUEST,
    Row(
        statuses=(500, 503),
        # "The request was aborted because there was no available instance" (Cloud Run, troubleshooting).
        phrases=("no available instance", "no instance available", "no instance was available"),
        executed=Executed.NO,
        scope=Scope.PROVIDER,
        signal="no-instance",
        error=outcomes.UNAVAILABLE,
        cause="no instance was available to take the request",
    ),
    Row(
        statuses=(500,),
        executed=Executed.MAYBE,
        scope=Scope.FUNCTION,
        signal="unmarked-500",
        error=outcomes.FUNCTION_FAULT,
        cause="a 500 without a mark; an exception of the function's own code looks so",
    ),
    GATEWAY_TIMEOUT,
    PROVIDER_FAULT,
)
"""In order; the first row that means an answer counts."""

_STATUS_HEADER, _CRASH = "X-Google-Status", "crash"
_SERVER_ERROR = 500


def classify(reply: Reply, secrets: Iterable[str]) -> Outcome:
    """What an answer proves. `X-Google-Status: crash` is how functions-framework marks an exception."""
    crashed = reply.status == _SERVER_ERROR and reply.headers.get(_STATUS_HEADER) == _CRASH
    if crashed and platform.MARK not in reply.headers:
        return platform.function_error(reply, secrets, cause="the function raised an exception")
    return platform.classify(reply, ROWS, secrets)
