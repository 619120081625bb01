"""The wrapper on each platform's own request and response classes."""

import json
import time
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from sidestep_function import Call, NotStarted, on_azure, on_google, on_lambda

SENT = {
    "Idempotency-Key": "k",
    "Sidestep-Attempt": "2",
    "Sidestep-Not-After": "9999999999999",
    "traceparent": "00-a-b-01",
}


def tell(payload: Any, call: Call) -> dict[str, Any]:
    """Say what came."""
    return {
        "payload": payload,
        "call": [call.idempotency_key, call.attempt, call.not_after, call.traceparent],
    }


def fail(_payload: Any, _call: Call) -> None:
    raise KeyError("x" * 20_000)


def context(custom: object = None) -> SimpleNamespace:
    return SimpleNamespace(client_context=SimpleNamespace(custom=custom))


def flask_request(body: bytes, headers: dict[str, str]) -> Request:
    return Request(EnvironBuilder(method="POST", data=body, headers=list(headers.items())).get_environ())


def azure_request(body: bytes, headers: dict[str, str]) -> func.HttpRequest:
    return func.HttpRequest("POST", "http://x/api/f", headers=headers, body=body)


Platform = Any


def google(function: Any, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    text, status, answered = on_google(function)(flask_request(body, headers))
    return status, answered, json.loads(text)


def azure(function: Any, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    response = on_azure(function)(azure_request(body, headers))
    answered = dict(response.headers.items()) | {"Content-Type": response.mimetype}
    return response.status_code, answered, json.loads(response.get_body())


on_http = pytest.mark.parametrize("platform", [google, azure])


@on_http
def test_payload_and_metadata_reach_the_function(platform: Platform) -> None:
    status, headers, body = platform(tell, b'{"a": 1}', SENT)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert body == {"payload": {"a": 1}, "call": ["k", 2, 9999999999999, "00-a-b-01"]}


@on_http
def test_without_metadata_every_field_is_none(platform: Platform) -> None:
    assert platform(tell, b"", {})[2] == {"payload": {}, "call": [None, None, None, None]}


@on_http
def test_an_own_error_is_marked_and_its_message_bounded(platform: Platform) -> None:
    status, headers, body = platform(fail, b"{}", {})
    assert (status, headers["Sidestep-Error"], body["errorType"]) == (500, "function", "KeyError")
    assert len(body["errorMessage"]) == 8_192


@on_http
def test_a_result_that_is_no_json_is_the_functions_own_error(platform: Platform) -> None:
    for result in (object(), float("nan"), {1: {2, 3}}):
        status, headers, _ = platform(lambda _payload, _call, result=result: result, b"{}", {})
        assert (status, headers["Sidestep-Error"]) == (500, "function")


@on_http
def test_a_late_start_is_refused_before_the_function(platform: Platform) -> None:
    ran: list[int] = []
    late = {"sidestep-not-after": str(int(time.time() * 1000) - 1)}
    status, headers, body = platform(lambda _payload, _call: ran.append(1), b"{}", late)
    assert (status, headers["Sidestep-Error"]) == (412, "not-started")
    assert body["errorType"] == "Sidestep.NotStarted"
    assert ran == []


@on_http
@pytest.mark.parametrize("instant", ["", "soon", "-5", "1e30", "9" * 30, "1.5"])
def test_an_instant_that_is_no_number_counts_as_passed(platform: Platform, instant: str) -> None:
    assert platform(tell, b"{}", {"Sidestep-Not-After": instant})[0] == 412


@on_http
@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_the_callers_mistake(platform: Platform, body: bytes) -> None:
    status, headers, answer = platform(tell, body, {})
    assert (status, answer["errorType"]) == (400, "Sidestep.BadPayload")
    assert "Sidestep-Error" not in headers


async def test_coroutines_are_awaited_on_azure() -> None:
    async def work(payload: Any, call: Call) -> Any:
        if payload.get("fail"):
            raise OSError("no")
        return tell(payload, call)

    handler = on_azure(work)
    assert json.loads((await handler(azure_request(b"{}", SENT))).get_body())["call"][0] == "k"
    failed = await handler(azure_request(b'{"fail": true}', {}))
    assert (failed.status_code, failed.headers["Sidestep-Error"]) == (500, "function")
    assert (await handler(azure_request(b"{}", {"sidestep-not-after": "1"}))).status_code == 412


def test_lambda_gets_the_result_as_it_is_and_the_exception_as_it_rises() -> None:
    sent = {name.lower(): value for name, value in SENT.items()}
    answer = on_lambda(tell)({"a": 1}, context(sent))
    assert answer == {"payload": {"a": 1}, "call": ["k", 2, 9999999999999, "00-a-b-01"]}
    with pytest.raises(KeyError):
        on_lambda(fail)({}, context({}))


def test_digits_of_other_scripts_are_no_instant() -> None:
    with pytest.raises(NotStarted):
        on_lambda(tell)({}, context({"sidestep-not-after": "\u0669" * 13}))


@pytest.mark.parametrize("given", [SimpleNamespace(client_context=None), None, context(), context("x")])
def test_lambda_without_a_client_context_is_a_call_without_metadata(given: Any) -> None:
    assert on_lambda(tell)({}, given)["call"] == [None, None, None, None]


def test_lambda_reports_a_late_start_under_the_name_that_callers_look_for() -> None:
    with pytest.raises(NotStarted) as raised:
        on_lambda(tell)({}, context({"sidestep-not-after": "1"}))
    # Lambda's runtime reports type(error).__name__ as errorType.
    assert type(raised.value).__name__ == "Sidestep.NotStarted"


def test_remaining_seconds_are_never_negative() -> None:
    assert Call().remaining_seconds() is None
    assert Call(not_after=1).remaining_seconds() == 0.0
    left = Call(not_after=int(time.time() * 1000) + 60_000).remaining_seconds()
    assert left is not None
    assert 50 < left <= 60


def test_the_adapters_bear_the_functions_name() -> None:
    for adapt in (on_lambda, on_google, on_azure):
        adapted: Any = adapt(tell)
        assert (adapted.__name__, adapted.__doc__) == ("tell", "Say what came.")


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=30), max_size=5))
def test_strange_metadata_harms_no_function(custom: dict[str, str]) -> None:
    try:
        on_lambda(tell)({}, context(custom))
    except NotStarted:
        assert any(name.lower() == "sidestep-not-after" for name in custom)
