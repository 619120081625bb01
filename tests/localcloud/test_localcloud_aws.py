"""boto3, unmodified, is the judge of what looks like Lambda."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from localcloud.app import LocalCloud
from localcloud.aws.errors import INVOKE_ERRORS, THROTTLE_REASONS
from localcloud.client import ControlClient
from localcloud.settings import AwsCredential, AwsSettings, LocalCloudSettings
from tests.localcloud.calling import caller_of, client_context, cloud_with, lambda_client, signed, write


async def invoke(cloud: LocalCloud, function: str = "my-func", **options: Any) -> dict[str, Any]:
    credentials = options.pop("credentials", {})
    options.setdefault("Payload", b'{"hello": "world"}')

    def call() -> dict[str, Any]:
        answer = dict(lambda_client(cloud, **credentials).invoke(FunctionName=function, **options))
        payload: Any = answer["Payload"]
        return answer | {"Payload": payload.read()}

    return await asyncio.to_thread(call)


async def refusal(cloud: LocalCloud, function: str = "my-func", **options: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        await invoke(cloud, function, **options)
    return raised.value


async def test_boto3_invokes_a_function_and_reads_its_result(localcloud: LocalCloud) -> None:
    answer = await invoke(localcloud)
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"])["input"] == {"hello": "world"}


async def test_the_client_context_reaches_the_function_and_the_ledger(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    sent = {"idempotency-key": "k", "sidestep-attempt": "3", "sidestep-not-after": "9999999999999"}
    answer = await invoke(localcloud, "echo-meta", ClientContext=client_context(sent))
    assert json.loads(answer["Payload"]) == {
        "idempotencyKey": "k",
        "attempt": 3,
        "notAfter": 9999999999999,
        "traceparent": None,
        "ranOn": "AWS",
    }
    (run,) = await control.ledger(function="echo-meta")
    assert (run["idempotencyKey"], run["attempt"], run["notAfter"]) == ("k", 3, 9999999999999)
    assert (run["provider"], run["region"], run["state"], run["replied"]) == (
        "AWS",
        "us-east-1",
        "completed",
        True,
    )
    assert run["startedAt"] <= run["endedAt"]


@pytest.mark.parametrize("function", ["buggy-func", "plain-buggy-func"])
async def test_an_exception_is_a_200_with_a_function_error(
    localcloud: LocalCloud, control: ControlClient, function: str
) -> None:
    answer = await invoke(localcloud, function)
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    body = json.loads(answer["Payload"])
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "this function has a bug")
    assert body["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert any("raise ValueError" in line for line in body["stackTrace"])
    assert [run["state"] for run in await control.ledger()] == ["raised"]


async def test_a_late_start_is_refused_and_counts_as_no_execution(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    late = client_context({"idempotency-key": "k", "sidestep-not-after": "1000"})
    answer = await invoke(localcloud, "charge-card", ClientContext=late)
    assert json.loads(answer["Payload"])["errorType"] == "Sidestep.NotStarted"
    summary = await control.summary()
    assert summary["executions"] == 0
    assert summary["providers"]["AWS"]["functions"]["charge-card"]["refused"] == 1


async def test_a_wrong_secret_gets_awss_own_error_shape(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    error = await refusal(localcloud, credentials={"aws_secret_access_key": "wrong"})
    assert error.response["Error"]["Code"] == "InvalidSignatureException"
    assert "signature we calculated does not match" in error.response["Error"]["Message"]
    metadata = error.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 403
    assert metadata["HTTPHeaders"]["x-amzn-errortype"] == "InvalidSignatureException"
    assert metadata["HTTPHeaders"]["x-amzn-requestid"] == metadata["RequestId"]
    assert await control.ledger() == []


async def test_an_unknown_access_key_is_an_unrecognized_client(localcloud: LocalCloud) -> None:
    error = await refusal(localcloud, credentials={"aws_access_key_id": "AKIAUNKNOWN000000000"})
    assert error.response["Error"]["Code"] == "UnrecognizedClientException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403


async def test_session_tokens_count_and_expire() -> None:
    fresh = AwsCredential("ASIAFRESH00000000000", "s1", "t1")
    stale = AwsCredential("ASIASTALE00000000000", "s2", "t2", expires_at=1.0)
    settings = LocalCloudSettings(port=0, aws=AwsSettings(credentials=(fresh, stale)))
    async with LocalCloud(settings) as cloud:
        given = {"aws_access_key_id": fresh.access_key_id, "aws_secret_access_key": "s1"}
        assert (await invoke(cloud, credentials=given | {"aws_session_token": "t1"}))["StatusCode"] == 200
        error = await refusal(cloud, credentials=given)
        assert error.response["Error"]["Code"] == "UnrecognizedClientException"
        old = {
            "aws_access_key_id": stale.access_key_id,
            "aws_secret_access_key": "s2",
            "aws_session_token": "t2",
        }
        error = await refusal(cloud, credentials=old)
        assert error.response["Error"]["Code"] == "ExpiredTokenException"
        # Who cannot sign learns nothing of a credential's age.
        error = await refusal(cloud, credentials=old | {"aws_secret_access_key": "x"})
        assert error.response["Error"]["Code"] == "InvalidSignatureException"


async def test_an_unknown_function_raises_the_modelled_exception(localcloud: LocalCloud) -> None:
    error = await refusal(localcloud, "nope")
    assert type(error).__name__ == "ResourceNotFoundException"
    assert error.response["Error"]["Message"].endswith(":function:nope")


async def test_flakey_func_is_failed_by_aws_and_never_runs(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    error = await refusal(localcloud, "flakey-func")
    assert type(error).__name__ == "ServiceException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert await control.ledger() == []


def modelled_errors() -> dict[str, dict[str, Any]]:
    model: Any = botocore.session.get_session().get_service_model("lambda")
    return {
        shape.name: {"status": shape.metadata["error"]["httpStatusCode"], "members": set(shape.members)}
        for shape in model.operation_model("Invoke").error_shapes
    }


async def test_every_error_of_invoke_is_as_botocore_models_it(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    models = modelled_errors()
    assert dict(INVOKE_ERRORS) == {name: model["status"] for name, model in models.items()}
    for name, model in models.items():
        await control.set_outage("AWS", "error", id="one", name=name, message="because")
        error = await refusal(localcloud)
        assert type(error).__name__ == name
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == model["status"]
        given = {
            member for member in model["members"] if member.lower() == "message" and member in error.response
        }
        assert given == {member for member in model["members"] if member.lower() == "message"}
    assert await control.ledger() == []


@pytest.mark.parametrize("reason", THROTTLE_REASONS)
async def test_a_throttle_says_its_reason_and_when_to_come_back(
    localcloud: LocalCloud, control: ControlClient, reason: str
) -> None:
    await control.set_outage("AWS", "throttled", reason=reason, retry_after=7)
    error = await refusal(localcloud)
    assert type(error).__name__ == "TooManyRequestsException"
    response: Any = error.response
    assert (response["Reason"], response["retryAfterSeconds"]) == (reason, "7")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("my-func", "$LATEST"),
        ("my-func:live", "1"),
        ("my-func:1", "1"),
        ("my-func:$LATEST", "$LATEST"),
        ("000000000000:function:my-func", "$LATEST"),
        ("arn:aws:lambda:us-east-1:000000000000:function:my-func", "$LATEST"),
        ("arn:aws:lambda:us-east-1:000000000000:function:my-func:live", "1"),
    ],
)
async def test_a_function_is_found_by_name_arn_and_qualifier(
    localcloud: LocalCloud, name: str, version: str
) -> None:
    assert (await invoke(localcloud, name))["ExecutedVersion"] == version


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("my-func:nope", {}, "ResourceNotFoundException"),
        ("my-func", {"Qualifier": "nope"}, "ResourceNotFoundException"),
        ("my-func:live", {"Qualifier": "$LATEST"}, "InvalidParameterValueException"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:my-func", {}, "ResourceNotFoundException"),
        ("arn:aws:lambda:us-east-1:111111111111:function:my-func", {}, "ResourceNotFoundException"),
        ("not a name!", {}, "ValidationException"),
    ],
)
async def test_a_name_that_leads_nowhere_is_refused(
    localcloud: LocalCloud, name: str, options: dict[str, str], code: str
) -> None:
    assert (await refusal(localcloud, name, **options)).response["Error"]["Code"] == code


async def test_the_qualifier_may_come_in_the_query(localcloud: LocalCloud) -> None:
    assert (await invoke(localcloud, Qualifier="live"))["ExecutedVersion"] == "1"


async def test_an_event_runs_later_and_a_dry_run_not_at_all(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    assert (await invoke(localcloud, InvocationType="DryRun"))["StatusCode"] == 204
    assert await control.ledger() == []
    answer = await invoke(localcloud, InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"]) == (202, b"")
    async with asyncio.timeout(5):
        while [run["state"] for run in await control.ledger()] != ["completed"]:
            await asyncio.sleep(0.005)


async def test_the_log_tail_is_that_of_the_invocation(localcloud: LocalCloud) -> None:
    answer = await invoke(localcloud, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert log.startswith(f"START RequestId: {request_id} Version: $LATEST")
    assert f"REPORT RequestId: {request_id}" in log


async def test_six_megabytes_are_the_limit(localcloud: LocalCloud, control: ControlClient) -> None:
    error = await refusal(localcloud, Payload=b'"' + b"x" * 6_291_455 + b'"')
    assert type(error).__name__ == "RequestTooLargeException"
    assert await control.ledger() == []
    assert (await invoke(localcloud, "echo-meta", Payload=b'"' + b"x" * 6_291_454 + b'"'))[
        "StatusCode"
    ] == 200


@pytest.mark.parametrize("payload", [b"{", b"\xff\xfe", b"[" * 100_000, b"nope"])
async def test_a_payload_that_is_no_json_is_the_callers_mistake(
    localcloud: LocalCloud, control: ControlClient, payload: bytes
) -> None:
    error = await refusal(localcloud, Payload=payload)
    assert type(error).__name__ == "InvalidRequestContentException"
    assert await control.ledger() == []


@pytest.mark.parametrize(
    "context",
    [
        "!!!",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"custom": 1}').decode(),
        base64.b64encode(b'{"custom": {"x": "' + b"y" * 3_600 + b'"}}').decode(),
    ],
)
async def test_a_client_context_that_makes_no_sense_is_refused(localcloud: LocalCloud, context: str) -> None:
    async with caller_of(localcloud) as caller:
        url = f"{localcloud.urls['AWS']}/2015-03-31/functions/my-func/invocations"
        headers = signed(localcloud, url, b"{}", {"X-Amz-Client-Context": context})
        answer = await caller.post(url, b"{}", headers)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "InvalidRequestContentException")


async def test_an_empty_payload_is_an_empty_event(localcloud: LocalCloud) -> None:
    assert json.loads((await invoke(localcloud, Payload=b""))["Payload"])["input"] == {}


async def test_get_function_describes_it(localcloud: LocalCloud) -> None:
    client = lambda_client(localcloud)
    found = await asyncio.to_thread(client.get_function, FunctionName="my-func")
    assert found["Configuration"]["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:my-func"
    assert found["Configuration"]["State"] == "Active"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        await asyncio.to_thread(client.get_function, FunctionName="nope")


async def test_other_operations_are_unknown(localcloud: LocalCloud) -> None:
    with pytest.raises(ClientError) as raised:
        await asyncio.to_thread(lambda_client(localcloud).list_functions)
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


OWN = """
import sys, threading
never = threading.Event()

def context_handler(event, context):
    left = context.get_remaining_time_in_millis()
    return {
        "id": context.aws_request_id, "name": context.function_name, "version": context.function_version,
        "arn": context.invoked_function_arn, "left": 0 < left <= 2000, "group": context.log_group_name,
        "custom": context.client_context.custom if context.client_context else None,
    }

def stuck(event, context):
    never.wait(event["seconds"])

FUNCTIONS = {
    "context": {"handler": context_handler, "timeoutSeconds": 2},
    "stuck": {"handler": stuck, "timeoutSeconds": 0.05},
    "exits": lambda event, context: sys.exit(3),
    "unserialisable": lambda event, context: object(),
    "huge": lambda event, context: "x" * 7_000_000,
}
"""


async def test_a_handler_sees_the_context_of_the_real_runtime(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, aws=OWN)) as (cloud, _):
        answer = await invoke(cloud, "context", ClientContext=client_context({"a": "b"}))
        assert json.loads(answer["Payload"]) == {
            "id": answer["ResponseMetadata"]["RequestId"],
            "name": "context",
            "version": "$LATEST",
            "arn": "arn:aws:lambda:us-east-1:000000000000:function:context",
            "left": True,
            "group": "/aws/lambda/context",
            "custom": {"a": "b"},
        }


async def test_a_function_over_its_time_is_abandoned_and_said_to_be(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, aws=OWN)) as (cloud, _):
        answer = await invoke(cloud, "stuck", Payload=b'{"seconds": 0.5}')
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert "Task timed out after 0.05 seconds" in json.loads(answer["Payload"])["errorMessage"]
        (run,) = cloud.ledger.entries()
        # The caller saw an answer, but the function's reply it cannot have seen.
        assert (run.state, run.replied) == ("abandoned", False)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("exits", "Runtime.ExitError"),
        ("unserialisable", "Runtime.MarshalError"),
        ("huge", "Function.ResponseSizeTooLarge"),
    ],
)
async def test_what_a_runtime_cannot_return_is_a_function_error(
    tmp_path: Path, function: str, error: str
) -> None:
    async with cloud_with(write(tmp_path, aws=OWN)) as (cloud, _):
        answer = await invoke(cloud, function)
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"])["errorType"] == error
        assert [run.state for run in cloud.ledger.entries()] == ["raised"]
