"""Probes of each vendor: what they ask for, what they can tell, and what they cannot."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from core.failover.outcome import Executed, Scope
from core.graph.model import Target
from core.testing.contracts.provider_server import Answer, ProviderServer, answers, json_answer
from localcloud.app import LocalCloud
from localcloud.certificates import Authority
from localcloud.client import ControlClient
from tests.localcloud_fixtures import control, localcloud
from tests.providers.driving import clouds, opened, provider_of
from tests.providers.outcome_rows import EVERY

__all__ = ["control", "localcloud"]

CLOUDS = ("AWS", "GCP", "AZURE")

SHOWN_BY = {
    "refused": CLOUDS,
    "blackhole": ("AWS", "AZURE"),
    "503": ("AWS", "AZURE"),
    "throttled": ("AWS",),
    "expired-credentials": ("AWS",),
}
"""Under which outages whose probes fail. GCP's only connects; AZURE's page needs no key and has no quota."""


async def test_a_probe_tells_what_it_can_of_an_outage_and_runs_nothing(
    localcloud: LocalCloud, control: ControlClient, tmp_path: Path
) -> None:
    async with clouds(localcloud, tmp_path) as providers:
        for cloud in CLOUDS:
            target = Target(cloud, "my-func")
            assert (await providers[cloud].probe(target, 5_000)).ok, cloud
            for kind, shown_by in SHOWN_BY.items():
                await control.set_outage(cloud, kind)
                outcome = await providers[cloud].probe(target, 300)
                assert (outcome.ok, outcome.executed) == (cloud not in shown_by, Executed.NO), (cloud, kind)
                await control.clear()
            assert (await providers[cloud].probe(target, 5_000)).ok, "it sees that it is over"
        assert await control.ledger() == []


async def test_a_dry_run_of_a_function_that_is_not_there_says_so(
    localcloud: LocalCloud, tmp_path: Path
) -> None:
    async with clouds(localcloud, tmp_path) as providers:
        outcome = await providers["AWS"].probe(Target("AWS", "no-such-func"), 5_000)
    assert (outcome.scope, outcome.error) == (Scope.FUNCTION, "Sidestep.NotDeployed")


async def test_a_dry_run_is_signed_as_botocore_would_sign_it() -> None:
    async with ProviderServer().running() as server:
        server.behaviour = answers(Answer(204))
        provider, target = provider_of("AWS", server.url, session_token="token")
        async with opened(provider):
            assert (await provider.probe(target, 5_000)).ok
        (seen,) = server.seen
        assert seen.headers["x-amz-invocation-type"] == "DryRun"
        signed = seen.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        assert "x-amz-invocation-type" in signed
        theirs = AWSRequest(
            "POST",
            f"{server.url}{seen.path}",
            headers={name: value for name, value in seen.headers.items() if name in signed},
            data=seen.body,
        )
        auth: Any = SigV4Auth(Credentials("AKID", "secret", "token"), "lambda", "eu-west-1")
        at = time.strptime(seen.headers["x-amz-date"], SIGV4_TIMESTAMP)
        theirs.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, at)
        auth._modify_request_before_signing(theirs)
        canonical = auth.canonical_request(theirs)
        auth._inject_signature_to_request(
            theirs, auth.signature(auth.string_to_sign(theirs, canonical), theirs)
        )
        assert theirs.headers["Authorization"] == seen.headers["authorization"]


async def test_a_dry_run_that_aws_refuses_is_a_matter_of_credentials() -> None:
    async with ProviderServer().running() as server:
        server.behaviour = answers(json_answer({}, 403, {"x-amzn-ErrorType": "ExpiredTokenException"}))
        provider, target = provider_of("AWS", server.url)
        async with opened(provider):
            outcome = await provider.probe(target, 5_000)
    assert (outcome.executed, outcome.scope) == (Executed.NO, Scope.CREDENTIALS)


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (Answer(200, {}, b"<h1>Your Azure Function App is up and running.</h1>"), True),
        (Answer(204), True),
        (Answer(302, {"Location": "https://elsewhere.test/"}), True),
        (Answer(401), True),
        (Answer(403, {}, b"Forbidden"), True),
        (Answer(403, {}, b"<h1>Error 403 - This web app is stopped.</h1>"), False),
        (Answer(404), True),
        (Answer(429), True),
        (Answer(500), False),
        (Answer(502), False),
        (Answer(503, {}, b"Function host is not running."), False),
    ],
)
async def test_a_host_that_answers_at_all_is_there(answer: Answer, ok: bool) -> None:
    async with ProviderServer().running() as server:
        server.behaviour = answers(answer)
        provider, target = provider_of("AZURE", server.url, function_key="hush-hush")
        async with opened(provider):
            outcome = await provider.probe(target, 5_000)
        assert (outcome.ok, outcome.executed) == (ok, Executed.NO)
        (seen,) = server.seen
        assert (seen.method, seen.path, seen.body) == ("GET", "/", b"")
        assert not any("hush" in value for value in seen.headers.values())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("host", "ok"), [("127.0.0.1", True), ("other.example", False)])
async def test_a_probe_believes_only_the_certificate_that_a_call_believes(
    name: str, host: str, ok: bool, tmp_path: Path
) -> None:
    authority = Authority("test")
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    async with ProviderServer().running(authority.context([host])) as server:
        server.behaviour = answers(Answer(204))
        base = server.url.replace("http:", "https:")
        provider, target = provider_of(name, base, ca_file=str(file))
        async with opened(provider):
            outcome = await provider.probe(target, 5_000)
    assert (outcome.ok, outcome.signal) == (ok, "ok" if ok else "tls-failure")


@pytest.mark.parametrize("name", EVERY)
async def test_closing_a_provider_ends_its_probes(name: str) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    arrived = asyncio.Event()
    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with silent:
        base = f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        provider, target = provider_of(name, base, tls_timeout_ms=400)
        async with opened(provider):
            probing = asyncio.create_task(provider.probe(target, 5_000))
            await asyncio.wait_for(arrived.wait(), 5)
        outcome = await asyncio.wait_for(probing, 5)
    assert (outcome.ok, outcome.executed) == (False, Executed.NO)
