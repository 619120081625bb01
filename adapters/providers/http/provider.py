"""The HTTP provider."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from yarl import URL

from adapters.providers.http.config import HttpConfig
from adapters.providers.http.errors import ROWS
from adapters.providers.wire import platform
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.metadata import metadata_headers, plain_headers
from adapters.providers.wire.origins import BadUrl, parse_origin, parse_url
from adapters.providers.wire.provider import Request, WireProvider
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from core.errors import ConfigurationError
from core.failover.outcome import Outcome
from core.graph.model import Target
from core.ports.provider import Call

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LEAST_SECRET = 8
"""Shorter parts of a header or query are words and numbers of the language, and stay readable in a cause."""
_REPLACEABLE = {"accept": "Accept", "user-agent": "User-Agent"}
_OURS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "expect",
        "idempotency-key",
        "sidestep-attempt",
        "sidestep-not-after",
        "sidestep-callback-token",
        "sidestep-callback-url",
        "traceparent",
    }
)


@dataclass(frozen=True, slots=True)
class _Route:
    endpoint: Endpoint
    secrets: tuple[str, ...] = field(repr=False)


class HttpProvider(WireProvider[_Route]):
    """POSTs to configured origins and registered services.

    A function id that holds `://` is a URL and must lie within an origin; it is sent no credentials. Any
    other is the name of a service.
    """

    name = "HTTP"

    def __init__(self, config: HttpConfig, *, lookup: Lookup = system_lookup) -> None:
        """Raises ConfigurationError."""
        super().__init__(config.wire, lookup=lookup)
        try:
            self._origins = frozenset(parse_origin(text) for text in config.origins)
        except BadUrl as problem:
            raise ConfigurationError(f"HTTP origins: {problem}.") from None
        self._services: dict[str, _Route] = {}
        for name, service in config.services.items():
            if not _SERVICE.fullmatch(name):
                raise ConfigurationError(
                    "HTTP services: a name is made of letters, digits, '.', '_' and '-', at most 128."
                )
            try:
                location = parse_url(service.url)
            except BadUrl as problem:
                raise ConfigurationError(f"HTTP service {name}: {problem}.") from None
            for header, value in service.headers.items():
                if not _HEADER.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
                    raise ConfigurationError(
                        f"HTTP service {name}: a header that HTTP cannot carry. Check names and values."
                    )
                if header.lower() in _OURS:
                    raise ConfigurationError(f"HTTP service {name}: the header {header} is set by Sidestep.")
            if service.headers:
                self._refuse_plain_http(location.origin)
            url = URL(str(location), encoded=True)
            own = {_REPLACEABLE.get(key.lower(), key): value for key, value in service.headers.items()}
            self._services[name] = _Route(
                Endpoint.of(url, plain_headers() | own),
                _secrets(service.headers.values(), url),
            )

    def _route(self, target: Target) -> _Route | str:
        name = target.function_id
        if "://" not in name:
            return self._services.get(name) or (
                "HTTP: this functionId is neither a URL nor a registered service; "
                "register it under providers.http.services."
            )
        try:
            location = parse_url(name)
        except BadUrl as problem:
            return f"HTTP: {problem}."
        if location.origin not in self._origins:
            return (
                f"HTTP: {location.origin} is not a configured origin; add it to providers.http.origins "
                "if calls may go there."
            )
        url = URL(str(location), encoded=True)
        return _Route(Endpoint.of(url, plain_headers()), _secrets((), url))

    async def _request(self, call: Call, route: _Route, content: bytes) -> Request:  # noqa: ARG002  nothing is signed
        return Request(route.endpoint, metadata_headers(call), route.secrets)

    async def _probe(self, route: _Route, timeout_ms: int) -> Outcome:
        """A connection, resolved, checked and encrypted as a call's, and closed unused.

        No request: whatever is asked of a service by URL, with any method, may run it.
        """
        return await self._client.connect(route.endpoint, timeout_ms=timeout_ms)

    def _classify(self, reply: Reply, request: Request, route: _Route) -> Outcome:  # noqa: ARG002  same for all
        return platform.classify(reply, ROWS, request.secrets)


def _secrets(header_values: Iterable[str], url: URL) -> tuple[str, ...]:
    """What an answer may not repeat to us, the longest first: headers' values, and the words in them (a token
    without its scheme); a query's values as they are written and as they are read.
    """
    whole = {value for value in header_values if value}
    parts = {word for value in whole for word in value.split()}
    parts |= {part.partition("=")[2] for part in url.raw_query_string.split("&")} | set(url.query.values())
    long = {part for part in parts if len(part) >= _LEAST_SECRET}
    return tuple(sorted(whole | long, key=len, reverse=True))
