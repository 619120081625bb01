"""What the guarded client does that no provider's contract shows."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.threads import in_thread
from core.failover.outcome import Executed, Outcome
from core.graph.model import Target
from core.testing.contracts.provider_server import ProviderServer, answers, closed_port, json_answer
from tests.providers.driving import call_of, opened


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "pair.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def over_tls(pair: Path, ca_file: str | None, host: str = "127.0.0.1") -> Outcome:
    """What a call of a TLS server ends in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    server = ProviderServer()
    server.behaviour = answers(json_answer("ok"))
    async with server.running(tls=context):
        origin = f"https://{host}:{server.port}"
        provider = HttpProvider(HttpConfig(origins=(origin,), wire=WireConfig(ca_file=ca_file)))
        async with opened(provider):
            return await provider.invoke(call_of(Target("HTTP", f"{origin}/x")))


async def test_a_certificate_of_a_configured_authority_is_trusted(tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    assert (await over_tls(pair, str(pair))).ok


async def test_a_certificate_of_nobody_proves_that_nothing_executed(tmp_path: Path) -> None:
    outcome = await over_tls(certificate(tmp_path), None)
    assert (outcome.executed, outcome.signal) == (Executed.NO, "tls-failure")


async def test_a_certificate_of_another_host_proves_that_nothing_executed(tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    outcome = await over_tls(pair, str(pair), host="localhost")
    assert (outcome.executed, outcome.signal) == (Executed.NO, "tls-failure")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    async with ProviderServer().running() as server:
        async with opened(HttpProvider(HttpConfig(origins=(server.url,)))) as provider:
            assert (await provider.invoke(call_of(Target("HTTP", f"{server.url}/x")))).ok
        assert server.seen[0].path == "/x"


async def test_a_query_and_escapes_go_on_the_wire_as_they_are_written() -> None:
    async with ProviderServer().running() as server:
        async with opened(HttpProvider(HttpConfig(origins=(server.url,)))) as provider:
            for path in ("/a%20b/%E2%82%AC?x=%2F&y=a+b&y=", "/;a=1/~b?q=%C3%A9"):
                assert (await provider.invoke(call_of(Target("HTTP", f"{server.url}{path}")))).ok
        assert [seen.path for seen in server.seen] == [
            "/a%20b/%E2%82%AC?x=%2F&y=a+b&y=",
            "/;a=1/~b?q=%C3%A9",
        ]


async def test_many_targets_do_not_fill_the_memory() -> None:
    provider = HttpProvider(HttpConfig(origins=("http://good.test",)))
    for number in range(25_000):
        assert provider.check(Target("HTTP", f"http://good.test/{number}")) is None
    assert len(provider._routes) <= 10_000


async def test_a_bug_in_an_adapter_is_an_outcome_and_not_an_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(HttpProvider):
        def _classify(self, *_: object) -> Outcome:
            raise KeyError("a bug")

    async with (
        ProviderServer().running() as server,
        opened(Broken(HttpConfig(origins=(server.url,)))) as provider,
    ):
        outcome = await provider.invoke(call_of(Target("HTTP", f"{server.url}/x")))
    assert (outcome.executed, outcome.signal) == (Executed.MAYBE, "adapter-fault")
    assert "internal error" in caplog.text


async def test_a_thread_that_outlives_its_waiter_hurts_nobody() -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> str:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return "late"

    waiting = asyncio.create_task(in_thread(work, name="test"))
    await asyncio.sleep(0)
    waiting.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    release.set()
    assert await in_thread(lambda: "next", name="test") == "next"
