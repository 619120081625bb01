"""Origins: where a call may go. Strict URL parsing, and the rules for the addresses behind a name.

A caller's definition names functions and URLs; what it names must lie within an origin (scheme, host, port)
that the settings list. Parsers that disagree on a URL are how such lists are usually passed by, so this one
refuses what is unusual instead of reading it in some way, and the URL that is sent is rebuilt from its parts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from adapters.providers.wire.addresses import IpAddress, Kind, kind_of, parse_address

MAX_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@%]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_HOST = 253
_MAX_PORT = 65535
_FIRST_PRINTABLE, _DELETE = 0x21, 0x7F


class BadUrl(ValueError):
    """A URL that cannot be used; the message is a sentence without a secret in it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (lower case, IDNA, IPv6 without brackets) and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """The origin as it is written, without a port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class Location:
    """An absolute URL, taken apart: an origin, a path that starts with `/`, and `?query` or nothing."""

    origin: Origin
    path: str
    query: str = ""

    def __str__(self) -> str:
        """The URL that is sent."""
        return f"{self.origin}{self.path}{self.query}"


def parse_url(text: str) -> Location:
    """Read an absolute http or https URL. Raises `BadUrl`.

    Refused: user names, fragments, backslashes, white space and control characters, characters outside ASCII
    in path or query, dot segments, unusual spellings of IP addresses, a dot at the end of the host.
    """
    if len(text) > MAX_URL:
        raise BadUrl(f"the URL is longer than {MAX_URL} characters")
    if any(ord(character) < _FIRST_PRINTABLE or ord(character) == _DELETE for character in text):
        raise BadUrl("the URL holds white space or a control character")
    if "\\" in text:
        raise BadUrl("the URL holds a backslash")
    if "#" in text:
        raise BadUrl("the URL holds a fragment (#)")
    match = _URL.fullmatch(text)
    if match is None or (scheme := match["scheme"].lower()) not in DEFAULT_PORTS:
        raise BadUrl("the URL does not start with http:// or https://")
    authority, path, query = match["authority"], match["path"], match["query"] or ""
    if "@" in authority:
        raise BadUrl("the URL holds a user name")
    if not (path + query).isascii() or _BAD_ESCAPE.search(path + query):
        raise BadUrl("the URL's path or query is not percent-encoded")
    if _DOT_SEGMENT.search(path):
        raise BadUrl("the URL's path holds a dot segment")
    return Location(_origin(scheme, authority), path or "/", query)


def parse_origin(text: str) -> Origin:
    """Read `scheme://host[:port]`, with at most a `/` behind it. Raises `BadUrl`."""
    location = parse_url(text)
    if location.path != "/" or location.query:
        raise BadUrl("an origin is scheme://host[:port], without a path")
    return location.origin


def parse_base(text: str) -> Location:
    """Read a base URL that names are appended to: its path ends without a slash. Raises `BadUrl`."""
    location = parse_url(text)
    if location.query:
        raise BadUrl("a base URL has no query")
    return Location(location.origin, location.path.rstrip("/"))


def _origin(scheme: str, authority: str) -> Origin:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise BadUrl("the URL's host cannot be used")
    port = int(match["port"]) if match["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port <= _MAX_PORT:
        raise BadUrl("the URL's port is not between 1 and 65535")
    host = _host(match["host"])
    address = parse_address(host)
    if address is not None and kind_of(address) is Kind.FORBIDDEN:
        raise BadUrl("the URL's host is an address that is never called (metadata, link-local, multicast)")
    return Origin(scheme, host, port)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise BadUrl("the URL's host is not an IPv6 address") from None
    host = text.lower()
    if not host.isascii():
        try:
            host = idna.encode(text, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            raise BadUrl("the URL's host is not a valid international name") from None
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl("the URL's host is not a valid name")
    if _NUMBER.fullmatch(labels[-1]):
        # The resolver would take 2130706433, 0x7f.1 and 0177.0.0.1 for addresses; only one spelling is read.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise BadUrl("the URL's host is an unusual spelling of an IP address") from None
    return host


def is_loopback_host(host: str) -> bool:
    """True for `localhost`, names under it, and loopback addresses."""
    address = parse_address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses a host name may resolve to.

    Public ones always. Loopback for `localhost`, and an address that is itself the configured host. Other
    local ones (private, shared, loopback) only for the hosts in `private_hosts`. Forbidden ones never.
    """

    private_hosts: frozenset[str] = frozenset()

    def may_carry_secrets(self, origin: Origin) -> bool:
        """True where a key, token or signature may travel: https; plain http only to loopback, or to a host
        that the settings call private.
        """
        return origin.scheme == "https" or is_loopback_host(origin.host) or origin.host in self.private_hosts

    def problem(self, host: str, address: IpAddress) -> str | None:
        """Why `host` must not be reached at `address`, in a sentence; None where it may."""
        kind = kind_of(address)
        if kind is Kind.FORBIDDEN:
            return f"{host} resolves to an address that is never called (metadata, link-local, multicast)"
        if kind is Kind.PUBLIC or host in self.private_hosts or parse_address(host) == address:
            return None
        if address.is_loopback and is_loopback_host(host):
            return None
        return f"{host} resolves to a private or loopback address; allow it with allow_private_origins"


def address_rules(allow_private_origins: Iterable[str]) -> AddressRules:
    """Rules that let the hosts of these origins be private. Raises `BadUrl`."""
    return AddressRules(frozenset(parse_origin(text).host for text in allow_private_origins))
