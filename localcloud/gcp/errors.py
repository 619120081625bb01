"""What Google's front end answers for itself: its errors by name, as pages and as API errors."""

import html
import json
from collections.abc import Mapping

from localcloud.executor import Raises, Reply
from localcloud.vendor import FaultOptions, Faults

# name: (status, what the page says)
_PAGES: Mapping[str, tuple[int, str]] = {
    "bad-request": (400, "Your client has issued a malformed or illegal request."),
    "unauthorized": (401, "Your client does not have permission to the requested URL."),
    "invalid-token": (401, "Your client does not have permission to the requested URL."),
    "forbidden": (403, "Your client does not have permission to get this URL from this server."),
    "not-found": (404, "The requested URL was not found on this server."),
    "too-large": (413, "Your client issued a request that was too large."),
    "rate-exceeded": (429, "Rate exceeded."),
    "internal": (500, "The server encountered an error and could not complete your request."),
    "crash": (500, "Internal Server Error"),
    "bad-gateway": (502, "The server encountered a temporary error and could not complete your request."),
    "no-available-instance": (503, "The request was aborted because there was no available instance."),
    "unavailable": (503, "Service Unavailable"),
    "malformed-response": (503, "The request failed because the connection to the instance had an error."),
    "upstream-timeout": (504, "upstream request timeout"),
}

# Answered as plain text by the serving layer; the others are pages.
_PLAIN = frozenset(
    {
        "rate-exceeded",
        "crash",
        "unavailable",
        "upstream-timeout",
        "no-available-instance",
        "malformed-response",
    }
)

FAULTS = Faults(
    statuses={name: status for name, (status, _) in _PAGES.items()},
    by_status={
        400: "bad-request",
        401: "unauthorized",
        403: "forbidden",
        404: "not-found",
        413: "too-large",
        429: "rate-exceeded",
        500: "internal",
        502: "bad-gateway",
        503: "no-available-instance",
        504: "upstream-timeout",
    },
    unavailable="unavailable",
    throttled="rate-exceeded",
    expired="invalid-token",
)


def fault(name: str, options: FaultOptions) -> Reply:
    """One of its errors on the wire."""
    status, words = _PAGES[name]
    words = options.message or words
    headers = {"Content-Type": "text/plain" if name in _PLAIN else "text/html; charset=UTF-8"}
    if name == "crash":
        headers["X-Google-Status"] = "crash"
    if name == "invalid-token":
        headers["WWW-Authenticate"] = (
            'Bearer error="invalid_token" error_description="The access token could not be verified"'
        )
    if options.retry_after is not None:
        headers["Retry-After"] = str(options.retry_after)
    body = words if name in _PLAIN else _page(status, words)
    return Reply(status, headers, body.encode())


def failed(raises: Raises) -> Reply:
    """What a function that raised is answered with: the framework's mark of a crash, or a bare 500."""
    headers = {"Content-Type": "text/plain"} | ({"X-Google-Status": "crash"} if raises.marked else {})
    return Reply(500, headers, f"{raises.error}: {raises.message}".encode())


def api_error(status: int, name: str, message: str) -> Reply:
    """An error of a management API, as google-api-core reads it."""
    body = {"error": {"code": status, "message": message, "status": name}}
    return Reply(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(body).encode())


def _page(status: int, words: str) -> str:
    return (
        f"<html><head><title>Error {status}</title></head><body><h1>{html.escape(words)}</h1></body></html>\n"
    )
