"""Calls that are only accepted, at every provider: what goes with them, and how their results are had."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.http.config import HttpConfig, Service
from adapters.providers.http.provider import HttpProvider
from core.failover.outcome import Executed, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider_server import Answer, ProviderServer, answers, json_answer
from tests.providers.driving import call_of, opened

PLATFORMS = ("HTTP", "service", "GCP", "AZURE")
TOKEN = "dG9rZW4.c2lnbmF0dXJl"


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer().running() as running:
        yield running


def aws(base_url: str) -> Provider:
    return AwsProvider(
        AwsConfig(
            region="eu-west-1", endpoint_url=base_url, access_key_id="AKIDEXAMPLE", secret_access_key="x" * 20
        )
    )


def platform(kind: str, base_url: str) -> tuple[Provider, Target]:
    match kind:
        case "HTTP":
            return HttpProvider(HttpConfig(origins=(base_url,))), Target("HTTP", f"{base_url}/charge?key=1")
        case "service":
            service = Service(url=f"{base_url}/charge", headers={"X-Key": "a-secret-of-ours"})
            return HttpProvider(HttpConfig(services={"charge": service})), Target("HTTP", "charge")
        case "GCP":
            return GcpProvider(GcpConfig(base_url=base_url, auth="none")), Target("GCP", "charge")
        case _:
            config = AzureConfig(base_url=base_url, function_key="function-key")
            return AzureProvider(config), Target("AZURE", "orders/charge")


def accepts(location: str | None, **headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(202, {**told, **({"Location": location} if location is not None else {})}, b"")


@pytest.mark.parametrize("kind", PLATFORMS)
async def test_a_202_with_a_location_accepts_and_is_polled_there(server: ProviderServer, kind: str) -> None:
    provider, target = platform(kind, server.url)
    async with opened(provider):
        server.behaviour = answers(accepts("/jobs/1?of=me", Retry_After="3"))
        outcome = await provider.invoke(call_of(target, awaits="poll"))
        assert (outcome.ok, outcome.accepted, outcome.executed) == (True, True, Executed.YES)
        assert outcome.location == f"{server.url}/jobs/1?of=me"
        assert outcome.retry_after_ms == 3_000
        server.behaviour = answers(accepts(None, Retry_After="7"))
        waits = await provider.poll(target, outcome.location, 5_000)
        assert (waits.ok, waits.accepted, waits.retry_after_ms) == (True, True, 7_000)
        server.behaviour = answers(json_answer({"done": True}))
        done = await provider.poll(target, outcome.location, 5_000)
        assert (done.ok, done.accepted, done.output) == (True, False, {"done": True})
    asked = server.seen[-1]
    assert asked.method == "GET"
    assert asked.path == "/jobs/1?of=me"
    names = {name.lower() for name in asked.headers}
    assert not names & {"idempotency-key", "sidestep-attempt", "sidestep-not-after"}
    if kind == "AZURE":
        assert asked.headers["x-functions-key"] == "function-key"
    if kind == "service":
        assert asked.headers["x-key"] == "a-secret-of-ours"


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "http://example.test/jobs/1",
        "//example.test/jobs/1",
        "https://127.0.0.1/jobs/1",
        "http://169.254.169.254/latest",
        "http://user@127.0.0.1/x",
        "/jobs/\\..\\x",
        "/jobs#part",
        "ftp://127.0.0.1/x",
        "javascript:alert(1)",
        "/" + "x" * 3_000,
    ],
)
async def test_a_location_that_is_missing_or_leads_elsewhere_is_a_broken_answer(
    server: ProviderServer, location: str | None
) -> None:
    provider, target = platform("HTTP", server.url)
    async with opened(provider):
        server.behaviour = answers(accepts(location))
        outcome = await provider.invoke(call_of(target, awaits="poll"))
        assert (outcome.ok, outcome.scope, outcome.signal) == (False, Scope.RESPONSE, "no-location")
        if location:
            before = len(server.seen)
            refused = await provider.poll(target, location, 5_000)
            assert not refused.ok
            assert len(server.seen) == before


async def test_a_redirected_question_is_not_followed(server: ProviderServer) -> None:
    provider, target = platform("HTTP", server.url)
    async with opened(provider):
        server.behaviour = answers(Answer(303, {"Location": "http://example.test/x"}, b""))
        outcome = await provider.poll(target, f"{server.url}/jobs/1", 5_000)
        assert (outcome.ok, outcome.signal) == (False, "redirect-refused")
        assert len(server.seen) == 1


@pytest.mark.parametrize("kind", PLATFORMS)
async def test_the_token_goes_with_a_call_that_awaits_a_callback_and_any_success_accepts(
    server: ProviderServer, kind: str
) -> None:
    provider, target = platform(kind, server.url)
    call = call_of(
        target, awaits="callback", callback_token=TOKEN, callback_url=f"http://x/callbacks/{TOKEN}"
    )
    async with opened(provider):
        for answer in (Answer(202, {}, b""), json_answer({"ok": 1}), Answer(200, {}, b"thank you")):
            server.behaviour = answers(answer)
            outcome = await provider.invoke(call)
            assert (outcome.ok, outcome.accepted, outcome.output) == (True, True, None)
        assert server.seen[-1].headers["sidestep-callback-token"] == TOKEN
        assert server.seen[-1].headers["sidestep-callback-url"] == f"http://x/callbacks/{TOKEN}"
        echo = {"errorType": "Odd", "errorMessage": f"I was sent {TOKEN}"}
        server.behaviour = answers(json_answer(echo, 500, {"Sidestep-Error": "function"}))
        failed = await provider.invoke(call)
        assert failed.own_error
        assert TOKEN not in failed.cause
        server.behaviour = answers(Answer(503, {}, b""))
        assert not (await provider.invoke(call)).ok


async def test_lambda_gets_the_token_in_its_client_context_and_is_never_polled(
    server: ProviderServer,
) -> None:
    target = Target("AWS", "charge")
    provider = aws(server.url)
    async with opened(provider):
        server.behaviour = answers(json_answer(None))
        call = call_of(target, awaits="callback", callback_token=TOKEN, callback_url="http://x/callbacks/t")
        outcome = await provider.invoke(call)
        assert (outcome.ok, outcome.accepted) == (True, True)
        context: dict[str, Any] = json.loads(base64.b64decode(server.seen[0].headers["x-amz-client-context"]))
        assert context["custom"]["sidestep-callback-token"] == TOKEN
        assert context["custom"]["sidestep-callback-url"] == "http://x/callbacks/t"
        refused = json_answer({"errorType": "Odd"}, 200, {"X-Amz-Function-Error": "Unhandled"})
        server.behaviour = answers(refused)
        assert (await provider.invoke(call)).own_error
        assert not (await provider.poll(target, f"{server.url}/x", 1_000)).ok
        assert len(server.seen) == 2


async def test_calls_that_await_their_answer_are_as_they_were(server: ProviderServer) -> None:
    provider, target = platform("HTTP", server.url)
    async with opened(provider):
        server.behaviour = answers(json_answer({"id": 1}, 202, {"Location": "/jobs/1"}))
        outcome = await provider.invoke(call_of(target))
        assert (outcome.ok, outcome.accepted, outcome.output) == (True, False, {"id": 1})
        assert "sidestep-callback-token" not in server.seen[0].headers
