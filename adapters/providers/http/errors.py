"""What an HTTP service's answers mean, where our wrapper's mark does not say it."""

from adapters.providers.wire import outcomes
from adapters.providers.wire.rows import (
    GATEWAY_TIMEOUT,
    NOT_DEPLOYED,
    PROVIDER_FAULT,
    REFUSED_REQUEST,
    THROTTLED,
    UNAUTHORISED,
    Row,
)
from core.failover.outcome import Executed, Scope

ROWS = (
    THROTTLED,
    UNAUTHORISED,
    NOT_DEPLOYED,
    REFUSED_REQUEST,
    Row(
        statuses=(500,),
        executed=Executed.MAYBE,
        scope=Scope.FUNCTION,
        signal="unmarked-500",
        error=outcomes.FUNCTION_FAULT,
        cause="a 500 without our wrapper's mark; an exception of the service's own code looks so",
    ),
    GATEWAY_TIMEOUT,
    PROVIDER_FAULT,
)
"""In order; the first row that means an answer counts."""
