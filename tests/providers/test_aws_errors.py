"""Every answer of Lambda's Invoke, on the wire."""

import json

import pytest

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.testing.contracts.provider_server import Answer, ProviderServer, json_answer
from tests.providers.driving import answered, opened

NO, MAYBE, YES = Executed.NO, Executed.MAYBE, Executed.YES
FUNCTION, CALLER = Scope.FUNCTION, Scope.CALLER


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
        ("InvalidSomethingNewException", 502, NO, FUNCTION),
        ("SubnetSomethingNewException", 502, NO, FUNCTION),
        ("EFSSomethingNewException", 403, NO, FUNCTION),
        ("EFSSomethingNewException", 502, NO, FUNCTION),
        ("S3FilesSomethingNewException", 408, NO, FUNCTION),
        ("SnapStartSomethingNewException", 400, NO, FUNCTION),
        ("SnapStartSomethingNewException", 429, NO, Scope.SATURATION),
        ("SnapStartSomethingNewException", 500, MAYBE, Scope.PROVIDER),
        ("InvalidSomethingNewException", 400, NO, CALLER),
        ("InvalidSomethingNewException", 503, MAYBE, Scope.PROVIDER),
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
