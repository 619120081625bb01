"""Bodies of what people ask of an execution, and what /openapi.json says of those calls."""

from typing import Any, Final, NamedTuple, cast

from starlette.requests import Request

from api.problems import invalid_request, told
from api.schemas.bodies import MAX_ACTOR, MAX_REASON, read_json
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings
from core.graph.limits import Limits
from core.graph.model import Json
from core.machine.requests import VERDICTS, Verdict

MAX_STEP: Final = 512

_GOES_WITH: Final = {"output": "completed", "error": "failed", "cause": "failed"}
"""Members of a resolution, and the verdict that uses them."""


class Asked(NamedTuple):
    """Why, and who says so; the rest belongs to `resolve` and `rerun`."""

    reason: str = ""
    actor: str = ""
    step: str | None = None
    verdict: Verdict | None = None
    output: Json = None
    error: str | None = None
    cause: str = ""
    input: Json = None


async def read_asked(request: Request, *, resolve: bool = False, rerun: bool = False) -> Asked:
    """The body, which may be left out but for `resolve`. Raises a Refusal that lists every problem."""
    if not resolve and not await request.body():
        return Asked()
    document = await read_json(request)
    findings = Findings(Limits(), None)
    fields = object_at(findings, document, (), "The request")
    asked = Asked()
    if fields is not None:
        reason = fields.text("reason", limit=MAX_REASON, empty=True) or ""
        actor = fields.text("actor", limit=MAX_ACTOR, empty=True) or ""
        asked = Asked(reason, actor)
        if resolve:
            mend = f"Say how the step is settled: one of {', '.join(VERDICTS)}."
            verdict = fields.one_of("as", VERDICTS, "unknown-verdict", required=mend)
            asked = asked._replace(
                step=fields.text("step", limit=MAX_STEP),
                verdict=cast("Verdict | None", verdict),
                output=fields.raw("output"),
                error=fields.text("error", limit=MAX_ACTOR),
                cause=fields.text("cause", limit=MAX_REASON, empty=True) or "",
            )
            _fit(fields, verdict)
        if rerun:
            asked = asked._replace(input=fields.raw("input"))
        fields.close()
    if findings.errors:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return asked


def _fit(fields: Fields, verdict: str | None) -> None:
    """Note what another verdict would use, and this one would drop silently."""
    if verdict is None:
        return
    for name, goes_with in _GOES_WITH.items():
        if verdict != goes_with and fields.has(name):
            detail = f'\'{name}\' goes with "as": "{goes_with}", and this says "{verdict}".'
            fields.wrong(name, "pointless", detail, "Remove it, or change 'as'.")


def _documented(what: str, example: dict[str, Any], answers: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Keyword arguments of a route."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused = {
        400: "It cannot be used; every problem is listed.",
        404: "There is none.",
        409: "The execution's status does not allow it; the sentence says why.",
    }
    header = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key again changes nothing.",
        "schema": {"type": "string"},
    }
    return {
        "description": what,
        "responses": {
            **answers,
            **{status: {"description": text, "content": problem} for status, text in refused.items()},
        },
        "openapi_extra": {
            "parameters": [header],
            "requestBody": {
                "required": "as" in example,
                "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
            },
        },
    }


_SUMMARY: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Summary"}}}
_CREATED: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Created"}}}
_ASKED: Final[dict[int, dict[str, Any]]] = {
    202: {"description": "Asked for; durable.", "content": _SUMMARY},
    200: {"description": "The same request was taken before.", "content": _SUMMARY},
}
_WHY: Final = {"reason": "maintenance of the bank", "actor": "ada"}

PAUSE: Final = _documented("Nothing new starts; what is in flight ends.", _WHY, _ASKED)
RESUME: Final = _documented("A paused execution goes on.", _WHY, _ASKED)
REDRIVE: Final = _documented("Run again from what failed, keeping what completed.", _WHY, _ASKED)
RESOLVE: Final = _documented(
    "Settle a parked step.", {"as": "completed", "output": {"paid": True}, **_WHY}, _ASKED
)
RERUN: Final = _documented(
    "A new execution of the same definition, with the same input or another.",
    {"input": {"amount": 13}, **_WHY},
    {201: {"description": "Accepted; Location is the new execution.", "content": _CREATED}},
)
REMOVE: Final[dict[str, Any]] = {
    "responses": {
        204: {"description": "Removed, with all that belongs to it."},
        **{status: PAUSE["responses"][status] for status in (404, 409)},
    }
}
