"""What Azure's front end answers for itself, by name."""

import html
import json
from collections.abc import Mapping

from localcloud.executor import Raises, Reply
from localcloud.vendor import FaultOptions, Faults

# name: (status, what it says; None: an empty body)
_PAGES: Mapping[str, tuple[int, str | None]] = {
    "bad-request": (400, "Bad Request"),
    "unauthorized": (401, None),
    "forbidden": (403, "Forbidden"),
    "site-stopped": (403, "Error 403 - This web app is stopped."),
    "not-found": (404, None),
    "too-large": (413, "The page was not displayed because the request entity is too large."),
    "too-many-requests": (429, "Too Many Requests"),
    "internal": (500, None),
    "bad-gateway": (502, "Bad Gateway"),
    "host-not-running": (503, "Function host is not running."),
    "service-unavailable": (503, "The service is unavailable."),
    "gateway-timeout": (504, "504.0 GATEWAY_TIMEOUT"),
}

FAULTS = Faults(
    statuses={name: status for name, (status, _) in _PAGES.items()},
    by_status={
        400: "bad-request",
        401: "unauthorized",
        403: "forbidden",
        404: "not-found",
        413: "too-large",
        429: "too-many-requests",
        500: "internal",
        502: "bad-gateway",
        503: "service-unavailable",
        504: "gateway-timeout",
    },
    unavailable="service-unavailable",
    throttled="too-many-requests",
    expired="unauthorized",
)


def failed(raises: Raises) -> Reply:
    """What a function that raised is answered with: the function wrapper's mark, or the host's empty 500."""
    if not raises.marked:
        return Reply(500)
    body = {"errorType": raises.error, "errorMessage": raises.message}
    headers = {"Content-Type": "application/json", "Sidestep-Error": "function"}
    return Reply(500, headers, json.dumps(body).encode())


def fault(name: str, options: FaultOptions) -> Reply:
    """One of its errors on the wire."""
    status, words = _PAGES[name]
    words = options.message or words
    headers = {} if options.retry_after is None else {"Retry-After": str(options.retry_after)}
    if words is None:
        return Reply(status, headers)
    if name == "host-not-running":
        return Reply(status, headers | {"Content-Type": "text/plain"}, words.encode())
    page = f"<!DOCTYPE html><html><body><h1>{html.escape(words)}</h1></body></html>"
    return Reply(status, headers | {"Content-Type": "text/html"}, page.encode())
