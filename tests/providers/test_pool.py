"""Connections between calls: which is used, how many there are, who waits for one, and how they are made."""

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop
from yarl import URL

from adapters.providers.wire.client import WireClient, WireConfig
from adapters.providers.wire.origins import AddressRules, address_rules
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from core.failover.outcome import Executed, Outcome
from core.testing.contracts.provider_server import (
    Behaviour,
    Exchange,
    ProviderServer,
    answers,
    json_answer,
    silent_port,
)
from localcloud.certificates import Authority
from tests.providers.peers import OK, Peer, answering

SOON = 10.0


@contextlib.asynccontextmanager
async def client(
    *,
    private: Sequence[str] = (),
    lookup: Lookup = system_lookup,
    tls: ssl.SSLContext | None = None,
    **limits: Any,
) -> AsyncIterator[WireClient]:
    rules = address_rules(private) if private else AddressRules()
    made = WireClient(WireConfig(**limits), rules, lookup)
    await made.open(tls)
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer().running() as running:
        yield running


async def post(one: WireClient, url: str, *, timeout_ms: int = 5_000, fresh: bool = False) -> Reply | Outcome:
    return await one.post(URL(url), {}, b"{}", timeout_ms=timeout_ms, fresh=fresh)


def told(end: Reply | Outcome) -> tuple[object, ...]:
    return (end.status, end.broken) if isinstance(end, Reply) else (end.executed, end.signal)


FINE = (200, None)
NO_CONNECTION = (Executed.NO, "connect-timeout")


class Gate:
    """Holds every request until it is let go; says how many came, and how many were held at once."""

    def __init__(self) -> None:
        self.held: list[asyncio.Event] = []
        self.most = 0
        self._changed = asyncio.Condition()

    async def __call__(self, exchange: Exchange) -> None:
        mine = asyncio.Event()
        async with self._changed:
            self.held.append(mine)
            self.most = max(self.most, sum(not held.is_set() for held in self.held))
            self._changed.notify_all()
        await mine.wait()
        await exchange.send(json_answer(None).bytes())

    async def holds(self, count: int) -> None:
        """Wait until so many requests have come in all."""
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(lambda: len(self.held) >= count)


async def test_the_connection_that_was_used_last_is_used_first() -> None:
    async with server() as target, client() as one:
        gate = Gate()
        target.behaviour = gate
        calls = [asyncio.create_task(post(one, target.url)) for _ in range(3)]
        await gate.holds(3)
        for number in (1, 2, 0):
            gate.held[number].set()
            await calls[number]
        order = [seen.connection for seen in target.seen]
        target.behaviour = answers(json_answer(None))
        await post(one, target.url)
        assert target.seen[-1].connection == order[0]
        assert target.connections == 3


async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    async with server() as target, client(keepalive_ms=80) as one:
        assert told(await post(one, target.url)) == FINE
        async with asyncio.timeout(SOON):
            await target.gone.wait()
        assert told(await post(one, target.url)) == FINE
        assert target.connections == 2


async def test_an_idle_connection_whose_time_ended_while_the_loop_stood_still_is_not_used() -> None:
    with Peer(answering(OK)).running() as peer:
        async with client(keepalive_ms=50) as one:
            assert told(await post(one, peer.url)) == FINE
            # On purpose not asyncio.sleep: no timer is to run before the next call.
            time.sleep(0.1)  # noqa: ASYNC251 - the pause is what is tested
            assert told(await post(one, peer.url)) == FINE
        assert peer.connections == 2


async def test_a_connection_in_use_outlives_the_time_of_an_idle_one() -> None:
    async with server() as target, client(keepalive_ms=50) as one:
        gate = Gate()
        target.behaviour = gate
        short, long = (asyncio.create_task(post(one, target.url)) for _ in range(2))
        await gate.holds(2)
        gate.held[0].set()
        await asyncio.wait({short, long}, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(SOON):
            await target.gone.wait()  # the idle one's time is over
        gate.held[1].set()
        assert told(await short) == told(await long) == FINE


async def test_who_waits_gets_the_next_connection_in_the_order_of_coming() -> None:
    async with server() as target, client(max_connections=1) as one:
        gate = Gate()
        target.behaviour = gate
        ended: list[int] = []

        async def call(number: int) -> None:
            assert told(await post(one, target.url)) == FINE
            ended.append(number)

        calls = []
        for number in range(4):
            calls.append(asyncio.create_task(call(number)))
            await asyncio.sleep(0)
        for number in range(4):
            await gate.holds(number + 1)
            gate.held[number].set()
        await asyncio.gather(*calls)
        assert ended == [0, 1, 2, 3]
        assert target.connections == 1


async def test_who_comes_back_at_once_does_not_pass_who_waits() -> None:
    """Or one caller in a loop would keep a full pool to itself."""
    async with server() as target, client(max_connections=1) as one:
        ended: list[str] = []

        async def again_and_again() -> None:
            for _ in range(5):
                assert told(await post(one, target.url)) == FINE
                ended.append("again")

        async def waiting() -> None:
            assert told(await post(one, target.url)) == FINE
            ended.append("waited")

        await asyncio.gather(again_and_again(), waiting())
        assert ended[:2] == ["again", "waited"]


async def test_who_waits_too_long_has_sent_nothing_and_holds_nobody_up() -> None:
    async with server() as target, client(max_connections=1) as one:
        gate = Gate()
        target.behaviour = gate
        first = asyncio.create_task(post(one, target.url))
        await gate.holds(1)
        impatient = asyncio.create_task(post(one, target.url, timeout_ms=50))
        await asyncio.sleep(0)
        patient = asyncio.create_task(post(one, target.url))
        assert told(await impatient) == NO_CONNECTION
        gate.held[0].set()
        await gate.holds(2)
        gate.held[1].set()
        assert told(await first) == told(await patient) == FINE


async def test_who_is_given_up_at_its_turn_passes_it_on() -> None:
    async with server() as target, client(max_connections=1) as one:
        gate = Gate()
        target.behaviour = gate

        async def first() -> None:
            assert told(await post(one, target.url)) == FINE
            next_one.cancel()  # it is woken by the same answer, and runs after this

        calling = asyncio.create_task(first())
        await gate.holds(1)
        next_one = asyncio.create_task(post(one, target.url))
        await asyncio.sleep(0)
        last = asyncio.create_task(post(one, target.url))
        await asyncio.sleep(0)
        gate.held[0].set()
        await calling
        await gate.holds(2)
        gate.held[1].set()
        assert told(await last) == FINE
        assert next_one.cancelled()


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_servers_that_hang_up_at_once_do_not_use_the_bound_up(loop: Any) -> None:
    async def calls() -> set[tuple[object, ...]]:
        async with client(max_connections=1) as one:
            return {told(await post(one, peer.url)) for _ in range(100)}

    with Peer(lambda _, line: line.reset()).running() as peer:
        assert loop(calls()) <= {
            (Executed.NO, "connection-lost"),
            (Executed.NO, "connect-failed"),
            (Executed.MAYBE, "connection-lost"),
        }


async def test_an_idle_connection_elsewhere_makes_room() -> None:
    async with server() as here, server() as there, client(max_connections=1) as one:
        for target in (here, there, here):
            assert told(await post(one, target.url)) == FINE
        assert (here.connections, there.connections) == (2, 1)


async def test_a_connection_that_ends_makes_room_for_who_waits_for_another_place() -> None:
    async with server() as here, server() as there, client(max_connections=1) as one:
        gate = Gate()
        here.behaviour = gate
        first = asyncio.create_task(post(one, here.url))
        await gate.holds(1)
        waiting = asyncio.create_task(post(one, there.url))
        await asyncio.sleep(0)
        first.cancel()
        assert told(await waiting) == FINE
        await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize("seed", range(5))
async def test_no_storm_of_cancellations_uses_the_bound_up(seed: int) -> None:
    """Calls that are given up at any moment: waiting, connecting, sent, half answered."""
    dice = random.Random(seed)  # noqa: S311 - plays, hides nothing

    async def moody(exchange: Exchange) -> None:
        await asyncio.sleep(dice.random() * 0.01)
        match dice.randrange(4):
            case 0:
                exchange.reset()
            case 1:
                await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")
                exchange.close()
            case _:
                await exchange.send(json_answer(None).bytes())

    # Bound and not listened at: it refuses, and no other test's server gets its number meanwhile.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        await storm(dice, moody, f"http://127.0.0.1:{held.getsockname()[1]}")


async def storm(dice: random.Random, moody: Behaviour, refusing: str) -> None:
    async with server() as here, server() as there, client(max_connections=3) as one:
        here.behaviour = there.behaviour = moody

        async def given_up() -> None:
            url = dice.choice([here.url, there.url, refusing])
            call = asyncio.create_task(post(one, url, fresh=False, timeout_ms=dice.choice([5, 5_000])))
            await asyncio.wait({call}, timeout=dice.random() * 0.02)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        await asyncio.gather(*(given_up() for _ in range(150)))
        gate = Gate()
        here.behaviour = gate
        calls = [asyncio.create_task(post(one, here.url)) for _ in range(6)]
        await gate.holds(3)
        for number in range(6):
            await gate.holds(number + 1)
            gate.held[number].set()
        assert {told(end) for end in await asyncio.gather(*calls)} == {FINE}
        assert gate.most == 3


async def test_closing_ends_who_waits_and_who_connects_and_leaves_no_connection() -> None:
    with silent_port() as silent:
        async with server() as target, client(max_connections=2, connect_timeout_ms=60_000) as one:
            gate = Gate()
            target.behaviour = gate
            sent = asyncio.create_task(post(one, target.url, timeout_ms=60_000))
            await gate.holds(1)
            connecting = asyncio.create_task(post(one, f"http://127.0.0.1:{silent}", timeout_ms=60_000))
            for _ in range(5):
                await asyncio.sleep(0)
            waiting = asyncio.create_task(post(one, target.url, timeout_ms=60_000))
            await asyncio.sleep(0)
            async with asyncio.timeout(SOON):
                await one.close()
                ends = await asyncio.gather(sent, connecting, waiting)
            assert [end.executed for end in ends if isinstance(end, Outcome)] == [
                Executed.MAYBE,
                Executed.NO,
                Executed.NO,
            ]
            assert told(await post(one, target.url)) == (Executed.NO, "provider-closed")


async def test_a_fresh_connection_is_neither_taken_from_the_idle_nor_left_with_them() -> None:
    async with server() as target, client() as one:
        assert told(await post(one, target.url)) == FINE
        assert told(await post(one, target.url, fresh=True)) == FINE
        assert told(await post(one, target.url)) == FINE
        assert [seen.connection for seen in target.seen] == [1, 2, 1]


# ---- making connections

PLACE = "http://functions.test"


def resolving(*addresses: str) -> tuple[Lookup, list[str]]:
    """A lookup that gives these, and the names it was asked for."""
    asked: list[str] = []

    def lookup(host: str, port: int, family: int) -> Sequence[str]:  # noqa: ARG001 - a lookup's shape
        asked.append(host)
        return addresses

    return lookup, asked


@contextlib.contextmanager
def silent_at(address: str, port: int) -> Iterator[None]:
    """A place whose connections are never completed (see `silent_port`)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((address, port))
        yield


async def test_the_next_address_is_tried_where_one_refuses_or_says_nothing() -> None:
    with Peer(answering(OK)).running() as peer, silent_at("127.0.0.2", peer.port):
        place = f"{PLACE}:{peer.port}"
        lookup, _ = resolving("127.0.0.2", "127.0.0.1", "127.0.0.3")
        async with client(private=[place], lookup=lookup) as one:
            for _ in range(3):  # each address has its turn as the first
                assert told(await post(one, place, fresh=True)) == FINE


async def test_a_name_is_looked_up_once_for_all_who_ask_at_once_and_soon_after() -> None:
    async with server() as target:
        place = f"{PLACE}:{target.port}"
        lookup, asked = resolving("127.0.0.1")
        async with client(private=[place], lookup=lookup) as one:
            calls = [asyncio.create_task(post(one, place, fresh=True)) for _ in range(20)]
            await asyncio.sleep(0)
            calls[0].cancel()  # who began it may stop waiting without stopping the others
            ends = await asyncio.gather(*calls[1:])
            assert {told(end) for end in (*ends, await post(one, place, fresh=True))} == {FINE}
    assert asked == ["functions.test"]


async def test_a_failed_lookup_is_not_remembered() -> None:
    async with server() as target:
        place = f"{PLACE}:{target.port}"
        answer: list[str] = []
        async with client(private=[place], lookup=lambda *_: answer) as one:
            assert told(await post(one, place)) == (Executed.NO, "dns-failure")
            answer.append("127.0.0.1")
            assert told(await post(one, place)) == FINE


async def test_an_ipv6_address_is_called_and_named_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Peer(answering(OK)).running("::1") as peer:
        async with client() as one:
            assert told(await post(one, peer.url)) == FINE
        assert f"\r\nHost: [::1]:{peer.port}\r\n".encode() in peer.requests[0]


async def test_a_server_learns_the_name_that_is_called_and_has_to_be_it(tmp_path: Path) -> None:
    authority = Authority("test")
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    names: list[str | None] = []
    tls = authority.context(["functions.test"])
    tls.sni_callback = lambda _, name, __: names.append(name)
    target = ProviderServer()
    async with target.running(tls):
        lookup, _ = resolving("127.0.0.1")
        for host, end in (("functions.test", FINE), ("other.test", (Executed.NO, "tls-failure"))):
            place = f"https://{host}:{target.port}"
            trusting = ssl.create_default_context(cafile=file)
            async with client(private=[place], lookup=lookup, tls=trusting) as one:
                assert told(await post(one, place)) == end
                assert told(await post(one, place)) == end
    assert names == ["functions.test", "other.test", "other.test"]
    assert len(target.seen) == 2


async def test_the_next_address_is_tried_where_one_has_a_bad_certificate(tmp_path: Path) -> None:
    good, bad = Authority("good"), Authority("bad")
    file = tmp_path / "ca.pem"
    file.write_bytes(good.pem)
    behind = ProviderServer()
    async with behind.running(good.context(["functions.test"])):
        impostor = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.2", behind.port, ssl=bad.context(["functions.test"])
        )
        async with impostor:
            place = f"https://functions.test:{behind.port}"
            lookup, _ = resolving("127.0.0.1", "127.0.0.2")
            trusting = ssl.create_default_context(cafile=file)
            async with client(private=[place], lookup=lookup, tls=trusting) as one:
                for _ in range(2):  # whichever of them has its turn
                    assert told(await post(one, place, fresh=True)) == FINE
    assert len(behind.seen) == 2
