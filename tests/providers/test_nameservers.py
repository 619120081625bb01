"""Names asked of name servers of one's own choice: real questions over loopback."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import uvloop

from adapters.providers.build import build
from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.nameservers import NameServer, NameServers, parse_server
from core.errors import ConfigurationError
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.clock import ManualClock
from core.testing.contracts.provider_server import ProviderServer, closed_port
from tests.providers.dns_server import SILENCE, DnsServer
from tests.providers.driving import call_of, opened

NAME = "functions.example"
LIMIT_MS, SHORT_MS = 2_000, 300
SERVFAIL, REFUSED = 2, 5


def provider_of(origin: str, *servers: str, private: bool = True, limit_ms: int = LIMIT_MS) -> Provider:
    wire = WireConfig(
        nameservers=servers,
        connect_timeout_ms=limit_ms,
        allow_private_origins=(origin,) if private else (),
    )
    return HttpProvider(HttpConfig(origins=(origin,), wire=wire))


@contextlib.asynccontextmanager
async def asking(
    names: DnsServer, limit_ms: int = LIMIT_MS
) -> AsyncIterator[tuple[ProviderServer, Provider, Target]]:
    """A function server, and a provider that knows its name from `names` only."""
    async with ProviderServer().running() as server, names.running():
        origin = f"http://{NAME}:{server.port}"
        async with opened(provider_of(origin, names.address, limit_ms=limit_ms)) as provider:
            yield server, provider, Target("HTTP", f"{origin}/x")


def is_dns_failure(outcome: Outcome) -> bool:
    return (outcome.executed, outcome.scope, outcome.signal) == (Executed.NO, Scope.PROVIDER, "dns-failure")


async def test_a_name_is_asked_of_the_given_server() -> None:
    names = DnsServer({NAME: ["127.0.0.1"]})
    async with asking(names) as (server, provider, target):
        assert (await provider.invoke(call_of(target))).ok
        assert server.seen[0].headers["host"] == f"{NAME}:{server.port}"
        assert names.asked == {(NAME, "A"): 1, (NAME, "AAAA"): 1}


def test_it_works_under_uvloop_too() -> None:
    async def main() -> bool:
        async with asking(DnsServer({NAME: ["127.0.0.1"]})) as (_, provider, target):
            return (await provider.invoke(call_of(target))).ok

    assert uvloop.run(main())


async def test_a_name_that_does_not_exist_proves_that_nothing_executed() -> None:
    async with asking(DnsServer()) as (server, provider, target):
        outcome = await provider.invoke(call_of(target))
        assert is_dns_failure(outcome)
        assert "NXDOMAIN" in outcome.cause
        assert is_dns_failure(await provider.probe(target, 1_000))
        assert server.connections == 0


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED, SILENCE])
async def test_a_server_without_an_answer_costs_the_connect_limit_at_most(rcode: int) -> None:
    names = DnsServer({NAME: ["127.0.0.1"]})
    names.rcode = rcode
    async with asking(names, SHORT_MS) as (_, provider, target):
        began = time.monotonic()
        assert is_dns_failure(await provider.invoke(call_of(target, timeout_ms=60_000)))
        assert time.monotonic() - began < 10 * SHORT_MS / 1000
        names.rcode = 0
        assert (await provider.invoke(call_of(target))).ok, "a failure is not kept"


async def test_a_name_without_addresses_is_a_failure() -> None:
    async with asking(DnsServer({NAME: []})) as (_, provider, target):
        outcome = await provider.invoke(call_of(target))
        assert is_dns_failure(outcome)


async def test_garbage_for_an_answer_is_a_failure() -> None:
    names = DnsServer({NAME: ["127.0.0.1"]})
    names.garbage = True
    async with asking(names) as (_, provider, target):
        assert is_dns_failure(await provider.invoke(call_of(target)))


async def test_a_server_that_says_nothing_about_one_family_does_not_hold_the_other_up() -> None:
    names = DnsServer({NAME: ["127.0.0.1"]})
    names.mute = frozenset({"AAAA"})
    async with asking(names) as (_, provider, target):
        assert (await provider.invoke(call_of(target))).ok


async def test_what_does_not_fit_a_datagram_comes_over_tcp() -> None:
    names = DnsServer({NAME: ["127.0.0.1"]})
    names.truncate = True
    async with asking(names) as (_, provider, target):
        assert (await provider.invoke(call_of(target))).ok
        assert names.over_tcp > 0


async def test_the_next_server_is_asked_where_the_first_is_down() -> None:
    async with ProviderServer().running() as server, DnsServer({NAME: ["127.0.0.1"]}).running() as names:
        origin = f"http://{NAME}:{server.port}"
        provider = provider_of(origin, f"127.0.0.1:{closed_port()}", names.address)
        async with opened(provider):
            assert (await provider.invoke(call_of(Target("HTTP", f"{origin}/x")))).ok


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.0.0.1", "::ffff:169.254.169.254"])
async def test_the_rules_for_addresses_hold_for_what_a_server_answers(address: str) -> None:
    async with DnsServer({NAME: [address]}).running() as names:
        origin = f"http://{NAME}:9"
        async with opened(provider_of(origin, names.address, private=False)) as provider:
            outcome = await provider.invoke(call_of(Target("HTTP", f"{origin}/x")))
    assert (outcome.executed, outcome.signal) == (Executed.NO, "address-refused")


async def test_localhost_is_asked_of_nobody() -> None:
    async with ProviderServer().running() as server, DnsServer().running() as names:
        origin = f"http://localhost:{server.port}"
        async with opened(provider_of(origin, names.address)) as provider:
            assert (await provider.invoke(call_of(Target("HTTP", f"{origin}/x")))).ok
        assert not names.asked


@pytest.mark.parametrize(("ttl", "kept_seconds"), [(0, 0.0), (2, 2.0), (3_600, 5.0)])
async def test_an_answer_is_kept_for_its_ttl_and_for_5_s_at_most(ttl: int, kept_seconds: float) -> None:
    clock = ManualClock()
    async with DnsServer({NAME: ["127.0.0.1"]}, ttl=ttl).running() as server:
        names = NameServers([NameServer("127.0.0.1", server.port)], 5.0, clock=clock.monotonic)
        await names.open()
        assert await names.addresses(NAME) == ("127.0.0.1",)
        server.zone[NAME] = ["127.0.0.2"]
        if kept_seconds:
            clock.advance(kept_seconds - 0.001)
            assert await names.addresses(NAME) == ("127.0.0.1",)
            clock.advance(0.001)
        assert await names.addresses(NAME) == ("127.0.0.2",)
        await names.close()


async def test_a_new_connection_follows_a_name_that_moved() -> None:
    """The pool would remember a name for 10 s."""
    names = DnsServer({NAME: ["127.0.0.1"]}, ttl=0)
    async with asking(names) as (_, provider, target):
        assert (await provider.invoke(call_of(target, fresh_connection=True))).ok
        names.zone.clear()
        assert is_dns_failure(await provider.invoke(call_of(target, fresh_connection=True)))


async def test_however_many_ask_at_once_a_server_is_asked_once() -> None:
    async with DnsServer({NAME: ["127.0.0.1"]}, ttl=0).running() as server:
        names = NameServers([NameServer("127.0.0.1", server.port)], 5.0)
        await names.open()
        asking = [asyncio.create_task(names.addresses(NAME)) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()  # who began it may stop waiting without stopping the others
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert set(found[1:]) == {("127.0.0.1",)}
        assert server.asked[NAME, "A"] == 1
        await names.close()


async def test_closing_ends_what_is_still_asked() -> None:
    silent = DnsServer()
    silent.rcode = SILENCE
    async with asking(silent) as (_, provider, target):
        call = asyncio.create_task(provider.invoke(call_of(target)))
        async with asyncio.timeout(5):
            while not silent.asked:
                await asyncio.sleep(0.001)
        await provider.close()
        assert (await call).executed is Executed.NO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.2", NameServer("10.0.0.2", 53)),
        ("10.0.0.2:5353", NameServer("10.0.0.2", 5353)),
        ("::1", NameServer("::1", 53)),
        ("[::1]:5353", NameServer("::1", 5353)),
    ],
)
def test_a_server_is_written_as_an_address_with_or_without_a_port(text: str, expected: NameServer) -> None:
    assert parse_server(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "dns.example", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:x", "[10.0.0.2]:53", "10.0.0"],
)
def test_what_is_no_server_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"nameservers of HTTP: .*\.$"):
        build({"HTTP": {"origins": ["http://a.test"], "nameservers": (text,)}})


def test_too_many_servers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="more than 8"):
        build({"HTTP": {"origins": ["http://a.test"], "nameservers": ("10.0.0.2",) * 9}})
