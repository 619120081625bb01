"""The request headers that a route understands."""

import re

from starlette.requests import Request

from api.schemas.queries import refuse_parameter

MAX_KEY = 255

_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?")
_SEQ = re.compile(r"[0-9]{1,18}")


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key`: 1 to 255 printable ASCII characters."""
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1:
        raise refuse_parameter(
            "Idempotency-Key",
            "invalid-header",
            "The request has more than one Idempotency-Key.",
            "Send one.",
        )
    key = values[0]
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise refuse_parameter(
            "Idempotency-Key",
            "invalid-header",
            f"The Idempotency-Key must be 1 to {MAX_KEY} printable ASCII characters.",
            "Use a UUID, for instance.",
        )
    return key


def preferred_wait(request: Request, most: int) -> int | None:
    """The seconds of `Prefer: wait=N` (RFC 7240), `most` at most. Preferences that are not understood are
    ignored, as that RFC asks.
    """
    for value in request.headers.getlist("prefer"):
        for preference in value.split(","):
            found = _WAIT.fullmatch(preference.split(";")[0].strip().lower())
            if found:
                return min(int(found[1]), most)
    return None


def last_event_id(request: Request) -> int | None:
    """The number of the last event that a reader of a stream has had."""
    value = request.headers.get("last-event-id")
    if value is None or value == "":
        return None
    if not _SEQ.fullmatch(value):
        raise refuse_parameter(
            "Last-Event-ID",
            "invalid-header",
            "The Last-Event-ID must be the id of an event of this stream: a whole number.",
            "Send the last 'id' that was received, or leave the header out to begin at the first event.",
        )
    return int(value)
