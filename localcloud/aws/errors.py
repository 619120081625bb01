"""Lambda's errors by name, in the shapes in which botocore models them (a test compares the two)."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from localcloud.executor import Reply
from localcloud.vendor import FaultOptions, Faults

THROTTLE_REASONS = (
    "ConcurrentInvocationLimitExceeded",
    "FunctionInvocationRateLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
    "CallerRateLimitExceeded",
    "ConcurrentSnapshotCreateLimitExceeded",
)

# Every error of Invoke, with its status. Those named in _LOWER carry `message`, the others `Message`.
INVOKE_ERRORS: Mapping[str, int] = {
    "CodeArtifactUserDeletedException": 409,
    "CodeArtifactUserFailedException": 409,
    "CodeArtifactUserPendingException": 409,
    "DurableExecutionAlreadyStartedException": 409,
    "EC2AccessDeniedException": 502,
    "EC2ThrottledException": 502,
    "EC2UnexpectedException": 502,
    "EFSIOException": 410,
    "EFSMountConnectivityException": 408,
    "EFSMountFailureException": 403,
    "EFSMountTimeoutException": 408,
    "ENILimitReachedException": 502,
    "ENINotReadyException": 502,
    "InvalidParameterValueException": 400,
    "InvalidRequestContentException": 400,
    "InvalidRuntimeException": 502,
    "InvalidSecurityGroupIDException": 502,
    "InvalidSubnetIDException": 502,
    "InvalidZipFileException": 502,
    "KMSAccessDeniedException": 502,
    "KMSDisabledException": 502,
    "KMSInvalidStateException": 502,
    "KMSNotFoundException": 502,
    "ModeNotSupportedException": 400,
    "NoPublishedVersionException": 400,
    "RecursiveInvocationException": 400,
    "RequestTooLargeException": 413,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ResourceNotReadyException": 502,
    "RuntimeAliasDeletedException": 409,
    "RuntimeVersionDeletedException": 409,
    "S3FilesMountConnectivityException": 408,
    "S3FilesMountFailureException": 403,
    "S3FilesMountTimeoutException": 408,
    "SerializedRequestEntityTooLargeException": 413,
    "ServiceException": 500,
    "ServiceQuotaExceededException": 402,
    "SnapStartException": 400,
    "SnapStartNotReadyException": 409,
    "SnapStartRegenerationFailureException": 409,
    "SnapStartTimeoutException": 408,
    "SubnetIPAddressLimitReachedException": 502,
    "TooManyRequestsException": 429,
    "UnsupportedMediaTypeException": 415,
}

# What every AWS service may answer before Lambda itself is asked, and what a front end answers for it.
COMMON_ERRORS: Mapping[str, int] = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
    "UnknownOperationException": 404,
    "InternalFailure": 500,
    "ServiceUnavailableException": 503,
    "GatewayTimeout": 504,
}

_LOWER = frozenset(
    {
        "CodeArtifactUserDeletedException",
        "CodeArtifactUserFailedException",
        "CodeArtifactUserPendingException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "ModeNotSupportedException",
        "RequestTooLargeException",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "RuntimeAliasDeletedException",
        "RuntimeVersionDeletedException",
        "SerializedRequestEntityTooLargeException",
        "TooManyRequestsException",
        "UnsupportedMediaTypeException",
        *COMMON_ERRORS,
    }
)

_WORDS: Mapping[str, str] = {
    "ServiceException": "The Lambda service encountered an internal error.",
    "TooManyRequestsException": "Rate Exceeded.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "ServiceUnavailableException": "Service Unavailable",
    "EC2ThrottledException": "Lambda was throttled by Amazon EC2 while it initialised the function.",
    "ENILimitReachedException": "Lambda could not create a network interface: the limit is reached.",
    "KMSDisabledException": "Lambda could not decrypt the environment variables: the KMS key is disabled.",
    "ResourceConflictException": "The operation conflicts with the state of the resource: Pending",
}

FAULTS = Faults(
    statuses={**INVOKE_ERRORS, **COMMON_ERRORS},
    by_status={
        400: "InvalidParameterValueException",
        403: "AccessDeniedException",
        404: "ResourceNotFoundException",
        408: "SnapStartTimeoutException",
        409: "ResourceConflictException",
        410: "EFSIOException",
        413: "RequestTooLargeException",
        415: "UnsupportedMediaTypeException",
        429: "TooManyRequestsException",
        500: "ServiceException",
        502: "EC2ThrottledException",
        503: "ServiceUnavailableException",
        504: "GatewayTimeout",
    },
    unavailable="ServiceUnavailableException",
    throttled="TooManyRequestsException",
    expired="ExpiredTokenException",
    reasons=THROTTLE_REASONS,
    marks_errors=True,
)


class AwsError(Exception):
    """An answer that is one of AWS's errors."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message

    def reply(self, request_id: str | None = None) -> Reply:
        """The error on the wire."""
        return error(self.name, self.message, request_id=request_id)


def error(
    name: str, message: str, *, request_id: str | None = None, retry_after: int | None = None, **members: str
) -> Reply:
    """One of AWS's errors on the wire: the name in `x-amzn-ErrorType`, the members in a JSON body."""
    status = FAULTS.statuses[name]
    body: dict[str, Any] = {"message" if name in _LOWER else "Message": message}
    if name in INVOKE_ERRORS:
        body["Type"] = "User" if status < 500 else "Service"  # noqa: PLR2004 - the HTTP classes
    headers = {
        "Content-Type": "application/json",
        "x-amzn-RequestId": request_id or str(uuid.uuid4()),
        "x-amzn-ErrorType": name,
    }
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Reply(status, headers, json.dumps(body | members).encode())


def fault(name: str, options: FaultOptions) -> Reply:
    """An error that an outage rule or a faulty function asks for."""
    message = options.message or _WORDS.get(name, f"The invocation failed: {name}.")
    if name == "TooManyRequestsException":
        reason = options.reason or THROTTLE_REASONS[0]
        return error(name, message, retry_after=options.retry_after, Reason=reason)
    return error(name, message, retry_after=options.retry_after)
