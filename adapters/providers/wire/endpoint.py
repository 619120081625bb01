"""Where requests go, and their heads as bytes: what is the same for every call of a URL is made once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from adapters.providers.wire.origins import DEFAULT_PORTS, Origin

_CONTROLS = bytes((*range(9), *range(10, 32), 127))
"""No header carries these (RFC 9110, section 5.5); a line's end among them would begin another header."""

_FIRST_PRINTABLE, _DELETE = 0x21, 0x7F


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL, and the headers that all its calls have (`fixed`).

    `key` names the connections that lead there. `post` is the head of a POST up to those headers, `get` the
    first two lines of a GET, which has none of them.
    """

    url: URL
    origin: Origin
    key: str
    fixed: Mapping[str, str] = field(repr=False)
    post: bytes = field(repr=False)
    get: bytes = field(repr=False)

    @classmethod
    def of(cls, url: URL, fixed: Mapping[str, str] | None = None) -> "Endpoint":
        """The endpoint at `url`, whose path and query go out as they are written.

        Raises ValueError for what HTTP cannot carry.
        """
        if url.scheme not in DEFAULT_PORTS or not url.raw_host or url.port is None:
            raise ValueError("the URL is neither http nor https, or has no host")
        target = url.raw_path_qs
        if not all(_FIRST_PRINTABLE <= ord(character) < _DELETE for character in target):
            raise ValueError("the URL's path or query is not percent-encoded")
        origin = Origin(url.scheme, url.raw_host, url.port)
        headers = dict(fixed or {})
        to = f" {target} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n".encode("ascii")
        return cls(
            url=url,
            origin=origin,
            key=str(origin),
            fixed=headers,
            post=b"POST" + to + lines(headers),
            get=b"GET" + to,
        )


def lines(headers: Mapping[str, str]) -> bytes:
    """Header lines. Raises ValueError where a value holds a control character or one outside Latin-1."""
    block = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")
    if len(block.translate(None, _CONTROLS)) != len(block) - 2 * len(headers):
        raise ValueError("a header holds a control character")
    return block
