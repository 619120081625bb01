"""Workflows: registered by version, shown, listed, validated."""

import asyncio
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import invalid_definition, told
from api.routes.executions import is_big
from api.schemas import openapi as docs
from api.schemas.bodies import MAX_VERSION, read_json
from api.schemas.queries import Query, no_query
from api.services import runtime_of
from core.engine.view import instant
from core.errors import Problem, WorkflowNotFound
from core.graph.findings import shown
from core.ports.store import WorkflowVersion

MAX_PAGE = 500

router = APIRouter(tags=["workflows"])


@router.post("/workflows/validate", **docs.VALIDATE)
async def validate_workflow(request: Request) -> Response:
    """Every problem of a definition, and hints; nothing is kept."""
    no_query(request)
    workflows = runtime_of(request).workflows
    document = await read_json(request)
    if is_big(document):
        problems = await asyncio.to_thread(workflows.validate, document, workflows.known())
    else:
        problems = workflows.validate(document)
    return answer(
        {
            "valid": not any(problem.severity == "error" for problem in problems),
            "problems": [told(problem) for problem in problems],
        }
    )


@router.get("/workflows", **docs.WORKFLOWS)
async def list_workflows(request: Request) -> Response:
    """The newest version of each registered workflow, by id."""
    query = Query(request)
    cursor = query.text("cursor")
    limit = query.whole("limit", 50, 1, MAX_PAGE)
    query.done()
    found = await runtime_of(request).store.workflows(cursor, min(limit + 1, MAX_PAGE))
    page = found[:limit]
    # Of the largest page it is not known whether more is behind it; the next page says so.
    more = len(found) > limit or len(found) == MAX_PAGE
    return answer(
        {
            "workflows": [_summary(kept) for kept in page],
            "nextCursor": page[-1].workflow_id if more else None,
        }
    )


@router.put("/workflows/{workflow_id}", **docs.REGISTER)
async def register_workflow(request: Request, workflow_id: str) -> Response:
    """Keep a definition as the next version. The newest version's own content again changes nothing."""
    no_query(request)
    runtime = runtime_of(request)
    document = await read_json(request)
    given = document.get("id") if isinstance(document, dict) else None
    if isinstance(given, str) and given != workflow_id:
        mismatch = Problem(
            "/id",
            "id-mismatch",
            f"The definition's id is {shown(given)}, and the path names {shown(workflow_id)}.",
            "Make them the same.",
        )
        raise invalid_definition((told(mismatch),))
    before = await _newest(request, workflow_id)
    kept = await runtime.workflows.register(document, workflow_id)
    fresh = before is None or before.version != kept.version
    headers = (
        {"location": f"/workflows/{quote(workflow_id, safe='')}?version={kept.version}"} if fresh else {}
    )
    return answer(_summary(kept), HTTPStatus.CREATED if fresh else HTTPStatus.OK, headers)


@router.get("/workflows/{workflow_id}", **docs.WORKFLOW)
async def show_workflow(request: Request, workflow_id: str) -> Response:
    """A version of a workflow with its definition; the newest, unless one is chosen."""
    query = Query(request)
    version = query.whole("version", 0, 1, MAX_VERSION)
    query.done()
    kept = await runtime_of(request).store.get_workflow(workflow_id, version or None)
    return answer({**_summary(kept), "definition": msgspec.Raw(kept.definition)})


@router.get("/workflows/{workflow_id}/versions", **docs.VERSIONS)
async def list_versions(request: Request, workflow_id: str) -> Response:
    """Every version of a workflow, newest first."""
    no_query(request)
    versions = await runtime_of(request).store.workflow_versions(workflow_id)
    return answer({"workflowId": workflow_id, "versions": [_summary(kept) for kept in versions]})


async def _newest(request: Request, workflow_id: str) -> WorkflowVersion | None:
    try:
        return await runtime_of(request).store.get_workflow(workflow_id)
    except WorkflowNotFound:
        return None


def _summary(kept: WorkflowVersion) -> dict[str, Any]:
    return {
        "workflowId": kept.workflow_id,
        "version": kept.version,
        "digest": kept.digest,
        "createdAt": instant(kept.created_at_ms),
    }
