"""Numbers for Prometheus."""

import asyncio
import logging
from importlib.metadata import version

import msgspec
from fastapi import APIRouter, Request, Response

from api.metrics import MEDIA_TYPE, Numbers, exposition, numbers, of_memory
from api.runtime import Runtime
from api.schemas import openapi as docs
from api.services import process_of, siblings_of
from api.siblings import Siblings
from core.errors import StoreError

log = logging.getLogger("sidestep.server")

COUNTING_SECONDS = 5.0

router = APIRouter(tags=["health"])


@router.get("/metrics", **docs.METRICS)
async def show_metrics(request: Request) -> Response:
    """Executions by status, attempts by provider and by what they showed, of every process of this port."""
    runtime = process_of(request)
    counts, seen = await asyncio.gather(_counts(runtime), _seen(runtime, siblings_of(request)))
    return Response(exposition(version("sidestep"), counts, seen), media_type=MEDIA_TYPE)


def numbers_of(runtime: Runtime) -> Numbers:
    """What this process saw."""
    board, keeper = runtime.board, runtime.housekeeping
    return (
        *numbers(
            board.report(), board.sidesteps, board.openings, runtime.restarts, keeper.removed, keeper.mended
        ),
        *of_memory(runtime.memory.resident, runtime.memory.limit, runtime.memory.refused),
    )


async def _counts(runtime: Runtime) -> dict[str, int] | None:
    """The store's executions by status; None where it does not answer: the rest is told all the same."""
    if not runtime.open:
        return None
    try:
        async with asyncio.timeout(COUNTING_SECONDS):
            return await runtime.executions.counts()
    except (StoreError, TimeoutError):
        return None


async def _seen(runtime: Runtime, siblings: Siblings | None) -> dict[int | None, Numbers]:
    """What each process saw, by its place."""
    own = numbers_of(runtime)
    if siblings is None:
        return {None: own}
    seen = {siblings.number: own}
    for place, said in (await siblings.ask()).items():
        try:
            seen[place] = msgspec.json.decode(said, type=Numbers)
        except (msgspec.DecodeError, ValueError):
            log.warning("process %d did not tell its numbers whole", place)
    return {place: seen[place] for place in sorted(seen)}
