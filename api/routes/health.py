"""Whether the server is there: for people, load balancers and orchestrators. No cloud's outage counts."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import RETRY_AFTER
from api.schemas import openapi as docs
from api.services import process_of

LINKS = {
    "executions": "/executions",
    "workflows": "/workflows",
    "providers": "/providers",
    "health": "/health",
    "ready": "/readyz",
    "metrics": "/metrics",
}

router = APIRouter(tags=["health"])


@router.get("/", **docs.INDEX)
async def index(request: Request) -> Response:
    """What there is."""
    served = {route.path for route in request.app.state.routes}
    links = {name: path for name, path in LINKS.items() if path in served}
    links["openapi"] = "/openapi.json"
    return answer({"name": "Sidestep", "version": version("sidestep"), "links": links})


@router.get("/health", **docs.HEALTH)
async def health() -> Response:
    """The server answers, and this is its version."""
    return answer({"status": "OK", "version": version("sidestep")})


@router.get("/livez", **docs.LIVE)
async def alive() -> Response:
    """The process serves requests; if this fails, start it again."""
    return answer({"status": "OK"})


@router.get("/readyz", **docs.READY)
async def ready(request: Request) -> Response:
    """Store and engine work: send this process requests. Clouds may be down; that is what it is for."""
    runtime = process_of(request)
    why_not = await runtime.unready()
    body: dict[str, Any] = {
        "status": "OK" if why_not is None else "UNAVAILABLE",
        "role": runtime.role,
        "engineRestarts": runtime.restarts,
    }
    if why_not is None:
        note = runtime.note()
        return answer(body if note is None else {**body, "note": note})
    return answer({**body, "error": why_not}, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER)
