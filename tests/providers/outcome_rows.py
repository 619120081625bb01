"""The outcome table of docs/explanation/failover.md as rows: what was seen, and what it proves.

Each row is produced on the wire: by a loopback server that answers, breaks off or keeps silent, and, where
localcloud knows the error by name, by localcloud as well. The engine's own rows (breaker open, drained, an
owner that died) are not the adapters'.
"""

from typing import NamedTuple

from core.failover.outcome import Executed, Scope
from core.testing.contracts.provider_server import Answer, json_answer

NO, MAYBE, YES = Executed.NO, Executed.MAYBE, Executed.YES
PROVIDER, FUNCTION, CALLER = Scope.PROVIDER, Scope.FUNCTION, Scope.CALLER
CREDENTIALS, SATURATION, RESPONSE = Scope.CREDENTIALS, Scope.SATURATION, Scope.RESPONSE

EVERY = ("AWS", "GCP", "AZURE", "HTTP")
PLATFORMS = ("GCP", "AZURE", "HTTP")


class Told(NamedTuple):
    """What a row's outcome is: the spec's columns. `retry_here` asks for one more try at the same target."""

    executed: Executed
    scope: Scope
    ambiguous: bool
    retry_here: bool = False


UNREACHED = Told(NO, PROVIDER, ambiguous=False)
AMBIGUOUS = Told(MAYBE, PROVIDER, ambiguous=True)
SATURATED = Told(NO, SATURATION, ambiguous=False, retry_here=True)
BROKEN = Told(NO, FUNCTION, ambiguous=False)
NOT_READY = Told(NO, FUNCTION, ambiguous=False, retry_here=True)
MISSING = Told(NO, FUNCTION, ambiguous=False)
WRONG = Told(NO, CALLER, ambiguous=False)
REFUSED = Told(NO, CREDENTIALS, ambiguous=False)
OWN_ERROR = Told(YES, FUNCTION, ambiguous=False)
CUT_OFF = Told(YES, FUNCTION, ambiguous=True)
UNMARKED = Told(MAYBE, FUNCTION, ambiguous=True)
LOST_REPLY = Told(YES, RESPONSE, ambiguous=True)

NETWORK: dict[str, Told] = {
    "DNS failure: NXDOMAIN": UNREACHED,
    "DNS failure: SERVFAIL": UNREACHED,
    "DNS failure: no answer": UNREACHED,
    "connection refused": UNREACHED,
    "TLS failure: not TLS": UNREACHED,
    "TLS failure: unknown authority": UNREACHED,
    "TLS failure: another host's certificate": UNREACHED,
    "TLS timeout": UNREACHED,
    "connect timeout": UNREACHED,
    "pool timeout": UNREACHED,
    "reset after the request was written": AMBIGUOUS,
    "EOF after the request was written": AMBIGUOUS,
    "read timeout": AMBIGUOUS,
    "2xx, truncated": LOST_REPLY,
    "2xx, its end too late": LOST_REPLY,
    "2xx, corrupt": LOST_REPLY,
    "2xx, not JSON": LOST_REPLY,
}
"""Every provider tells these in the same way."""


class Row(NamedTuple):
    """An answer, from whom it means that, and localcloud's names for it by provider."""

    signal: str
    providers: tuple[str, ...]
    answer: Answer
    told: Told
    named: tuple[tuple[str, str], ...] = ()


FUNCTION_SAYS = {"errorType": "CardDeclined", "errorMessage": "no funds"}
TIMED_OUT = {"errorMessage": "2025-11-21T00:00:00Z 1 Task timed out after 3.00 seconds"}
CRASHED = {"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: Runtime exited"}
UNHANDLED = {"X-Amz-Function-Error": "Unhandled"}
CRASH = {"X-Google-Status": "crash"}
MARK = {"Sidestep-Error": "function"}

ANSWERS = (
    Row(
        "502 from a front end",
        EVERY,
        Answer(502, {}, b"Bad Gateway"),
        AMBIGUOUS,
        (("GCP", "bad-gateway"), ("AZURE", "bad-gateway")),
    ),
    Row(
        "504 from a front end",
        EVERY,
        Answer(504, {}, b"Gateway Timeout"),
        AMBIGUOUS,
        (("AWS", "GatewayTimeout"),),
    ),
    Row(
        "Azure's 230 s limit",
        ("AZURE",),
        Answer(504, {}, b"<h1>504.0 GATEWAY_TIMEOUT</h1>"),
        AMBIGUOUS,
        (("AZURE", "gateway-timeout"),),
    ),
    Row(
        "Azure's 230 s limit, as 502",
        ("AZURE",),
        Answer(502, {}, b"The specified CGI application encountered an error"),
        AMBIGUOUS,
    ),
    Row(
        "Cloud Run 504",
        ("GCP",),
        Answer(504, {}, b"upstream request timeout"),
        AMBIGUOUS,
        (("GCP", "upstream-timeout"),),
    ),
    Row(
        "429",
        EVERY,
        Answer(429, {}, b"Rate exceeded."),
        SATURATED,
        (("GCP", "rate-exceeded"), ("AZURE", "too-many-requests")),
    ),
    Row("400", EVERY, Answer(400), WRONG, (("GCP", "bad-request"), ("AZURE", "bad-request"))),
    Row("413", EVERY, Answer(413), WRONG, (("GCP", "too-large"), ("AZURE", "too-large"))),
    Row("415", EVERY, Answer(415), WRONG),
    Row("422", EVERY, Answer(422), WRONG),
    Row(
        "404: not deployed there",
        EVERY,
        Answer(404),
        MISSING,
        (("AWS", "UnknownOperationException"), ("GCP", "not-found"), ("AZURE", "not-found")),
    ),
    Row(
        "401",
        EVERY,
        Answer(401),
        REFUSED,
        (("GCP", "unauthorized"), ("GCP", "invalid-token"), ("AZURE", "unauthorized")),
    ),
    Row("403", EVERY, Answer(403), REFUSED, (("GCP", "forbidden"), ("AZURE", "forbidden"))),
    Row(
        "403 of an app that its owner stopped",
        ("AZURE",),
        Answer(403, {}, b"Error 403 - This web app is stopped."),
        MISSING,
        (("AZURE", "site-stopped"),),
    ),
    Row("Lambda 408, unnamed", ("AWS",), Answer(408), NOT_READY),
    Row("Lambda 409, unnamed", ("AWS",), Answer(409), NOT_READY),
    Row("Lambda 410, unnamed", ("AWS",), Answer(410), NOT_READY),
    Row("200 with X-Amz-Function-Error", ("AWS",), json_answer(FUNCTION_SAYS, 200, UNHANDLED), OWN_ERROR),
    Row("Lambda `Task timed out`", ("AWS",), json_answer(TIMED_OUT, 200, UNHANDLED), CUT_OFF),
    Row("Lambda, process died", ("AWS",), json_answer(CRASHED, 200, UNHANDLED), CUT_OFF),
    Row(
        "500 with X-Google-Status: crash",
        ("GCP",),
        Answer(500, CRASH, b"Internal Server Error"),
        OWN_ERROR,
        (("GCP", "crash"),),
    ),
    Row("500 that our wrapper marked", PLATFORMS, json_answer(FUNCTION_SAYS, 500, MARK), OWN_ERROR),
    Row("503 that our wrapper marked", PLATFORMS, json_answer(FUNCTION_SAYS, 503, MARK), OWN_ERROR),
    Row(
        "503",
        EVERY,
        Answer(503, {}, b"Service Unavailable"),
        AMBIGUOUS,
        (("GCP", "unavailable"), ("GCP", "malformed-response"), ("AZURE", "service-unavailable")),
    ),
    Row(
        "Cloud Run 503, no instance",
        ("GCP",),
        Answer(503, {}, b"The request was aborted because there was no available instance."),
        UNREACHED,
        (("GCP", "no-available-instance"),),
    ),
    Row(
        "Azure 503, host not running",
        ("AZURE",),
        Answer(503, {}, b"Function host is not running."),
        UNREACHED,
        (("AZURE", "host-not-running"),),
    ),
    Row(
        "500 without a marker",
        PLATFORMS,
        Answer(500, {}, b"Internal Server Error"),
        UNMARKED,
        (("GCP", "internal"), ("AZURE", "internal")),
    ),
    Row("Lambda 500, unnamed", ("AWS",), Answer(500), AMBIGUOUS),
    Row("501 without a marker", EVERY, Answer(501), AMBIGUOUS),
    Row("520 without a marker", EVERY, Answer(520), AMBIGUOUS),
    Row("599 without a marker", EVERY, Answer(599), AMBIGUOUS),
)

THROTTLE_REASONS = (
    "ConcurrentInvocationLimitExceeded",
    "FunctionInvocationRateLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
    "CallerRateLimitExceeded",
    "ConcurrentSnapshotCreateLimitExceeded",
)
"""Of Lambda's 429; botocore models them."""

LAMBDA: dict[str, tuple[int, Told]] = {
    # Lambda 429 and its kin: saturation
    "TooManyRequestsException": (429, SATURATED),
    "ServiceQuotaExceededException": (402, SATURATED),
    "ThrottlingException": (429, SATURATED),
    "RequestThrottled": (400, SATURATED),
    "RequestThrottledException": (400, SATURATED),
    "SlowDown": (503, SATURATED),
    "ThrottledException": (400, SATURATED),
    "Throttling": (400, SATURATED),
    "RequestLimitExceeded": (503, SATURATED),
    # Lambda 500 ServiceException, and what may have run
    "ServiceException": (500, AMBIGUOUS),
    "InternalFailure": (500, AMBIGUOUS),
    "InternalServerError": (500, AMBIGUOUS),
    "ServiceUnavailableException": (503, AMBIGUOUS),
    # Lambda 502 family, and others that say that the function cannot be set up
    "EC2AccessDeniedException": (502, BROKEN),
    "EC2ThrottledException": (502, BROKEN),
    "EC2UnexpectedException": (502, BROKEN),
    "ENILimitReachedException": (502, BROKEN),
    "ENINotReadyException": (502, BROKEN),
    "InvalidRuntimeException": (502, BROKEN),
    "InvalidSecurityGroupIDException": (502, BROKEN),
    "InvalidSubnetIDException": (502, BROKEN),
    "InvalidZipFileException": (502, BROKEN),
    "KMSAccessDeniedException": (502, BROKEN),
    "KMSDisabledException": (502, BROKEN),
    "KMSInvalidStateException": (502, BROKEN),
    "KMSNotFoundException": (502, BROKEN),
    "SubnetIPAddressLimitReachedException": (502, BROKEN),
    "EFSMountFailureException": (403, BROKEN),
    "S3FilesMountFailureException": (403, BROKEN),
    "SnapStartException": (400, BROKEN),
    "SnapStartRegenerationFailureException": (409, BROKEN),
    "RuntimeAliasDeletedException": (409, BROKEN),
    "RuntimeVersionDeletedException": (409, BROKEN),
    "CodeArtifactUserDeletedException": (409, BROKEN),
    "CodeArtifactUserFailedException": (409, BROKEN),
    "NoPublishedVersionException": (400, BROKEN),
    "ModeNotSupportedException": (400, BROKEN),
    # Lambda 408, 409, 410 (and 502) that pass by themselves: one short retry here
    "ResourceConflictException": (409, NOT_READY),
    "ResourceNotReadyException": (502, NOT_READY),
    "SnapStartNotReadyException": (409, NOT_READY),
    "SnapStartTimeoutException": (408, NOT_READY),
    "CodeArtifactUserPendingException": (409, NOT_READY),
    "EFSIOException": (410, NOT_READY),
    "EFSMountConnectivityException": (408, NOT_READY),
    "EFSMountTimeoutException": (408, NOT_READY),
    "S3FilesMountConnectivityException": (408, NOT_READY),
    "S3FilesMountTimeoutException": (408, NOT_READY),
    # an execution of that name was there
    "DurableExecutionAlreadyStartedException": (409, UNMARKED),
    # not deployed there
    "ResourceNotFoundException": (404, MISSING),
    # Lambda 400, 413, 415: the caller's
    "InvalidParameterValueException": (400, WRONG),
    "InvalidRequestContentException": (400, WRONG),
    "RecursiveInvocationException": (400, WRONG),
    "RequestTooLargeException": (413, WRONG),
    "SerializedRequestEntityTooLargeException": (413, WRONG),
    "UnsupportedMediaTypeException": (415, WRONG),
    "ValidationException": (400, WRONG),
    # 401, 403, expired token, bad signature
    "AccessDenied": (403, REFUSED),
    "AccessDeniedException": (403, REFUSED),
    "ExpiredToken": (400, REFUSED),
    "ExpiredTokenException": (403, REFUSED),
    "IncompleteSignature": (400, REFUSED),
    "IncompleteSignatureException": (400, REFUSED),
    "InvalidClientTokenId": (403, REFUSED),
    "InvalidSignatureException": (403, REFUSED),
    "MissingAuthenticationToken": (403, REFUSED),
    "MissingAuthenticationTokenException": (403, REFUSED),
    "NotAuthorized": (400, REFUSED),
    "OptInRequired": (403, REFUSED),
    "RequestExpired": (400, REFUSED),
    "SignatureDoesNotMatch": (403, REFUSED),
    "UnrecognizedClientException": (403, REFUSED),
}
"""Errors by name: the status that they come with, and what they prove. Modelled by botocore, or
common to all of AWS."""
