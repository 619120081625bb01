"""Where Redis is: the URL that a person writes, and the nodes that it leads to."""

import ssl
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

from core.errors import ConfigurationError

_FORMS = (
    "redis://host:port/db, rediss://, unix:///path, redis+sentinel://host:port,host:port/name or"
    " redis+cluster://host:port,host:port"
)
_PORTS = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_QUERY = frozenset({"ca", "db", "sentinel_username", "sentinel_password"})


class Kind(StrEnum):
    """How a primary is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """All that a connection to one node needs. `path` is a Unix socket's and goes before host and port."""

    host: str = ""
    port: int = 0
    path: str = ""
    username: str | None = None
    password: str | None = None
    db: int = 0
    tls: ssl.SSLContext | None = None
    primary: bool = True
    """Whether a replica is refused when the connection is made."""

    def __repr__(self) -> str:
        return f"Dial({self.where})"

    @property
    def where(self) -> str:
        """The node's address, for people."""
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")

    def at(self, host: str, port: int) -> "Dial":
        """The same, at another node."""
        return replace(self, host=host, port=port, path="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL says. `dials` are its nodes (sentinels, where `kind` says so); `node` holds what every data
    node is dialled with.
    """

    kind: Kind
    dials: tuple[Dial, ...]
    node: Dial
    name: str = ""


def parse(url: str) -> Place:
    """Read a URL. Raises ConfigurationError with a sentence that never repeats the URL."""
    try:
        return _parse(url)
    except ValueError as error:
        raise ConfigurationError(
            f"the URL of Redis cannot be used ({_harmless(error)}): write {_FORMS}"
        ) from None


def _parse(url: str) -> Place:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(query) - _QUERY):
        raise _Wrong(f"{len(unknown)} unknown parameter(s) behind '?'; known are {', '.join(sorted(_QUERY))}")
    secure = parts.scheme.startswith("rediss")
    if "ca" in query and not secure:
        raise _Wrong("'ca' belongs to rediss://")
    credentials, at, hosts = parts.netloc.rpartition("@")
    user, _, secret = credentials.partition(":")
    node = Dial(
        username=unquote(user) or None if at else None,
        password=unquote(secret) or None if at else None,
        tls=_tls(query.get("ca")) if secure else None,
    )
    match parts.scheme:
        case "unix":
            if not parts.path:
                raise _Wrong("unix:// needs the path of a socket")
            node = replace(node, path=unquote(parts.path), db=_number(query.get("db", "0"), "database"))
            return Place(kind=Kind.SINGLE, dials=(node,), node=node)
        case "redis" | "rediss":
            node = replace(node, db=_number(query.get("db") or parts.path.strip("/") or "0", "database"))
            dials = _dials(node, hosts, Kind.SINGLE)
            if len(dials) != 1:
                raise _Wrong("redis:// takes one host")
            return Place(kind=Kind.SINGLE, dials=dials, node=dials[0])
        case "redis+sentinel" | "rediss+sentinel":
            name = unquote(parts.path.strip("/"))
            if not name or "/" in name:
                raise _Wrong("redis+sentinel:// ends in /name, the primary's name")
            node = replace(node, db=_number(query.get("db", "0"), "database"))
            watcher = replace(
                node,
                db=0,
                primary=False,
                username=query.get("sentinel_username"),
                password=query.get("sentinel_password"),
            )
            return Place(
                kind=Kind.SENTINEL, dials=_dials(watcher, hosts, Kind.SENTINEL), node=node, name=name
            )
        case "redis+cluster" | "rediss+cluster":
            if parts.path.strip("/") or "db" in query:
                raise _Wrong("a cluster has one database, so its URL names none")
            node = replace(node, primary=False)
            return Place(kind=Kind.CLUSTER, dials=_dials(node, hosts, Kind.CLUSTER), node=node)
        case _:
            raise _Wrong("its scheme is unknown")


def _dials(node: Dial, hosts: str, kind: Kind) -> tuple[Dial, ...]:
    found = []
    for each in hosts.split(","):
        one = urlsplit(f"//{each}")
        if not one.hostname:
            raise _Wrong("a host is missing")
        try:
            port = one.port
        except ValueError:
            raise _Wrong("a port is no number up to 65535") from None
        found.append(node.at(one.hostname, _PORTS[kind] if port is None else port))
    return tuple(found)


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _Wrong(f"its {what} is no number")
    return int(text)


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError):
        raise _Wrong("the file of 'ca' holds no readable certificates") from None


class _Wrong(ValueError):
    """A sentence of ours: it repeats nothing of the URL."""


def _harmless(error: ValueError) -> str:
    return str(error) if isinstance(error, _Wrong) else "it is no URL"
