"""What answers of Azure Functions mean, where our wrapper's mark does not say it."""

from adapters.providers.wire import outcomes
from adapters.providers.wire.rows import CLIENT_ROWS, SERVER_ROWS, Row, no_instance
from core.failover.outcome import Executed, Scope

APP_STOPPED = Row(
    statuses=(403,),
    # The page that App Service shows for an app that its owner stopped.
    phrases=("web app is stopped", "site disabled"),
    executed=Executed.NO,
    scope=Scope.FUNCTION,
    signal="azure-app-stopped",
    error=outcomes.NOT_DEPLOYED,
    cause="the function app is stopped",
)

ROWS = (
    APP_STOPPED,
    *CLIENT_ROWS,
    # "Function host is not running." is what the front end says while the host starts or cannot start.
    no_instance((503,), "function host is not running", "no instance available", "no available instance"),
    *SERVER_ROWS,
)
"""In order; the first row that means an answer counts. The front end's limit of 230 s shows as 502 or 504."""
