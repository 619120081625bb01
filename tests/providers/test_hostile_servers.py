"""Servers that do whatever they like, over real sockets: what a call of them proves, and that it ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
import uvloop
from hypothesis import given, settings
from yarl import URL

from adapters.providers.wire.client import WireClient, WireConfig
from adapters.providers.wire.origins import AddressRules
from adapters.providers.wire.reply import Broken, Reply
from core.failover.outcome import Executed, Outcome
from tests.providers.peers import OK, Line, Peer, answering
from tests.providers.test_reading import MALFORMED, SPOILT, WHOLE, pieces

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@contextlib.asynccontextmanager
async def client(**limits: Any) -> AsyncIterator[WireClient]:
    made = WireClient(WireConfig(**limits), AddressRules())
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def post(
    one: WireClient, peer: Peer, timeout_ms: int = 5_000, content: bytes = b"{}"
) -> Reply | Outcome:
    return await one.post(URL(f"{peer.url}/x"), {}, content, timeout_ms=timeout_ms, fresh=False)


def told(end: Reply | Outcome) -> tuple[object, ...]:
    """What an end says: a status and what is broken, or what is proved."""
    if isinstance(end, Reply):
        return end.status, end.broken
    return end.executed, end.signal


def once(behave: Callable[[Peer, Line], None], timeout_ms: int = 5_000) -> tuple[object, ...]:
    """How one call of such a server ends; it is sent once."""

    async def call() -> Reply | Outcome:
        async with client() as one:
            return await post(one, peer, timeout_ms)

    with Peer(behave).running() as peer:
        end = uvloop.run(call())
        assert len(peer.requests) == 1
    return told(end)


def dripping(raw: bytes, seconds: float) -> Callable[[Peer, Line], None]:
    """A byte at a time, for ever: `raw`, and then blanks."""

    def behave(peer: Peer, line: Line) -> None:
        def drip() -> Iterator[bytes]:
            yield from (raw[at : at + 1] for at in range(len(raw)))
            while True:
                yield b" "

        peer.next_request(line)
        for piece in drip():
            line.send(piece)
            if peer.go.wait(seconds):
                return

    return behave


def test_a_head_that_drips_ends_at_the_time_limit() -> None:
    began = time.monotonic()
    assert once(dripping(b"HTTP/1.1 200 OK\r\nX: ", 0.005), 200) == (Executed.MAYBE, "read-timeout")
    assert time.monotonic() - began < 3


def test_a_body_that_drips_ends_at_the_time_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

    def behave(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(head)
        while not peer.go.wait(0.005):
            line.send(b" ")

    assert once(behave, 300) == (200, Broken.LATE)


@LOOPS
def test_each_call_has_its_own_time_on_a_connection_that_others_had_before(loop: Any) -> None:
    """A shorter limit after a longer one, and a longer one after a shorter that is over by then."""

    def behave(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(OK)
        peer.next_request(line)
        peer.go.wait(10)
        line.send(OK)
        line.until_gone()

    async def calls(first_ms: int, second_ms: int, go_after: float | None) -> Reply | Outcome:
        async with client() as one:
            assert told(await post(one, peer, first_ms)) == (200, None)
            if go_after is not None:
                asyncio.get_running_loop().call_later(go_after, peer.go.set)
            return await post(one, peer, second_ms)

    with Peer(behave).running() as peer:
        began = time.monotonic()
        assert told(loop(calls(60_000, 100, None))) == (Executed.MAYBE, "read-timeout")
        assert time.monotonic() - began < 5
        assert peer.connections == 1
    with Peer(behave).running() as peer:
        assert told(loop(calls(250, 60_000, 0.5))) == (200, None)
        assert peer.connections == 1


def test_replies_that_go_on_for_ever_are_cut_off() -> None:
    for first, more, end in (
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", (Executed.MAYBE, "reply-malformed")),
        (b"HTTP/1.1 200 OK\r\n", b"X: a\r\n", (Executed.MAYBE, "reply-malformed")),
        (b"HTTP/1.1 200 OK\r\nX: ", b"aaaaaaaa", (Executed.MAYBE, "reply-malformed")),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"aaaaaaaa", (200, Broken.TOO_LARGE)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", (200, Broken.TOO_LARGE)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"aaaaaaaa", (200, Broken.TRUNCATED)),
    ):

        def behave(peer: Peer, line: Line, first: bytes = first, more: bytes = more) -> None:
            peer.next_request(line)
            line.send(first)
            while True:  # until the client closes it
                line.send(more * 8192)

        assert once(behave, 60_000) == end, more


@pytest.mark.parametrize("name", MALFORMED)
def test_an_ambiguous_head_proves_nothing(name: str) -> None:
    def behave(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(MALFORMED[name])
        line.until_gone()

    assert once(behave) == (Executed.MAYBE, "reply-malformed")


@pytest.mark.parametrize("name", SPOILT)
def test_a_body_that_goes_wrong_was_answered(name: str) -> None:
    def behave(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(SPOILT[name])
        line.until_gone()

    assert once(behave) == (200, Broken.TRUNCATED)


@pytest.mark.parametrize("ending", [Line.close, Line.reset])
def test_a_connection_that_ends_within_a_reply_proves_what_was_read(ending: Callable[[Line], None]) -> None:
    """At each of its bytes; a reset may overtake what was sent before it."""
    lost = (Executed.MAYBE, "connection-lost")
    for cut in range(len(OK)):

        def behave(peer: Peer, line: Line, cut: int = cut) -> None:
            peer.next_request(line)
            line.send(OK[:cut])
            ending(line)

        expected: set[tuple[object, ...]] = {lost} if cut < len(HEAD) else {(200, Broken.TRUNCATED)}
        if ending is Line.reset:
            expected.add(lost)
        assert once(behave) in expected, cut


def test_a_body_without_a_length_ends_with_the_connection_and_not_with_a_reset() -> None:
    def closed(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(b"HTTP/1.0 200 OK\r\n\r\n", b"tr", b"ue")
        line.close()

    def broken_off(peer: Peer, line: Line) -> None:
        peer.next_request(line)
        line.send(b"HTTP/1.0 200 OK\r\n\r\n", b"tr")
        peer.go.wait(10)
        line.reset()

    async def call(release: bool) -> Reply | Outcome:
        async with client() as one:
            if release:
                asyncio.get_running_loop().call_later(0.05, peer.go.set)
            return await post(one, peer)

    with Peer(closed).running() as peer:
        end = uvloop.run(call(False))
        assert isinstance(end, Reply)
        assert (end.body, end.broken) == (b"true", None)
    with Peer(broken_off).running() as peer:
        assert told(uvloop.run(call(True))) == (200, Broken.TRUNCATED)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 1 << 20), max_size=8)), max_size=5
    )
)
def test_replies_that_come_in_any_pieces_are_each_calls_own(
    replies: list[tuple[bytes, list[int]]],
) -> None:
    def behave(peer: Peer, line: Line) -> None:
        for raw, cuts in replies:
            peer.next_request(line)
            line.send(*pieces(raw, cuts))
        line.until_gone()

    async def calls() -> list[Reply | Outcome]:
        async with client() as one:
            return [await post(one, peer) for _ in replies]

    with Peer(behave).running() as peer:
        ends = uvloop.run(calls())
        assert peer.connections == min(1, len(replies))
    for (raw, _), end in zip(replies, ends, strict=True):
        assert isinstance(end, Reply)
        assert (end.body, end.broken) == (WHOLE[raw], None)


# ---- what lies between two calls


def unasked(first: bytes, after: Callable[[Line], None]) -> Callable[[Peer, Line], None]:
    """Answer, and do something to the idle connection when told; a later connection is answered well."""

    def behave(peer: Peer, line: Line) -> None:
        if line.number > 1:
            answering(OK)(peer, line)
            return
        peer.next_request(line)
        line.send(first)
        peer.go.wait(10)
        after(line)
        peer.done.set()
        line.until_gone()

    return behave


AFTERWARDS: dict[str, Callable[[Line], None]] = {
    "garbage": lambda line: line.send(b"garbage"),
    "a reply that nobody asked for": lambda line: line.send(
        b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"'
    ),
    "a line's end": lambda line: line.send(b"\r\n"),
    "an end": Line.close,
    "a reset": Line.reset,
}


@LOOPS
@pytest.mark.parametrize("stands", [False, True], ids=["read", "not-read-yet"])
@pytest.mark.parametrize("name", AFTERWARDS)
def test_an_idle_connection_that_said_something_or_ended_is_not_used(
    name: str, stands: bool, loop: Any
) -> None:
    """Not even where the loop stood still since, and has not looked at the socket."""

    async def calls() -> list[Reply | Outcome]:
        async with client(keepalive_ms=60_000) as one:
            ends = [await post(one, peer)]
            peer.go.set()
            if stands:
                assert peer.done.wait(10)
            else:
                await asyncio.to_thread(peer.done.wait, 10)
                for _ in range(3):
                    await asyncio.sleep(0)
            return [*ends, await post(one, peer)]

    with Peer(unasked(OK, AFTERWARDS[name])).running() as peer:
        ends = loop(calls())
        assert [end.body for end in ends] == [b"true", b"true"]
        assert (len(peer.requests), peer.connections) == (2, 2)


@LOOPS
@pytest.mark.parametrize(
    "first",
    [
        OK + OK,
        OK + b"x",
        OK + b"HTTP",
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["a second reply", "garbage", "half of a reply", "connection: close", "HTTP/1.0"],
)
def test_a_connection_is_not_used_after_such_a_reply(first: bytes, loop: Any) -> None:
    async def calls() -> list[Reply | Outcome]:
        async with client(keepalive_ms=60_000) as one:
            return [await post(one, peer), await post(one, peer)]

    with Peer(unasked(first, lambda _: None)).running() as peer:
        ends = loop(calls())
        assert [end.body for end in ends] == [b"true", b"true"]
        assert (len(peer.requests), peer.connections) == (2, 2)


@LOOPS
def test_a_body_that_cannot_be_and_comes_late_is_no_ones_answer(loop: Any) -> None:
    """A 204 has no body, whatever it says of one; sent behind the next request, it would be its answer."""
    evil = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"'

    def behave(peer: Peer, line: Line) -> None:
        if line.number > 1:
            answering(OK)(peer, line)
            return
        peer.next_request(line)
        line.send(b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % len(evil))
        if peer.next_request(line):
            line.send(evil)

    async def calls() -> list[Reply | Outcome]:
        async with client() as one:
            return [await post(one, peer), await post(one, peer)]

    with Peer(behave).running() as peer:
        ends = loop(calls())
        assert [(told(end), end.body) for end in ends] == [((204, None), b""), ((200, None), b"true")]


@LOOPS
def test_a_reply_that_comes_before_its_request_was_sent_counts_and_ends_the_connection(loop: Any) -> None:
    """The rest of the request would be read as the beginning of the next one."""

    def behave(peer: Peer, line: Line) -> None:
        if line.number > 1:
            answering(OK)(peer, line)
            return
        line.some()
        line.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        peer.go.wait(10)

    async def calls() -> tuple[Reply | Outcome, Reply | Outcome]:
        async with client() as one:
            return await post(one, peer, content=b" " * (32 << 20)), await post(one, peer)

    with Peer(behave).running() as peer:
        early, next_one = loop(calls())
        assert told(early) == (413, None)
        assert told(next_one) == (200, None)
        assert peer.connections == 2


@LOOPS
def test_a_server_that_answers_early_and_reads_no_more_holds_no_connection(loop: Any) -> None:
    """Whatever is left of the request would stay in memory for as long as the server likes."""

    def behave(peer: Peer, line: Line) -> None:
        line.some()
        line.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        peer.go.wait(20)

    async def call() -> Reply | Outcome:
        async with client() as one:
            early = await post(one, peer, content=b" " * (32 << 20))
            # What nobody outside can see is what is held.
            pool = one._pooled
            assert pool is not None
            async with asyncio.timeout(5):
                while pool._live:
                    await asyncio.sleep(0)
            return early

    with Peer(behave).running() as peer:
        assert told(loop(call())) == (413, None)


# ---- what is sent


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "a\x7fb", "\x1b[0m", "€", "\ud800"]
)
async def test_a_header_that_http_cannot_carry_is_refused_before_anything_is_sent(value: str) -> None:
    with Peer(answering(OK)).running() as peer:
        async with client() as one:
            for headers in ({"X": value}, {"A": "b", "X": value, "C": "d"}):
                end = await one.post(URL(peer.url), headers, b"{}", timeout_ms=5_000, fresh=False)
                assert told(end) == (Executed.NO, "bad-request")
            good = await one.post(URL(peer.url), {"X": "é\t~"}, b"{}", timeout_ms=5_000, fresh=False)
            assert told(good) == (200, None)
        assert peer.connections == 1
        assert b"\r\nX: \xe9\t~\r\n" in peer.requests[0]


@pytest.mark.parametrize(
    ("url", "path"),
    [("{}", b"/"), ("{}?a=b%20c#part", b"/?a=b%20c"), ("{}/a%2Fb;c?x=%C3%A9&y=+", b"/a%2Fb;c?x=%C3%A9&y=+")],
)
async def test_a_url_goes_out_as_it_is_written_with_its_port_in_host(url: str, path: bytes) -> None:
    with Peer(answering(OK)).running() as peer:
        async with client() as one:
            to = URL(url.format(peer.url), encoded=True)
            assert told(await one.post(to, {}, b"[1]", timeout_ms=5_000, fresh=True)) == (200, None)
            assert told(await one.get(to, {"Accept": "x"}, timeout_ms=5_000)) == (200, None)
        host = f"127.0.0.1:{peer.port}".encode()
        assert peer.requests == [
            b"POST " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 3\r\n\r\n[1]",
            b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nAccept: x\r\n\r\n",
        ]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "/x", "http://127.0.0.1/a b", "http://127.0.0.1/é\r\n"])
async def test_a_url_that_http_cannot_carry_is_an_outcome(url: str) -> None:
    async with client() as one:
        end = await one.post(URL(url, encoded=True), {}, b"", timeout_ms=1_000, fresh=False)
        assert told(end) == (Executed.NO, "bad-request")
