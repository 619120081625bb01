"""What every provider must do on the wire. Subclass `ProviderContract`, and say how your cloud speaks.

The suite drives a provider against a server of its own on loopback. It shows for each phase of a call which
outcome it ends in, that nothing is sent twice, and that nothing is raised.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.testing.contracts.provider_base import LIMIT_BYTES, SOON_SECONDS, TRACEPARENT, Lookup
from core.testing.contracts.provider_probe import ProbeContract
from core.testing.contracts.provider_server import (
    Answer,
    Exchange,
    ProviderServer,
    answers,
    closed_port,
    json_answer,
    silent_port,
)

__all__ = ["Lookup", "ProviderContract"]


class ProviderContract(ProbeContract):
    """The suite. A binding gives the four abstract methods of `ProviderCases`, and `probe_asks`."""

    # ---- what works

    async def test_a_json_answer_is_a_success_with_that_output(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = answers(json_answer({"charged": [1, 2.5, None, "é"]}))
            outcome = await provider.invoke(self._call(server.url, {"amount": 7}))
            assert outcome.ok
            assert outcome.executed is Executed.YES
            assert outcome.output == {"charged": [1, 2.5, None, "é"]}
            assert server.seen[0].method == "POST"
            assert server.seen[0].body == b'{"amount":7}'
            assert server.seen[0].headers["content-type"] == "application/json"

    async def test_an_answer_without_a_length_is_read_to_its_end(self) -> None:
        async def chunked(exchange: Exchange) -> None:
            await exchange.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n3\r\n,3]\r\n0\r\n\r\n"
            )

        async with self._running() as (server, provider):
            server.behaviour = chunked
            assert (await provider.invoke(self._call(server.url))).output == [1, 2, 3]

    async def test_the_key_the_attempt_and_the_last_instant_reach_the_function(self) -> None:
        async with self._running() as (server, provider):
            await provider.invoke(self._call(server.url))
            assert dict(self.metadata(server.seen[0])) == {
                "idempotency-key": "exec-1/charge/1",
                "sidestep-attempt": "3",
                "sidestep-not-after": "1763689200123",
                "traceparent": TRACEPARENT,
            }

    async def test_connections_are_kept_for_the_next_call(self) -> None:
        async with self._running() as (server, provider):
            for _ in range(5):
                assert (await provider.invoke(self._call(server.url))).ok
            assert server.connections == 1

    async def test_a_call_that_asks_for_a_fresh_connection_gets_one(self) -> None:
        async with self._running() as (server, provider):
            assert (await provider.invoke(self._call(server.url))).ok
            for _ in range(2):
                assert (await provider.invoke(self._call(server.url, fresh_connection=True))).ok
            assert [seen.connection for seen in server.seen] == [1, 2, 3]

    async def test_cookies_are_not_kept(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = answers(json_answer(1, headers={"Set-Cookie": "a=b; Path=/"}))
            await provider.invoke(self._call(server.url))
            await provider.invoke(self._call(server.url))
            assert "cookie" not in server.seen[1].headers

    # ---- before anything was sent: it did not execute

    async def test_a_refused_connection_proves_that_nothing_executed(self) -> None:
        base = f"http://127.0.0.1:{closed_port()}"
        async with self._open(base) as provider:
            outcome = await provider.invoke(self._call(base))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "connect-refused")

    async def test_a_name_without_addresses_proves_that_nothing_executed(self) -> None:
        def unknown(*_: object) -> Sequence[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        base = "http://functions.test:8080"
        async with self._open(base, lookup=unknown, private=[base]) as provider:
            outcome = await provider.invoke(self._call(base))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "dns-failure")

    async def test_name_servers_that_hang_cost_the_connect_limit_and_prove_it(self) -> None:
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hang(*_: object) -> Sequence[str]:
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
            return ["127.0.0.1"]

        base = "http://functions.test:8080"
        try:
            async with self._open(base, lookup=hang, private=[base], connect_timeout_ms=100) as provider:
                outcome = await provider.invoke(self._call(base))
                self._is(outcome, Executed.NO, Scope.PROVIDER, "dns-failure")
        finally:
            release.set()

    async def test_a_network_that_swallows_packets_is_noticed_within_the_connect_limit(self) -> None:
        with silent_port() as port:
            # Over TLS too, whose handshake has a longer limit of its own.
            for base in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}"):
                async with self._open(base, connect_timeout_ms=150, tls_timeout_ms=60_000) as provider:
                    outcome = await provider.invoke(self._call(base, timeout_ms=60_000))
                    self._is(outcome, Executed.NO, Scope.PROVIDER, "connect-timeout")

    async def test_an_attempt_shorter_than_the_connect_limit_proves_it_too(self) -> None:
        with silent_port() as port:
            base = f"http://127.0.0.1:{port}"
            async with self._open(base, connect_timeout_ms=60_000) as provider:
                outcome = await provider.invoke(self._call(base, timeout_ms=100))
                self._is(outcome, Executed.NO, Scope.PROVIDER, "connect-timeout")

    async def test_a_server_that_does_not_speak_tls_proves_that_nothing_executed(self) -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, self._open(base) as provider:
            outcome = await provider.invoke(self._call(base))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "tls-failure")

    async def test_a_tls_handshake_that_hangs_is_cut_at_its_own_limit(self) -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(hold, "127.0.0.1", 0)
        base = f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with silent, self._open(base, connect_timeout_ms=60_000, tls_timeout_ms=150) as provider:
            outcome = await provider.invoke(self._call(base, timeout_ms=60_000))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "tls-timeout")

    async def test_a_pool_that_stays_full_proves_that_nothing_executed(self) -> None:
        async with self._running(max_connections=1, connect_timeout_ms=60, tls_timeout_ms=60) as (
            server,
            provider,
        ):
            server.behaviour = Exchange.until_gone
            first = asyncio.create_task(provider.invoke(self._call(server.url)))
            await asyncio.wait_for(server.arrived.wait(), SOON_SECONDS)
            outcome = await provider.invoke(self._call(server.url))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "connect-timeout")
            assert len(server.seen) == 1
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    async def test_a_payload_without_a_json_form_is_the_callers_fault(self) -> None:
        async with self._running() as (server, provider):
            outcome = await provider.invoke(self._call(server.url, {"x": object()}))
            self._is(outcome, Executed.NO, Scope.CALLER, "bad-request")
            assert server.connections == 0

    async def test_metadata_that_http_cannot_carry_is_an_outcome(self) -> None:
        async with self._running() as (server, provider):
            outcome = await provider.invoke(self._call(server.url, idempotency_key="a\r\nX-Evil: 1"))
            assert outcome.ok or outcome.executed is Executed.NO
            assert all("x-evil" not in seen.headers for seen in server.seen)

    async def test_a_provider_that_is_not_open_answers_with_an_outcome(self) -> None:
        base = f"http://127.0.0.1:{closed_port()}"
        provider = self.provider(base)
        outcome = await provider.invoke(self._call(base))
        assert outcome.executed is Executed.NO

    # ---- after the request was sent: it may have executed

    async def test_a_reset_after_the_request_is_ambiguous_and_is_not_sent_again(self) -> None:
        async def reset(exchange: Exchange) -> None:
            exchange.reset()

        async with self._running() as (server, provider):
            server.behaviour = reset
            self._is(
                await provider.invoke(self._call(server.url)),
                Executed.MAYBE,
                Scope.PROVIDER,
                "connection-lost",
            )
            assert len(server.seen) == 1

    async def test_a_kept_connection_that_dies_under_a_call_is_ambiguous_and_is_not_sent_again(self) -> None:
        async with self._running() as (server, provider):
            assert (await provider.invoke(self._call(server.url))).ok

            async def close(exchange: Exchange) -> None:
                exchange.close()

            server.behaviour = close
            outcome = await provider.invoke(self._call(server.url))
            self._is(outcome, Executed.MAYBE, Scope.PROVIDER, "connection-lost")
            assert [seen.connection for seen in server.seen] == [1, 1]

    async def test_silence_after_the_request_ends_at_the_timeout_and_is_ambiguous(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = Exchange.until_gone
            outcome = await provider.invoke(self._call(server.url, timeout_ms=150))
            self._is(outcome, Executed.MAYBE, Scope.PROVIDER, "read-timeout")
            await asyncio.wait_for(server.gone.wait(), SOON_SECONDS)
            assert len(server.seen) == 1

    async def test_an_answer_that_is_not_http_is_ambiguous(self) -> None:
        async def babble(exchange: Exchange) -> None:
            await exchange.send(b"220 smtp.example ready\r\n\r\n")

        async with self._running() as (server, provider):
            server.behaviour = babble
            outcome = await provider.invoke(self._call(server.url))
            assert (outcome.executed, outcome.scope) == (Executed.MAYBE, Scope.PROVIDER)
            assert len(server.seen) == 1

    async def test_closing_the_provider_ends_calls_in_flight_as_ambiguous(self) -> None:
        async with self._running(max_connections=1) as (server, provider):
            server.behaviour = Exchange.until_gone
            flying = asyncio.create_task(provider.invoke(self._call(server.url)))
            await asyncio.wait_for(server.arrived.wait(), SOON_SECONDS)
            waiting = asyncio.create_task(provider.invoke(self._call(server.url)))
            await asyncio.sleep(0)
            await provider.close()
            sent, unsent = await asyncio.wait_for(asyncio.gather(flying, waiting), SOON_SECONDS)
            assert sent.executed is Executed.MAYBE
            assert unsent.executed is Executed.NO

    async def test_cancelling_a_call_closes_its_connection(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = Exchange.until_gone
            flying = asyncio.create_task(provider.invoke(self._call(server.url)))
            await asyncio.wait_for(server.arrived.wait(), SOON_SECONDS)
            flying.cancel()
            results = await asyncio.gather(flying, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            await asyncio.wait_for(server.gone.wait(), SOON_SECONDS)

    async def test_cancelling_a_call_in_the_middle_of_its_answer_closes_its_connection(self) -> None:
        half = asyncio.Event()

        async def begin(exchange: Exchange) -> None:
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,")
            half.set()
            await exchange.until_gone()

        async with self._running() as (server, provider):
            server.behaviour = begin
            flying = asyncio.create_task(provider.invoke(self._call(server.url)))
            await asyncio.wait_for(half.wait(), SOON_SECONDS)
            flying.cancel()
            await asyncio.gather(flying, return_exceptions=True)
            await asyncio.wait_for(server.gone.wait(), SOON_SECONDS)

    # ---- it executed, and the answer is broken

    async def _broken(self, raw: bytes, signal: str, **changes: Any) -> Outcome:
        async def half(exchange: Exchange) -> None:
            await exchange.send(raw)
            if "timeout_ms" in changes:
                await exchange.until_gone()
            exchange.close()

        async with self._running() as (server, provider):
            server.behaviour = half
            outcome = await provider.invoke(self._call(server.url, **changes))
            self._is(outcome, Executed.YES, Scope.RESPONSE, signal)
            assert outcome.ambiguous
            assert len(server.seen) == 1
            return outcome

    async def test_a_truncated_answer_is_lost_after_execution(self) -> None:
        await self._broken(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2", "response-truncated")

    async def test_a_truncated_chunked_answer_is_lost_after_execution(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await self._broken(head + b"4\r\n[1,2\r\n", "response-truncated")

    async def test_a_body_that_comes_too_slowly_is_lost_after_execution(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2"
        await self._broken(raw, "response-late", timeout_ms=150)

    async def test_an_answer_that_is_not_json_is_lost_after_execution(self) -> None:
        for body in (b"<html>", b"", b'{"a": NaN}', b'"\xff"', b"[1] 2", b"[" * 50_000):
            await self._broken(Answer(body=body).bytes(), "response-corrupt")

    async def test_an_answer_that_says_it_is_too_large_is_not_read(self) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {LIMIT_BYTES + 1}\r\n\r\n"
        outcome = await self._broken(head.encode() + b"x" * 100, "response-too-large")
        assert outcome.error == "Sidestep.DataLimitExceeded"

    async def test_an_answer_that_grows_too_large_is_cut_off(self) -> None:
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        count = LIMIT_BYTES // 4096 + 1
        await self._broken(head + chunk * count, "response-too-large")

    async def test_a_compressed_answer_is_not_unpacked(self) -> None:
        answer = Answer(
            headers={"Content-Encoding": "deflate"}, body=b"x\x9c\x8b6\xd41\x8a\x05\x00\x05\x9d\x01\x9e"
        )
        await self._broken(answer.bytes(), "response-corrupt")

    # ---- redirects

    async def test_a_redirect_is_never_followed(self) -> None:
        async with ProviderServer().running() as other, self._running() as (server, provider):
            for status, executed in ((307, Executed.NO), (308, Executed.NO), (302, Executed.MAYBE)):
                for place in (f"{other.url}/x", "http://169.254.169.254/latest/meta-data"):
                    server.behaviour = answers(json_answer(1, status, {"Location": place}))
                    outcome = await provider.invoke(self._call(server.url))
                    self._is(outcome, executed, Scope.FUNCTION, "redirect-refused")
            assert other.seen == []

    # ---- the function's own errors

    async def test_a_functions_own_error_keeps_its_name_and_message(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = answers(self.function_error("CardDeclined", "no funds"))
            outcome = await provider.invoke(self._call(server.url))
            assert outcome.own_error
            assert (outcome.scope, outcome.error, outcome.cause) == (
                Scope.FUNCTION,
                "CardDeclined",
                "no funds",
            )

    async def test_a_refused_late_start_proves_that_nothing_executed(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = answers(self.not_started())
            outcome = await provider.invoke(self._call(server.url))
            self._is(outcome, Executed.NO, Scope.PROVIDER, "not-started")

    def not_started(self) -> Answer:
        """The answer of our wrapper to a start after the last instant."""
        body = {"errorType": "Sidestep.NotStarted", "errorMessage": "too late"}
        return json_answer(body, 412, {"Sidestep-Error": "not-started"})

    # ---- statuses that mean the same everywhere

    async def test_statuses_mean_the_same_at_every_provider(self) -> None:
        expected = {
            400: (Executed.NO, Scope.CALLER),
            401: (Executed.NO, Scope.CREDENTIALS),
            403: (Executed.NO, Scope.CREDENTIALS),
            404: (Executed.NO, Scope.FUNCTION),
            413: (Executed.NO, Scope.CALLER),
            415: (Executed.NO, Scope.CALLER),
            422: (Executed.NO, Scope.CALLER),
            429: (Executed.NO, Scope.SATURATION),
            502: (Executed.MAYBE, Scope.PROVIDER),
            503: (Executed.MAYBE, Scope.PROVIDER),
            504: (Executed.MAYBE, Scope.PROVIDER),
            599: (Executed.MAYBE, Scope.PROVIDER),
        }
        async with self._running() as (server, provider):
            for status, (executed, scope) in expected.items():
                server.behaviour = answers(Answer(status, {"Retry-After": "2"}, b"whatever"))
                outcome = await provider.invoke(self._call(server.url))
                assert (outcome.executed, outcome.scope) == (executed, scope), status
                assert outcome.status == status
                assert outcome.retry_after_ms == 2_000
            assert len(server.seen) == len(expected)

    async def test_throttling_asks_for_one_more_try_here(self) -> None:
        async with self._running() as (server, provider):
            server.behaviour = answers(Answer(429))
            outcome = await provider.invoke(self._call(server.url))
            assert outcome.retry_here
            assert outcome.retry_after_ms is None

    # ---- targets

    async def test_a_target_it_can_call_passes_the_check(self) -> None:
        base = "http://127.0.0.1:9"
        assert self.provider(base).check(self.target(base)) is None

    async def test_a_target_that_fails_the_check_is_not_called(self) -> None:
        async with self._running() as (server, provider):
            bad = Target(self.target(server.url).provider, "http://u:p@169.254.169.254/../x")
            assert provider.check(bad)
            outcome = await provider.invoke(self._call(server.url, target=bad))
            self._is(outcome, Executed.NO, Scope.FUNCTION, "target-refused")
            assert server.connections == 0
