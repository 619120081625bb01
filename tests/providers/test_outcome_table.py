"""Every row of failover.md's outcome table that an adapter decides, on the wire."""

import asyncio
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from adapters.providers.aws.errors import BY_NAME
from core.failover.outcome import Outcome, Scope, interrupted
from core.testing.contracts.provider_server import (
    Answer,
    Exchange,
    ProviderServer,
    closed_port,
    json_answer,
    silent_port,
)
from localcloud.app import LocalCloud
from localcloud.aws.errors import FAULTS as AWS_FAULTS
from localcloud.azure.errors import FAULTS as AZURE_FAULTS
from localcloud.certificates import Authority
from localcloud.client import ControlClient
from localcloud.gcp.errors import FAULTS as GCP_FAULTS
from tests.localcloud_fixtures import control, localcloud
from tests.providers.dns_server import SILENCE, DnsServer
from tests.providers.driving import answered, call_of, clouds, invoke, opened, provider_of
from tests.providers.outcome_rows import (
    AMBIGUOUS,
    ANSWERS,
    EVERY,
    LAMBDA,
    LOST_REPLY,
    NETWORK,
    SATURATED,
    THROTTLE_REASONS,
    Row,
    Told,
)

__all__ = ["control", "localcloud"]

SHORT_MS = 200
SOON_SECONDS = 5.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2"


def told(outcome: Outcome) -> Told:
    """The columns of an outcome. Whatever it is, it has an error's name and words, and no output."""
    assert not outcome.ok
    assert outcome.error
    assert outcome.cause
    assert outcome.signal != "ok"
    assert outcome.output is None
    return Told(outcome.executed, outcome.scope, outcome.ambiguous, outcome.retry_here)


class Seam:
    """What stands between a provider and its cloud in one test of a network's row."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.fresh = False

    async def call(self, base: str, timeout_ms: int = 60_000, **wire: Any) -> Outcome:
        """One call, by a provider of its own."""
        provider, target = provider_of(self.name, base, **wire)
        async with opened(provider):
            return await provider.invoke(call_of(target, timeout_ms=timeout_ms, fresh_connection=self.fresh))

    async def answered(self, raw: bytes | None, *, timeout_ms: int = 60_000, reset: bool = False) -> Outcome:
        """A call whose request arrives, is answered with `raw` (None: silence), and broken off."""

        async def behave(exchange: Exchange) -> None:
            if raw is None:
                await exchange.until_gone()
            elif reset:
                exchange.reset()
            else:
                await exchange.send(raw)
                if timeout_ms < SOON_SECONDS * 1000:
                    await exchange.until_gone()
                exchange.close()

        async with ProviderServer().running() as server:
            server.behaviour = behave
            outcome = await self.call(server.url, timeout_ms)
            assert len(server.seen) == 1, "it is sent once"
            return outcome

    async def named(self, rcode: int) -> Outcome:
        """A call to a name that a name server answers with `rcode`."""
        names = DnsServer()
        names.rcode = rcode
        async with names.running():
            return await self.call(
                "http://functions.example:8080",
                nameservers=(names.address,),
                connect_timeout_ms=SHORT_MS,
            )

    async def secured(self, *, host: str, trusted: bool) -> Outcome:
        """A call over TLS to a server whose certificate is for `host`."""
        authority = Authority("test")
        file = self.folder / "ca.pem"
        file.write_bytes(authority.pem)
        async with ProviderServer().running(authority.context([host])) as server:
            base = server.url.replace("http:", "https:")
            return await self.call(base, ca_file=str(file) if trusted else None)

    async def handshaken(self, reply: bytes | None) -> Outcome:
        """A call over TLS to a server that answers the handshake with `reply`, or not at all."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            return await self.call(base, tls_timeout_ms=SHORT_MS)

    async def crowded(self) -> Outcome:
        """A call where the only connection of the pool is taken."""
        async with ProviderServer().running() as server:
            server.behaviour = Exchange.until_gone
            wire = {"max_connections": 1, "connect_timeout_ms": SHORT_MS, "tls_timeout_ms": SHORT_MS}
            provider, target = provider_of(self.name, server.url, **wire)
            async with opened(provider):
                first = asyncio.create_task(provider.invoke(call_of(target)))
                await asyncio.wait_for(server.arrived.wait(), SOON_SECONDS)
                outcome = await provider.invoke(call_of(target))
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
            return outcome

    async def meet(self, signal: str) -> Outcome:
        """What a call ends in that meets this row of the table."""
        match signal:
            case "DNS failure: NXDOMAIN":
                return await self.named(0)
            case "DNS failure: SERVFAIL":
                return await self.named(2)
            case "DNS failure: no answer":
                return await self.named(SILENCE)
            case "connection refused":
                return await self.call(f"http://127.0.0.1:{closed_port()}")
            case "TLS failure: not TLS":
                return await self.handshaken(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            case "TLS failure: unknown authority":
                return await self.secured(host="127.0.0.1", trusted=False)
            case "TLS failure: another host's certificate":
                return await self.secured(host="other.example", trusted=True)
            case "TLS timeout":
                return await self.handshaken(None)
            case "connect timeout":
                with silent_port() as port:
                    return await self.call(f"http://127.0.0.1:{port}", connect_timeout_ms=SHORT_MS)
            case "pool timeout":
                return await self.crowded()
            case "reset after the request was written":
                return await self.answered(b"", reset=True)
            case "EOF after the request was written":
                return await self.answered(b"")
            case "read timeout":
                return await self.answered(None, timeout_ms=SHORT_MS)
            case "2xx, truncated":
                return await self.answered(HEAD)
            case "2xx, its end too late":
                return await self.answered(HEAD, timeout_ms=SHORT_MS)
            case "2xx, corrupt":
                return await self.answered(Answer(200, {}, b'{"charged": tr\x00\xff').bytes())
            case "2xx, not JSON":
                return await self.answered(Answer(200, {}, b"<html>hello</html>").bytes())
            case _:
                raise AssertionError(signal)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("signal", NETWORK)
async def test_what_the_network_does_is_told_as_the_table_says(
    signal: str, name: str, tmp_path: Path
) -> None:
    seam = Seam(name, tmp_path)
    for seam.fresh in (False, True):
        assert told(await seam.meet(signal)) == NETWORK[signal]


@pytest.mark.parametrize("name", EVERY)
async def test_the_certificate_that_fails_for_another_host_is_good_for_its_own(
    name: str, tmp_path: Path
) -> None:
    assert (await Seam(name, tmp_path).secured(host="127.0.0.1", trusted=True)).ok


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row.signal)
async def test_what_a_cloud_answers_is_told_as_the_table_says(row: Row) -> None:
    for name in row.providers:
        async with ProviderServer().running() as server:
            provider, target = provider_of(name, server.url)
            async with opened(provider):
                assert told(await answered(server, provider, target, row.answer)) == row.told, name


@pytest.mark.parametrize("name", LAMBDA)
async def test_what_lambda_names_is_told_as_the_table_says(name: str) -> None:
    status, expected = LAMBDA[name]
    answer = json_answer({"Type": "User", "Message": "what Lambda says"}, status, {"x-amzn-ErrorType": name})
    async with ProviderServer().running() as server:
        provider, target = provider_of("AWS", server.url)
        async with opened(provider):
            outcome = await answered(server, provider, target, answer)
    assert told(outcome) == expected
    assert outcome.status == status
    assert outcome.signal.startswith("aws-")


def invoke_model() -> Any:
    return botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")


def test_no_error_that_botocore_models_for_invoke_is_missing_from_the_table() -> None:
    modelled = {
        shape.name: shape.metadata["error"]["httpStatusCode"] for shape in invoke_model().error_shapes
    }
    assert len(modelled) > 30
    assert {name: LAMBDA[name][0] for name in modelled} == modelled
    assert modelled.keys() <= BY_NAME.keys(), "each is mapped by its name, not by a guess at its status"


def test_the_adapter_maps_no_name_that_the_table_does_not_have() -> None:
    assert BY_NAME.keys() == LAMBDA.keys()


def test_no_reason_that_botocore_models_for_a_throttle_is_missing() -> None:
    (throttle,) = (shape for shape in invoke_model().error_shapes if shape.name == "TooManyRequestsException")
    assert set(throttle.members["Reason"].enum) == set(THROTTLE_REASONS)


@pytest.mark.parametrize("reason", THROTTLE_REASONS)
async def test_every_reason_of_lambdas_429_is_saturation(reason: str) -> None:
    body = {"Reason": reason, "retryAfterSeconds": "3", "message": "Rate Exceeded."}
    async with ProviderServer().running() as server:
        provider, target = provider_of("AWS", server.url)
        async with opened(provider):
            answer = json_answer(body, 429, {"x-amzn-ErrorType": "TooManyRequestsException"})
            outcome = await answered(server, provider, target, answer)
    assert told(outcome) == SATURATED
    assert outcome.retry_after_ms == 3_000


@pytest.mark.parametrize("name", EVERY)
async def test_a_wish_to_wait_is_kept(name: str) -> None:
    async with ProviderServer().running() as server:
        provider, target = provider_of(name, server.url)
        async with opened(provider):
            outcome = await answered(server, provider, target, Answer(429, {"Retry-After": "7"}))
    assert (outcome.scope, outcome.retry_after_ms) == (Scope.SATURATION, 7_000)


def test_an_owner_that_died_is_nobodys_fault() -> None:
    assert told(interrupted()) == AMBIGUOUS._replace(scope=Scope.NONE)


# ---- the same rows against localcloud, with the settings that a server would have

CLOUDS = ("AWS", "GCP", "AZURE")
NAMED: dict[tuple[str, str], Told] = {
    **{("AWS", name): expected for name, (_, expected) in LAMBDA.items() if name in AWS_FAULTS.statuses},
    **{named: row.told for row in ANSWERS for named in row.named},
}


def test_no_error_that_localcloud_knows_is_missing_from_the_table() -> None:
    faults = {"AWS": AWS_FAULTS, "GCP": GCP_FAULTS, "AZURE": AZURE_FAULTS}
    assert NAMED.keys() == {(cloud, name) for cloud in CLOUDS for name in faults[cloud].statuses}


async def test_what_localcloud_names_is_told_as_the_table_says(
    localcloud: LocalCloud, control: ControlClient, tmp_path: Path
) -> None:
    """One cloud for all of them, because starting one takes longer than an error."""
    async with clouds(localcloud, tmp_path) as providers:
        found: dict[tuple[str, str], Told] = {}
        for cloud, name in NAMED:
            await control.clear()
            await control.set_outage(cloud, "error", name=name)
            found[cloud, name] = told(await invoke(providers, cloud))
        assert found == {
            key: expected._replace(retry_here=found[key].retry_here) for key, expected in NAMED.items()
        }
        # Credentials that are refreshed after a refusal ask for one more try; all others as the table says.
        assert {key for key, expected in NAMED.items() if found[key] != expected} <= {
            key for key, expected in NAMED.items() if expected.scope is Scope.CREDENTIALS
        }
        assert await control.ledger() == [], "nothing of it ran"


async def test_what_localcloud_does_to_the_network_is_told_as_the_table_says(
    localcloud: LocalCloud, control: ControlClient, tmp_path: Path
) -> None:
    rows = {
        "refused": NETWORK["connection refused"],
        "reset": NETWORK["reset after the request was written"],
        "reply-lost": NETWORK["reset after the request was written"],
        "blackhole": NETWORK["read timeout"],
        "blackhole-after": NETWORK["read timeout"],
        "truncated": LOST_REPLY,
        "corrupt": LOST_REPLY,
    }
    async with clouds(localcloud, tmp_path) as providers:
        for cloud in CLOUDS:
            assert (await invoke(providers, cloud)).ok, "tokens are fetched while their servers are there"
            for kind, expected in rows.items():
                await control.clear()
                await control.set_outage(cloud, kind)
                outcome = await invoke(providers, cloud, timeout_ms=300, fresh_connection=True)
                assert told(outcome) == expected, (cloud, kind)
