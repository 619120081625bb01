"""Replies are read the same however their bytes are cut, and hostile ones cost no more than the limits."""

import itertools
from collections.abc import Iterator, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from adapters.providers.wire.reading import MAX_HEAD, Progress, ReplyReader
from adapters.providers.wire.reply import Broken, Reply

MAX_BODY = 1_000
OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
NOTHING = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\n\r\ntrue": b"true",
    b"HTTP/1.1 204 No Content\r\n\r\n": b"",
    b"HTTP/1.1 200 \r\ncontent-LENGTH: 0\r\n\r\n": b"",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    + OK
    + b"Content-Length: 2\r\n\r\n{}": b"{}",
    CHUNKED + b"4\r\n[1,2\r\n3;ext=1\r\n,3]\r\n0\r\nTrailer: x\r\n\r\n": b"[1,2,3]",
    b"HTTP/1.0 500 Oh\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n1": b"1",
}

MALFORMED = {
    "a length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length beside chunks": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "chunks beside a length": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "a signed length": OK + b"Content-Length: +2\r\n\r\n{}",
    "a length in hexadecimal": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "no length at all": OK + b"Content-Length:\r\n\r\n{}",
    "a length beyond 64 bits": OK + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "lines without CR": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "a NUL in a header": OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a CR in a header": OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"220 smtp.example ready\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown version": b"HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status below 100": b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"
    + OK
    + b"Content-Length: 2\r\n\r\n{}",
    "another protocol, agreed to": b"HTTP/1.1 101 Ok\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00",
    "another protocol, not named": b"HTTP/1.1 101 Switching\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}",
    "a head without end": OK + b"X: " + b"a" * MAX_HEAD,
    "headers without end": OK + b"X: a\r\n" * (MAX_HEAD // 6),
    "a large head with its body": OK + b"X: " + b"a" * MAX_HEAD + b"\r\nContent-Length: 2\r\n\r\n{}",
    "interim replies without end": b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD // 25 + 1),
}

SPOILT = {
    "a length with thousands of zeros": OK + b"Content-Length: " + b"0" * 5_000 + b"2\r\n\r\n{",
    "a chunk's size is none": CHUNKED + b"zz\r\n{}\r\n",
    "a chunk's size overflows": CHUNKED + b"ffffffffffffffffff\r\n{}\r\n",
    "a chunk is longer than it says": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "trailers without end": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * (MAX_HEAD // 6),
    "a trailer without end": CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"a" * MAX_HEAD,
    "an extension without end": CHUNKED + b"2;" + b"a" * MAX_HEAD,
}
"""Replies whose status is read before they go wrong."""

TOO_LARGE = {
    "by its length": OK + b"Content-Length: 1001\r\n\r\n{",
    "whole, in one piece": OK + b"Content-Length: 1001\r\n\r\n" + b" " * 1001,
    "in chunks": CHUNKED + b"3e8\r\n" + b" " * 1000 + b"\r\n1\r\n \r\n",
    "without a length": OK + b"\r\n" + b" " * 1001,
}


def pieces(raw: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """`raw`, cut at these places."""
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        yield raw[begin:end]


def read(raw: bytes, cuts: Sequence[int] = ()) -> tuple[Progress, ReplyReader]:
    """How far `raw` brings a reader, fed in pieces as a connection feeds it."""
    reader, progress = ReplyReader(MAX_BODY), Progress.MORE
    for piece in pieces(raw, cuts):
        progress = reader.feed(piece)
        if progress is not Progress.MORE:
            break
    return progress, reader


CUTS = st.lists(st.integers(0, 1 << 20), max_size=30)


@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(st.sampled_from(sorted(WHOLE)), CUTS)
def test_a_reply_is_the_same_however_it_is_cut(raw: bytes, cuts: list[int]) -> None:
    progress, reader = read(raw, cuts)
    assert progress is Progress.WHOLE
    assert reader.reply().body == WHOLE[raw]
    assert reader.reusable


@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 1 << 20), CUTS)
def test_a_part_of_a_reply_is_never_taken_for_the_whole(raw: bytes, length: int, cuts: list[int]) -> None:
    part = raw[: length % len(raw)]
    progress, reader = read(part, cuts)
    assert progress is Progress.MORE
    assert reader.in_head or not reader.ends_with_connection


@pytest.mark.parametrize("name", MALFORMED)
def test_what_can_be_read_in_two_ways_is_not_read(name: str) -> None:
    progress, reader = read(MALFORMED[name])
    assert progress is Progress.MALFORMED
    assert reader.in_head


@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(st.sampled_from(sorted(MALFORMED.values())), CUTS)
def test_cutting_it_makes_it_no_better(raw: bytes, cuts: list[int]) -> None:
    progress, reader = read(raw, cuts)
    assert progress is Progress.MALFORMED
    assert reader.in_head


@pytest.mark.parametrize("name", SPOILT)
def test_a_reply_that_goes_wrong_after_its_head_has_a_status(name: str) -> None:
    progress, reader = read(SPOILT[name])
    assert progress is Progress.MALFORMED
    assert reader.reply(Broken.TRUNCATED) == Reply(200, reader.reply().headers, b"", Broken.TRUNCATED)


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_body_over_the_limit_is_given_up(name: str) -> None:
    progress, reader = read(TOO_LARGE[name])
    assert (progress, reader.in_head) == (Progress.TOO_LARGE, False)


@pytest.mark.parametrize("after", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\x00", b"HTTP"])
@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(cuts=CUTS)
def test_what_follows_a_reply_spoils_the_connection_and_not_the_reply(after: bytes, cuts: list[int]) -> None:
    raw = OK + b"Content-Length: 4\r\n\r\ntrue"
    progress, reader = read(raw, cuts)
    assert (progress, reader.reusable) == (Progress.WHOLE, True)
    progress, reader = read(raw + after)
    assert (progress, reader.reusable) == (Progress.WHOLE, False)
    assert reader.reply().body == b"true"


@pytest.mark.parametrize(
    ("raw", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
            False,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_where_the_server_keeps_it(raw: bytes, keeps: bool) -> None:
    progress, reader = read(raw)
    assert (progress, reader.reusable) == (Progress.WHOLE, keeps)


def test_only_a_body_without_a_length_ends_with_its_connection() -> None:
    for head, ends in (
        (OK + b"\r\n", True),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n", True),
        (OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n", True),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", False),
        (OK + b"Content-Length: 9\r\n\r\n", False),
        (OK, False),
    ):
        progress, reader = read(head + (b"{}" if head.endswith(b"\r\n\r\n") else b""))
        assert progress in (Progress.MORE, Progress.MALFORMED), head
        assert reader.ends_with_connection is ends, head


def test_a_body_of_the_shortest_chunks_is_read() -> None:
    """Six bytes carry one: what lies around a body is bounded, and this is within it."""
    progress, reader = read(CHUNKED + b"1\r\nx\r\n" * MAX_BODY + b"0\r\n\r\n", [10, 5_000])
    assert (progress, len(reader.reply().body)) == (Progress.WHOLE, MAX_BODY)


@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from([b"", OK, CHUNKED, OK + b"\r\n"]))
def test_no_bytes_at_all_raise_anything(noise: list[bytes], first: bytes) -> None:
    reader = ReplyReader(MAX_BODY)
    for piece in (first, *noise):
        if reader.feed(piece) is not Progress.MORE:
            break


def test_headers_are_read_without_regard_to_case_and_the_first_counts() -> None:
    _, reader = read(OK + b"retry-AFTER: 1\r\nRetry-After: 2\r\nX: \xe9\r\nEmpty:\r\nDate: 0\r\n\r\n")
    headers = reader.reply().headers
    assert headers["Retry-After"] == "1"
    assert headers.get("x") == "é"
    assert headers.get("EMPTY") == ""
    assert headers.get("none") is None
    assert ("retry-after" in headers, "\N{KELVIN SIGN}" in headers) == (True, False)
    assert list(headers) == ["retry-after", "x", "empty", "date"]
    assert len(headers) == 4


def test_neither_an_interim_replys_headers_nor_trailers_are_the_replys() -> None:
    _, reader = read(
        b"HTTP/1.1 103 Early\r\nSidestep-Error: function\r\n\r\n"
        + CHUNKED
        + b"2\r\n{}\r\n0\r\nSidestep-Error: function\r\n\r\n"
    )
    assert dict(reader.reply().headers) == {"transfer-encoding": "chunked"}
