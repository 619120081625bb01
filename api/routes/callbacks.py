"""How calls that were accepted ended, told by whoever holds their token."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.schemas import words as docs
from api.schemas.headers import idempotency_key
from api.schemas.queries import no_query
from api.services import runtime_of

router = APIRouter(tags=["executions"])


@router.post("/callbacks/{token}", status_code=202, **docs.CALLBACK)
async def call_back(request: Request, token: str) -> Response:
    """Say how the step ended, or that whoever works on it lives."""
    no_query(request)
    key = idempotency_key(request)
    word = await docs.read_word(request)
    taken = await runtime_of(request).callbacks.call_back(token, word, key=key)
    body = {
        "executionId": taken.execution_id,
        "visit": taken.visit,
        "messageId": taken.message_id,
        "fresh": taken.fresh,
    }
    return answer(body, HTTPStatus.ACCEPTED)
