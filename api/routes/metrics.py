"""Numbers for Prometheus."""

import asyncio
from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from api.metrics import MEDIA_TYPE, exposition
from api.runtime import Runtime
from api.schemas import openapi as docs
from api.services import process_of
from core.errors import StoreError

COUNTING_SECONDS = 5.0

router = APIRouter(tags=["health"])


@router.get("/metrics", **docs.METRICS)
async def show_metrics(request: Request) -> Response:
    """Executions by status, attempts by provider and by what they showed."""
    runtime = process_of(request)
    board = runtime.board
    page = exposition(
        version("sidestep"), await _counts(runtime), board.report(), board.sidesteps, runtime.restarts
    )
    return Response(page, media_type=MEDIA_TYPE)


async def _counts(runtime: Runtime) -> dict[str, int] | None:
    """The store's executions by status; None where it does not answer: the rest is told all the same."""
    if not runtime.open:
        return None
    try:
        async with asyncio.timeout(COUNTING_SECONDS):
            return await runtime.executions.counts()
    except (StoreError, TimeoutError):
        return None
