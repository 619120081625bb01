"""What travels beside the payload (the wire contract of all providers)."""

from core.ports.provider import Call

_ALWAYS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "sidestep",
}


def plain_headers() -> dict[str, str]:
    """The headers of every call: JSON both ways, uncompressed."""
    return _ALWAYS.copy()


def metadata_headers(call: Call) -> dict[str, str]:
    """Those, and the attempt's metadata as HTTP headers."""
    return {
        **_ALWAYS,
        "Idempotency-Key": call.idempotency_key,
        "Sidestep-Attempt": str(call.attempt),
        "Sidestep-Not-After": str(call.not_after_ms),
        "traceparent": call.traceparent,
    }
