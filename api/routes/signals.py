"""What an execution waits for, and the signals that it is sent."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.schemas import words as docs
from api.schemas.headers import idempotency_key
from api.schemas.queries import no_query
from api.services import runtime_of

router = APIRouter(tags=["executions"])


@router.get("/executions/{execution_id}/waits", **docs.WAITS)
async def show_waits(request: Request, execution_id: str) -> Response:
    """What it waits for: signals, callbacks, polls, times."""
    no_query(request)
    waits = await runtime_of(request).callbacks.waits(execution_id)
    return answer({"executionId": execution_id, "waits": waits})


@router.post("/executions/{execution_id}/signals/{name:path}", status_code=202, **docs.SIGNAL)
async def send_signal(request: Request, execution_id: str, name: str) -> Response:
    """Send a signal, with any JSON: the first WAIT for it takes it, now or later."""
    no_query(request)
    key = idempotency_key(request)
    payload = await docs.read_payload(request)
    taken = await runtime_of(request).callbacks.signal(
        execution_id,
        docs.signal_name(name),
        payload,
        key=key,
    )
    body = {
        "executionId": taken.execution_id,
        "signal": name,
        "messageId": taken.message_id,
        "fresh": taken.fresh,
    }
    return answer(body, HTTPStatus.ACCEPTED)
