"""A token service that is out of reach is its cloud's outage; one that refuses is a matter of credentials."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.wire.reach import Reach
from core.failover.evidence import Against, against
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider_server import (
    Behaviour,
    Exchange,
    ProviderServer,
    answers,
    closed_port,
    json_answer,
    silent_port,
)
from tests.providers.driving import call_of, opened
from tests.providers.test_credentials import google_tokens, service_account
from tests.providers.test_wire import certificate

CHARGE = {name: Target(name, "charge") for name in ("GCP", "AZURE")}
REFUSALS = [json_answer({"error": "invalid_client"}, status) for status in (400, 401, 403)]


def shows_an_outage(outcome: Outcome) -> bool:
    return (
        (outcome.executed, outcome.scope) == (Executed.NO, Scope.PROVIDER)
        and (outcome.signal, outcome.error) == ("token-unreachable", "Sidestep.ProviderUnreachable")
        and against(outcome) is Against.PROVIDER
    )


def shows_bad_credentials(outcome: Outcome) -> bool:
    return (outcome.executed, outcome.scope, outcome.signal) == (
        Executed.NO,
        Scope.CREDENTIALS,
        "credentials-missing",
    )


# ---- GCP


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def gcp(server: ProviderServer, tokens: str, key: rsa.RSAPrivateKey, folder: Path) -> GcpProvider:
    path = service_account(key, f"{tokens}/token", folder)
    return GcpProvider(GcpConfig(base_url=server.url, credentials_file=path))


async def test_gcps_token_service_behind_a_closed_port_is_gcps_outage(
    key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as server:
        tokens = f"http://127.0.0.1:{closed_port()}"
        async with opened(gcp(server, tokens, key, tmp_path)) as provider:
            outcome = await provider.invoke(call_of(CHARGE["GCP"]))
        assert shows_an_outage(outcome), outcome
        assert "127.0.0.1" not in outcome.cause
        assert server.connections == 0


async def test_gcps_token_service_that_hangs_is_gcps_outage_for_every_function(
    key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        tokens.behaviour = Exchange.until_gone
        async with opened(gcp(server, tokens.url, key, tmp_path)) as provider:
            calls = [
                provider.invoke(call_of(Target("GCP", f"f{number}"), timeout_ms=4_000))
                for number in range(12)
            ]
            outcomes = await asyncio.gather(*calls)
        assert all(shows_an_outage(outcome) for outcome in outcomes), outcomes
        assert server.connections == 0


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: str(answer.status))
async def test_a_refusal_of_gcps_token_service_is_a_matter_of_credentials(
    answer: object, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        tokens.behaviour = answers(answer)  # type: ignore[arg-type]  # REFUSALS hold answers
        async with opened(gcp(server, tokens.url, key, tmp_path)) as provider:
            outcome = await provider.invoke(call_of(CHARGE["GCP"]))
        assert shows_bad_credentials(outcome), outcome


async def test_gcps_token_service_that_comes_back_ends_the_outage(
    key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    async with ProviderServer().running() as tokens, ProviderServer().running() as server:
        tokens.behaviour = _resets
        async with opened(gcp(server, tokens.url, key, tmp_path)) as provider:
            assert shows_an_outage(await provider.invoke(call_of(CHARGE["GCP"])))
            google_tokens(tokens)
            assert (await provider.invoke(call_of(CHARGE["GCP"]))).ok


async def test_gcps_metadata_server_is_the_machines_and_no_outage_of_gcp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It answers the first question, who the machine is, and no other."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    async with ProviderServer().running() as metadata, ProviderServer().running() as server:

        async def behave(exchange: Exchange) -> None:
            if "identity" in exchange.seen.path:
                exchange.reset()
            else:
                answer = json_answer({"email": "me@my-project.iam.gserviceaccount.com"})
                await exchange.send(type(answer)(200, {"Metadata-Flavor": "Google"}, answer.body).bytes())

        metadata.behaviour = behave
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
            monkeypatch.setenv(name, f"127.0.0.1:{metadata.port}")
        async with opened(GcpProvider(GcpConfig(base_url=server.url, auth="adc"))) as provider:
            outcome = await provider.invoke(call_of(CHARGE["GCP"], timeout_ms=1_000))
        assert metadata.seen
        assert shows_bad_credentials(outcome), outcome


# ---- Azure


async def _resets(exchange: Exchange) -> None:
    exchange.reset()


@contextlib.asynccontextmanager
async def azure(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: ProviderServer, entra: int
) -> AsyncIterator[Provider]:
    """An open provider whose pod has a federated identity, at Entra's port on loopback."""
    federated = folder / "federated"
    federated.write_text("federated-secret")
    for name in ("IDENTITY_ENDPOINT", "AZURE_CLIENT_SECRET", "AZURE_TOKEN_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "client")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(federated))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"https://127.0.0.1:{entra}")
    config = AzureConfig(base_url=server.url, entra_scope="api://charge/.default")
    async with opened(AzureProvider(config)) as provider:
        yield provider


@contextlib.asynccontextmanager
async def entra_that(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> AsyncIterator[ProviderServer]:
    """Entra over TLS, trusted by this process."""
    pair = certificate(folder)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pair))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    entra = ProviderServer()
    entra.behaviour = behaviour
    async with entra.running(tls=context):
        yield entra


async def test_entra_behind_a_closed_port_is_azures_outage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with (
        ProviderServer().running() as server,
        azure(monkeypatch, tmp_path, server, closed_port()) as provider,
    ):
        outcome = await provider.invoke(call_of(CHARGE["AZURE"]))
        assert shows_an_outage(outcome), outcome
        assert "federated-secret" not in repr(outcome)
        assert server.connections == 0


async def test_entra_that_hangs_is_azures_outage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with silent_port() as entra:
        async with (
            ProviderServer().running() as server,
            azure(monkeypatch, tmp_path, server, entra) as provider,
        ):
            outcome = await provider.invoke(call_of(CHARGE["AZURE"], timeout_ms=200))
            assert shows_an_outage(outcome), outcome
            assert server.connections == 0


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: str(answer.status))
async def test_a_refusal_of_entra_is_a_matter_of_credentials(
    answer: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    behaviour = answers(answer)  # type: ignore[arg-type]  # REFUSALS hold answers
    async with (
        entra_that(behaviour, monkeypatch, tmp_path) as entra,
        ProviderServer().running() as server,
        azure(monkeypatch, tmp_path, server, entra.port) as provider,
    ):
        outcome = await provider.invoke(call_of(CHARGE["AZURE"]))
        assert entra.seen
        assert shows_bad_credentials(outcome), outcome


async def test_azures_identity_endpoint_is_the_machines_and_no_outage_of_azure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{closed_port()}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    async with ProviderServer().running() as server:
        config = AzureConfig(base_url=server.url, entra_scope="api://charge/.default")
        async with opened(AzureProvider(config)) as provider:
            outcome = await provider.invoke(call_of(CHARGE["AZURE"], timeout_ms=100))
        assert shows_bad_credentials(outcome), outcome


# ---- What was seen of it


class Now:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_a_request_that_was_only_just_sent_says_nothing() -> None:
    now = Now()
    reach = Reach(now)
    assert not reach.gone(5)
    with reach.asking(OSError):
        now.at += 0.9
        assert not reach.gone(5)
        now.at += 0.1
        assert reach.gone(5)
        assert reach.gone(0.2)
    assert not reach.gone(5)


def test_one_that_hangs_beside_another_that_was_answered_is_no_outage() -> None:
    now = Now()
    reach = Reach(now)
    with reach.asking(OSError):
        now.at += 5
        assert reach.gone(5)
        with reach.asking(OSError):
            now.at += 0.1
        assert not reach.gone(5)


def test_a_loss_holds_until_something_is_answered() -> None:
    reach = Reach(Now())
    with contextlib.suppress(OSError), reach.asking(OSError):
        raise OSError
    assert reach.gone(5)
    with reach.asking(OSError):
        assert reach.gone(5)
    assert not reach.gone(5)
