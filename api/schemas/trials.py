"""The body of a trial, and what /openapi.json says of it."""

from typing import Any, Final, NamedTuple

from api.problems import invalid_definition, invalid_request, told
from api.schemas.openapi import EXAMPLE
from core.errors import Problem
from core.graph.fields import object_at
from core.graph.findings import Findings, shown
from core.graph.limits import Limits
from core.graph.model import Json
from core.machine.transitions import EXECUTION_STATUSES


class Trial(NamedTuple):
    """What `POST /workflows/test` asks for: parts that are judged elsewhere."""

    workflow: Json
    input: Json
    mocks: Json


def read_trial(document: Json) -> Trial:
    """The parts of the body; an input that is not there is `{}`. Raises a Refusal that lists every problem
    around them.
    """
    findings = Findings(Limits(), None)
    fields = object_at(findings, document, (), "The request")
    if fields is None:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    workflow = fields.raw("workflow")
    input_ = fields.raw("input") if fields.present("input") else {}
    mocks = fields.raw("mocks")
    fields.close()
    if workflow is None:
        mend = 'Send {"workflow": {...}, "input": {...}, "mocks": {"step id": [{"output": ...}]}}.'
        findings.error(("workflow",), "missing-field", "The request has no workflow.", mend)
    problems = tuple(told(problem) for problem in findings.in_order(document))
    if workflow is None:
        raise invalid_definition(problems)
    if problems:
        raise invalid_request(problems)
    return Trial(workflow, input_, mocks)


def no_object(value: Json) -> Problem:
    """The problem of an input that a native workflow cannot have."""
    detail = f"The input of a native workflow must be an object, not {shown(value)}."
    return Problem("/input", "wrong-type", detail, "Make it an object.")


_ANSWER: Final = {
    "oneOf": [
        {"type": "object", "properties": {"output": {}}, "required": ["output"]},
        {
            "type": "object",
            "properties": {"error": {"type": "string"}, "cause": {"description": "Text, or any JSON."}},
            "required": ["error"],
        },
        {"type": "object", "properties": {"timeout": {"const": True}}, "required": ["timeout"]},
    ]
}
_BODY: Final = {
    "type": "object",
    "required": ["workflow"],
    "properties": {
        "workflow": {"$ref": "#/components/schemas/Definition"},
        "input": {"default": {}},
        "mocks": {
            "type": "object",
            "description": "By step id; used in order, the last one repeated.",
            "additionalProperties": {"type": "array", "minItems": 1, "items": _ANSWER},
        },
    },
}
_RESULT: Final = {
    "type": "object",
    "required": ["status", "context", "stepsEntered", "history"],
    "properties": {
        "status": {"type": "string", "enum": list(EXECUTION_STATUSES)},
        "output": {"description": "Of one that completed."},
        "error": {"type": "string"},
        "cause": {"type": "string"},
        "context": {},
        "stepsEntered": {"type": "array", "items": {"type": "string"}},
        "history": {"type": "array", "items": {"$ref": "#/components/schemas/HistoryEvent"}},
    },
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

TEST: Final[dict[str, Any]] = {
    "responses": {
        200: {
            "description": "What came of it.",
            "content": {
                "application/json": {
                    "schema": _RESULT,
                    "example": {
                        "status": "COMPLETED",
                        "output": {"amount": 12, "receipt": "r-1"},
                        "context": {"amount": 12, "receipt": "r-1"},
                        "stepsEntered": ["charge"],
                        "history": [],
                    },
                }
            },
        },
        400: {
            "description": "It cannot be tried, or a step that was reached has no answer.",
            "content": _PROBLEM,
        },
        422: {"description": "It takes too long, or waits for what never comes.", "content": _PROBLEM},
        503: {"description": "As many trials run as there may be.", "content": _PROBLEM},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _BODY,
                    "example": {
                        "workflow": EXAMPLE,
                        "input": {"amount": 12},
                        "mocks": {"charge": [{"timeout": True}, {"output": {"receipt": "r-1"}}]},
                    },
                }
            },
        }
    },
}
