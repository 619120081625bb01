"""What people ask of an execution that exists: pause, resume, redrive, resolve, rerun, removal.

An `Idempotency-Key` is the message's id, scoped by what is asked: the same request again changes nothing.
"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import invalid_request, told
from api.schemas import lifecycle as docs
from api.schemas.headers import idempotency_key
from api.schemas.lifecycle import read_asked
from api.schemas.queries import no_query
from api.services import runtime_of
from core.engine.view import summary_of
from core.errors import ExecutionNotFound, InvalidInput, Problem
from core.machine.requests import PAUSE, REDRIVE, RESOLVE, RESUME
from core.machine.transitions import PENDING

router = APIRouter(tags=["executions"])


@router.post("/executions/{execution_id}/pause", status_code=202, **docs.PAUSE)
async def pause_execution(request: Request, execution_id: str) -> Response:
    """Ask that nothing new starts."""
    return await _ask(request, execution_id, PAUSE)


@router.post("/executions/{execution_id}/resume", status_code=202, **docs.RESUME)
async def resume_execution(request: Request, execution_id: str) -> Response:
    """Let a paused execution go on."""
    return await _ask(request, execution_id, RESUME)


@router.post("/executions/{execution_id}/redrive", status_code=202, **docs.REDRIVE)
async def redrive_execution(request: Request, execution_id: str) -> Response:
    """Run again from what failed, keeping what completed."""
    return await _ask(request, execution_id, REDRIVE)


@router.post("/executions/{execution_id}/resolve", status_code=202, **docs.RESOLVE)
async def resolve_execution(request: Request, execution_id: str) -> Response:
    """Settle a parked step, in a person's name."""
    return await _ask(request, execution_id, RESOLVE)


@router.post("/executions/{execution_id}/rerun", status_code=201, **docs.RERUN)
async def rerun_execution(request: Request, execution_id: str) -> Response:
    """A new execution of the same definition."""
    no_query(request)
    key = idempotency_key(request)
    asked = await read_asked(request, rerun=True)
    runtime = runtime_of(request)
    try:
        created = await runtime.executions.rerun(
            execution_id, asked.input, actor=asked.actor, reason=asked.reason, idempotency_key=key
        )
    except InvalidInput as refused:
        problem = Problem("/input", "wrong-type", f"The request: {refused}.", "Make it an object.")
        raise invalid_request((told(problem),)) from None
    record = await runtime.store.get(created.execution_id)
    headers = {"location": f"/executions/{created.execution_id}"}
    if not created.fresh:
        headers["idempotency-replayed"] = "true"
    status = PENDING if created.fresh else record.summary.status
    body = {"executionId": created.execution_id, "workflowId": record.workflow_id, "status": status}
    return answer(body, HTTPStatus.CREATED, headers)


@router.delete("/executions/{execution_id}", status_code=204, **docs.REMOVE)
async def remove_execution(request: Request, execution_id: str) -> Response:
    """Remove an execution that has ended, with all that belongs to it."""
    no_query(request)
    if not await runtime_of(request).store.remove(execution_id):
        raise ExecutionNotFound(execution_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _ask(request: Request, execution_id: str, kind: str) -> Response:
    """Deliver the request: 202 where it was taken now, 200 where it was taken before."""
    no_query(request)
    key = idempotency_key(request)
    message_id = None if key is None else f"{kind}:{key}"
    asked = await read_asked(request, resolve=kind == RESOLVE)
    runtime = runtime_of(request)
    life = runtime.executions
    if asked.verdict is not None:
        fresh = await life.resolve(
            execution_id,
            step=asked.step,
            verdict=asked.verdict,
            output=asked.output,
            error=asked.error,
            cause=asked.cause,
            actor=asked.actor,
            reason=asked.reason,
            message_id=message_id,
        )
    else:
        call = {PAUSE: life.pause, RESUME: life.resume, REDRIVE: life.redrive}[kind]
        fresh = await call(execution_id, actor=asked.actor, reason=asked.reason, message_id=message_id)
    record = await runtime.store.get(execution_id)
    body = {**summary_of(record), "accepted": "now" if fresh else "before"}
    return answer(body, HTTPStatus.ACCEPTED if fresh else HTTPStatus.OK)
