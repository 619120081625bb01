"""The application: routes, errors and the edge, put together. Nothing happens at import."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.allowance import default_limit
from api.bootstrap import build
from api.direct import route_of
from api.edge import LOOPBACK_NAMES, Edge
from api.limits import Limits
from api.problems import Refusal, of_http, refusal_for
from api.roles import Role
from api.routes import (
    bulk,
    callbacks,
    events,
    executions,
    health,
    lifecycle,
    metrics,
    pictures,
    providers,
    signals,
    trials,
    workflows,
)
from api.runtime import Runtime
from api.schemas.openapi import components
from api.settings import Settings
from api.siblings import Siblings
from core.errors import SidestepError

log = logging.getLogger("sidestep.api")

WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - names that are no host's own, not an address to bind


class Api(FastAPI):
    """FastAPI behind the edge. Its document also has the schemas of the views."""

    edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is none is the framework's."""
        if scope["type"] == "http":
            scope["app"] = self
            await self.edge(scope, receive, send)
        else:
            await self.framework(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The framework without the edge."""
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(components())
            for path in document["paths"].values():
                for operation in path.values():
                    answers = operation["responses"]
                    if answers.get("422", {}).get("description") == "Validation Error":
                        # FastAPI's own form of an invalid request, which is never sent.
                        del answers["422"]
        return super().openapi()


def create_app(
    settings: Settings,
    runtime: Runtime | None = None,
    limits: Limits | None = None,
    role: Role = Role.BOTH,
    siblings: Siblings | None = None,
) -> Api:
    """The application. A `runtime` that is given was started by the caller, who also stops it; otherwise
    one is built from `settings`, and lives as long as the application runs. That of a worker tells of its
    health and takes no requests. `siblings` are the other processes of its port, where there are any.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if runtime is not None:
            app.state.runtime = runtime
            yield
            return
        own = build(settings, role)
        await own.start()
        app.state.runtime = own
        try:
            yield
        finally:
            await own.stop()

    memory_limit = (settings.memory_limit or default_limit()) if runtime is None else runtime.memory.limit
    limits = (limits or settings.limits()).within(memory_limit)
    app = Api(
        title="Sidestep",
        summary="Workflows that complete while a cloud is down.",
        version=version("sidestep"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.limits = limits
    app.state.siblings = siblings
    app.state.streams = asyncio.Semaphore(limits.streams)
    app.state.waits = asyncio.Semaphore(limits.waits)
    told = (executions, lifecycle, signals, callbacks, bulk, events)
    serving = (*told, trials, workflows, pictures, providers) if role.serves else ()
    parts = (*serving, health, metrics)
    routers = [part.router for part in parts]
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(SidestepError, _failed)
    app.add_exception_handler(HTTPException, _unrouted)
    own_name = () if settings.host in WILDCARDS else (settings.host,)
    names = (*own_name, *settings.public_names(), *settings.allowed_hosts)
    # Its runtime is there before the first request is.
    app.edge = Edge(
        app.framework,
        limits=limits,
        hosts=(*LOOPBACK_NAMES, *names),
        memory=lambda: app.state.runtime.memory,
        direct=route_of if role.serves else lambda _: None,
    )
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.response()


async def _failed(_request: Request, error: Exception) -> Response:
    if not isinstance(error, SidestepError):
        raise error
    return refusal_for(error).response()


async def _unrouted(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return of_http(error, request).response()
