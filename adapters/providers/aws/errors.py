"""What Lambda's answers mean (API reference, Invoke, Errors). The name decides, then the status.

Names come first because statuses mislead: a file system that cannot be mounted is a 403, and an unfinished
snapshot a 400, and neither is the caller's fault nor the credentials'.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from adapters.providers.wire import outcomes
from adapters.providers.wire.payload import NotJson, decode
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.rows import (
    NOT_DEPLOYED,
    PROVIDER_FAULT,
    REFUSED_REQUEST,
    THROTTLED,
    UNAUTHORISED,
    Row,
    first_match,
)
from core.failover.outcome import Executed, Outcome, Scope

_ANY = range(400, 600)

BROKEN_FUNCTION = Row(
    statuses=_ANY,
    executed=Executed.NO,
    scope=Scope.FUNCTION,
    signal="aws-function-misconfigured",
    error=outcomes.MISCONFIGURED,
    cause="Lambda could not set the function up",
)
NOT_READY = Row(
    statuses=_ANY,
    executed=Executed.NO,
    scope=Scope.FUNCTION,
    signal="aws-function-not-ready",
    error=outcomes.NOT_READY,
    cause="the function was not ready",
    retry_here=True,
)
ALREADY_STARTED = Row(
    statuses=_ANY,
    executed=Executed.MAYBE,
    scope=Scope.FUNCTION,
    signal="aws-already-started",
    error=outcomes.NOT_READY,
    cause="an execution of this name was started before",
)

BY_NAME: dict[str, Row] = {
    **dict.fromkeys(
        (
            "TooManyRequestsException",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "ThrottlingException",
            "Throttling",
            "RequestLimitExceeded",
            "ServiceQuotaExceededException",
        ),
        THROTTLED,
    ),
    **dict.fromkeys(
        ("ServiceException", "InternalFailure", "InternalServerError", "ServiceUnavailableException"),
        PROVIDER_FAULT,
    ),
    **dict.fromkeys(
        (
            "EC2AccessDeniedException",
            "EC2ThrottledException",
            "EC2UnexpectedException",
            "ENILimitReachedException",
            "ENINotReadyException",
            "InvalidRuntimeException",
            "InvalidSecurityGroupIDException",
            "InvalidSubnetIDException",
            "InvalidZipFileException",
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSNotFoundException",
            "SubnetIPAddressLimitReachedException",
            "EFSMountFailureException",
            "S3FilesMountFailureException",
            "SnapStartException",
            "SnapStartRegenerationFailureException",
            "RuntimeAliasDeletedException",
            "RuntimeVersionDeletedException",
            "CodeArtifactUserDeletedException",
            "CodeArtifactUserFailedException",
            "NoPublishedVersionException",
            "ModeNotSupportedException",
        ),
        BROKEN_FUNCTION,
    ),
    **dict.fromkeys(
        (
            "ResourceConflictException",
            "ResourceNotReadyException",
            "SnapStartNotReadyException",
            "SnapStartTimeoutException",
            "CodeArtifactUserPendingException",
            "EFSIOException",
            "EFSMountConnectivityException",
            "EFSMountTimeoutException",
            "S3FilesMountConnectivityException",
            "S3FilesMountTimeoutException",
        ),
        NOT_READY,
    ),
    "DurableExecutionAlreadyStartedException": ALREADY_STARTED,
    "ResourceNotFoundException": NOT_DEPLOYED,
    **dict.fromkeys(
        (
            "InvalidParameterValueException",
            "InvalidRequestContentException",
            "RecursiveInvocationException",
            "RequestTooLargeException",
            "SerializedRequestEntityTooLargeException",
            "UnsupportedMediaTypeException",
            "ValidationException",
        ),
        REFUSED_REQUEST,
    ),
    **dict.fromkeys(
        (
            "AccessDeniedException",
            "AccessDenied",
            "ExpiredTokenException",
            "ExpiredToken",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "OptInRequired",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        UNAUTHORISED,
    ),
}
"""By the error's name."""

BROKEN_FAMILIES = ("EC2", "ENI", "KMS", "Invalid", "Subnet", "Runtime")
"""Families that Lambda adds members to: with status 502 a member says that a function cannot be set up."""

MOUNT_FAMILIES = ("EFS", "S3Files", "SnapStart")
"""The same, with any 4xx too: a member says that a function has no file system or snapshot (yet)."""

LATER = (408, 409, 410)
"""The statuses with which Lambda says that the same request may succeed soon."""

BY_STATUS = (
    THROTTLED,
    UNAUTHORISED,
    replace(NOT_READY, statuses=LATER),
    NOT_DEPLOYED,
    REFUSED_REQUEST,
    PROVIDER_FAULT,
)
"""Where the name is missing or new."""

CUT_OFF = frozenset({"Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory"})
"""Function errors after which the function had run in part: Lambda cut it off, or its process died."""

_TIMED_OUT = re.compile(r"Task timed out after [0-9.]+ seconds")
_KEBAB = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NAME = re.compile(r"[A-Za-z0-9]{1,100}")
_THROTTLED, _SERVER_ERROR, _BAD_GATEWAY = 429, 500, 502


def classify(reply: Reply, secrets: Iterable[str]) -> Outcome:
    """What an answer of Lambda's Invoke proves."""
    if reply.redirect:
        return outcomes.from_redirect(reply)
    if not reply.success:
        return _refusal(reply, secrets)
    if reply.headers.get("X-Amz-Function-Error"):
        return _function_error(reply, secrets)
    return outcomes.from_success(reply)


def _refusal(reply: Reply, secrets: Iterable[str]) -> Outcome:
    document = _document(reply)
    name = _error_name(reply, document)
    row = BY_NAME.get(name) or _family(name, reply.status) or first_match(BY_STATUS, reply)
    outcome = row.outcome(reply, secrets, words=_words(name, document, secrets))
    changes: dict[str, Any] = {}
    if name:
        changes["signal"] = f"aws-{_KEBAB.sub('-', name).lower()}"
    if outcome.retry_after_ms is None and row is THROTTLED:
        changes["retry_after_ms"] = outcomes.retry_after_ms(str(document.get("retryAfterSeconds") or ""))
    return msgspec.structs.replace(outcome, **changes) if changes else outcome


def _family(name: str, status: int) -> Row | None:
    if name.startswith(MOUNT_FAMILIES) and (status < _SERVER_ERROR or status == _BAD_GATEWAY):
        return NOT_READY if status in LATER else None if status == _THROTTLED else BROKEN_FUNCTION
    if name.startswith(BROKEN_FAMILIES) and status == _BAD_GATEWAY:
        return BROKEN_FUNCTION
    return None


def _function_error(reply: Reply, secrets: Iterable[str]) -> Outcome:
    error, cause = outcomes.named_error(_document(reply), secrets, default="")
    if error == outcomes.NOT_STARTED:
        return Outcome(
            executed=Executed.NO,
            scope=Scope.PROVIDER,
            signal="not-started",
            error=error,
            cause="the request reached the function after its not-after instant, and was not started",
            status=reply.status,
        )
    timed_out = _TIMED_OUT.search(cause) is not None and error in ("", "Sandbox.Timedout")
    if not error:
        error = "Sandbox.Timedout" if timed_out else outcomes.FUNCTION_ERROR
    return Outcome(
        executed=Executed.YES,
        scope=Scope.FUNCTION,
        signal="function-timed-out" if timed_out else "function-error",
        error=error,
        cause=cause or "the function failed, and did not say why",
        status=reply.status,
        # An error whose body was lost could be a cut-off as well.
        partial=timed_out or error in CUT_OFF or reply.broken is not None,
    )


def _document(reply: Reply) -> dict[str, Any]:
    with suppress(NotJson):
        document = decode(reply.body)
        if isinstance(document, dict):
            return document
    return {}


def _error_name(reply: Reply, document: dict[str, Any]) -> str:
    """The error's name: the header up to `:` or `,`, else the body's `__type` after `#`, else `code`.

    (Smithy, AWS restJson1, "Operation error serialization".)
    """
    text = reply.headers.get("x-amzn-ErrorType") or document.get("__type") or document.get("code") or ""
    name = str(text).split(":", 1)[0].split(",", 1)[0].rsplit("#", 1)[-1].strip()
    return name if _NAME.fullmatch(name) else ""


def _words(name: str, document: dict[str, Any], secrets: Iterable[str]) -> str:
    message = document.get("Message") or document.get("message") or ""
    reason = document.get("Reason") or ""
    parts = [part for part in (name, str(reason), str(message)) if part]
    return outcomes.redact(": ".join(parts), secrets)[: outcomes.MAX_EXCERPT]
