"""Answers of HTTP platforms, on the wire: what only some of them say."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider_server import Answer, ProviderServer, json_answer
from tests.providers.driving import answered, opened

ALL = ("GCP", "AZURE", "HTTP")


def provider_of(name: str, base: str) -> tuple[Provider, Target]:
    match name:
        case "GCP":
            return GcpProvider(GcpConfig(base_url=base, auth="none")), Target("GCP", "charge")
        case "AZURE":
            return AzureProvider(AzureConfig(base_url=base)), Target("AZURE", "charge")
        case _:
            return HttpProvider(HttpConfig(origins=(base,))), Target("HTTP", f"{base}/charge")


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[tuple[ProviderServer, Provider, Target]]:
    async with ProviderServer().running() as server:
        provider, target = provider_of(name, server.url)
        async with opened(provider):
            yield server, provider, target


async def says(name: str, answer: Answer) -> Outcome:
    async with serving(name) as (server, provider, target):
        return await answered(server, provider, target, answer)


@pytest.mark.parametrize("name", ALL)
async def test_a_500_without_a_mark_may_be_the_functions_own(name: str) -> None:
    outcome = await says(name, Answer(500, {}, b"Internal Server Error"))
    assert (outcome.executed, outcome.scope, outcome.signal) == (
        Executed.MAYBE,
        Scope.FUNCTION,
        "unmarked-500",
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("status", [400, 500, 502, 503])
async def test_a_mark_says_more_than_the_status(name: str, status: int) -> None:
    body = {"errorType": "CardDeclined", "errorMessage": "no funds"}
    outcome = await says(name, json_answer(body, status, {"Sidestep-Error": "function"}))
    assert outcome.own_error
    assert outcome.error == "CardDeclined"


@pytest.mark.parametrize("name", ALL)
async def test_a_mark_without_a_name_still_is_a_functions_error(name: str) -> None:
    outcome = await says(name, Answer(500, {"Sidestep-Error": "function"}, b"<html>"))
    assert (outcome.own_error, outcome.error) == (True, "Sidestep.FunctionError")


@pytest.mark.parametrize("name", ALL)
async def test_a_mark_that_nobody_knows_is_no_mark(name: str) -> None:
    outcome = await says(name, Answer(500, {"Sidestep-Error": "whatever"}))
    assert outcome.signal == "unmarked-500"


@pytest.mark.parametrize("name", ALL)
async def test_a_success_without_content_has_no_output(name: str) -> None:
    outcome = await says(name, Answer(204))
    assert outcome.ok
    assert outcome.output is None


@pytest.mark.parametrize("name", ALL)
async def test_a_front_end_without_an_answer_is_told_from_other_failures(name: str) -> None:
    signals = [(await says(name, Answer(status))).signal for status in (502, 503, 504)]
    assert signals == ["gateway-error", "provider-error", "gateway-error"]


async def test_functions_framework_marks_a_crash() -> None:
    outcome = await says("GCP", Answer(500, {"X-Google-Status": "crash"}, b"<title>500</title>"))
    assert outcome.own_error
    assert outcome.error == "Sidestep.FunctionError"
    both = {"X-Google-Status": "crash", "Sidestep-Error": "function"}
    outcome = await says("GCP", json_answer({"errorType": "Mine", "errorMessage": "m"}, 500, both))
    assert (outcome.error, outcome.cause) == ("Mine", "m")


async def test_the_crash_header_means_nothing_elsewhere() -> None:
    for name in ("AZURE", "HTTP"):
        assert (await says(name, Answer(500, {"X-Google-Status": "crash"}))).executed is Executed.MAYBE


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("GCP", 503, b"The request failed because no instance was available."),
        ("GCP", 503, b"No instance available"),
        ("AZURE", 503, b"<h2>No instance available</h2>"),
        ("AZURE", 503, b"There is no available instance."),
        ("GCP", 500, b"<p>The request was aborted because there was NO AVAILABLE INSTANCE.</p>"),
        ("AZURE", 503, b"Function host is not running."),
    ],
)
async def test_no_instance_means_that_nothing_executed(name: str, status: int, body: bytes) -> None:
    outcome = await says(name, Answer(status, {}, body))
    assert (outcome.executed, outcome.scope, outcome.signal) == (
        Executed.NO,
        Scope.PROVIDER,
        "no-instance",
    )


@pytest.mark.parametrize(("name", "status"), [("HTTP", 503), ("GCP", 502), ("AZURE", 500)])
async def test_words_about_instances_prove_nothing_where_nobody_defines_them(name: str, status: int) -> None:
    outcome = await says(name, Answer(status, {}, b"no available instance"))
    assert outcome.executed is Executed.MAYBE


@pytest.mark.parametrize("name", ALL)
async def test_a_platform_that_gave_up_waiting_does_not_prove_that_nothing_ran(name: str) -> None:
    """A 408 is how 1st generation Cloud Functions end a function at its own time limit."""
    outcome = await says(name, Answer(408, {}, b"Request Timeout"))
    assert (outcome.executed, outcome.scope, outcome.signal) == (
        Executed.MAYBE,
        Scope.FUNCTION,
        "request-timeout",
    )
    assert outcome.ambiguous


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("status", "scope"),
    [
        (402, Scope.CALLER),
        (405, Scope.CALLER),
        (407, Scope.CREDENTIALS),
        (409, Scope.CALLER),
        (410, Scope.FUNCTION),
        (418, Scope.CALLER),
        (499, Scope.CALLER),
    ],
)
async def test_other_refusals_prove_that_nothing_ran(name: str, status: int, scope: Scope) -> None:
    outcome = await says(name, Answer(status))
    assert (outcome.executed, outcome.scope) == (Executed.NO, scope)


@pytest.mark.parametrize("words", [b"Error 403 - This web app is stopped.", b"403 Site Disabled"])
async def test_a_stopped_app_is_not_a_matter_of_credentials(words: bytes) -> None:
    outcome = await says("AZURE", Answer(403, {}, b"<h1>%s</h1>" % words))
    assert (outcome.executed, outcome.scope, outcome.signal) == (
        Executed.NO,
        Scope.FUNCTION,
        "azure-app-stopped",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.5", 1_500),
        ("-3", 0),
        ("99999999999", 3_600_000),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 3_600_000),
    ],
)
async def test_retry_after_is_read_within_reason(value: str, expected: int | None) -> None:
    outcome = await says("HTTP", Answer(503, {"Retry-After": value}))
    assert outcome.retry_after_ms == expected


async def test_an_informational_or_invented_status_is_ambiguous() -> None:
    for status in (600, 999):
        outcome = await says("HTTP", Answer(status))
        assert (outcome.executed, outcome.scope) == (Executed.MAYBE, Scope.PROVIDER)
