"""HTTPS by an authority made at the start, and certificates of a stranger in its place."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError

from localcloud.app import LocalCloud
from localcloud.client import ControlClient, ControlError, connect
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import PROVIDERS, ProviderName
from tests.localcloud.calling import Caller

every_provider = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture
async def clouds() -> AsyncIterator[LocalCloud]:
    async with LocalCloud(LocalCloudSettings(port=0, tls=True)) as cloud:
        yield cloud


@pytest.fixture
async def ruler(clouds: LocalCloud) -> AsyncIterator[ControlClient]:
    async with connect(clouds.control_url) as client:
        yield client


def trusting(cloud: LocalCloud) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cloud.ca_file))


@pytest.fixture
async def caller(clouds: LocalCloud) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(clouds))) as session:
        yield Caller(clouds, session)


@every_provider
async def test_who_trusts_the_authority_calls_as_ever(
    clouds: LocalCloud, caller: Caller, provider: ProviderName
) -> None:
    assert clouds.urls[provider].startswith("https://")
    assert (await caller.call(provider, key="k")).status == 200
    assert [run.replied for run in clouds.ledger.entries()] == [True]


@every_provider
async def test_who_does_not_trust_it_gets_nowhere(clouds: LocalCloud, provider: ProviderName) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(clouds.urls[provider])


@every_provider
async def test_a_strangers_certificate_is_refused_until_the_rule_is_lifted(
    clouds: LocalCloud, caller: Caller, ruler: ControlClient, provider: ProviderName
) -> None:
    # It closes the connection that this call has left open: the next one must look again.
    assert (await caller.call(provider)).status == 200
    await ruler.set_outage(provider, "bad-certificate")
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await caller.call(provider)
    assert (await ruler.outages())[provider][0]["hits"] >= 1
    await ruler.clear()
    assert (await caller.call(provider)).status == 200
    assert len(clouds.ledger.entries()) == 2


async def test_open_connections_can_outlive_a_bad_certificate(caller: Caller, ruler: ControlClient) -> None:
    assert (await caller.call("AZURE")).status == 200
    await ruler.set_outage("AZURE", "bad-certificate", close_connections=False)
    assert (await caller.call("AZURE")).status == 200


async def test_boto3_takes_a_strangers_certificate_for_what_it_is(
    clouds: LocalCloud, ruler: ControlClient
) -> None:
    own = clouds.settings.aws.credentials[0]

    def invoke() -> bytes:
        client = boto3.client(
            "lambda",
            endpoint_url=clouds.urls["AWS"],
            region_name="us-east-1",
            aws_access_key_id=own.access_key_id,
            aws_secret_access_key=own.secret_access_key,
            verify=str(clouds.ca_file),
            config=Config(retries={"total_max_attempts": 1}, read_timeout=5, connect_timeout=5),
        )
        return client.invoke(FunctionName="my-func", Payload=b"{}")["Payload"].read()

    assert b"Hello" in await asyncio.to_thread(invoke)
    await ruler.set_outage("AWS", "bad-certificate")
    with pytest.raises(SSLError):
        await asyncio.to_thread(invoke)


async def test_the_certificate_bears_the_providers_names(clouds: LocalCloud) -> None:
    for provider in PROVIDERS:
        name = f"{provider.lower()}.localcloud.test"
        context = trusting(clouds)
        port = clouds._fronts[provider].port
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.close()
        await writer.wait_closed()


@every_provider
async def test_resets_and_refusals_are_the_same_below_tls(
    clouds: LocalCloud, caller: Caller, ruler: ControlClient, provider: ProviderName
) -> None:
    assert (await caller.call(provider)).status == 200
    clouds.ledger.clear()
    for kind in ("reset", "reply-lost", "refused"):
        await ruler.set_outage(provider, kind)
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.call(provider)
        await ruler.clear()
    assert (await caller.call(provider)).status == 200
    assert len(clouds.ledger.entries()) == 2


async def test_googles_tokens_come_from_elsewhere_and_outlive_the_functions_sockets(
    clouds: LocalCloud, ruler: ControlClient, caller: Caller
) -> None:
    await ruler.set_outage("GCP", "refused")
    with pytest.raises(aiohttp.ClientConnectorError):
        await caller.call("GCP")  # the token was had before that
    assert caller._token is not None
    await ruler.clear()
    await ruler.set_outage("GCP", "503", plane="control")
    tokens = clouds._tokens
    assert tokens is not None
    assert (await caller.post(f"http://127.0.0.1:{tokens.port}/token", b"")).status == 503


async def test_a_bad_certificate_needs_certificates(control: ControlClient) -> None:
    with pytest.raises(ControlError) as raised:
        await control.set_outage("AWS", "bad-certificate")
    assert raised.value.problems == [
        "bad-certificate needs certificates, and these clouds speak plain HTTP: start localcloud with --tls"
    ]


async def test_the_authoritys_file_goes_when_it_was_temporary_and_stays_where_it_was_named(
    tmp_path: Path,
) -> None:
    async with LocalCloud(LocalCloudSettings(port=0, tls=True)) as cloud:
        temporary = cloud.ca_file
        assert temporary is not None
        assert cloud.environment()["SIDESTEP_PROVIDERS__GCP__CA_FILE"] == str(temporary)
        assert b"PRIVATE" not in temporary.read_bytes()
    assert not temporary.exists()
    named = tmp_path / "ca.pem"
    async with LocalCloud(LocalCloudSettings(port=0, tls=True, ca_file=named)) as cloud:
        assert cloud.ca_file == named
    assert named.exists()


async def test_plain_http_on_a_tls_port_and_strangers_bytes_harm_nothing(
    clouds: LocalCloud, caller: Caller
) -> None:
    for provider in PROVIDERS:
        port = clouds._fronts[provider].port
        for packet in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\xff" * 100):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(packet)
            await closed(reader)
            writer.close()
        assert (await caller.call(provider)).status == 200


async def closed(reader: asyncio.StreamReader) -> Any:
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
