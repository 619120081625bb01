"""Executions: created, shown, listed, cancelled."""

import asyncio
import contextlib
import hashlib
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import Refusal, invalid_definition, invalid_request, told
from api.runtime import Runtime
from api.schemas import openapi as docs
from api.schemas.bodies import Creation, read_cancellation, read_creation
from api.schemas.headers import idempotency_key, preferred_wait
from api.schemas.queries import Query, no_query
from api.services import limits_of, runtime_of
from core.engine.endings import RESTING, Rested
from core.engine.spans import Span
from core.engine.view import summary_of
from core.errors import ExecutionEnded, ExecutionNotFound, InvalidDefinition, Problem, WorkflowNotFound
from core.graph.findings import shown
from core.graph.model import Json, Workflow
from core.machine.requests import CANCEL
from core.machine.transitions import CANCELLED, EXECUTION_STATUSES, PENDING
from core.ports.store import Filter

BIG_DEFINITION = 200
"""Steps from which a definition is read in a thread, so that it holds up nobody else."""

BIG_MACHINE = 2_000
"""The same for a machine in the States Language: values of any kind in its document."""

MAX_SEQ = 10**15

MAX_PATH = 8_192
"""Characters of a visit's path."""

router = APIRouter(tags=["executions"])


@router.post("/executions", status_code=201, **docs.CREATE)
async def create_execution(request: Request) -> Response:
    """Accept an execution. After the answer it is not lost."""
    no_query(request)
    runtime = runtime_of(request)
    key = idempotency_key(request)
    seconds = preferred_wait(request, limits_of(request).wait_seconds)
    creation = await read_creation(request, runtime.workflows.read_before)
    workflow = await _workflow(runtime, creation)
    given, said = _input(workflow, creation), _fingerprint(creation)
    runtime.prepare_soon(workflow)
    executions, waits = runtime.executions, request.app.state.waits
    rest: Rested | str | None = PENDING
    if seconds is not None and waits.locked():
        seconds = None
    headers = {}
    async with contextlib.nullcontext() if seconds is None else waits:
        if seconds is None:
            created = await executions.create(workflow, given, idempotency_key=key, fingerprint=said)
        else:
            created, rest = await executions.create_and_rest(
                workflow, given, seconds, idempotency_key=key, fingerprint=said
            )
        if not created.fresh:
            headers["idempotency-replayed"] = "true"
            await _still_there(runtime, created.execution_id)
            rest = await executions.rest(created.execution_id, seconds or 0)
    headers["location"] = f"/executions/{created.execution_id}"
    status, rested = (rest.state.status, rest) if isinstance(rest, Rested) else (rest, None)
    if seconds is not None and status in RESTING:
        headers["preference-applied"] = "wait"
        return answer(await executions.view(created.execution_id, rested), HTTPStatus.CREATED, headers)
    body = {"executionId": created.execution_id, "workflowId": workflow.id, "status": status}
    return answer(body, HTTPStatus.CREATED, headers)


async def _still_there(runtime: Runtime, execution_id: str) -> None:
    """A key outlives the execution that it made: say so, rather than name one that nobody finds."""
    try:
        await runtime.store.get(execution_id)
    except ExecutionNotFound:
        raise Refusal(
            HTTPStatus.GONE,
            "execution-removed",
            "The execution of this key was removed",
            f"This Idempotency-Key made execution {execution_id}, which has ended and was removed since. Use "
            "another key to run it again.",
        ) from None


@router.get("/executions", **docs.LIST)
async def list_executions(request: Request) -> Response:
    """A page of executions, newest first, without their payloads."""
    query = Query(request)
    wanted = Filter(
        status=query.choice("status", EXECUTION_STATUSES),
        workflow_id=query.text("workflowId"),
        failed_over=query.flag("failedOver"),
    )
    span = Span(before_ms=query.instant("createdBefore"), after_ms=query.instant("createdAfter"))
    cursor = span.start(query.cursor())
    limit = query.whole("limit", 50, 1, 500)
    query.done()
    page = span.cut(await runtime_of(request).executions.find(wanted, cursor, limit))
    return answer(
        {"executions": [summary_of(record) for record in page.records], "nextCursor": page.next_cursor}
    )


@router.get("/executions/{execution_id}", **docs.SHOW)
async def show_execution(request: Request, execution_id: str) -> Response:
    """One execution, whole: its steps attempt by attempt, and its history."""
    no_query(request)
    return answer(await runtime_of(request).executions.view(execution_id))


@router.get("/executions/{execution_id}/history", **docs.HISTORY)
async def show_history(request: Request, execution_id: str) -> Response:
    """A stretch of an execution's history."""
    query = Query(request)
    after = query.whole("after", 0, 0, MAX_SEQ)
    limit = query.whole("limit", 100, 1, 500)
    query.done()
    runtime = runtime_of(request)
    events = await runtime.executions.history(execution_id, after, limit)
    last = events[-1].seq if events else after
    more = bool(events) and last < (await runtime.store.get(execution_id)).version
    return answer({"executionId": execution_id, "events": events, "nextAfter": last if more else None})


@router.get("/executions/{execution_id}/results", **docs.RESULTS)
async def show_results(request: Request, execution_id: str) -> Response:
    """What the items of a MAP gave, by index: a page of them."""
    query = Query(request)
    visit = query.required("visit", MAX_PATH)
    after = query.whole("after", -1, -1, MAX_SEQ)
    limit = query.whole("limit", 100, 1, 1_000)
    query.done()
    return answer(await runtime_of(request).executions.results(execution_id, visit, after, limit))


@router.post("/executions/{execution_id}/cancel", status_code=202, **docs.CANCEL)
async def cancel_execution(request: Request, execution_id: str) -> Response:
    """Ask an execution to stop. Asking again changes nothing."""
    no_query(request)
    key = idempotency_key(request)
    runtime = runtime_of(request)
    asked = await read_cancellation(request)
    message_id = None if key is None else f"{CANCEL}:{key}"
    try:
        fresh = await runtime.executions.cancel(
            execution_id, actor=asked.actor, reason=asked.reason, message_id=message_id
        )
    except ExecutionEnded:
        record = await runtime.store.get(execution_id)
        if record.summary.status != CANCELLED:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "execution-ended",
                "Execution has ended",
                f"The execution has ended as {record.summary.status}; there is nothing left to cancel.",
            ) from None
        return answer({**summary_of(record), "accepted": "before"})
    record = await runtime.store.get(execution_id)
    body = {**summary_of(record), "accepted": "now" if fresh else "before"}
    settled = not fresh or record.summary.status == CANCELLED
    return answer(body, HTTPStatus.OK if settled else HTTPStatus.ACCEPTED)


@router.get("/executions/{execution_id}/definition", **docs.DEFINITION)
async def show_definition(request: Request, execution_id: str) -> Response:
    """The definition that an execution was created with."""
    no_query(request)
    store = runtime_of(request).store
    record = await store.get(execution_id)
    try:
        source = await store.definition(record.digest, execution_id)
    except WorkflowNotFound:
        # It goes with the last execution that uses it: this one was removed in between.
        raise ExecutionNotFound(execution_id) from None
    return answer({"executionId": execution_id, "digest": record.digest, "definition": msgspec.Raw(source)})


async def _workflow(runtime: Runtime, creation: Creation) -> Workflow:
    """The workflow that a creation names; refuses with every problem, those of the request too."""
    problems: list[dict[str, str]] = []
    workflow: Workflow | None = None
    try:
        if creation.known is not None:
            workflow = creation.known
        elif creation.workflow is not None:
            workflow = await read_workflow(runtime, creation.workflow, creation.text)
        elif creation.workflow_id is not None:
            workflow = await runtime.workflows.registered(creation.workflow_id, creation.version)
    except InvalidDefinition as invalid:
        if creation.workflow is not None:
            problems = [told(problem, "/workflow") for problem in invalid.problems]
        else:
            problems = [{**told(problem), "pointer": "/workflowId"} for problem in invalid.problems]
    except WorkflowNotFound:
        if not creation.problems:
            raise
    if workflow is not None and not creation.problems:
        return workflow
    everything = (*creation.problems, *problems)
    raise invalid_definition(everything) if problems else invalid_request(everything)


def _input(workflow: Workflow, creation: Creation) -> Json:
    """The input, which natively is an object. Raises a Refusal."""
    given = creation.input
    if workflow.language == "states" or isinstance(given, dict):
        return given
    if given is None:
        return {}
    detail = f"The request: 'input' must be an object, not {shown(given)}."
    raise invalid_request((told(Problem("/input", "wrong-type", detail, "Make it an object.")),))


def _fingerprint(creation: Creation) -> str | None:
    """Identifies a creation by name: by what the caller said, so that it stays the same when the workflow
    gets another version. One that carries its definition is identified by that.
    """
    if creation.workflow_id is None:
        return None
    said = ["by name", creation.workflow_id, creation.version, creation.input]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


async def read_workflow(runtime: Runtime, document: Json, text: bytes | None = None) -> Workflow:
    """Read a definition; a large one in a thread. Raises InvalidDefinition. `text` is what it was decoded
    from, where that is at hand.
    """
    if is_big(document):
        known = runtime.workflows.known()
        return await asyncio.to_thread(runtime.workflows.read, document, known, text=text)
    return runtime.workflows.read(document, text=text)


def is_big(document: Json) -> bool:
    """Whether reading this takes long enough to hold up others."""
    if not isinstance(document, dict):
        return False
    steps: Any = document.get("steps")
    if isinstance(steps, list):
        return len(steps) > BIG_DEFINITION
    return "States" in document and _holds_more(document, BIG_MACHINE)


def _holds_more(document: Json, values: int) -> bool:
    """Whether more than so many values stand in a document; states stand within states, so all count."""
    stack = [document]
    seen = 0
    while stack and seen <= values:
        value = stack.pop()
        seen += 1
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return seen > values
