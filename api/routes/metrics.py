"""Numbers for Prometheus."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from api.metrics import MEDIA_TYPE, exposition
from api.schemas import openapi as docs
from api.services import runtime_of

router = APIRouter(tags=["health"])


@router.get("/metrics", **docs.METRICS)
async def show_metrics(request: Request) -> Response:
    """Executions by status, attempts by provider and by what they showed."""
    runtime = runtime_of(request)
    counts = await runtime.executions.counts()
    board = runtime.board
    page = exposition(version("sidestep"), counts, board.report(), board.sidesteps, runtime.restarts)
    return Response(page, media_type=MEDIA_TYPE)
