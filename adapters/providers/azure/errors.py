"""What answers of Azure Functions mean, where our wrapper's mark does not say it."""

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
    Row(
        statuses=(403,),
        # The page that App Service shows for an app that its owner stopped.
        phrases=("web app is stopped", "site disabled"),
        executed=Executed.NO,
        scope=Scope.FUNCTION,
        signal="azure-app-stopped",
        error=outcomes.NOT_DEPLOYED,
        cause="the function app is stopped",
    ),
    UNAUTHORISED,
    NOT_DEPLOYED,
    REFUSED_REQUEST,
    Row(
        statuses=(503,),
        # "Function host is not running." is what the front end says while the host starts or cannot start.
        phrases=("function host is not running", "no instance available", "no available instance"),
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
        cause="a 500 without our wrapper's mark; an exception of the function's own code looks so",
    ),
    GATEWAY_TIMEOUT,
    PROVIDER_FAULT,
)
"""In order; the first row that means an answer counts. The front end's limit of 230 s shows as 502 or 504."""
