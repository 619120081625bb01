"""The outcomes that do not depend on a vendor: what the network did, and what a broken answer means.

Which phase failed decides `executed`: before anything was written it is NO, after that MAYBE, and once a
success status was read YES. docs/explanation/failover.md has the whole table.
"""

import email.utils
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from adapters.providers.wire.payload import NotJson, decode, too_deep
from adapters.providers.wire.reply import Broken, Reply
from core.failover.outcome import Executed, Outcome, Scope, succeeded

UNREACHABLE = "Sidestep.ProviderUnreachable"
UNAVAILABLE = "Sidestep.ProviderUnavailable"
TIMEOUT = "Sidestep.Timeout"
CONNECTION_LOST = "Sidestep.ConnectionLost"
BAD_RESPONSE = "Sidestep.BadResponse"
DATA_LIMIT = "Sidestep.DataLimitExceeded"
REDIRECT_REFUSED = "Sidestep.RedirectRefused"
TARGET_REFUSED = "Sidestep.TargetRefused"
BAD_REQUEST = "Sidestep.BadRequest"
CREDENTIALS = "Sidestep.CredentialsRefused"
NOT_DEPLOYED = "Sidestep.NotDeployed"
NOT_READY = "Sidestep.NotReady"
NOT_STARTED = "Sidestep.NotStarted"
THROTTLED = "Sidestep.Throttled"
MISCONFIGURED = "Sidestep.FunctionMisconfigured"
FUNCTION_ERROR = "Sidestep.FunctionError"
FUNCTION_FAULT = "Sidestep.FunctionFault"

MAX_CAUSE = 32_768
"""Characters kept of a function's own message (the States Language's limit of a Cause)."""
MAX_EXCERPT = 500
"""Characters kept of a vendor's error page."""
MAX_ERROR_NAME = 256
MAX_RETRY_AFTER_MS = 3_600_000


def refused(sentence: str) -> Outcome:
    """A target that this provider must not or cannot call; nothing was sent, and a fallback may do better."""
    return Outcome(
        executed=Executed.NO,
        scope=Scope.FUNCTION,
        signal="target-refused",
        error=TARGET_REFUSED,
        cause=sentence,
    )


def unsendable(sentence: str) -> Outcome:
    """A payload or header that cannot be put on the wire; nothing was sent."""
    return Outcome(
        executed=Executed.NO, scope=Scope.CALLER, signal="bad-request", error=BAD_REQUEST, cause=sentence
    )


def no_credentials(sentence: str, *, retry_here: bool = False) -> Outcome:
    """No usable credential in time; nothing was sent."""
    return Outcome(
        executed=Executed.NO,
        scope=Scope.CREDENTIALS,
        signal="credentials-missing",
        error=CREDENTIALS,
        cause=sentence,
        retry_here=retry_here,
    )


def token_unreachable(sentence: str) -> Outcome:
    """The vendor's token service cannot be reached; nothing was sent to the function."""
    return unreached("token-unreachable", sentence)


def closed() -> Outcome:
    """The provider is not open, or was closed while the call waited for a connection; nothing was sent."""
    return unreached("provider-closed", "the provider's connections are closed in this process")


def of_probe(outcome: Outcome) -> Outcome:
    """What the end of a probe proves: the same but for the execution, because a probe runs nothing.

    Words that say that something may have run are left out.
    """
    cause = outcome.cause
    if not outcome.ok and outcome.executed is not Executed.NO:
        status = "" if outcome.status is None else f" (status {outcome.status})"
        cause = f"a probe, which runs no function, ended in {outcome.signal}{status}"
    return msgspec.structs.replace(outcome, executed=Executed.NO, partial=False, cause=cause, output=None)


def no_connection() -> Outcome:
    """No connection within the limits of all that lies before one is in hand; nothing was sent."""
    return unreached("connect-timeout", "no connection in time (pool, name lookup, TCP or TLS)")


def unwritten() -> Outcome:
    """The connection was closed before anything was written to it."""
    return unreached("connection-lost", "the connection was lost before the request was written to it")


def unreached(signal: str, cause: str) -> Outcome:
    """The provider was not reached, for the reason that `signal` names; nothing was sent."""
    return Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal=signal, error=UNREACHABLE, cause=cause)


def read_timeout() -> Outcome:
    """The request was written, and its time was over before a status line was read."""
    return _ambiguous("read-timeout", TIMEOUT, "no answer in time; it may have run")


def malformed() -> Outcome:
    """The request was written, and what came back is not HTTP, or more of it than is read."""
    return _ambiguous(
        "reply-malformed", BAD_RESPONSE, "the answer was not HTTP that can be read; it may have run"
    )


def lost(why: str) -> Outcome:
    """The request was written, and its connection ended before a status line was read."""
    return _ambiguous(
        "connection-lost",
        CONNECTION_LOST,
        f"the connection was lost after the request was written ({why}); it may have run",
    )


def _ambiguous(signal: str, error: str, cause: str) -> Outcome:
    return Outcome(executed=Executed.MAYBE, scope=Scope.PROVIDER, signal=signal, error=error, cause=cause)


def os_words(problem: BaseException | None) -> str:
    """An operating system's words for an error, without addresses or paths of ours."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem) or type(problem).__name__


def from_success(reply: Reply) -> Outcome:
    """The outcome of a 2xx: the JSON output, or proof that it ran and that its answer was lost."""
    match reply.broken:
        case Broken.TOO_LARGE:
            return _bad_answer(reply, "response-too-large", DATA_LIMIT, "the answer is over the size limit")
        case Broken.TRUNCATED:
            return _bad_answer(reply, "response-truncated", BAD_RESPONSE, "the answer ended before its end")
        case Broken.LATE:
            return _bad_answer(reply, "response-late", TIMEOUT, "the answer began but did not end in time")
        case None:
            pass
    if reply.status in _NO_CONTENT and not reply.body:
        return succeeded(None)
    try:
        output = decode(reply.body)
    except NotJson:
        return _bad_answer(reply, "response-corrupt", BAD_RESPONSE, "the answer is not JSON")
    size = 0 if output is None or too_deep(reply.body) else len(reply.body)
    return Outcome(executed=Executed.YES, ok=True, output=output, size=size)


_NO_CONTENT = (204, 205)
_NOT_PROCESSED = (307, 308)


def _bad_answer(reply: Reply, signal: str, error: str, why: str) -> Outcome:
    return Outcome(
        executed=Executed.YES,
        scope=Scope.RESPONSE,
        signal=signal,
        error=error,
        cause=f"status {reply.status}: it ran, and {why}",
        status=reply.status,
    )


def from_redirect(reply: Reply) -> Outcome:
    """The outcome of a 3xx, which is never followed: it could lead anywhere, with our credentials.

    307 and 308 say that the same request is to be sent elsewhere: it was not processed. After a POST the
    others are also how programs answer once they are done ("see other"): it may have run.
    """
    processed = Executed.NO if reply.status in _NOT_PROCESSED else Executed.MAYBE
    return Outcome(
        executed=processed,
        scope=Scope.FUNCTION,
        signal="redirect-refused",
        error=REDIRECT_REFUSED,
        cause=f"status {reply.status}: redirects are not followed; name the final URL",
        status=reply.status,
    )


def retry_after_ms(value: str | None) -> int | None:
    """`Retry-After` (delta seconds or an HTTP date) in milliseconds, at most an hour; None if unreadable."""
    if not value:
        return None
    with suppress(ValueError, OverflowError):
        return max(0, min(int(float(value) * 1000), MAX_RETRY_AFTER_MS))
    at = date_seconds(value)
    return None if at is None else max(0, min(int((at - time.time()) * 1000), MAX_RETRY_AFTER_MS))


def date_seconds(value: str | None) -> float | None:
    """An HTTP date as Unix seconds; None where it is missing or unreadable."""
    if not value:
        return None
    with suppress(ValueError, TypeError, OverflowError):
        return email.utils.parsedate_to_datetime(value).timestamp()
    return None


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the given secrets: servers and functions sometimes echo the headers they were sent."""
    for secret in secrets:
        if secret and secret in text:
            text = text.replace(secret, "[redacted]")
    return text


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of an error page, on one line, without secrets."""
    text = redact(body[: 16 * MAX_EXCERPT].decode("utf-8", "replace"), secrets)
    line = " ".join(text.split())
    return line if len(line) <= MAX_EXCERPT else f"{line[:MAX_EXCERPT]}..."


def named_error(document: Any, secrets: Iterable[str], *, default: str) -> tuple[str, str]:
    """The (`errorType`, `errorMessage`) of a function's error document, cut to size, without secrets."""
    if not isinstance(document, dict):
        return default, ""
    kind, message = document.get("errorType"), document.get("errorMessage")
    name = kind if isinstance(kind, str) and kind else default
    cause = message if isinstance(message, str) else ""
    return redact(name, secrets)[:MAX_ERROR_NAME], redact(cause, secrets)[:MAX_CAUSE]
