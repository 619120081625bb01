"""Reading replies: llhttp takes them apart, strictly, and the limits of what is read are held here.

The limits: of a head, of a body, and of what may lie around the pieces of a body. What llhttp is strict about
is what answers are smuggled with: lengths that are said twice or beside a chunked coding, line ends without
their CR, folded lines, blanks before a colon.
"""

from enum import Enum, auto

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from adapters.providers.wire.reply import FIRST_SUCCESS, Broken, Headers, Reply

MAX_HEAD = 64 * 1024
"""Bytes of a reply's head, those of interim replies (1xx) before it included."""

_MOST_AROUND_A_BYTE = 8
"""Bytes that chunked coding may spend on one byte of a body; a chunk of one byte takes six."""

_LENGTH_DIGITS = 20
"""Digits of a length of 64 bits. llhttp takes any number of zeros before them, and `int` does not."""

_CONTINUE, _SWITCHING = 100, 101
_BODILESS = (204, 304)


class Progress(Enum):
    """How far a reply is."""

    MORE = auto()
    WHOLE = auto()
    MALFORMED = auto()
    TOO_LARGE = auto()


class ReplyReader:
    """Reads the replies of one connection, one after the other. `close` it: it refers to itself."""

    __slots__ = (
        "_bad",
        "_body",
        "_fields",
        "_keep",
        "_length",
        "_max_body",
        "_parser",
        "_received",
        "_status",
        "_whole",
        "in_head",
    )

    def __init__(self, max_body: int) -> None:
        """`max_body` bounds a body, in bytes."""
        self._max_body = max_body
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect the next reply; the one before was whole, and `reusable`."""
        self.in_head = True
        """True until the head of the reply is read, that of interim ones aside."""
        self._whole = self._bad = self._keep = False
        self._received = self._status = 0
        self._length: int | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: bytes | bytearray = b""

    def close(self) -> None:
        """Read no more."""
        self._parser = None

    def feed(self, data: bytes) -> Progress:
        """Read on."""
        if self._parser is None:
            return Progress.MALFORMED
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._bad = True
        if self._whole:
            return Progress.WHOLE if len(self._body) <= self._max_body else Progress.TOO_LARGE
        return Progress.MALFORMED if self._bad else self._bounded()

    def _bounded(self) -> Progress:
        """Hold the limits of a reply that is not whole yet."""
        if self.in_head:
            return Progress.MORE if self._received <= MAX_HEAD else Progress.MALFORMED
        if self._length is None:
            length = _field(self._fields, b"content-length") or b"0"
            if len(length) > _LENGTH_DIGITS:
                return Progress.MALFORMED
            self._length = int(length)
        if max(self._length, len(self._body)) > self._max_body:
            return Progress.TOO_LARGE
        if self._received > MAX_HEAD + _MOST_AROUND_A_BYTE * len(self._body):
            return Progress.MALFORMED
        return Progress.MORE

    @property
    def reusable(self) -> bool:
        """Whether another reply can follow this one, which is whole: the server keeps the connection, and
        nothing came after the reply.
        """
        return self._keep and not self._bad

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body, whose head is read, goes on until the connection is closed (RFC 9112, 6.3)."""
        if self.in_head or _field(self._fields, b"content-length") is not None:
            return False
        coding = _field(self._fields, b"transfer-encoding") or b""
        return coding.rpartition(b",")[2].strip().lower() != b"chunked"

    def reply(self, broken: Broken | None = None) -> Reply:
        """What was read, whose head is read; without the body where it is `broken`."""
        return Reply(
            self._status, Headers(self._fields), b"" if broken is not None else bytes(self._body), broken
        )

    # ---- what llhttp calls

    def on_message_begin(self) -> None:
        """A reply begins; after the end of one it is unasked."""
        if self._whole:
            self._bad = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after the head it is a trailer, and means nothing."""
        if self.in_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The end of a head, or of an interim reply's."""
        if not self.in_head or self._bad or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status >= FIRST_SUCCESS:
            # `feed` looks at a head that comes in pieces; this one may have come in one with its body.
            if self._received > MAX_HEAD and sum(len(n) + len(v) for n, v in self._fields) > MAX_HEAD:
                self._bad = True
                return
            self.in_head = False
            self._status = status
        elif status == _SWITCHING or status < _CONTINUE:
            self._bad = True
        else:
            self._fields = []

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._whole:
            return
        if not self._body:
            self._body = data
        elif isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body = bytearray(self._body + data)

    def on_message_complete(self) -> None:
        """The end of a reply, or of an interim one."""
        if not self.in_head and not self._whole and self._parser is not None:
            self._whole = True
            self._keep = self._parser.should_keep_alive() and self._is_plain(self._parser)

    def _is_plain(self, parser: HttpResponseParser) -> bool:
        """Whether all agree on where the reply ends. A body where there can be none may come all the same,
        and later; HTTP/1.0 has no codings, and its connection ends where one is used (RFC 9112, 6.1).
        """
        if self._status not in _BODILESS and parser.get_http_version() != "1.0":
            return True
        if _field(self._fields, b"transfer-encoding") is not None:
            return False
        return self._status not in _BODILESS or not int(_field(self._fields, b"content-length") or 0)


def _field(fields: list[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """The last field of that name: of two Transfer-Encodings the last one counts."""
    return next((value for name, value in reversed(fields) if name.lower() == wanted), None)
