"""What /openapi.json says of the calls that are about providers."""

from collections.abc import Mapping
from typing import Any, Final

from api.schemas.bodies import MAX_ACTOR, MAX_REASON
from api.schemas.providers import LONGEST_SECONDS, WAYS
from core.failover.breaker import Phase
from core.failover.health import OVERRIDES
from core.graph.native_policies import MAX_REGION

Json = dict[str, Any]

MOST_EVENTS: Final = 500
USUAL_EVENTS: Final = 50

KINDS: Final = (
    "BREAKER_OPENED",
    "BREAKER_HALF_OPEN",
    "BREAKER_RAMPING",
    "BREAKER_CLOSED",
    "OVERRIDE_SET",
    "OVERRIDE_LIFTED",
    "OVERRIDE_EXPIRED",
    "REPLICA_ISOLATED",
    "REPLICA_REJOINED",
)

_PHASES: Final = tuple(phase.value for phase in Phase)
_STRING: Final[Json] = {"type": "string"}
_MAYBE_STRING: Final[Json] = {"type": ["string", "null"]}
_INSTANT: Final[Json] = {"type": "string", "format": "date-time"}
_MAYBE_INSTANT: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_MS: Final[Json] = {"type": ["number", "null"], "description": "Milliseconds; null until enough is known."}
_REGION: Final[Json] = {"type": ["string", "null"], "maxLength": MAX_REGION}


def _object(properties: Json, required: tuple[str, ...] | None = None, **more: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        **more,
    }


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_OVERRIDE_EXAMPLE: Final[Json] = {
    "region": None,
    "state": "DRAINED",
    "reason": "maintenance of the account",
    "actor": "ada",
    "at": "2026-01-02T03:04:05.678Z",
    "until": "2026-01-02T03:34:05.678Z",
}
_BREAKER_EXAMPLE: Final[Json] = {
    "state": "OPEN",
    "why": "7 of 9 overdue",
    "since": "2026-01-02T03:04:05.678Z",
    "nextProbeAt": "2026-01-02T03:04:10.678Z",
    "rampAt": "2026-01-02T03:05:05.678Z",
    "share": 0.0,
    "openings": 1,
}
_WINDOW_EXAMPLE: Final[Json] = {"seconds": 10, "calls": 9, "failures": 0, "overdue": 7}
_FUNCTION_EXAMPLE: Final[Json] = {
    "functionId": "charge-card",
    "breaker": _BREAKER_EXAMPLE,
    "window": _WINDOW_EXAMPLE,
    "inFlight": 7,
    "p50Ms": 38.5,
    "p95Ms": 61.2,
    "p99Ms": 88.0,
    "room": None,
}
_PLACE_EXAMPLE: Final[Json] = {
    "region": "eu-west-1",
    "breaker": _BREAKER_EXAMPLE,
    "window": _WINDOW_EXAMPLE,
}
_PROVIDER_EXAMPLE: Final[Json] = {
    "provider": "AWS",
    "configured": True,
    "whyNot": None,
    "state": "OPEN",
    "why": "AWS eu-west-1 is OPEN (7 of 9 overdue)",
    "overrides": [],
    "places": [{**_PLACE_EXAMPLE, "functions": [_FUNCTION_EXAMPLE]}],
    "inFlight": 7,
    "calls": 1204,
    "failures": 3,
    "signals": {"ok": 1194, "read-timeout": 3},
    "recent": [],
    "p50Ms": 38.5,
    "p95Ms": 61.2,
    "sidesteps": {"in": 0, "out": 9},
    "hedges": 0,
    "rehearsals": 0,
    "probes": 1,
    "parked": 0,
    "queued": 0,
}
_EVENT_EXAMPLE: Final[Json] = {
    "id": "1767323045678-000000",
    "at": "2026-01-02T03:04:05.678Z",
    "kind": "BREAKER_OPENED",
    "provider": "AWS",
    "region": "eu-west-1",
    "functionId": None,
    "why": "7 of 9 overdue",
    "actor": "",
    "replica": "api-1",
}

SCHEMAS: Final[Json] = {
    "Breaker": _object(
        {
            "state": {"type": "string", "enum": list(_PHASES)},
            "why": _STRING,
            "since": _MAYBE_INSTANT,
            "nextProbeAt": _MAYBE_INSTANT,
            "rampAt": {**_MAYBE_INSTANT, "description": "When calls may come back at the earliest."},
            "share": {"type": "number", "minimum": 0, "maximum": 1, "description": "What it lets through."},
            "openings": {**_COUNT, "description": "Those that are remembered."},
        }
    ),
    "Window": _object({"seconds": _COUNT, "calls": _COUNT, "failures": _COUNT, "overdue": _COUNT}),
    "ProviderFunction": _object(
        {
            "functionId": _STRING,
            "breaker": _ref("Breaker"),
            "window": _ref("Window"),
            "inFlight": _COUNT,
            "p50Ms": _MS,
            "p95Ms": _MS,
            "p99Ms": _MS,
            "room": {
                "type": ["integer", "null"],
                "description": "How many sidestepped calls it may have at once; null: never limited yet.",
            },
        }
    ),
    "Place": _object(
        {
            "region": {**_REGION, "description": "Null: the one of the settings."},
            "breaker": _ref("Breaker"),
            "window": _ref("Window"),
            "functions": {
                **_array(_ref("ProviderFunction")),
                "maxItems": 100,
                "description": "The busiest first. Not in the list of all providers.",
            },
        },
        ("region", "breaker", "window"),
    ),
    "Override": _object(
        {
            "provider": _STRING,
            "region": {**_REGION, "description": "Null: all of them."},
            "state": {"type": "string", "enum": list(OVERRIDES)},
            "reason": _STRING,
            "actor": _STRING,
            "at": _INSTANT,
            "until": _INSTANT,
            "note": {**_STRING, "description": "In an answer: what is odd about it. Often left out."},
        },
        tuple(_OVERRIDE_EXAMPLE),
    ),
    "OverrideOrder": _object(
        {
            "state": {"type": "string", "enum": list(WAYS)},
            "reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON},
            "actor": {"type": "string", "maxLength": MAX_ACTOR},
            "forSeconds": {"type": "number", "minimum": 1, "maximum": LONGEST_SECONDS},
            "until": {**_INSTANT, "description": "At most 7 days ahead."},
            "region": {**_REGION, "description": "Only this one; all, unless given."},
        },
        ("state", "reason"),
        oneOf=[{"required": ["forSeconds"]}, {"required": ["until"]}],
    ),
    "ProviderEvent": _object(
        {
            "id": _STRING,
            "at": _INSTANT,
            "kind": {"type": "string", "enum": list(KINDS)},
            "provider": _MAYBE_STRING,
            "region": _REGION,
            "functionId": {"type": ["string", "null"], "description": "Null: all of the provider."},
            "why": _STRING,
            "actor": {"type": "string", "description": "Who said so; empty where nobody did."},
            "replica": _STRING,
        }
    ),
    "Provider": _object(
        {
            "provider": _STRING,
            "configured": {"type": "boolean"},
            "whyNot": _MAYBE_STRING,
            "state": {
                "type": "string",
                "enum": [*_PHASES, *OVERRIDES],
                "description": "What decisions go by: an override, or the worst of its places.",
            },
            "why": _STRING,
            "overrides": _array(_ref("Override")),
            "places": _array(_ref("Place")),
            "inFlight": _COUNT,
            "calls": _COUNT,
            "failures": _COUNT,
            "signals": {"type": "object", "additionalProperties": {"type": "integer"}},
            "recent": _array({"type": "object"}),
            "p50Ms": _MS,
            "p95Ms": _MS,
            "sidesteps": _object({"in": _COUNT, "out": _COUNT}),
            "hedges": _COUNT,
            "rehearsals": _COUNT,
            "probes": _COUNT,
            "parked": _COUNT,
            "queued": _COUNT,
        }
    ),
    "Providers": _object(
        {
            "providers": _array(_ref("Provider")),
            "replica": _STRING,
            "replicas": {**_COUNT, "description": "How many were heard lately, this one included."},
            "isolated": {**_MAYBE_STRING, "description": "Why this replica takes itself for cut off."},
            "alone": {**_MAYBE_STRING, "description": "Why it decides without the others."},
        }
    ),
    "ProviderEvents": _object({"events": _array(_ref("ProviderEvent")), "nextCursor": _MAYBE_STRING}),
}


def _json(description: str, schema: str, example: Any) -> Json:
    content = {"application/json": {"schema": _ref(schema), "example": example}}
    return {"description": description, "content": content}


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref("Problem")}}}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_NOT_FOUND: Final = _problem("There is no such provider.")
_WRONG: Final = _problem("It cannot be used; every problem is listed.")
_AWAY: Final = _problem("Busy, or the store is away; Retry-After says when to come back.")


def _doc(
    what: str, answers: Mapping[int, Json], parameters: tuple[Json, ...] = (), body: Json | None = None
) -> dict[str, Any]:
    """Keyword arguments of a route."""
    extra: Json = {}
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        extra["requestBody"] = body
    return {"description": what, "responses": {**answers, 503: _AWAY}, "openapi_extra": extra}


PROVIDERS: Final = _doc(
    "Every provider as the process that answers sees it. Breakers and overrides are all replicas'; calls, "
    "failures, signals, sidesteps and quantiles are its own.",
    {
        200: _json(
            "Every provider.",
            "Providers",
            {
                "providers": [{**_PROVIDER_EXAMPLE, "places": [_PLACE_EXAMPLE]}],
                "replica": "api-1",
                "replicas": 2,
                "isolated": None,
                "alone": None,
            },
        )
    },
)
PROVIDER: Final = _doc(
    "One provider with its functions; its name in any case.",
    {200: _json("One provider.", "Provider", _PROVIDER_EXAMPLE), 404: _NOT_FOUND},
)
PUT_OVERRIDE: Final = _doc(
    "Drain a provider (no new calls; what is in flight ends), take it as dead, or take it as well, whatever "
    "its breaker says; for all replicas, until it ends by itself or is lifted. It takes the place of one of "
    "the same region. One for a region wins over one for all.",
    {
        200: _json("It holds.", "Override", {"provider": "AWS", **_OVERRIDE_EXAMPLE}),
        400: _WRONG,
        404: _NOT_FOUND,
    },
    body={
        "required": True,
        "content": {
            "application/json": {
                "schema": _ref("OverrideOrder"),
                "example": {
                    "state": "drain",
                    "reason": "maintenance of the account",
                    "actor": "ada",
                    "forSeconds": 1800,
                },
            }
        },
    },
)
LIFT_OVERRIDE: Final = _doc(
    "End an override before its time.",
    {
        204: {"description": "It is lifted."},
        400: _WRONG,
        404: _problem("There is no such provider, or no such override."),
    },
    parameters=(
        _query("region", "That of the override; left out for the one that holds for all.", _STRING),
        _query("actor", "Who lifts it; kept in the event.", {"type": "string", "maxLength": MAX_ACTOR}),
    ),
)
EVENTS: Final = _doc(
    "Openings, closings, overrides and cut-off replicas, newest first. At least the last 1,000 are kept.",
    {
        200: _json("Newest first.", "ProviderEvents", {"events": [_EVENT_EXAMPLE], "nextCursor": None}),
        400: _WRONG,
        404: _NOT_FOUND,
    },
    parameters=(
        _query("before", "Only those before this one: `nextCursor` of the page before.", _STRING),
        _query(
            "limit",
            "How many at most.",
            {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": USUAL_EVENTS},
        ),
    ),
)
