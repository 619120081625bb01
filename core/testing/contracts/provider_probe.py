"""What every provider's probe must do: say what a call would meet, and run nothing."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.testing.contracts.provider_base import SOON_SECONDS, ProviderCases
from core.testing.contracts.provider_server import (
    Answer,
    Exchange,
    ProviderServer,
    answers,
    closed_port,
    json_answer,
    silent_port,
)

PROBE_MS = 5_000


class ProbeContract(ProviderCases):
    """Part of the provider contract."""

    probe_asks: bool
    """True where the vendor has something to ask for that runs no function. Else a probe only connects."""

    async def _probed(self, base_url: str, *, timeout_ms: int = PROBE_MS, **options: object) -> Outcome:
        async with self._open(base_url, **options) as provider:
            return await provider.probe(self.target(base_url), timeout_ms)

    @contextlib.asynccontextmanager
    async def _answering(self, answer: Answer) -> AsyncIterator[ProviderServer]:
        async with ProviderServer().running() as server:
            server.behaviour = answers(answer)
            yield server

    def _is_unreached(self, outcome: Outcome, signal: str) -> None:
        self._is(outcome, Executed.NO, Scope.PROVIDER, signal)

    async def test_a_probe_of_what_is_there_is_ok_and_executed_nothing(self) -> None:
        async with self._answering(Answer(204)) as server:
            outcome = await self._probed(server.url)
            assert (outcome.ok, outcome.executed) == (True, Executed.NO)
            assert (len(server.seen), server.connections) == (int(self.probe_asks), 1)

    async def test_no_probe_sends_what_would_run_the_function(self) -> None:
        """A call is a POST that says nothing of a dry run, at every provider."""
        async with self._answering(Answer(204)) as server:
            await self._probed(server.url)
            for seen in server.seen:
                assert seen.method != "POST" or seen.headers.get("x-amz-invocation-type") == "DryRun"
                assert "idempotency-key" not in seen.headers

    async def test_a_probe_makes_a_connection_of_its_own_and_leaves_none_behind(self) -> None:
        async with self._running() as (server, provider):
            assert (await provider.invoke(self._call(server.url))).ok
            server.behaviour = answers(Answer(204))
            for _ in range(3):
                assert (await provider.probe(self.target(server.url), PROBE_MS)).ok
            assert server.connections == 4
            server.behaviour = answers(json_answer(1))
            assert (await provider.invoke(self._call(server.url))).ok
            assert server.seen[-1].connection == 1

    async def test_a_probe_that_is_refused_says_so(self) -> None:
        self._is_unreached(await self._probed(f"http://127.0.0.1:{closed_port()}"), "connect-refused")

    async def test_a_probe_of_a_name_without_addresses_says_so(self) -> None:
        def unknown(*_: object) -> Sequence[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        base = "http://functions.test:8080"
        self._is_unreached(await self._probed(base, lookup=unknown, private=[base]), "dns-failure")

    async def test_a_probe_goes_to_no_address_that_a_call_would_not_go_to(self) -> None:
        base = "https://functions.test:8080"
        for address in ("127.0.0.1", "169.254.169.254"):
            outcome = await self._probed(base, lookup=lambda *_, a=address: [a], private=[])
            self._is_unreached(outcome, "address-refused")

    async def test_a_probe_through_a_network_that_swallows_packets_ends_at_its_own_timeout(self) -> None:
        with silent_port() as port:
            base = f"http://127.0.0.1:{port}"
            outcome = await self._probed(base, timeout_ms=100, connect_timeout_ms=60_000)
            self._is_unreached(outcome, "connect-timeout")

    async def test_a_probe_checks_the_certificate_as_a_call_does(self) -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            self._is_unreached(await self._probed(base), "tls-failure")

    async def test_a_probe_that_hangs_in_tls_ends_at_its_own_timeout(self) -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(hold, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with silent:
            outcome = await self._probed(base, timeout_ms=150, tls_timeout_ms=60_000)
        self._is(outcome, Executed.NO, Scope.PROVIDER, outcome.signal)
        assert outcome.signal in {"connect-timeout", "tls-timeout"}

    async def test_what_a_probe_is_answered_with_counts_where_it_asks(self) -> None:
        for status in (500, 502, 503, 504):
            async with self._answering(Answer(status, {}, b"whatever")) as server:
                outcome = await self._probed(server.url)
            assert outcome.ok is not self.probe_asks
            assert outcome.executed is Executed.NO
            assert not outcome.ambiguous
            assert "may have run" not in outcome.cause

    async def test_an_answer_that_never_comes_fails_a_probe_where_it_asks(self) -> None:
        for behaviour in (Exchange.until_gone, _reset):
            async with ProviderServer().running() as server:
                server.behaviour = behaviour
                outcome = await self._probed(server.url, timeout_ms=150)
            assert (outcome.ok, outcome.executed) == (not self.probe_asks, Executed.NO)
            if self.probe_asks:
                assert outcome.scope is Scope.PROVIDER
                assert len(server.seen) == 1, "it is not sent again"

    async def test_a_target_that_fails_the_check_is_not_probed(self) -> None:
        async with self._running() as (server, provider):
            bad = Target(self.target(server.url).provider, "http://u:p@169.254.169.254/../x")
            outcome = await provider.probe(bad, PROBE_MS)
            self._is(outcome, Executed.NO, Scope.FUNCTION, "target-refused")
            assert server.connections == 0

    async def test_a_probe_by_a_provider_that_is_not_open_is_an_outcome(self) -> None:
        base = f"http://127.0.0.1:{closed_port()}"
        outcome = await self.provider(base).probe(self.target(base), PROBE_MS)
        assert (outcome.ok, outcome.executed) == (False, Executed.NO)

    async def test_cancelling_a_probe_closes_its_connection(self) -> None:
        if not self.probe_asks:
            return  # it is over as soon as there is a connection
        async with self._running() as (server, provider):
            server.behaviour = Exchange.until_gone
            probing = asyncio.create_task(provider.probe(self.target(server.url), PROBE_MS))
            await asyncio.wait_for(server.arrived.wait(), SOON_SECONDS)
            probing.cancel()
            results = await asyncio.gather(probing, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            await asyncio.wait_for(server.gone.wait(), SOON_SECONDS)


async def _reset(exchange: Exchange) -> None:
    exchange.reset()
