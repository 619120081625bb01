"""What /openapi.json says beside the routes: parameters, bodies, answers, examples."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from api.schemas.provider_docs import SCHEMAS
from core.engine.view import ExecutionView, HistoryEvent
from core.machine.transitions import EXECUTION_STATUSES

Json = dict[str, Any]

EXAMPLE: Final[Json] = {
    "id": "order",
    "startAt": "charge",
    "steps": [
        {
            "id": "charge",
            "type": "TASK",
            "provider": "AWS",
            "functionId": "charge-card",
            "fallbackProvider": "GCP",
            "effects": "idempotent",
            "retries": 2,
            "timeout": 3000,
        }
    ],
}
_EXECUTION_ID: Final = "01k9z3v8m4c2q7x5n0t6r1w8b3-0"
_SUMMARY: Final[Json] = {
    "executionId": _EXECUTION_ID,
    "workflowId": "order",
    "status": "COMPLETED",
    "currentStepId": None,
    "failedOver": True,
    "startedAt": "2026-01-02T03:04:05.678Z",
    "updatedAt": "2026-01-02T03:04:06.012Z",
}
_EVENT: Final[Json] = {
    "seq": 5,
    "timestamp": "2026-01-02T03:04:05.901Z",
    "type": "FAILED_OVER",
    "stepId": "charge",
    "details": {"visit": "charge", "reason": "..."},
}
_VERSION: Final[Json] = {
    "workflowId": "order",
    "version": 1,
    "digest": "9f2c...",
    "createdAt": "2026-01-02T03:04:05.678Z",
}


def _object(properties: Json, required: tuple[str, ...] = ()) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


_STRING: Final[Json] = {"type": "string"}
_INSTANT: Final[Json] = {"type": "string", "format": "date-time"}
_DEFINITION: Final[Json] = {
    "type": "object",
    "description": "A workflow's definition; see the reference of workflow JSON.",
    "required": ["id", "startAt", "steps"],
    "properties": {
        "id": {"type": "string", "maxLength": 128},
        "startAt": _STRING,
        "steps": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    },
}
_STATUS: Final[Json] = {"type": "string", "enum": list(EXECUTION_STATUSES)}

COMPONENTS: Final[Json] = {
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "instance": {"type": "string", "format": "uri"},
            "error": {"type": "string", "description": "One short sentence."},
            "problems": {
                "type": "array",
                "items": _object(
                    {
                        "pointer": {"type": "string", "description": "JSON Pointer into the body."},
                        "parameter": {"type": "string", "description": "The query parameter or header."},
                        "code": _STRING,
                        "detail": _STRING,
                        "mend": _STRING,
                        "severity": {"type": "string", "enum": ["error", "hint"]},
                    }
                ),
            },
        },
        ("type", "title", "status", "detail", "error", "problems"),
    ),
    "Definition": _DEFINITION,
    "Creation": _object(
        {
            "workflow": {"$ref": "#/components/schemas/Definition"},
            "workflowId": _STRING,
            "version": {"type": "integer", "minimum": 1},
            "input": {"default": {}},
        }
    ),
    "Created": _object(
        {"executionId": _STRING, "workflowId": _STRING, "status": _STATUS},
        ("executionId", "workflowId", "status"),
    ),
    "Summary": _object(
        {
            "executionId": _STRING,
            "workflowId": _STRING,
            "status": _STATUS,
            "currentStepId": {"type": ["string", "null"]},
            "failedOver": {"type": "boolean"},
            "startedAt": _INSTANT,
            "updatedAt": _INSTANT,
        },
        tuple(_SUMMARY),
    ),
    "WorkflowVersion": _object(
        {
            "workflowId": _STRING,
            "version": {"type": "integer"},
            "digest": _STRING,
            "createdAt": _INSTANT,
            "definition": {"$ref": "#/components/schemas/Definition"},
        },
        tuple(_VERSION),
    ),
}


def components() -> Json:
    """Every named schema; those of the engine's views are taken from their types."""
    _, views = msgspec.json.schema_components(
        (ExecutionView, HistoryEvent), ref_template="#/components/schemas/{name}"
    )
    return {**COMPONENTS, **SCHEMAS, **views}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(member: str, schema: str, cursor: str) -> Json:
    return _object({member: {"type": "array", "items": _ref(schema)}, cursor: {"type": ["string", "null"]}})


def _json(description: str, schema: Json, example: Any) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref("Problem")}}}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": _STRING}


def _body(schema: str, example: Any, *, required: bool = True) -> Json:
    return {
        "required": required,
        "content": {"application/json": {"schema": _ref(schema), "example": example}},
    }


def _doc(
    answers: Mapping[int, Json], *, parameters: tuple[Json, ...] = (), body: Json | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route."""
    extra: Json = {}
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        extra["requestBody"] = body
    common = {503: _problem("Busy, or the store is away; Retry-After says when to come back.")}
    return {"responses": {**answers, **common}, "openapi_extra": extra}


_LIMIT: Final = _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 500})
_CURSOR: Final = _query("cursor", "`nextCursor` of the page before.", _STRING)
_AFTER: Final = _query(
    "after", "The number of the last event already seen.", {"type": "integer", "minimum": 0, "default": 0}
)
_NOT_FOUND: Final = _problem("There is none.")
_WRONG: Final = _problem("It cannot be used; every problem is listed.")

CREATE = _doc(
    {
        201: _json(
            "Accepted: it is not lost any more. With `Prefer: wait`, the whole execution if it has ended.",
            {"anyOf": [_ref("Created"), _ref("ExecutionView")]},
            {"executionId": _EXECUTION_ID, "workflowId": "order", "status": "PENDING"},
        ),
        400: _WRONG,
        404: _problem("There is no workflow of this id and version."),
        413: _problem("The body is too large."),
        415: _problem("The body is not application/json."),
        410: _problem("The execution that the Idempotency-Key made has ended and was removed."),
        422: _problem("The Idempotency-Key was used for another request."),
    },
    parameters=(
        _header(
            "Idempotency-Key",
            "1 to 255 printable ASCII characters; the same request again is the same execution for 24 hours.",
        ),
        _header("Prefer", "`wait=N`: answer when the execution ends, or after N seconds (60 at most)."),
    ),
    body=_body("Creation", {"workflow": EXAMPLE, "input": {"amount": 12}}),
)
LIST = _doc(
    {
        200: _json(
            "Newest first.",
            _list("executions", "Summary", "nextCursor"),
            {"executions": [_SUMMARY], "nextCursor": None},
        ),
        400: _WRONG,
    },
    parameters=(
        _query("status", "Only these.", _STATUS),
        _query("workflowId", "Only of this workflow.", _STRING),
        _query("failedOver", "Only those that went to a fallback, or that did not.", {"type": "boolean"}),
        _query("createdBefore", "Only those created before.", _INSTANT),
        _query("createdAfter", "Only those created at this time or later.", _INSTANT),
        _CURSOR,
        _LIMIT,
    ),
)
SHOW = _doc(
    {
        200: {
            "description": "The execution, whole.",
            "content": {"application/json": {"schema": _ref("ExecutionView")}},
        },
        404: _NOT_FOUND,
    }
)
HISTORY = _doc(
    {
        200: _json(
            "In order.",
            _object(
                {
                    "executionId": _STRING,
                    "events": {"type": "array", "items": _ref("HistoryEvent")},
                    "nextAfter": {"type": ["integer", "null"]},
                }
            ),
            {"executionId": _EXECUTION_ID, "events": [_EVENT], "nextAfter": None},
        ),
        400: _WRONG,
        404: _NOT_FOUND,
    },
    parameters=(_AFTER, _LIMIT),
)
RESULTS = _doc(
    {
        200: _json(
            "By index; an item that has not ended is not among them.",
            _object(
                {
                    "executionId": _STRING,
                    "visit": _STRING,
                    "items": {"type": "integer"},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["index"],
                            "properties": {
                                "index": {"type": "integer"},
                                "output": {},
                                "error": _STRING,
                                "cause": _STRING,
                            },
                        },
                    },
                    "nextAfter": {"type": ["integer", "null"]},
                }
            ),
            {
                "executionId": _EXECUTION_ID,
                "visit": "each",
                "items": 3,
                "results": [{"index": 0, "output": {"paid": 12}}, {"index": 1, "error": "Declined"}],
                "nextAfter": 1,
            },
        ),
        400: _WRONG,
        404: _problem("There is no such execution, or it has entered no MAP by this path."),
    },
    parameters=(
        _query("visit", "The path of the MAP's visit, as the steps of the execution tell it.", _STRING),
        _query("after", "The index of the last result already seen.", {"type": "integer", "default": -1}),
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1_000}),
    ),
)
DEFINITION = _doc(
    {
        200: _json(
            "What it was created with.",
            _object({"executionId": _STRING, "digest": _STRING, "definition": _ref("Definition")}),
            {"executionId": _EXECUTION_ID, "digest": "9f2c...", "definition": EXAMPLE},
        ),
        404: _NOT_FOUND,
    }
)
EVENTS = _doc(
    {
        200: {
            "description": "Server-Sent Events: `id` is the event's number, `event` its type, `data` the "
            "event as JSON. The stream ends when the execution has ended, and when the server stops.",
            "content": {"text/event-stream": {"schema": _STRING}},
        },
        204: {"description": "The execution has ended and there is nothing after that event."},
        400: _WRONG,
        404: _NOT_FOUND,
    },
    parameters=(_AFTER, _header("Last-Event-ID", "As `after`, which it overrides.")),
)
CANCEL = _doc(
    {
        202: _json("Asked to stop.", _ref("Summary"), {**_SUMMARY, "status": "RUNNING", "accepted": "now"}),
        200: _json(
            "It was asked for before, or it is cancelled already.",
            _ref("Summary"),
            {**_SUMMARY, "status": "CANCELLED", "accepted": "before"},
        ),
        400: _WRONG,
        404: _NOT_FOUND,
        409: _problem("It has ended otherwise."),
    },
    parameters=(_header("Idempotency-Key", "The same key again changes nothing."),),
    body={
        "required": False,
        "content": {
            "application/json": {
                "schema": _object({"reason": _STRING, "actor": _STRING}),
                "example": {"reason": "ordered twice", "actor": "ada"},
            }
        },
    },
)
VALIDATE = _doc(
    {
        200: _json(
            "What is wrong with it, if anything.",
            _object(
                {"valid": {"type": "boolean"}, "problems": {"type": "array", "items": {"type": "object"}}}
            ),
            {"valid": True, "problems": []},
        ),
        400: _problem("The body cannot be read."),
    },
    body=_body("Definition", EXAMPLE),
)
WORKFLOWS = _doc(
    {
        200: _json(
            "By id; the newest version of each.",
            _list("workflows", "WorkflowVersion", "nextCursor"),
            {"workflows": [_VERSION], "nextCursor": None},
        ),
        400: _WRONG,
    },
    parameters=(_CURSOR, _LIMIT),
)
REGISTER = _doc(
    {
        201: _json("A new version.", _ref("WorkflowVersion"), _VERSION),
        200: _json("The newest version is the same already.", _ref("WorkflowVersion"), _VERSION),
        400: _WRONG,
    },
    body=_body("Definition", EXAMPLE),
)
WORKFLOW = _doc(
    {
        200: _json("With its definition.", _ref("WorkflowVersion"), {**_VERSION, "definition": EXAMPLE}),
        400: _WRONG,
        404: _NOT_FOUND,
    },
    parameters=(_query("version", "The newest, unless given.", {"type": "integer", "minimum": 1}),),
)
GRAPH = _doc(
    {
        200: {
            "description": "The picture.",
            "content": {
                "text/plain": {"schema": _STRING, "example": "flowchart TD\n"},
                "image/svg+xml": {"schema": _STRING},
                "application/json": {
                    "schema": _object(
                        {
                            "title": _STRING,
                            "nodes": {"type": "array", "items": {"type": "object"}},
                            "edges": {"type": "array", "items": {"type": "object"}},
                            "groups": {"type": "array", "items": {"type": "object"}},
                        }
                    ),
                    "example": {"title": "order", "nodes": [], "edges": [], "groups": []},
                },
            },
        },
        400: _problem("It cannot be used, or the workflow is too large for an SVG."),
        404: _NOT_FOUND,
    },
    parameters=(
        _query("format", "mermaid, unless given.", {"type": "string", "enum": ["mermaid", "svg", "json"]}),
        _query("version", "The newest, unless given.", {"type": "integer", "minimum": 1}),
    ),
)
VERSIONS = _doc(
    {
        200: _json(
            "Newest first.",
            _object({"workflowId": _STRING, "versions": {"type": "array", "items": _ref("WorkflowVersion")}}),
            {"workflowId": "order", "versions": [_VERSION]},
        ),
        404: _NOT_FOUND,
    }
)
INDEX = _doc({200: _json("What there is.", {"type": "object"}, {"name": "Sidestep"})})
HEALTH = _doc({200: _json("It answers.", {"type": "object"}, {"status": "OK", "version": "0.1.0"})})
LIVE = _doc({200: _json("It lives.", {"type": "object"}, {"status": "OK"})})
READY = _doc(
    {200: _json("It works.", {"type": "object"}, {"status": "OK", "role": "both", "engineRestarts": 0})}
)
METRICS = _doc(
    {200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": _STRING}}}}
)
