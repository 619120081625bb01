"""Credentials from the vendors' own libraries, over their own protocols."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from core.errors import ConfigurationError
from core.failover.outcome import Executed, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider_server import (
    Exchange,
    ProviderServer,
    answers,
    json_answer,
)
from tests.providers.driving import call_of, opened


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine is configured with may play a part."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


def refuses_first(server: ProviderServer, status: int) -> None:
    """Have `server` refuse its first call and take the others."""

    async def behave(exchange: Exchange) -> None:
        answer = json_answer({}, status) if len(server.seen) == 1 else json_answer("ok")
        await exchange.send(answer.bytes())

    server.behaviour = behave


# ---- AWS


def aws_metadata(server: ProviderServer) -> None:
    """Have `server` hand out new temporary keys with every question, as a container's agent does."""

    async def behave(exchange: Exchange) -> None:
        number = len(server.seen)
        document = {
            "AccessKeyId": f"AKID{number}",
            "SecretAccessKey": "secret",
            "Token": f"token{number}",
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        }
        await exchange.send(json_answer(document).bytes())

    server.behaviour = behave


async def test_aws_keys_come_from_boto3s_chain_and_a_refusal_renews_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ProviderServer().running() as agent, ProviderServer().running() as server:
        aws_metadata(agent)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.url}/credentials")
        refuses_first(server, 403)
        provider = AwsProvider(AwsConfig(region="eu-west-1", endpoint_url=server.url))
        async with opened(provider):
            assert len(agent.seen) == 1
            first = await provider.invoke(call_of(Target("AWS", "charge")))
            assert (first.executed, first.scope, first.retry_here) == (Executed.NO, Scope.CREDENTIALS, True)
            assert (await provider.invoke(call_of(Target("AWS", "charge")))).ok
            assert (await provider.invoke(call_of(Target("AWS", "charge")))).ok
        used = [seen.headers["authorization"].split("Credential=")[1].split("/")[0] for seen in server.seen]
        assert used == ["AKID1", "AKID2", "AKID2"]
        assert [seen.headers["x-amz-security-token"] for seen in server.seen] == [
            "token1",
            "token2",
            "token2",
        ]
        assert len(agent.seen) == 2


async def test_aws_starts_without_credentials_and_says_so_with_each_call() -> None:
    """Because the service that hands them out may be down together with its cloud."""
    async with ProviderServer().running() as server:
        provider = AwsProvider(AwsConfig(region="eu-west-1", endpoint_url=server.url))
        async with opened(provider):
            outcome = await provider.invoke(call_of(Target("AWS", "charge"), timeout_ms=100))
            assert (outcome.executed, outcome.scope) == (Executed.NO, Scope.CREDENTIALS)
            assert outcome.signal == "credentials-missing"
        assert server.connections == 0


async def test_fixed_aws_keys_that_are_refused_are_not_tried_again() -> None:
    async with ProviderServer().running() as server:
        server.behaviour = answers(json_answer({}, 403))
        provider = AwsProvider(
            AwsConfig(region="eu-west-1", endpoint_url=server.url, access_key_id="A", secret_access_key="s")
        )
        async with opened(provider):
            assert not (await provider.invoke(call_of(Target("AWS", "charge")))).retry_here


async def test_a_clock_that_is_off_is_set_by_aws_own() -> None:
    async with ProviderServer().running() as server:
        server.behaviour = answers(json_answer({}, 403, {"Date": "Fri, 21 Nov 2025 12:00:00 GMT"}))
        provider = AwsProvider(
            AwsConfig(region="eu-west-1", endpoint_url=server.url, access_key_id="A", secret_access_key="s"),
            clock=lambda: 1_000_000_000.0,
        )
        async with opened(provider):
            first = await provider.invoke(call_of(Target("AWS", "charge")))
            second = await provider.invoke(call_of(Target("AWS", "charge")))
        assert (first.retry_here, second.retry_here) == (True, False)
        assert [seen.headers["x-amz-date"] for seen in server.seen] == [
            "20010909T014640Z",
            "20251121T120000Z",
        ]


@pytest.mark.parametrize(
    "config",
    [
        AwsConfig(access_key_id="only"),
        AwsConfig(secret_access_key="only"),
        AwsConfig(access_key_id="a", secret_access_key="hush\n"),
        AwsConfig(region="Europe"),
        AwsConfig(regions=("x",)),
        AwsConfig(endpoint_url="http://169.254.169.254"),
    ],
)
def test_aws_settings_that_cannot_work_are_refused_in_a_sentence(config: AwsConfig) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AwsProvider(config)
    assert str(caught.value).endswith(".")
    assert "hush" not in str(caught.value)


# ---- GCP


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(key: rsa.RSAPrivateKey, token_url: str, folder: Path) -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    document = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "sidestep@my-project.iam.gserviceaccount.com",
        "token_uri": token_url,
    }
    path = folder / "service-account.json"
    path.write_text(json.dumps(document))
    return str(path)


def coded(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def google_tokens(server: ProviderServer) -> None:
    """Have `server` answer as Google's token endpoint does; tokens are numbered by their `jti`."""

    async def behave(exchange: Exchange) -> None:
        assertion = exchange.seen.body.decode().split("assertion=")[1].split("&")[0].split(".")[1]
        asked = json.loads(base64.urlsafe_b64decode(assertion + "=" * (-len(assertion) % 4)))
        claims = {
            "aud": asked["target_audience"],
            "exp": int(time.time()) + 3600,
            "iat": int(time.time()),
            "jti": str(len(server.seen)),
        }
        token = ".".join((coded({"alg": "RS256", "typ": "JWT"}), coded(claims), "c2ln"))
        await exchange.send(json_answer({"id_token": token}).bytes())

    server.behaviour = behave


def claims_of(header: str) -> dict[str, Any]:
    part = header.removeprefix("Bearer ").split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


async def test_gcp_tokens_are_fetched_by_google_auth_once_for_each_function(
    key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        google_tokens(tokens)
        path = service_account(key, f"{tokens.url}/token", tmp_path)
        provider = GcpProvider(GcpConfig(base_url=server.url, credentials_file=path))
        async with opened(provider):
            await prepared(provider, Target("GCP", "charge"), Target("GCP", "ship"))
            assert len(tokens.seen) == 2
            for name in ("charge", "ship", "charge"):
                assert (await provider.invoke(call_of(Target("GCP", name)))).ok
            assert len(tokens.seen) == 2
        assert [claims_of(seen.headers["authorization"])["aud"] for seen in server.seen] == [
            f"{server.url}/charge",
            f"{server.url}/ship",
            f"{server.url}/charge",
        ]


async def test_gcp_calls_before_the_first_token_share_one_fetch(
    key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        google_tokens(tokens)
        path = service_account(key, f"{tokens.url}/token", tmp_path)
        async with opened(GcpProvider(GcpConfig(base_url=server.url, credentials_file=path))) as provider:
            calls = [provider.invoke(call_of(Target("GCP", "charge"))) for _ in range(20)]
            assert all(outcome.ok for outcome in await asyncio.gather(*calls))
        assert len(tokens.seen) == 1


async def test_a_gcp_token_that_is_refused_is_replaced_once(key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        google_tokens(tokens)
        server.behaviour = answers(json_answer({}, 401))
        path = service_account(key, f"{tokens.url}/token", tmp_path)
        async with opened(GcpProvider(GcpConfig(base_url=server.url, credentials_file=path))) as provider:
            outcomes = [await provider.invoke(call_of(Target("GCP", "charge"))) for _ in range(3)]
        assert [outcome.retry_here for outcome in outcomes] == [True, False, False]
        assert all(outcome.scope is Scope.CREDENTIALS for outcome in outcomes)
        assert [claims_of(seen.headers["authorization"])["jti"] for seen in server.seen] == ["1", "2", "2"]
        token = server.seen[0].headers["authorization"].removeprefix("Bearer ")
        assert all(token not in repr(outcome) for outcome in outcomes)


async def test_gcp_without_credentials_sends_no_token_to_a_base_url() -> None:
    async with ProviderServer().running() as server:
        async with opened(GcpProvider(GcpConfig(base_url=server.url))) as provider:
            assert (await provider.invoke(call_of(Target("GCP", "charge")))).ok
        assert "authorization" not in server.seen[0].headers


async def prepared(provider: Provider, *targets: Target) -> None:
    """Prepare, and wait for what goes on in the background where this machine is slow."""
    assert isinstance(provider, GcpProvider)
    await provider.prepare(targets)
    await asyncio.gather(*provider._learning)


class Memory:
    """Facts in a dictionary."""

    def __init__(self) -> None:
        self.facts: dict[str, bytes] = {}
        self.broken = False

    async def get_fact(self, key: str) -> bytes | None:
        if self.broken:
            raise OSError("away")
        return self.facts.get(key)

    async def put_fact(self, key: str, value: bytes) -> None:
        if self.broken:
            raise OSError("away")
        self.facts[key] = value


def gcp_by_name(api: ProviderServer, server: ProviderServer) -> GcpConfig:
    return GcpConfig(
        project="my-project",
        location="europe-west1",
        auth="none",
        origins=(server.url,),
        functions_endpoint=api.url,
    )


def gcp_without_names(
    api: ProviderServer, server: ProviderServer, facts: Memory
) -> tuple[GcpProvider, list[str]]:
    """A provider that finds no host, and the hosts that it looks for."""
    lookups: list[str] = []

    def lookup(host: str, *_: object) -> list[str]:
        lookups.append(host)
        raise OSError("stop here")

    return GcpProvider(gcp_by_name(api, server), facts=facts, lookup=lookup), lookups


CHARGE = Target("GCP", "charge")
RESOURCE = "/v2/projects/my-project/locations/europe-west1/functions/charge"


async def test_a_functions_uri_is_asked_of_google_once_and_kept() -> None:
    async with ProviderServer().running() as api, ProviderServer().running() as server:
        api.behaviour = answers(json_answer({"serviceConfig": {"uri": f"{server.url}/resolved"}}))
        facts = Memory()
        async with opened(GcpProvider(gcp_by_name(api, server), facts=facts)) as provider:
            await prepared(provider, CHARGE, CHARGE)
            await prepared(provider, CHARGE)
            assert (await provider.invoke(call_of(CHARGE))).ok
        assert [(seen.method, seen.path.split("?")[0]) for seen in api.seen] == [("GET", RESOURCE)]
        assert server.seen[0].path == "/resolved"
        # Another process finds it in the store and asks nobody.
        async with opened(GcpProvider(gcp_by_name(api, server), facts=facts)) as provider:
            await prepared(provider, CHARGE)
            assert (await provider.invoke(call_of(CHARGE))).ok
        assert len(api.seen) == 1


async def test_an_api_or_a_store_that_is_down_costs_only_the_better_uri() -> None:
    async with ProviderServer().running() as api, ProviderServer().running() as server:
        api.behaviour = answers(json_answer({"error": {"code": 503}}, 503))
        facts = Memory()
        facts.broken = True
        provider, lookups = gcp_without_names(api, server, facts)
        async with opened(provider):
            await prepared(provider, CHARGE)
            assert (await provider.invoke(call_of(CHARGE))).signal == "dns-failure"
        assert lookups == ["europe-west1-my-project.cloudfunctions.net"]


@pytest.mark.parametrize(
    "uri", ["https://evil.test/", "http://169.254.169.254/", "https://x.run.app@evil.test/", ""]
)
async def test_a_uri_that_is_not_googles_is_not_used(uri: str) -> None:
    """Neither from the API nor, planted, from the store."""
    async with ProviderServer().running() as api, ProviderServer().running() as server:
        api.behaviour = answers(json_answer({"serviceConfig": {"uri": uri}}))
        facts = Memory()
        planted = {"uri": uri, "at": time.time()}
        facts.facts["gcp-uri:my-project/europe-west1/charge"] = json.dumps(planted).encode()
        provider, lookups = gcp_without_names(api, server, facts)
        async with opened(provider):
            await prepared(provider, CHARGE)
            await provider.invoke(call_of(CHARGE))
        assert lookups == ["europe-west1-my-project.cloudfunctions.net"]


# ---- Azure


async def test_azure_sends_the_functions_key_or_the_apps() -> None:
    async with ProviderServer().running() as server:
        config = AzureConfig(
            base_url=server.url, function_key="general", function_keys={"ship": "s", "westeurope/ship": "w"}
        )
        async with opened(AzureProvider(config)) as provider:
            for target in (
                Target("AZURE", "charge"),
                Target("AZURE", "ship"),
                Target("AZURE", "ship", "westeurope"),
            ):
                assert (await provider.invoke(call_of(target))).ok
        assert [seen.headers["x-functions-key"] for seen in server.seen] == ["general", "s", "w"]
        assert [seen.path for seen in server.seen] == ["/api/charge", "/api/ship", "/api/ship"]
        assert "general" not in repr(config)


async def test_azure_regions_choose_among_apps() -> None:
    async with ProviderServer().running() as one, ProviderServer().running() as two:
        config = AzureConfig(apps={"westeurope": one.url, "eastus": two.url}, route_prefix="")
        provider = AzureProvider(config)
        assert provider.check(Target("AZURE", "charge")) is not None
        assert provider.check(Target("AZURE", "charge", "northeurope")) is not None
        async with opened(provider):
            assert (await provider.invoke(call_of(Target("AZURE", "charge", "eastus")))).ok
        assert [seen.path for seen in two.seen] == ["/charge"]
        assert one.seen == []


async def test_azure_bears_an_entra_token_from_azure_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ProviderServer().running() as agent, ProviderServer().running() as server:

        async def tokens(exchange: Exchange) -> None:
            document = {
                "access_token": f"entra-{len(agent.seen)}",
                "expires_on": str(int(time.time()) + 3600),
                "resource": "api://charge",
                "token_type": "Bearer",
            }
            await exchange.send(json_answer(document).bytes())

        agent.behaviour = tokens
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{agent.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        refuses_first(server, 401)
        config = AzureConfig(base_url=server.url, entra_scope="api://charge/.default")
        async with opened(AzureProvider(config)) as provider:
            first = await provider.invoke(call_of(Target("AZURE", "charge")))
            second = await provider.invoke(call_of(Target("AZURE", "charge")))
        assert (first.scope, first.retry_here, second.ok) == (Scope.CREDENTIALS, True, True)
        assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer entra-1", "Bearer entra-2"]
