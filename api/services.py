"""What a route finds on the application: the runtime and the limits."""

from typing import cast

from starlette.requests import Request

from api.limits import Limits
from api.runtime import Runtime
from api.siblings import Siblings
from core.errors import StoreUnavailable


def runtime_of(request: Request) -> Runtime:
    """The services of this process. Raises StoreUnavailable until its store has been opened."""
    runtime = process_of(request)
    if not runtime.open:
        raise StoreUnavailable("the store has not answered since the start")
    return runtime


def process_of(request: Request) -> Runtime:
    """The services of this process for those who ask after itself, whether its store is there or not."""
    return cast("Runtime", request.app.state.runtime)


def siblings_of(request: Request) -> Siblings | None:
    """The other processes of this port; None where there are none."""
    return cast("Siblings | None", request.app.state.siblings)


def limits_of(request: Request) -> Limits:
    """The bounds of the edge."""
    return cast("Limits", request.app.state.limits)
