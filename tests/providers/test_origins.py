"""A definition reaches configured origins only, whatever it tries."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import hypothesis.strategies as st
import pytest
from hypothesis import given

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.http.config import HttpConfig, Service
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.addresses import IpAddress, Kind, kind_of
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.connection import Connection
from adapters.providers.wire.dialling import Dialler, Unreached, guarded_socket
from adapters.providers.wire.origins import AddressRules, BadUrl, Origin, parse_origin, parse_url
from adapters.providers.wire.resolver import AddressRefused, GuardedResolver
from core.errors import ConfigurationError
from core.failover.outcome import Executed, Outcome
from core.graph.model import Target
from core.ports.provider import Call
from core.testing.contracts.provider_server import ProviderServer, answers, json_answer

METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254:80/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[::ffff:0:a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://168.63.129.16/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://0.0.0.0/",
    "http://0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://１６９.254.169.254/",  # noqa: RUF001  full-width digits are the trick
    "http://169。254。169。254/",
    "http://①⑥⑨.254.169.254/",
]

STRANGE = [
    "http://good.test@169.254.169.254/",
    "http://user:password@good.test/",
    "http://good.test:80@evil.test/",
    "http://good.test\\@evil.test/",
    "http:\\\\evil.test/",
    "http://good.test\t.evil.test/",
    "http://good.test/ x",
    "http://good.test/\r\nHost: evil.test",
    "http://good.test/\x00",
    "http://good.test#@evil.test/",
    "http://good.test/#fragment",
    "http://good.test/../admin",
    "http://good.test/a/%2e%2E/admin",
    "http://good.test/%zz",
    "http://good.test/é",
    "http://good.test./",
    "http://.good.test/",
    "http://good..test/",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://good.test:0/",
    "http://good.test:99999/",
    "http://good.test:/",
    "http://good%2etest/",
    "http:///x",
    "http:good.test",
    "//good.test/",
    "file:///etc/passwd",
    "gopher://good.test/",
    "ftp://good.test/",
    "unix://good.test/",
    "",
    "http://" + "a" * 3000 + "/",
]


@pytest.mark.parametrize("url", METADATA + STRANGE)
def test_urls_that_are_dangerous_or_strange_are_not_read_at_all(url: str) -> None:
    with pytest.raises(BadUrl):
        parse_url(url)


@pytest.mark.parametrize("url", METADATA + STRANGE)
async def test_no_provider_calls_a_dangerous_function_id(url: str) -> None:
    wire = WireConfig(connect_timeout_ms=50)
    providers = (
        AwsProvider(
            AwsConfig(region="eu-west-1", access_key_id="a", secret_access_key="b", wire=wire),
            lookup=never,
        ),
        GcpProvider(
            GcpConfig(project="my-project", location="europe-west1", auth="none", resolve=False, wire=wire),
            lookup=never,
        ),
        AzureProvider(AzureConfig(base_url="https://app.azurewebsites.net", wire=wire), lookup=never),
        HttpProvider(HttpConfig(origins=("http://good.test",), wire=wire), lookup=never),
    )
    for provider in providers:
        target = Target(provider.name, url)
        sentence = provider.check(target)
        assert sentence is not None
        assert sentence.endswith(".")
        await provider.open()
        try:
            outcome = await provider.invoke(a_call(target))
            assert (outcome.executed, outcome.signal) == (Executed.NO, "target-refused")
        finally:
            await provider.close()


@pytest.mark.parametrize("url", METADATA + STRANGE)
def test_no_dangerous_origin_can_be_configured(url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpProvider(HttpConfig(origins=(url,)))
    with pytest.raises(ConfigurationError):
        HttpProvider(HttpConfig(services={"s": Service(url=url)}))


def never(host: str, port: int, family: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up ({family})")


def a_call(target: Target) -> Call:
    return Call(
        target=target,
        payload={},
        idempotency_key="k",
        attempt=1,
        timeout_ms=2_000,
        not_after_ms=1,
        traceparent="",
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_no_number_is_ever_read_as_a_host(number: int, form: str) -> None:
    with pytest.raises(BadUrl):
        parse_url(f"http://{form.format(number)}/")


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_is_never_better_than_the_ipv4_address_in_it(address: object) -> None:
    number = int(ip_address(str(address)))
    inner = kind_of(ip_address(number))
    mapped = f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    nat64 = f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"
    sixtofour = f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1"
    translated = f"::ffff:0:{number >> 16:x}:{number & 0xFFFF:x}"
    for text in (mapped, translated, nat64, sixtofour):
        assert kind_of(ip_address(text)) >= inner, text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.8.8", Kind.PUBLIC),
        ("2606:4700::1111", Kind.PUBLIC),
        ("127.0.0.1", Kind.LOCAL),
        ("::1", Kind.LOCAL),
        ("10.1.2.3", Kind.LOCAL),
        ("100.64.0.1", Kind.LOCAL),
        ("fd12::1", Kind.LOCAL),
        ("::ffff:10.0.0.1", Kind.LOCAL),
        ("169.254.1.1", Kind.FORBIDDEN),
        ("ff02::1", Kind.FORBIDDEN),
        ("fec0::1", Kind.FORBIDDEN),
        ("240.0.0.1", Kind.FORBIDDEN),
        ("0.1.2.3", Kind.FORBIDDEN),
    ],
)
def test_addresses_are_of_three_kinds(text: str, kind: Kind) -> None:
    assert kind_of(ip_address(text)) is kind


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("HTTP://Good.Test:80/", "http://good.test"),
        ("https://good.test:443", "https://good.test"),
        ("http://good.test:8080", "http://good.test:8080"),
        ("http://[0:0:0:0:0:0:0:1]:99", "http://[::1]:99"),
        ("http://bücher.test/", "http://xn--bcher-kva.test"),
    ],
)
def test_one_origin_has_one_spelling(text: str, origin: str) -> None:
    assert str(parse_origin(text)) == origin


def test_an_origin_is_matched_whole() -> None:
    provider = HttpProvider(HttpConfig(origins=("https://good.test",)))
    assert provider.check(Target("HTTP", "https://good.test/any/path?x=1")) is None
    for other in (
        "http://good.test/",
        "https://good.test:8443/",
        "https://good.test.evil.test/",
        "https://evil.test/https://good.test/",
        "https://xgood.test/",
        "https://sub.good.test/",
    ):
        assert provider.check(Target("HTTP", other)) is not None, other


async def through(addresses: Sequence[str], server: ProviderServer, private: tuple[str, ...] = ()) -> Outcome:
    """What a call of a name ends in that resolves to `addresses`."""
    origin = f"http://good.test:{server.port}"
    provider = HttpProvider(
        HttpConfig(origins=(origin,), wire=WireConfig(allow_private_origins=private)),
        lookup=lambda *_: addresses,
    )
    await provider.open()
    try:
        return await provider.invoke(a_call(Target("HTTP", f"{origin}/x")))
    finally:
        await provider.close()


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        ["8.8.8.8", "127.0.0.1"],
        ["8.8.8.8", "169.254.169.254"],
        ["0.0.0.0"],  # noqa: S104  an answer, not an address to bind
    ],
)
async def test_a_name_that_resolves_inward_is_not_connected_to(addresses: list[str]) -> None:
    async with ProviderServer().running() as server:
        outcome = await through(addresses, server)
        assert (outcome.executed, outcome.signal) == (Executed.NO, "address-refused")
        assert server.connections == 0


async def test_a_private_origin_may_resolve_inward_but_never_to_metadata() -> None:
    async with ProviderServer().running() as server:
        private = (f"http://good.test:{server.port}",)
        assert (await through(["127.0.0.1"], server, private)).ok
        for address in ("169.254.169.254", "fd00:ec2::254", "168.63.129.16"):
            outcome = await through([address], server, private)
            assert outcome.signal == "address-refused"
        assert server.connections == 1


async def test_localhost_may_be_loopback_and_nothing_else() -> None:
    async with ProviderServer().running() as server:
        origin = f"http://localhost:{server.port}"
        for address, ok in (("127.0.0.1", True), ("10.0.0.1", False), ("169.254.169.254", False)):
            provider = HttpProvider(HttpConfig(origins=(origin,)), lookup=lambda *_, a=address: [a])
            await provider.open()
            try:
                assert (await provider.invoke(a_call(Target("HTTP", f"{origin}/x")))).ok is ok
            finally:
                await provider.close()


async def test_the_checked_address_is_the_one_that_is_connected_to() -> None:
    """Because a name could answer well when it is checked, and otherwise when it is used (rebinding)."""
    async with ProviderServer().running() as server:
        answered: list[str] = []

        def rebinding(*_: object) -> Sequence[str]:
            answered.append("127.0.0.1" if not answered else "169.254.169.254")
            return [answered[-1]]

        origin = f"http://good.test:{server.port}"
        provider = HttpProvider(
            HttpConfig(origins=(origin,), wire=WireConfig(allow_private_origins=(origin,))),
            lookup=rebinding,
        )
        await provider.open()
        try:
            assert (await provider.invoke(a_call(Target("HTTP", f"{origin}/x")))).ok
            assert answered == ["127.0.0.1"]
        finally:
            await provider.close()


class Careless(GuardedResolver):
    """A resolver that checks nothing."""

    async def resolve(self, host: str, port: int) -> tuple[IpAddress, ...]:  # noqa: ARG002 - the same for all
        return (ip_address("169.254.169.254"),)


async def test_dialling_itself_refuses_forbidden_addresses() -> None:
    """The last belt: whatever the resolver and the origins let through."""

    def never_made(fd: int) -> Connection:
        raise AssertionError(f"socket {fd} was connected")

    dialler = Dialler(Careless(AddressRules(), 1.0), 1.0, 1.0)
    for host in ("good.test", "169.254.169.254"):
        with pytest.raises(Unreached) as caught:
            await dialler.dial(Origin("http", host, 80), never_made)
        assert caught.value.outcome.signal == "address-refused"


def test_no_socket_is_made_for_a_forbidden_address() -> None:
    for family, address in ((socket.AF_INET, "169.254.169.254"), (socket.AF_INET6, "fe80::1")):
        with pytest.raises(AddressRefused):
            guarded_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize(
    "name",
    [
        "../admin",
        "a/../../admin/host",
        "a/./b",
        "a//b",
        "/a",
        "a/",
        "a?code=1",
        "a#b",
        "a%2f..%2fb",
        "https://evil.test/",
        "//evil.test/",
        "a@evil.test",
        "a b",
        "a\r\nb",
        "a\\b",
        "é",
        "",
        "x" * 300,
    ],
)
def test_names_cannot_leave_their_place(name: str) -> None:
    azure = AzureProvider(AzureConfig(base_url="https://app.azurewebsites.net", function_key="k"))
    gcp = GcpProvider(GcpConfig(project="my-project", location="europe-west1"))
    aws = AwsProvider(AwsConfig(region="eu-west-1"))
    assert azure.check(Target("AZURE", name)) is not None
    assert gcp.check(Target("GCP", name)) is not None
    assert aws.check(Target("AWS", name)) is not None


@pytest.mark.parametrize(
    "region", ["evil.test/", "eu-west-1.evil.test", "eu-west-1@evil.test", "x", "", "EU-WEST-1"]
)
def test_a_region_cannot_change_the_host(region: str) -> None:
    aws = AwsProvider(AwsConfig())
    gcp = GcpProvider(GcpConfig(project="my-project"))
    assert aws.check(Target("AWS", "f", region)) is not None
    assert gcp.check(Target("GCP", "f", region)) is not None


def test_foreign_projects_and_hosts_get_no_token() -> None:
    gcp = GcpProvider(GcpConfig(project="my-project", location="europe-west1"))
    assert gcp.check(Target("GCP", "https://europe-west1-my-project.cloudfunctions.net/f")) is None
    for url in (
        "https://europe-west1-other-project.cloudfunctions.net/f",
        "https://evil-my-project.cloudfunctions.net/f",
        "http://europe-west1-my-project.cloudfunctions.net/f",
        "https://europe-west1-my-project.cloudfunctions.net.evil.test/f",
        "https://anything-abc-ew.a.run.app/",
    ):
        assert gcp.check(Target("GCP", url)) is not None, url


def test_a_base_url_is_a_place_and_not_its_whole_host() -> None:
    gcp = GcpProvider(GcpConfig(base_url="https://gateway.test/functions"))
    assert gcp.check(Target("GCP", "charge")) is None
    assert gcp.check(Target("GCP", "https://gateway.test/functions/charge")) is None
    for url in (
        "https://gateway.test/admin",
        "https://gateway.test/functions-x/charge",
        "https://gateway.test/",
    ):
        assert gcp.check(Target("GCP", url)) is not None, url


def test_configured_accounts_and_regions_are_the_only_ones() -> None:
    aws = AwsProvider(
        AwsConfig(region="eu-west-1", regions=("eu-west-1", "us-east-2"), accounts=("123456789012",))
    )
    arn = "arn:aws:lambda:{}:{}:function:charge:live"
    assert aws.check(Target("AWS", "charge")) is None
    assert aws.check(Target("AWS", "charge", "us-east-2")) is None
    assert aws.check(Target("AWS", arn.format("us-east-2", "123456789012"))) is None
    assert aws.check(Target("AWS", "charge", "ap-south-1")) is not None
    assert aws.check(Target("AWS", arn.format("ap-south-1", "123456789012"))) is not None
    assert aws.check(Target("AWS", arn.format("eu-west-1", "999999999999"))) is not None
    assert aws.check(Target("AWS", "999999999999:function:charge")) is not None
    assert aws.check(Target("AWS", arn.format("eu-west-1", "123456789012"), "us-east-2")) is not None


async def test_a_service_alone_is_sent_its_headers() -> None:
    async with ProviderServer().running() as server, ProviderServer().running() as other:
        provider = HttpProvider(
            HttpConfig(
                origins=(server.url, other.url),
                services={
                    "billing": Service(url=f"{server.url}/b", headers={"Authorization": "Bearer hush"})
                },
            )
        )
        await provider.open()
        try:
            assert (await provider.invoke(a_call(Target("HTTP", "billing")))).ok
            assert (await provider.invoke(a_call(Target("HTTP", f"{server.url}/b")))).ok
            assert (await provider.invoke(a_call(Target("HTTP", f"{other.url}/b")))).ok
        finally:
            await provider.close()
        assert [seen.headers.get("authorization") for seen in server.seen] == ["Bearer hush", None]
        assert "authorization" not in other.seen[0].headers


ECHOED = ("hush-hush", "Bearer hush-hush-token", "key=hush-hush-key", "key=hush%2Fhush-key", "hush/hush-key")


@pytest.mark.parametrize("said", ECHOED)
async def test_a_secret_that_a_server_echoes_does_not_reach_the_outcome(said: str) -> None:
    async with ProviderServer().running() as server:
        headers = {"X-Api-Key": "hush-hush", "Authorization": "Bearer hush-hush-token"}
        url = f"{server.url}/f?v=1&code=hush-hush-key&other=hush%2Fhush-key"
        config = HttpConfig(services={"s": Service(url=url, headers=headers)}, origins=(server.url,))
        provider = HttpProvider(config)
        assert "hush" not in repr(config)
        await provider.open()
        try:
            for answer in (
                json_answer({"you sent": f"v=1 {said}"}, 400),
                json_answer(
                    {"errorType": f"E {said}", "errorMessage": f"got v=1 {said}"},
                    500,
                    {"Sidestep-Error": "function"},
                ),
            ):
                server.behaviour = answers(answer)
                outcome = await provider.invoke(a_call(Target("HTTP", "s")))
                assert "hush" not in repr(outcome)
                assert "v=1" in outcome.cause
                assert "[redacted]" in outcome.cause
            if "key=" in said:
                outcome = await provider.invoke(a_call(Target("HTTP", url)))
                assert "hush" not in repr(outcome)
        finally:
            await provider.close()


@pytest.mark.parametrize(
    ("header", "value"),
    [("Host", "evil"), ("idempotency-key", "x"), ("Content-Length", "1"), ("A\r\nB", "x"), ("A", "x\r\ny")],
)
def test_a_service_header_that_would_break_a_call_is_refused(header: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpProvider(HttpConfig(services={"s": Service(url="http://good.test/", headers={header: value})}))
    assert value not in str(caught.value) or value == "x"


def test_keys_and_tokens_are_not_sent_in_the_clear() -> None:
    with pytest.raises(ConfigurationError, match="not https"):
        AzureProvider(AzureConfig(base_url="http://app.test", function_key="hush"))
    with pytest.raises(ConfigurationError, match="not https"):
        AwsProvider(AwsConfig(endpoint_url="http://lambda.test"))
    service = {"s": Service(url="http://app.test/f", headers={"X-Api-Key": "hush"})}
    with pytest.raises(ConfigurationError, match="not https"):
        HttpProvider(HttpConfig(services=service))
    private = WireConfig(allow_private_origins=("http://app.test",))
    HttpProvider(HttpConfig(services=service, wire=private))
    AzureProvider(AzureConfig(base_url="http://app.test", function_key="hush", wire=private))
