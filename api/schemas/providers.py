"""Providers and their overrides as JSON: the body that sets one, and the shapes of what is told."""

import re
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request

from api.problems import invalid_request, told
from api.schemas.bodies import MAX_ACTOR, MAX_REASON, read_json
from api.schemas.instants import EXAMPLE, epoch_ms
from core.engine.health.report import BoardReport, BreakerReport, FunctionReport, PlaceReport, ProviderReport
from core.engine.view import instant
from core.failover.health import DRAINED, FORCED_CLOSED, FORCED_OPEN
from core.graph.fields import Fields, object_at
from core.graph.findings import Findings, shown
from core.graph.limits import Limits
from core.graph.native_policies import MAX_REGION
from core.ports.link import NumberedEvent, Override

LONGEST_SECONDS: Final = 7 * 24 * 3600
"""How long an override may hold. One that is forgotten must end."""

WAYS: Final = {"drain": DRAINED, "forceOpen": FORCED_OPEN, "forceClosed": FORCED_CLOSED}
"""What can be asked of a provider, and the state that it then has."""

EVENT_ID: Final = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")
"""The form of an event's id, which is what a cursor of events is."""

EXPIRY: Final = (
    "Say when it ends: 'forSeconds', a number of 1 to 604800 (7 days), or 'until', a time of RFC 3339."
)


class Asked(NamedTuple):
    """What a body asks for. `until_ms` is Unix epoch milliseconds."""

    state: str
    reason: str
    actor: str
    until_ms: int
    region: str | None


async def read_override(request: Request, now_ms: int) -> Asked:
    """The body, read at `now_ms`. Raises a Refusal that lists every problem."""
    document = await read_json(request)
    findings = Findings(Limits(), None)
    fields = object_at(findings, document, (), "The request")
    asked = None if fields is None else _asked(fields, now_ms)
    if findings.errors or asked is None:
        raise invalid_request(tuple(told(problem) for problem in findings.in_order(document)))
    return asked


def _asked(fields: Fields, now_ms: int) -> Asked | None:
    mend = f"Say what is asked: one of {', '.join(WAYS)}."
    way = fields.one_of("state", tuple(WAYS), "unknown-state", required=mend)
    reason = fields.text("reason", required="Say why; it is kept, and shown to others.", limit=MAX_REASON)
    if reason is not None and not any(_is_visible(one) for one in reason):
        fields.wrong("reason", "empty", "'reason' is blank.", "Say why, in characters that can be seen.")
    until_ms = _until(fields, now_ms)
    region = fields.text("region", limit=MAX_REGION)
    if region is not None and not all(map(_is_visible, region)):
        detail = f"'region' is {shown(region)}; no region has white space or control characters in its name."
        fields.wrong("region", "invalid-region", detail, "Use the provider's name of it, such as eu-west-1.")
    actor = fields.text("actor", limit=MAX_ACTOR, empty=True) or ""
    fields.close()
    if way is None or reason is None or until_ms is None:
        return None
    return Asked(WAYS[way], reason.strip(), actor, until_ms, region)


def _is_visible(character: str) -> bool:
    return character.isprintable() and character != " "


def _until(fields: Fields, now_ms: int) -> int | None:
    """When it ends; None where that is not said, or not once, or cannot be."""
    seconds = fields.number("forSeconds", 1, LONGEST_SECONDS, "seconds")
    text = fields.text("until")
    if fields.has("forSeconds") and fields.has("until"):
        detail = "'forSeconds' and 'until' both say when it ends."
        fields.wrong("until", "one-too-many", detail, "Leave one of them out.")
    elif not fields.has("forSeconds") and not fields.has("until"):
        fields.missing("forSeconds", EXPIRY)
    ends = None if text is None else _instant(fields, text, now_ms)
    return ends if seconds is None else now_ms + int(seconds * 1000)


def _instant(fields: Fields, text: str, now_ms: int) -> int | None:
    ends = epoch_ms(text)
    if ends is None:
        detail = f"'until' is {shown(text)}, which is no time."
        fields.wrong("until", "invalid-time", detail, f"Use RFC 3339 with an offset: {EXAMPLE}.")
    elif ends <= now_ms:
        detail = f"'until' is {shown(text)}, which has passed: here it is {instant(now_ms)}."
        fields.wrong("until", "past", detail, "Use a time to come.")
    elif ends > now_ms + LONGEST_SECONDS * 1000:
        detail = f"'until' is {shown(text)}, which is more than 7 days ahead."
        fields.wrong("until", "out-of-range", detail, "Use a time within the next 7 days.")
    return ends


def overview(report: BoardReport) -> dict[str, Any]:
    """All providers, without their functions, and how the replica that answers stands."""
    return {
        "providers": [provider(one, functions=False) for one in report.providers],
        "replica": report.replica,
        "replicas": report.replicas,
        "isolated": report.isolated,
        "alone": report.alone,
    }


def provider(report: ProviderReport, *, functions: bool = True) -> dict[str, Any]:
    """One provider."""
    return {
        "provider": report.name,
        "configured": report.configured,
        "whyNot": report.why_not,
        "state": report.state,
        "why": report.why,
        "overrides": [override(one) for one in report.overrides],
        "places": [_place(place, functions=functions) for place in report.places],
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
        "p50Ms": report.p50_ms,
        "p95Ms": report.p95_ms,
        "sidesteps": {"in": report.sidesteps_in, "out": report.sidesteps_out},
        "hedges": report.hedges,
        "rehearsals": report.rehearsals,
        "probes": report.probes,
        "parked": report.parked,
        "queued": report.queued,
    }


def _place(place: PlaceReport, *, functions: bool) -> dict[str, Any]:
    shown = {"region": place.region, **_judged(place.breaker)}
    if functions:
        shown["functions"] = [_function(one) for one in place.functions]
    return shown


def _function(report: FunctionReport) -> dict[str, Any]:
    return {
        "functionId": report.target.function_id,
        **_judged(report.breaker),
        "inFlight": report.in_flight,
        "p50Ms": report.p50_ms,
        "p95Ms": report.p95_ms,
        "p99Ms": report.p99_ms,
        "room": report.room,
    }


def _judged(report: BreakerReport) -> dict[str, Any]:
    """A breaker, and the window that it judges."""
    return {
        "breaker": {
            "state": report.state,
            "why": report.why,
            # A breaker that never moved has stood so since the epoch, which is nobody's news.
            "since": _instant_or_none(report.since_ms or None),
            "nextProbeAt": _instant_or_none(report.next_probe_ms),
            "rampAt": _instant_or_none(report.ramp_ms),
            "share": report.share,
            "openings": report.openings,
        },
        "window": {
            "seconds": report.window_seconds,
            "calls": report.calls,
            "failures": report.failures,
            "overdue": report.overdue,
        },
    }


def override(one: Override) -> dict[str, Any]:
    """One override; without a region it holds for all of the provider's."""
    return {
        "region": one.region,
        "state": one.state,
        "reason": one.reason,
        "actor": one.actor,
        "at": instant(one.at),
        "until": instant(one.until),
    }


def unheard_of(report: ProviderReport, region: str | None, home: str | None) -> str | None:
    """A remark on a region that nothing was called in; None where it is known, or all of them are meant.

    `home` is the region of the settings, where functions run that name none.
    """
    if region is None or region == home or any(place.region == region for place in report.places):
        return None
    return f"no call goes to region {region} so far"


def event(numbered: NumberedEvent) -> dict[str, Any]:
    """One audit event. What concerns a replica and no provider has none."""
    seen = numbered.event
    return {
        "id": numbered.event_id,
        "at": instant(seen.at),
        "kind": seen.kind,
        "provider": seen.provider or None,
        "region": seen.region,
        "functionId": seen.function_id,
        "why": seen.why,
        "actor": seen.actor,
        "replica": seen.replica,
    }


def _instant_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant(at_ms)
