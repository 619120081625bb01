"""Request bodies: decoded within limits, then read member by member, with every problem listed."""

from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.requests import Request

from api.problems import Refusal, invalid_definition, invalid_request, told
from api.services import limits_of
from core.data.decoding import loads, workflow_in
from core.errors import InvalidInput
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings
from core.graph.limits import Limits as GraphLimits
from core.graph.model import Json, Workflow
from core.graph.states_language.machine import recognises

MAX_VERSION: Final = 1_000_000_000
MAX_REASON: Final = 1_000
MAX_ACTOR: Final = 128

_NAME_ONE: Final = 'Send {"workflow": {...}} or {"workflowId": "..."}, with "input": {...} if there is any.'


class Creation(NamedTuple):
    """What `POST /executions` asks for: exactly one of `workflow` and `workflow_id`.

    `input` is any JSON where the workflow may be a machine in the States Language, and else an object.
    `problems` are those of the request around the definition, which is judged elsewhere. Of a definition that
    was read before, `known` is the workflow; else `text` is what it was decoded from, where that can be told.
    """

    workflow: Json
    known: Workflow | None
    text: bytes | None
    workflow_id: str | None
    version: int | None
    input: Json
    problems: tuple[dict[str, str], ...]


class Cancellation(NamedTuple):
    """Why an execution is to stop, and who says so."""

    reason: str
    actor: str


async def read_json(request: Request) -> Json:
    """The body as JSON. Raises a Refusal where it is none, or too deep, ambiguous, or not there."""
    return _decoded(await request.body(), request)


def _decoded(body: bytes, request: Request) -> Json:
    if not body:
        raise _unreadable("The body is empty. Send a JSON object.")
    try:
        return loads(body, max_bytes=limits_of(request).body_bytes)
    except InvalidInput as refused:
        raise _unreadable(str(refused)) from None


def _around(body: bytes, text: bytes) -> Json:
    """The body with an empty object for the text, which is known to be sound; None where something is wrong
    with the rest.
    """
    try:
        return loads(body.replace(text, b"{}"), max_bytes=len(body))
    except InvalidInput:
        return None


async def read_creation(request: Request, read_before: Callable[[bytes], Workflow | None]) -> Creation:
    """The body of a creation. Raises a Refusal where it names no workflow at all.

    Of a definition that was `read_before`, only what is around it is read.
    """
    body = await request.body()
    text = workflow_in(body)
    known = None if text is None else read_before(text)
    document = None
    if text is not None and known is not None and len(body) <= limits_of(request).body_bytes:
        document = _around(body, text)
    if document is None:
        known, document = None, _decoded(body, request)
    findings, fields = _begin(document)
    workflow = fields.raw("workflow")
    workflow_id = fields.identifier("workflowId")
    version = fields.whole("version", 1, MAX_VERSION, "")
    named = fields.has("workflowId")
    if named or _is_machine(workflow, known):
        given = fields.raw("input") if fields.present("input") else {}
    else:
        given = fields.members("input") or {}
    fields.close()
    if workflow is None and not named:
        findings.error(("workflow",), "missing-field", "The request names no workflow.", _NAME_ONE)
    elif workflow is not None and named:
        detail = "The request has both a 'workflow' and a 'workflowId'."
        findings.error(("workflowId",), "one-too-many", detail, "Leave one of them out.")
    if fields.has("version") and not named:
        detail = "'version' chooses a version of a registered workflow, and there is no 'workflowId'."
        findings.error(("version",), "pointless", detail, "Remove it, or name the workflow by 'workflowId'.")
    problems = tuple(told(one) for one in findings.in_order(document)) if findings.errors else ()
    if workflow is None and not named:
        raise invalid_definition(problems)
    return Creation(workflow, known, text, workflow_id, version, given, problems)


def _is_machine(workflow: Json, known: Workflow | None) -> bool:
    """Whether it is a machine in the States Language."""
    if known is not None:
        return known.language == "states"
    return isinstance(workflow, dict) and recognises(workflow)


async def read_cancellation(request: Request) -> Cancellation:
    """The body of a cancel, which may be left out. Raises a Refusal that lists every problem."""
    if not await request.body():
        return Cancellation("", "")
    document = await read_json(request)
    findings, fields = _begin(document)
    reason = fields.text("reason", limit=MAX_REASON, empty=True)
    actor = fields.text("actor", limit=MAX_ACTOR, empty=True)
    fields.close()
    if findings.errors:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return Cancellation(reason or "", actor or "")


def _begin(document: Json) -> tuple[Findings, Fields]:
    findings = Findings(GraphLimits(), None)
    fields = object_at(findings, document, (), "The request")
    if fields is None:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return findings, fields


def _unreadable(why: str) -> Refusal:
    return Refusal(400, "unreadable-body", "Unreadable request body", f"{why} Nothing was done.")
