"""Every answer of Lambda's Invoke, on the wire."""

import json

import botocore.session
import pytest

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.errors import BY_NAME
from adapters.providers.aws.provider import AwsProvider
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.testing.contracts.provider_server import Answer, ProviderServer, json_answer
from tests.providers.driving import answered, opened

NO, MAYBE, YES = Executed.NO, Executed.MAYBE, Executed.YES
FUNCTION, CALLER = Scope.FUNCTION, Scope.CALLER

# name: status, executed, scope, one more try here
EXPECTED = {
    "TooManyRequestsException": (429, NO, Scope.SATURATION, True),
    "ServiceQuotaExceededException": (402, NO, Scope.SATURATION, True),
    "ThrottlingException": (429, NO, Scope.SATURATION, True),
    "Throttling": (400, NO, Scope.SATURATION, True),
    "RequestLimitExceeded": (503, NO, Scope.SATURATION, True),
    "ServiceException": (500, MAYBE, Scope.PROVIDER, False),
    "InternalFailure": (500, MAYBE, Scope.PROVIDER, False),
    "InternalServerError": (500, MAYBE, Scope.PROVIDER, False),
    "ServiceUnavailableException": (503, MAYBE, Scope.PROVIDER, False),
    "EC2AccessDeniedException": (502, NO, FUNCTION, False),
    "EC2ThrottledException": (502, NO, FUNCTION, False),
    "EC2UnexpectedException": (502, NO, FUNCTION, False),
    "ENILimitReachedException": (502, NO, FUNCTION, False),
    "ENINotReadyException": (502, NO, FUNCTION, False),
    "InvalidRuntimeException": (502, NO, FUNCTION, False),
    "InvalidSecurityGroupIDException": (502, NO, FUNCTION, False),
    "InvalidSubnetIDException": (502, NO, FUNCTION, False),
    "InvalidZipFileException": (502, NO, FUNCTION, False),
    "KMSAccessDeniedException": (502, NO, FUNCTION, False),
    "KMSDisabledException": (502, NO, FUNCTION, False),
    "KMSInvalidStateException": (502, NO, FUNCTION, False),
    "KMSNotFoundException": (502, NO, FUNCTION, False),
    "SubnetIPAddressLimitReachedException": (502, NO, FUNCTION, False),
    "EFSMountFailureException": (403, NO, FUNCTION, False),
    "S3FilesMountFailureException": (403, NO, FUNCTION, False),
    "SnapStartException": (400, NO, FUNCTION, False),
    "SnapStartRegenerationFailureException": (409, NO, FUNCTION, False),
    "RuntimeAliasDeletedException": (409, NO, FUNCTION, False),
    "RuntimeVersionDeletedException": (409, NO, FUNCTION, False),
    "CodeArtifactUserDeletedException": (409, NO, FUNCTION, False),
    "CodeArtifactUserFailedException": (409, NO, FUNCTION, False),
    "NoPublishedVersionException": (400, NO, FUNCTION, False),
    "ModeNotSupportedException": (400, NO, FUNCTION, False),
    "ResourceConflictException": (409, NO, FUNCTION, True),
    "ResourceNotReadyException": (502, NO, FUNCTION, True),
    "SnapStartNotReadyException": (409, NO, FUNCTION, True),
    "SnapStartTimeoutException": (408, NO, FUNCTION, True),
    "CodeArtifactUserPendingException": (409, NO, FUNCTION, True),
    "EFSIOException": (410, NO, FUNCTION, True),
    "EFSMountConnectivityException": (408, NO, FUNCTION, True),
    "EFSMountTimeoutException": (408, NO, FUNCTION, True),
    "S3FilesMountConnectivityException": (408, NO, FUNCTION, True),
    "S3FilesMountTimeoutException": (408, NO, FUNCTION, True),
    "DurableExecutionAlreadyStartedException": (409, MAYBE, FUNCTION, False),
    "ResourceNotFoundException": (404, NO, FUNCTION, False),
    "InvalidParameterValueException": (400, NO, CALLER, False),
    "InvalidRequestContentException": (400, NO, CALLER, False),
    "RecursiveInvocationException": (400, NO, CALLER, False),
    "RequestTooLargeException": (413, NO, CALLER, False),
    "SerializedRequestEntityTooLargeException": (413, NO, CALLER, False),
    "UnsupportedMediaTypeException": (415, NO, CALLER, False),
    "ValidationException": (400, NO, CALLER, False),
    "AccessDenied": (403, NO, Scope.CREDENTIALS, False),
    "AccessDeniedException": (403, NO, Scope.CREDENTIALS, False),
    "ExpiredToken": (400, NO, Scope.CREDENTIALS, False),
    "ExpiredTokenException": (403, NO, Scope.CREDENTIALS, False),
    "IncompleteSignature": (400, NO, Scope.CREDENTIALS, False),
    "IncompleteSignatureException": (400, NO, Scope.CREDENTIALS, False),
    "InvalidClientTokenId": (403, NO, Scope.CREDENTIALS, False),
    "InvalidSignatureException": (403, NO, Scope.CREDENTIALS, False),
    "MissingAuthenticationToken": (403, NO, Scope.CREDENTIALS, False),
    "MissingAuthenticationTokenException": (403, NO, Scope.CREDENTIALS, False),
    "NotAuthorized": (400, NO, Scope.CREDENTIALS, False),
    "OptInRequired": (403, NO, Scope.CREDENTIALS, False),
    "RequestExpired": (400, NO, Scope.CREDENTIALS, False),
    "SignatureDoesNotMatch": (403, NO, Scope.CREDENTIALS, False),
    "UnrecognizedClientException": (403, NO, Scope.CREDENTIALS, False),
}


async def says(answer: Answer, session_token: str | None = None) -> Outcome:
    async with ProviderServer().running() as server:
        provider = AwsProvider(
            AwsConfig(
                region="eu-west-1",
                endpoint_url=server.url,
                access_key_id="AKID",
                secret_access_key="secret",
                session_token=session_token,
            )
        )
        async with opened(provider):
            return await answered(server, provider, Target("AWS", "charge"), answer)


def error(name: str, status: int, body: dict[str, object] | None = None, **headers: str) -> Answer:
    return json_answer(
        body if body is not None else {"Type": "User", "Message": "what Lambda says"},
        status,
        {"x-amzn-ErrorType": name, **headers},
    )


def test_every_error_that_botocore_models_has_a_row() -> None:
    model = botocore.session.get_session().get_service_model("lambda")
    modelled = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for shape in model.operation_model("Invoke").error_shapes
    }
    assert modelled.keys() <= BY_NAME.keys()
    assert {name: EXPECTED[name][0] for name in modelled} == modelled
    assert EXPECTED.keys() == BY_NAME.keys()


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_named_error_means_what_the_table_says(name: str) -> None:
    status, executed, scope, retry_here = EXPECTED[name]
    outcome = await says(error(name, status))
    assert (outcome.executed, outcome.scope, outcome.retry_here, outcome.status) == (
        executed,
        scope,
        retry_here,
        status,
    )
    assert outcome.signal.startswith("aws-")
    assert not outcome.own_error


@pytest.mark.parametrize(
    "reason",
    [
        "ConcurrentInvocationLimitExceeded",
        "FunctionInvocationRateLimitExceeded",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "CallerRateLimitExceeded",
        "ConcurrentSnapshotCreateLimitExceeded",
        "AReasonOfNextYear",
    ],
)
async def test_throttling_is_saturation_whatever_its_reason(reason: str) -> None:
    body: dict[str, object] = {"Reason": reason, "retryAfterSeconds": "3", "message": "Rate Exceeded."}
    outcome = await says(error("TooManyRequestsException", 429, body))
    assert (outcome.scope, outcome.retry_after_ms) == (Scope.SATURATION, 3_000)
    assert reason in outcome.cause
    assert (
        await says(error("TooManyRequestsException", 429, body, **{"Retry-After": "1"}))
    ).retry_after_ms == 1_000


async def test_the_signal_is_the_errors_name() -> None:
    assert (await says(error("ServiceException", 500))).signal == "aws-service-exception"
    assert (await says(error("EC2ThrottledException", 502))).signal == "aws-ec2-throttled-exception"
    assert (await says(error("KMSDisabledException", 502))).signal == "aws-kms-disabled-exception"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"__type": "com.amazonaws.lambda#ResourceNotFoundException", "Message": "x"}, 404),
        json_answer({"code": "ResourceNotFoundException"}, 404),
        error("ResourceNotFoundException:http://internal.amazon.com/coral/", 404),
        error("ResourceNotFoundException,x", 404),
    ],
)
async def test_the_name_is_found_wherever_aws_puts_it(answer: Answer) -> None:
    assert (await says(answer)).signal == "aws-resource-not-found-exception"


@pytest.mark.parametrize(
    ("name", "status", "executed", "scope"),
    [
        ("EC2SomethingNewException", 502, NO, FUNCTION),
        ("ENISomethingNewException", 502, NO, FUNCTION),
        ("KMSSomethingNewException", 502, NO, FUNCTION),
        ("SomethingNewException", 502, MAYBE, Scope.PROVIDER),
        ("SomethingNewException", 500, MAYBE, Scope.PROVIDER),
        ("SomethingNewException", 503, MAYBE, Scope.PROVIDER),
        ("SomethingNewException", 504, MAYBE, Scope.PROVIDER),
        ("SomethingNewException", 408, NO, FUNCTION),
        ("SomethingNewException", 409, NO, FUNCTION),
        ("SomethingNewException", 410, NO, FUNCTION),
        ("SomethingNewException", 401, NO, Scope.CREDENTIALS),
        ("SomethingNewException", 413, NO, CALLER),
        ("SomethingNewException", 418, NO, CALLER),
        ("<script>\n", 400, NO, CALLER),
    ],
)
async def test_an_error_that_is_new_is_judged_by_its_status(
    name: str, status: int, executed: Executed, scope: Scope
) -> None:
    outcome = await says(json_answer({"__type": name}, status))
    assert (outcome.executed, outcome.scope) == (executed, scope)
    assert "<" not in outcome.signal


async def function_said(document: object) -> Outcome:
    return await says(json_answer(document, 200, {"X-Amz-Function-Error": "Unhandled"}))


async def test_a_functions_error_is_its_own() -> None:
    outcome = await function_said(
        {"errorType": "CardDeclined", "errorMessage": "no funds", "stackTrace": ["x"]}
    )
    assert outcome.own_error
    assert (outcome.scope, outcome.error, outcome.cause) == (FUNCTION, "CardDeclined", "no funds")


@pytest.mark.parametrize(
    "document",
    [
        {
            "errorType": "Sandbox.Timedout",
            "errorMessage": "RequestId: 1 Error: Task timed out after 3.00 seconds",
        },
        {"errorMessage": "2025-11-21T00:00:00Z 1 Task timed out after 3.00 seconds"},
        {"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: Runtime exited with error"},
        {"errorType": "Runtime.OutOfMemory", "errorMessage": "signal: killed"},
    ],
)
async def test_a_function_that_was_cut_off_ran_in_part(document: dict[str, str]) -> None:
    outcome = await function_said(document)
    assert (outcome.executed, outcome.scope, outcome.partial) == (YES, FUNCTION, True)
    assert outcome.ambiguous
    assert outcome.error


async def test_a_users_own_words_about_timing_out_are_not_lambdas() -> None:
    outcome = await function_said({"errorType": "Mine", "errorMessage": "Task timed out after 3.00 seconds"})
    assert not outcome.partial


@pytest.mark.parametrize("document", [None, [], "x", {}, {"errorType": 7, "errorMessage": {}}])
async def test_a_functions_error_without_a_name_still_is_one(document: object) -> None:
    outcome = await function_said(document)
    assert (outcome.error, outcome.own_error) == ("Sidestep.FunctionError", True)


async def test_a_functions_error_is_cut_to_size() -> None:
    outcome = await function_said({"errorType": "E" * 5000, "errorMessage": "m" * 100_000})
    assert (len(outcome.error), len(outcome.cause)) == (256, 32_768)


async def test_a_functions_error_whose_body_is_lost_may_have_been_cut_off() -> None:
    answer = Answer(200, {"X-Amz-Function-Error": "Unhandled", "Content-Length": str(7 * 1024 * 1024)}, b"{")
    outcome = await says(answer)
    assert (outcome.executed, outcome.scope, outcome.ambiguous) == (YES, FUNCTION, True)


async def test_what_aws_says_about_signatures_is_not_repeated() -> None:
    """Because it repeats the canonical request, and in it the session token."""
    said = {"message": "The Canonical String should have been 'x-amz-security-token:hush-hush'"}
    outcome = await says(error("InvalidSignatureException", 403, dict(said)), session_token="hush-hush")
    assert "hush" not in json.dumps(outcome.cause)
    outcome = await says(error("InvalidParameterValueException", 400, dict(said)), session_token="hush-hush")
    assert "hush" not in outcome.cause
    assert "Canonical" in outcome.cause
