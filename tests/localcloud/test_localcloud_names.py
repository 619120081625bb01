"""The clouds' names, asked of the name server over UDP, and what becomes of them in an outage."""

import asyncio
import socket

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.nameserver
import dns.opcode
import dns.rcode
import dns.resolver
import pytest

from localcloud.app import LocalCloud
from localcloud.client import ControlClient
from localcloud.settings import LocalCloudSettings
from tests.localcloud.calling import caller_of


def address_of(cloud: LocalCloud) -> tuple[str, int]:
    host, port = cloud.name_server.rsplit(":", 1)
    return host, int(port)


def resolver_of(cloud: LocalCloud) -> dns.asyncresolver.Resolver:
    """dnspython's own resolver, which asks nobody else and remembers nothing."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(*address_of(cloud))]
    resolver.lifetime = 2.0
    return resolver


async def ask(cloud: LocalCloud, name: str, kind: str = "A") -> dns.message.Message:
    host, port = address_of(cloud)
    return await dns.asyncquery.udp(dns.message.make_query(name, kind), host, timeout=2.0, port=port)


@pytest.mark.parametrize(
    "name",
    ["aws.localcloud.test", "gcp.localcloud.test", "AZURE.localcloud.test", "eu.lambda.aws.localcloud.test"],
)
async def test_a_providers_name_leads_to_loopback_and_is_forgotten_at_once(
    localcloud: LocalCloud, name: str
) -> None:
    answer = await resolver_of(localcloud).resolve(name, "A")
    assert [record.to_text() for record in answer] == ["127.0.0.1"]
    assert answer.rrset is not None
    assert answer.rrset.ttl == 0


async def test_a_name_has_no_address_of_the_other_family_and_says_so_for_no_time(
    localcloud: LocalCloud,
) -> None:
    answer = await ask(localcloud, "aws.localcloud.test", "AAAA")
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert answer.authority[0].ttl == 0


async def test_other_names_are_none_of_its_business(localcloud: LocalCloud) -> None:
    for name in ("example.com", "localcloud.test", "xaws.localcloud.test"):
        assert (await ask(localcloud, name)).rcode() == dns.rcode.REFUSED


async def test_a_name_that_does_not_exist_comes_back_when_the_rule_is_lifted(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    resolver = resolver_of(localcloud)
    await control.set_outage("AWS", "dns-nxdomain")
    with pytest.raises(dns.resolver.NXDOMAIN):
        await resolver.resolve("aws.localcloud.test", "A")
    answer = await ask(localcloud, "aws.localcloud.test")
    assert (answer.rcode(), answer.authority[0].ttl) == (dns.rcode.NXDOMAIN, 0)
    assert (await resolver.resolve("gcp.localcloud.test", "A")).rrset is not None
    assert (await control.outages())["AWS"][0]["hits"] == 2
    await control.clear("AWS")
    assert (await resolver.resolve("aws.localcloud.test", "A")).rrset is not None


async def test_a_name_server_that_is_silent_about_one_provider(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    await control.set_outage("GCP", "dns-timeout")
    host, port = address_of(localcloud)
    query = dns.message.make_query("gcp.localcloud.test", "A")
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(query, host, timeout=0.2, port=port)
    assert (await ask(localcloud, "aws.localcloud.test")).rcode() == dns.rcode.NOERROR


async def test_a_lost_name_closes_open_connections_unless_it_is_told_not_to(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    port = localcloud._fronts["AWS"].port
    for options, closed in (({"close_connections": False}, False), ({}, True)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # One answer, so that it is a connection that is kept alive.
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_answer(reader)
        await control.set_outage("AWS", "dns-nxdomain", **options)
        if closed:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        else:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"403" in await read_answer(reader)
        writer.close()
        await control.clear()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next(
        line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    ).partition(b":")[2]
    await reader.readexactly(int(length))
    return head


async def test_a_call_in_flight_is_answered_before_its_connection_is_closed(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        call = asyncio.create_task(caller.call("AZURE", "slow-func", {"delayMs": 300}))
        async with asyncio.timeout(5):
            while not localcloud.ledger.entries():
                await asyncio.sleep(0.002)
        await control.set_outage("AZURE", "dns-nxdomain")
        answer = await call
        assert (answer.status, answer.headers.get("Connection")) == (200, "close")


async def test_a_flapping_name_closes_connections_each_time_it_goes(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    await control.set_outage("AWS", "dns-nxdomain", flap=[0.03, 0.05])
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", localcloud._fronts["AWS"].port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x00",
        b"\xff" * 12,
        b"\x00" * 12,
        bytes(range(256)) * 8,
        b"\x00\x01\x01\x00\xff\xff" + b"\x00" * 6,
        b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01",
    ],
)
async def test_packets_that_are_no_lookups_harm_nothing(localcloud: LocalCloud, packet: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(packet, address_of(localcloud))
        assert (await ask(localcloud, "aws.localcloud.test")).rcode() == dns.rcode.NOERROR


async def test_an_answer_is_not_answered_and_a_notice_is_refused(localcloud: LocalCloud) -> None:
    host, port = address_of(localcloud)
    query = dns.message.make_query("aws.localcloud.test", "A")
    answer = dns.message.make_response(query)
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(answer, host, timeout=0.1, port=port)
    query.set_opcode(dns.opcode.NOTIFY)
    assert (await dns.asyncquery.udp(query, host, timeout=2.0, port=port)).rcode() == dns.rcode.NOTIMP


async def test_the_environment_points_at_names_where_it_is_asked_to() -> None:
    async with LocalCloud(LocalCloudSettings(port=0, names=True)) as cloud:
        environment = cloud.environment()
        port = cloud._fronts["AWS"].port
        assert environment["SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL"] == f"http://aws.localcloud.test:{port}"
        assert environment["SIDESTEP_PROVIDERS__GCP__BASE_URL"].startswith("http://gcp.localcloud.test:")
        assert environment["SIDESTEP_PROVIDERS__AZURE__NAMESERVERS"] == cloud.name_server
        assert environment["SIDESTEP_PROVIDERS__AWS__ALLOW_PRIVATE_ORIGINS"] == cloud.named_urls["AWS"]


async def test_the_name_servers_port_follows_the_clouds_and_must_be_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        first = taken.getsockname()[1] - 4
        with pytest.raises(OSError, match="in use"):
            await LocalCloud(LocalCloudSettings(port=first)).start()
