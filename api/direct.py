"""The two calls that are made most, answered without the web framework.

Between the edge and a route, FastAPI puts middleware, a router and a solver of dependencies, of which these
routes use nothing: their functions take a request and give an answer. They are the same functions that
FastAPI has as routes, so there is one implementation, and its document describes both.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from api.problems import Refusal, refusal_for
from api.routes.executions import create_execution, show_execution
from core.errors import SidestepError

Route = Callable[[Request], Awaitable[Response]]

_ONE = "/executions/"


class WholeRequest(Request):
    """A request whose body has come."""

    def __init__(self, scope: Scope, receive: Receive, body: bytes) -> None:
        super().__init__(scope, receive)
        self._whole = body

    async def body(self) -> bytes:
        """The body."""
        return self._whole


def route_of(scope: Scope) -> Route | None:
    """What answers this request directly; None where the framework does."""
    method, path = scope["method"], scope["path"]
    if method == "POST":
        return create_execution if path == "/executions" else None
    if method == "GET" and path.startswith(_ONE):
        execution_id = path[len(_ONE) :]
        if execution_id and "/" not in execution_id:
            return lambda request: show_execution(request, execution_id)
    return None


async def answered(route: Route, request: Request) -> Response:
    """The route's answer; what it raises is a problem, as the framework's handlers have it."""
    try:
        return await route(request)
    except Refusal as refused:
        return refused.response()
    except SidestepError as error:
        return refusal_for(error).response()
