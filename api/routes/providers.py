"""Providers: whether each is configured, and what calls of it proved lately."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import Refusal
from api.schemas import openapi as docs
from api.schemas.queries import no_query
from api.services import process_of
from core.engine.board import ProviderReport
from core.engine.view import instant

router = APIRouter(tags=["providers"])


@router.get("/providers", **docs.PROVIDERS)
async def list_providers(request: Request) -> Response:
    """Every provider, as this process sees it."""
    no_query(request)
    return answer({"providers": [_shown(report) for report in process_of(request).board.report()]})


@router.get("/providers/{provider_id}", **docs.PROVIDER)
async def show_provider(request: Request, provider_id: str) -> Response:
    """One provider; its name in any case."""
    no_query(request)
    reports = {report.name: report for report in process_of(request).board.report()}
    report = reports.get(provider_id.upper())
    if report is None:
        raise Refusal(
            404,
            "provider-not-found",
            "Provider not found",
            f"There is no such provider. There are {', '.join(reports)}.",
        )
    return answer(_shown(report))


def _shown(report: ProviderReport) -> dict[str, Any]:
    return {
        "provider": report.name,
        "configured": report.configured,
        "whyNot": report.why_not,
        "inFlight": report.in_flight,
        "calls": report.calls,
        "failures": report.failures,
        "signals": report.signals,
        "recent": [
            {
                "at": instant(seen.at_ms),
                "target": msgspec.to_builtins(seen.target),
                "ok": seen.ok,
                "executed": seen.executed,
                "scope": seen.scope,
                "signal": seen.signal,
                "error": seen.error,
                "durationMs": seen.duration_ms,
            }
            for seen in report.recent
        ],
    }
