"""What travels beside the payload (the wire contract of all providers)."""

from core.ports.provider import Call

_ALWAYS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "sidestep",
}


OF_AN_ATTEMPT = frozenset(
    {"Content-Type", "Idempotency-Key", "Sidestep-Attempt", "Sidestep-Not-After", "traceparent"}
)
"""Headers of a call that a question for its result has not."""

CALLBACK_TOKEN = "Sidestep-Callback-Token"  # noqa: S105 - a header's name, not a token
CALLBACK_URL = "Sidestep-Callback-Url"


def plain_headers() -> dict[str, str]:
    """The headers of every call: JSON both ways, uncompressed."""
    return _ALWAYS.copy()


def metadata_headers(call: Call) -> dict[str, str]:
    """The attempt's metadata as HTTP headers."""
    headers = {
        "Idempotency-Key": call.idempotency_key,
        "Sidestep-Attempt": str(call.attempt),
        "Sidestep-Not-After": str(call.not_after_ms),
        "traceparent": call.traceparent,
    }
    if call.callback_token is not None:
        headers |= callback(call)
    return headers


def callback(call: Call) -> dict[str, str]:
    """What a call that awaits a callback bears besides: the token, and where it is used."""
    if call.callback_token is None:
        return {}
    return {CALLBACK_TOKEN: call.callback_token, CALLBACK_URL: call.callback_url or ""}
