"""Providers: how each stands and why, what a person says of one, and what happened."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from api.answers import answer
from api.problems import Refusal, store_away
from api.runtime import Runtime
from api.schemas import provider_docs as docs
from api.schemas.bodies import MAX_ACTOR
from api.schemas.provider_docs import MOST_EVENTS, USUAL_EVENTS
from api.schemas.providers import EVENT_ID, event, override, overview, provider, read_override, unheard_of
from api.schemas.queries import Query, no_query
from api.services import process_of, runtime_of
from core.engine.health.report import ProviderReport
from core.errors import StoreUnavailable
from core.graph.native_policies import MAX_REGION
from core.ports.link import NumberedEvent, Override

LOOKS: Final = 20
"""How often a page of one provider's events reads on: what it has found by then is the page."""

router = APIRouter(tags=["providers"])


@router.get("/providers", **docs.PROVIDERS)
async def list_providers(request: Request) -> Response:
    """Every provider, as this process sees it."""
    no_query(request)
    return answer(overview(process_of(request).board.report()))


@router.get("/providers/events", **docs.EVENTS)
async def list_events(request: Request) -> Response:
    """What happened to all providers, newest first."""
    return await _events(request, None)


@router.get("/providers/{provider_id}", **docs.PROVIDER)
async def show_provider(request: Request, provider_id: str) -> Response:
    """One provider; its name in any case."""
    no_query(request)
    return answer(provider(_found(process_of(request), provider_id)))


@router.get("/providers/{provider_id}/events", **docs.EVENTS)
async def list_events_of(request: Request, provider_id: str) -> Response:
    """What happened to one provider, newest first."""
    return await _events(request, _found(process_of(request), provider_id).name)


@router.put("/providers/{provider_id}/override", **docs.PUT_OVERRIDE)
async def set_override(request: Request, provider_id: str) -> Response:
    """Say how a provider stands, in a person's name and for a while."""
    no_query(request)
    with _store_away("whether it kept the override is not known. Send it again: it takes its own place."):
        runtime = runtime_of(request)
        found = _found(runtime, provider_id)
        name = found.name
        asked = await read_override(request, runtime.clock.now_ms())
        note = unheard_of(found, asked.region, runtime.board.homes.get(name))
        kept = await runtime.board.override(
            name,
            asked.state,
            reason=asked.reason,
            actor=asked.actor,
            until_ms=asked.until_ms,
            region=asked.region,
        )
    told = {"provider": name, **override(kept)}
    return answer(told if note is None else {**told, "note": note})


@router.delete("/providers/{provider_id}/override", status_code=204, **docs.LIFT_OVERRIDE)
async def lift_override(request: Request, provider_id: str) -> Response:
    """End an override before its time."""
    query = Query(request)
    region = query.text("region", MAX_REGION)
    actor = query.text("actor", MAX_ACTOR)
    query.done()
    with _store_away("whether the override is lifted is not known. Send the request again."):
        runtime = runtime_of(request)
        name = _found(runtime, provider_id).name
        lifted = await runtime.board.lift(name, region=region, actor=actor or "")
    if not lifted:
        raise _not_overridden(name, region, _found(runtime, provider_id).overrides)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _events(request: Request, name: str | None) -> Response:
    query = Query(request)
    before = query.cursor("before", EVENT_ID)
    limit = query.whole("limit", USUAL_EVENTS, 1, MOST_EVENTS)
    query.done()
    found: list[NumberedEvent] = []
    more = True
    size = MOST_EVENTS if name else min(MOST_EVENTS, limit + 1)
    for _ in range(LOOKS):
        with _store_away("what happened is kept there. Ask again."):
            batch = await runtime_of(request).board.events(before, size)
        found += [one for one in batch if name is None or one.event.provider == name]
        more = len(batch) == size
        if not more or len(found) > limit:
            break
        before = batch[-1].event_id
    page = found[:limit]
    cursor = page[-1].event_id if len(found) > limit else before if more else None
    return answer({"events": [event(one) for one in page], "nextCursor": cursor})


@contextmanager
def _store_away(told: str) -> Iterator[None]:
    """Answer for a store that is away in words that fit the call: `told` is what the caller can do."""
    try:
        yield
    except StoreUnavailable:
        raise store_away(f"The store is away for now, and {told}") from None


def _found(runtime: Runtime, provider_id: str) -> ProviderReport:
    reports = {report.name: report for report in runtime.board.report().providers}
    report = reports.get(provider_id.upper())
    if report is None:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            "provider-not-found",
            "Provider not found",
            f"There is no such provider. There are {', '.join(reports)}.",
        )
    return report


def _not_overridden(name: str, region: str | None, overrides: Iterable[Override]) -> Refusal:
    regions = [one.region or "all its regions" for one in overrides]
    where = "this region" if region else "all its regions"
    others = f" There is one for {', '.join(regions)}." if regions else ""
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "override-not-found",
        "Override not found",
        f"{name} has no override for {where}.{others}",
    )
