"""One request of many executions."""

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.schemas import bulk as docs
from api.schemas.queries import no_query
from api.services import runtime_of
from core.engine.bulk import Action, in_bulk

router = APIRouter(tags=["executions"])


@router.post("/executions/bulk", **docs.BULK)
async def ask_in_bulk(request: Request) -> Response:
    """Ask the same of every execution that a filter finds, a stretch of them at each call."""
    no_query(request)
    order = await docs.read_order(request)
    runtime = runtime_of(request)
    if order.action is Action.REDRIVE and not order.dry_run:
        runtime.memory.check()
    return answer(await in_bulk(runtime.executions, runtime.store, runtime.clock, order))
