"""The body of a bulk request, and what /openapi.json says of it."""

import secrets
from typing import Any, Final

from starlette.requests import Request

from api.problems import invalid_request, told
from api.schemas.bodies import MAX_ACTOR, MAX_REASON, read_json
from api.schemas.headers import MAX_KEY, idempotency_key
from api.schemas.instants import EXAMPLE, epoch_ms
from api.schemas.queries import CURSOR
from core.engine.bulk import Action, Order
from core.engine.spans import Span
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings, shown
from core.graph.limits import Limits
from core.graph.model import Json
from core.machine.transitions import EXECUTION_STATUSES
from core.ports.store import Filter

MOST: Final = 500
"""Executions that one call looks at, at most."""

USUALLY: Final = 100


async def read_order(request: Request) -> Order:
    """The body. Raises a Refusal that lists every problem."""
    key = idempotency_key(request)
    document = await read_json(request)
    findings = Findings(Limits(), None)
    fields = object_at(findings, document, (), "The request")
    order = None if fields is None else _order(fields, key)
    if findings.errors or order is None:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return order


def _order(fields: Fields, key: str | None) -> Order | None:
    actions = tuple(action.value for action in Action)
    mend = f"Say what is asked: one of {', '.join(actions)}."
    action = fields.one_of("action", actions, "unknown-action", required=mend)
    wanted, span = _filter(fields)
    bulk_id = _bulk_id(fields, key)
    reason = fields.text("reason", limit=MAX_REASON, empty=True) or ""
    actor = fields.text("actor", limit=MAX_ACTOR, empty=True) or ""
    limit = fields.whole("limit", 1, MOST, "") or USUALLY
    cursor = fields.text("cursor")
    if cursor is not None and not CURSOR.fullmatch(cursor):
        mend = "Send the 'nextCursor' of the call before as it is, or leave it out to begin at the newest."
        fields.wrong("cursor", "invalid-cursor", f"{shown(cursor)} is no cursor.", mend)
    dry_run = _flag(fields, "dryRun") or False
    fields.close()
    if action is None:
        return None
    return Order(
        action=Action(action),
        bulk_id=bulk_id,
        wanted=wanted,
        span=span,
        reason=reason,
        actor=actor,
        limit=limit,
        cursor=cursor,
        dry_run=dry_run,
    )


def _filter(fields: Fields) -> tuple[Filter, Span]:
    given = fields.members("filter")
    if given is None:
        if not fields.has("filter"):
            # A filter that was forgotten must not stand for everything there is.
            fields.missing("filter", "Say which executions are meant; {} means every one.")
        return Filter(), Span()
    inside = Fields(fields.findings, given, (*fields.place, "filter"), "The filter")
    status = inside.one_of("status", EXECUTION_STATUSES, "unknown-status")
    workflow_id = inside.identifier("workflowId")
    failed_over = _flag(inside, "failedOver")
    before, after = _instant(inside, "createdBefore"), _instant(inside, "createdAfter")
    if before is not None and after is not None and after >= before:
        detail = "'createdAfter' is not before 'createdBefore', so nothing can match."
        inside.wrong("createdAfter", "pointless", detail, "Change one of them.")
    inside.close()
    wanted = Filter(status=status, workflow_id=workflow_id, failed_over=failed_over)
    return wanted, Span(before_ms=before, after_ms=after)


def _bulk_id(fields: Fields, key: str | None) -> str:
    """What makes a repetition known: the header, or the member, or one that is made here."""
    said = fields.text("bulkId", limit=MAX_KEY)
    if said is not None and not (said.isascii() and said.isprintable()):
        fields.wrong("bulkId", "invalid-id", "'bulkId' must be printable ASCII.", "Use a UUID, for instance.")
    if said is not None and key is not None and said != key:
        detail = "'bulkId' and the Idempotency-Key differ, and they mean the same."
        fields.wrong("bulkId", "one-too-many", detail, "Leave one of them out.")
    return said or key or secrets.token_hex(16)


def _flag(fields: Fields, name: str) -> bool | None:
    value = fields.raw(name)
    if value is None or isinstance(value, bool):
        return value
    fields.wrong(
        name, "wrong-type", f"'{name}' must be true or false, not {shown(value)}.", "Make it either."
    )
    return None


def _instant(fields: Fields, name: str) -> int | None:
    value = fields.text(name)
    if value is None:
        return None
    ms = epoch_ms(value)
    if ms is None:
        detail = f"'{name}' is {shown(value)}, which is no time."
        fields.wrong(name, "invalid-time", detail, f"Use RFC 3339 with an offset: {EXAMPLE}.")
    return ms


_EXAMPLE: Final[Json] = {
    "action": "redrive",
    "filter": {"status": "FAILED", "workflowId": "order", "createdAfter": EXAMPLE},
    "reason": "the bank is back",
    "actor": "ada",
    "limit": 500,
}
_DONE: Final[Json] = {
    "bulkId": "8f14e45fceea167a5a36dedd4bea2543",
    "matched": 3,
    "applied": 1,
    "already": 1,
    "refused": [{"executionId": "01k9z3v8m4c2q7x5n0t6r1w8b3-0", "error": "it has not ended"}],
    "nextCursor": None,
    "dryRun": False,
}
_STRING: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_BODY: Final = _object(
    {
        "action": {"type": "string", "enum": [action.value for action in Action]},
        "filter": _object(
            {
                "status": {"type": "string", "enum": list(EXECUTION_STATUSES)},
                "workflowId": _STRING,
                "failedOver": {"type": "boolean"},
                "createdBefore": _TIME,
                "createdAfter": {**_TIME, "description": "At this time or later."},
            },
            (),
        ),
        "reason": {"type": "string", "maxLength": MAX_REASON},
        "actor": {"type": "string", "maxLength": MAX_ACTOR},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUALLY},
        "cursor": {"type": "string", "description": "`nextCursor` of the call before."},
        "bulkId": {"type": "string", "description": "As the Idempotency-Key; that of the call before."},
        "dryRun": {"type": "boolean", "default": False},
    },
    ("action", "filter"),
)
_ANSWER: Final = _object(
    {
        "bulkId": _STRING,
        "matched": _COUNT,
        "applied": _COUNT,
        "already": _COUNT,
        "refused": {
            "type": "array",
            "maxItems": MOST,
            "items": _object({"executionId": _STRING, "error": _STRING}, ("executionId", "error")),
        },
        "nextCursor": {"type": ["string", "null"]},
        "dryRun": {"type": "boolean"},
    },
    tuple(_DONE),
)
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

BULK: Final[dict[str, Any]] = {
    "description": "Ask the same of many executions: those that the filter finds, newest first, `limit` of "
    "them a call. Send `nextCursor` and `bulkId` back until `nextCursor` is null; nothing is applied twice.",
    "responses": {
        200: {
            "description": "What was done, and where to go on.",
            "content": {"application/json": {"schema": _ANSWER, "example": _DONE}},
        },
        400: {"description": "It cannot be used; every problem is listed.", "content": _PROBLEM},
        503: {"description": "Busy, or the store is away: send it again as it is.", "content": _PROBLEM},
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Names the walk: the same key again applies nothing twice.",
                "schema": _STRING,
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _BODY, "example": _EXAMPLE}},
        },
    },
}
