"""A registered workflow as a picture."""

import asyncio
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from api.schemas import openapi as docs
from api.schemas.bodies import MAX_VERSION
from api.schemas.queries import Query
from api.services import runtime_of
from core.graph.reading import parse_stored, under_id

FORMATS: Final = ("MERMAID", "SVG", "JSON")

SANDBOX: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""For SVG, which a browser shows as a page: it may style itself, and nothing else."""

router = APIRouter(tags=["workflows"])


@router.get("/workflows/{workflow_id}/graph", **docs.GRAPH)
async def draw_workflow(request: Request, workflow_id: str) -> Response:
    """A version of a workflow, drawn; the newest, unless one is chosen."""
    query = Query(request)
    form = query.choice("format", FORMATS) or "MERMAID"
    version = query.whole("version", 0, 1, MAX_VERSION)
    query.done()
    kept = await runtime_of(request).store.get_workflow(workflow_id, version or None)
    # A large one takes a second of CPU: other requests go on meanwhile.
    return await asyncio.to_thread(_drawn, kept.definition, workflow_id, form)


def _drawn(definition: bytes, workflow_id: str, form: str) -> Response:
    # Few servers are ever asked to draw.
    from core.graph.drawing.mermaid import mermaid  # noqa: PLC0415 - see above
    from core.graph.drawing.outline import outline  # noqa: PLC0415 - see above
    from core.graph.drawing.svg import svg  # noqa: PLC0415 - see above

    drawing = outline(under_id(parse_stored(definition), workflow_id))
    match form:
        case "SVG":
            return Response(svg(drawing), headers=SANDBOX, media_type="image/svg+xml")
        case "JSON":
            return Response(msgspec.json.encode(drawing), media_type="application/json")
        case _:
            return Response(mermaid(drawing), media_type="text/plain; charset=utf-8")
