"""Bodies of signals and callbacks, and what /openapi.json says of those calls."""

from http import HTTPStatus
from typing import Any, Final, cast

from starlette.requests import Request

from api.problems import Refusal, invalid_request, told
from api.schemas.bodies import read_json
from core.data.decoding import loads
from core.engine.callbacks import Word
from core.errors import InvalidInput
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings
from core.graph.limits import Limits
from core.graph.model import Json
from core.machine.answerable import SAID, Said

MAX_BYTES: Final = 256 * 1024
"""Of a signal's payload, and of a callback's whole body."""

MAX_NAME: Final = 128
MAX_ERROR: Final = 256
MAX_CAUSE: Final = 32_768

_GOES_WITH: Final = {"output": "success", "error": "failure", "cause": "failure"}


async def read_payload(request: Request) -> Json:
    """A signal's payload: any JSON, and null where there is no body. Raises a Refusal."""
    body = await request.body()
    _measure(body)
    if not body:
        return None
    try:
        return loads(body, max_bytes=MAX_BYTES)
    except InvalidInput as refused:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            "unreadable-body",
            "Unreadable request body",
            f"{refused} Nothing was done.",
        ) from None


def signal_name(name: str) -> str:
    """The name as it is. Raises a Refusal where a definition cannot have it."""
    if not 0 < len(name) <= MAX_NAME:
        detail = f"A signal's name has 1 to {MAX_NAME} characters. Use the one that the WAIT names."
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid-request", "Invalid request", detail)
    return name


async def read_word(request: Request) -> Word:
    """What a callback says. Raises a Refusal that lists every problem."""
    _measure(await request.body())
    document = await read_json(request)
    findings = Findings(Limits(), None)
    fields = object_at(findings, document, (), "The request")
    word = Word(status="success")
    if fields is not None:
        mend = f"Say what came of it: one of {', '.join(SAID)}."
        status = fields.one_of("status", SAID, "unknown-status", required=mend)
        output = fields.raw("output")
        error = fields.text("error", limit=MAX_ERROR)
        cause = fields.text("cause", limit=MAX_CAUSE, empty=True)
        _fit(fields, status)
        fields.close()
        if status is not None:
            word = Word(status=cast("Said", status), output=output, error=error or "", cause=cause or "")
    if findings.errors:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return word


def _measure(body: bytes) -> None:
    if len(body) > MAX_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body-too-large",
            "Body too large",
            f"What a step is told may have {MAX_BYTES} bytes at most. Put large data into a storage of "
            "yours, and send where it is.",
        )


def _fit(fields: Fields, status: str | None) -> None:
    """Note what another status would use, and this one would drop silently."""
    if status is None:
        return
    for name, goes_with in _GOES_WITH.items():
        if status != goes_with and fields.has(name):
            detail = f'\'{name}\' goes with "status": "{goes_with}", and this says "{status}".'
            fields.wrong(name, "pointless", detail, "Remove it, or change 'status'.")


_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key again changes nothing.",
    "schema": {"type": "string"},
}


def _taken(**more: Any) -> dict[str, Any]:
    properties = {
        "executionId": {"type": "string"},
        **more,
        "messageId": {"type": "string"},
        "fresh": {"type": "boolean", "description": "False: this message was taken before."},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"description": "Taken; durable.", "content": {"application/json": {"schema": schema}}}


def _refusals(**texts: str) -> dict[int, dict[str, Any]]:
    return {int(status[1:]): {"description": text, "content": _PROBLEM} for status, text in texts.items()}


SIGNAL: Final[dict[str, Any]] = {
    "responses": {
        202: _taken(signal={"type": "string"}),
        **_refusals(
            _400="It cannot be used.",
            _404="There is no such execution.",
            _409="The execution has ended.",
            _413="The payload is too large.",
        ),
    },
    "openapi_extra": {
        "parameters": [_KEY],
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": {}, "example": {"approved": True, "by": "ada"}}},
        },
    },
}
CALLBACK: Final[dict[str, Any]] = {
    "responses": {
        202: _taken(visit={"type": "string"}),
        **_refusals(
            _400="It cannot be used; every problem is listed.",
            _404="The token was not made here, or its execution is gone.",
            _409="The step has its result, or takes no such word now; the sentence says why.",
            _413="The body is too large.",
        ),
    },
    "openapi_extra": {
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["status"],
                        "properties": {
                            "status": {"type": "string", "enum": list(SAID)},
                            "output": {"description": "With success: any JSON."},
                            "error": {"type": "string", "maxLength": MAX_ERROR},
                            "cause": {"type": "string", "maxLength": MAX_CAUSE},
                        },
                    },
                    "example": {"status": "success", "output": {"approved": True}},
                }
            },
        },
    },
}
_WAIT: Final = {
    "type": "object",
    "required": ["visit", "stepId", "kind"],
    "properties": {
        "visit": {"type": "string"},
        "stepId": {"type": "string"},
        "kind": {"type": "string", "enum": ["signal", "callback", "poll", "timer"]},
        "name": {"type": "string", "description": "The signal's."},
        "callbackUrl": {"type": "string", "description": "Whoever has it can say how the step ended."},
        "since": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
        "nextPollAt": {"type": "string", "format": "date-time"},
    },
}
WAITS: Final[dict[str, Any]] = {
    "responses": {
        200: {
            "description": "What it waits for, by visit.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["executionId", "waits"],
                        "properties": {
                            "executionId": {"type": "string"},
                            "waits": {"type": "array", "items": _WAIT},
                        },
                    }
                }
            },
        },
        **_refusals(_404="There is no such execution."),
    }
}
