"""Lets a cloud function take part in failover. One file, no dependencies: copy it beside your function.

Write the work once, as a function of the payload and the call, and adapt it to the platform:

    from sidestep_function import Call, on_lambda

    def charge(payload, call: Call):
        return {"charged": payload["amount"], "key": call.idempotency_key}

    lambda_handler = on_lambda(charge)

`on_google` makes a functions-framework function of it, `on_azure` the function of an HTTP trigger.
Each adapter does three things:

- It gives the code its idempotency key and attempt number. The key is the same at every provider
  and every attempt of one intent: store it with the effect, and a second execution can be seen.
- It refuses a start after the call's not-after instant (a request that lay in a queue while the
  caller went elsewhere). Nothing of the function has run then, and the answer says so.
- It marks the function's own errors, so that they are not taken for an outage of the cloud.

A function that needs longer than one call may last hands its result in later:

- A step with `"await": "callback"` gives the call a `callback_url`. Whatever does the work says there how
  it went, with `call_back`; it may say `"heartbeat"` in between. The address is a secret.
- A step with `"await": "poll"` asks for it. Return `Accepted(location)` from the function, and give the
  adapter a `status` that answers at that address: with `Accepted` again, or with the result.
  `Accepted("?job=7")` is an address of the function's own. Lambda's answers have no address.

The not-after instant is compared with this machine's wall clock; callers add their documented skew.
"""

from __future__ import annotations

import inspect
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Accepted", "Call", "NotStarted", "call_back", "on_azure", "on_google", "on_lambda"]

_JSON = "application/json"
_MARK = "Sidestep-Error"
_MAX_MESSAGE = 8_192
_OVER = 409


class NotStarted(Exception):
    """The call came after its not-after instant; the function did not start."""


# Lambda reports an exception by its class's name; this is the name that callers look for.
NotStarted.__name__ = "Sidestep.NotStarted"


class _BadPayload(Exception):
    """The body is not JSON: the caller's mistake, and the function did not start."""


_BadPayload.__name__ = "Sidestep.BadPayload"


@dataclass(frozen=True)
class Call:
    """What came beside the payload. Each field is None where the caller did not send it.

    `not_after` is in epoch milliseconds. `attempt` counts the calls of one step. Whoever has the
    `callback_url`, or the `callback_token` that is in it, can say how the step ended.
    """

    idempotency_key: str | None = None
    attempt: int | None = None
    not_after: int | None = None
    traceparent: str | None = None
    callback_token: str | None = None
    callback_url: str | None = None

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Call({self.idempotency_key!r}, attempt={self.attempt!r})"

    def remaining_seconds(self) -> float | None:
        """Seconds until the not-after instant, 0 when it is over; None without one."""
        if self.not_after is None:
            return None
        return max(0.0, self.not_after / 1000 - time.time())


@dataclass(frozen=True)
class Accepted:
    """It is taken on, and not done yet: its result is at `location` later, an address as of RFC 9110's header
    of that name. `retry_after` says in how many seconds to ask (whole ones).
    """

    location: str | None = None
    retry_after: int | None = None


Function = Callable[[Any, Call], Any]
AsyncFunction = Callable[[Any, Call], Awaitable[Any]]
Status = Callable[[Mapping[str, str]], Any]
"""Answers a question for a result, from the query of its address: the result, or `Accepted`."""


def call_back(
    url: str,
    status: str,
    *,
    output: Any = None,
    error: str = "",
    cause: str = "",
    key: str | None = None,
    timeout: float = 10.0,
) -> bool:
    """Say at a call's `callback_url` how it went: "success" with an `output`, "failure" with an `error` and a
    `cause`, or "heartbeat". With a `key` it may be said again and changes nothing a second time.

    False where nobody waits for that any more (409). Raises OSError where it was not taken: say it again.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("a callback_url begins with http:// or https://")
    body: dict[str, Any] = {"status": status}
    if status == "success":
        body["output"] = output
    elif status == "failure":
        body |= {"error": error, "cause": cause}
    headers = {"Content-Type": _JSON, **({"Idempotency-Key": key} if key is not None else {})}
    data = json.dumps(body, allow_nan=False).encode()
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310 - checked above
            return True
    except urllib.error.HTTPError as refused:
        with refused:
            if refused.code == _OVER:
                return False
        raise


def on_lambda(function: Function) -> Callable[[Any, Any], Any]:
    """Make a Lambda handler. Its exceptions rise, because Lambda itself marks them."""

    def handler(event: Any, context: Any) -> Any:
        custom = getattr(getattr(context, "client_context", None), "custom", None)
        return function(event, _call(custom if isinstance(custom, Mapping) else {}))

    _name_like(function, handler)
    return handler


def on_google(
    function: Function, status: Status | None = None
) -> Callable[[Any], tuple[str, int, dict[str, str]]]:
    """Make a function for `@functions_framework.http` (a Flask request in, a Flask answer out). A GET is
    answered by `status`, where there is one.
    """

    def handler(request: Any) -> tuple[str, int, dict[str, str]]:
        if status is not None and request.method == "GET":
            code, headers, body = _told(status, request.query_string.decode())
            return body, code, headers
        code, headers, body = _answer(function, request.headers, request.get_data())
        return body, code, headers

    _name_like(function, handler)
    return handler


def on_azure(function: Function | AsyncFunction, status: Status | None = None) -> Callable[..., Any]:
    """Make the function of an `azure.functions` HTTP trigger whose request argument is named `req`. A GET is
    answered by `status`, where there is one; its route needs the method then.
    """
    if inspect.iscoroutinefunction(function):

        async def awaiting(req: Any) -> Any:
            if status is not None and req.method == "GET":
                return _azure(*_told(status, urlsplit(req.url).query))
            return _azure(*await _answer_async(function, req.headers, req.get_body()))

        _name_like(function, awaiting)
        return awaiting

    def handler(req: Any) -> Any:
        if status is not None and req.method == "GET":
            return _azure(*_told(status, urlsplit(req.url).query))
        return _azure(*_answer(function, req.headers, req.get_body()))

    _name_like(function, handler)
    return handler


def _answer(function: Function, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
    try:
        payload, call = _payload(body), _call(headers)
        return _result(function(payload, call))
    except Exception as error:  # noqa: BLE001 - every error of the function is marked as its own
        return _error(error)


async def _answer_async(
    function: AsyncFunction, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, str], str]:
    try:
        payload, call = _payload(body), _call(headers)
        return _result(await function(payload, call))
    except Exception as error:  # noqa: BLE001 - every error of the function is marked as its own
        return _error(error)


def _payload(body: bytes) -> Any:
    try:
        return json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise _BadPayload(f"the body is not JSON: {error}") from None


def _told(status: Status, query: str) -> tuple[int, dict[str, str], str]:
    try:
        return _result(status(dict(parse_qsl(query, keep_blank_values=True))))
    except Exception as error:  # noqa: BLE001 - every error of the function is marked as its own
        return _error(error)


def _result(value: Any) -> tuple[int, dict[str, str], str]:
    if isinstance(value, Accepted):
        headers = {"Content-Type": _JSON}
        if value.location is not None:
            headers["Location"] = value.location
        if value.retry_after is not None:
            headers["Retry-After"] = str(value.retry_after)
        return 202, headers, "{}"
    return 200, {"Content-Type": _JSON}, json.dumps(value, allow_nan=False)


def _error(error: Exception) -> tuple[int, dict[str, str], str]:
    headers = {"Content-Type": _JSON}
    if isinstance(error, _BadPayload):
        status = 400
    elif isinstance(error, NotStarted):
        status, headers[_MARK] = 412, "not-started"
    else:
        status, headers[_MARK] = 500, "function"
    body = {"errorType": type(error).__name__, "errorMessage": str(error)[:_MAX_MESSAGE]}
    return status, headers, json.dumps(body)


def _azure(status: int, headers: dict[str, str], body: str) -> Any:
    # Imported here, so that this file loads on the other platforms.
    from azure.functions import HttpResponse  # noqa: PLC0415 - see above

    others = {name: value for name, value in headers.items() if name != "Content-Type"}
    return HttpResponse(body, status_code=status, headers=others, mimetype=_JSON)


def _call(values: Mapping[str, Any]) -> Call:
    """Read the metadata (HTTP headers, or a client context's strings). Raises NotStarted if it is late."""
    lower = {str(name).lower(): str(value) for name, value in values.items()}
    not_after = lower.get("sidestep-not-after")
    if not_after is not None:
        if not _is_whole(not_after):
            # Whether it is late cannot be known, and not to start is the answer that is always safe.
            raise NotStarted("Sidestep-Not-After is not a number of epoch milliseconds")
        late = time.time() * 1000 - int(not_after)
        if late > 0:
            raise NotStarted(f"the call came {late:.0f} ms after its not-after instant")
    attempt = lower.get("sidestep-attempt", "")
    return Call(
        idempotency_key=lower.get("idempotency-key"),
        attempt=int(attempt) if _is_whole(attempt) else None,
        not_after=None if not_after is None else int(not_after),
        traceparent=lower.get("traceparent"),
        callback_token=lower.get("sidestep-callback-token"),
        callback_url=lower.get("sidestep-callback-url"),
    )


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004 - fits 64 bits


def _name_like(function: Callable[..., Any], adapter: Callable[..., Any]) -> None:
    # Not functools.wraps: the platforms read the adapter's own parameters, not the function's.
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        if hasattr(function, attribute):
            setattr(adapter, attribute, getattr(function, attribute))
