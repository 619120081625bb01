"""What a route finds on the application: the runtime and the limits."""

from typing import cast

from starlette.requests import Request

from api.limits import Limits
from api.runtime import Runtime


def runtime_of(request: Request) -> Runtime:
    """The services of this process."""
    return cast("Runtime", request.app.state.runtime)


def limits_of(request: Request) -> Limits:
    """The bounds of the edge."""
    return cast("Limits", request.app.state.limits)
