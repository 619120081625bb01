"""One guarded, pooled HTTP client a provider. It sends once and never raises for what the network did.

No redirects, no cookies, no proxies from the environment, no decompression (a compressed answer is asked
against and not unpacked, so a small body cannot unfold into a large one), no retries.
docs/decisions/0011-own-http-client.md says why it is one of our own.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from adapters.providers.wire import outcomes
from adapters.providers.wire.dialling import Dialler, Unreached
from adapters.providers.wire.endpoint import Endpoint, lines
from adapters.providers.wire.nameservers import MAX_SERVERS, NameServers, parse_server
from adapters.providers.wire.origins import AddressRules
from adapters.providers.wire.pool import Pool
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import GuardedResolver, Lookup, system_lookup
from core.engine.patience import GRACE_SECONDS
from core.failover.outcome import Outcome, succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class WireConfig:
    """Limits of one provider's connections.

    `connect_timeout_ms` bounds the name lookup and TCP, each; `tls_timeout_ms` the TLS handshake; their sum
    all that lies before a connection is in hand, waiting for the pool included (failover.md: connect 1 s,
    TLS 2 s). `keepalive_ms` is how long an idle connection is kept: less than servers do, so that they
    rarely close one while a request is on its way. `max_connections` lies above the executions that one
    engine drives at once, so that a full pool is an exception. `max_response_bytes` is Lambda's own limit
    (6 MiB).
    `ca_file` adds a private certificate authority. `nameservers` (`IP`, `IP:port`, `[IPv6]:port`) resolve the
    names that are called, instead of the system's.
    """

    connect_timeout_ms: int = 1_000
    tls_timeout_ms: int = 2_000
    keepalive_ms: int = 4_000
    max_connections: int = 8_192
    max_response_bytes: int = 6 * 1024 * 1024
    allow_private_origins: tuple[str, ...] = ()
    ca_file: str | None = None
    nameservers: tuple[str, ...] = ()


class WireClient:
    """Pooled connections of one provider; open it inside the event loop that uses it."""

    def __init__(self, config: WireConfig, rules: AddressRules, lookup: Lookup = system_lookup) -> None:
        """Raises ValueError, with a sentence, where a name server is none."""
        self._config = config
        self._rules = rules
        self._lookup = lookup
        self._pooled: Pool | None = None
        self._fresh: Pool | None = None
        self._resolver: GuardedResolver | None = None
        self._connect_seconds = config.connect_timeout_ms / 1000
        self._tls_seconds = config.tls_timeout_ms / 1000
        self._names: NameServers | None = None
        if config.nameservers:
            if len(config.nameservers) > MAX_SERVERS:
                raise ValueError(f"there are more than {MAX_SERVERS} name servers")
            servers = [parse_server(text) for text in config.nameservers]
            self._names = NameServers(servers, self._connect_seconds)

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        """Make the pools. `tls` overrides the certificate authorities."""
        if self._names is not None:
            await self._names.open()
        self._resolver = GuardedResolver(self._rules, self._connect_seconds, self._lookup, self._names)
        dialler = Dialler(self._resolver, self._connect_seconds, self._tls_seconds, tls)
        self._pooled = self._pool(dialler, self._config.keepalive_ms / 1000)
        self._fresh = self._pool(dialler, 0.0)

    def _pool(self, dialler: Dialler, keep_seconds: float) -> Pool:
        return Pool(
            dialler.dial,
            limit=self._config.max_connections,
            keep_seconds=keep_seconds,
            max_body=self._config.max_response_bytes,
        )

    async def close(self) -> None:
        """Close every connection; calls in flight end as outcomes."""
        pools, resolver = (self._pooled, self._fresh), self._resolver
        self._pooled = self._fresh = self._resolver = None
        for pool in pools:
            if pool is not None:
                await pool.close()
        if resolver is not None:
            await resolver.close()
        if self._names is not None:
            await self._names.close()

    async def post(
        self, to: Endpoint | URL, headers: Mapping[str, str], content: bytes, *, timeout_ms: int, fresh: bool
    ) -> Reply | Outcome:
        """Send one POST, once. A reply (any status), or the outcome where there is none.

        `headers` go with the endpoint's own; who calls a URL more than once makes its endpoint once. Raises
        only CancelledError, where the calling task was cancelled; its connection is closed then.
        """
        try:
            endpoint = to if isinstance(to, Endpoint) else Endpoint.of(to)
            length = b"Content-Length: %d\r\n\r\n" % len(content)
            request = b"".join((endpoint.post, lines(headers), length, content))
        except ValueError:
            return outcomes.unsendable("a header or the URL cannot be put on the wire")
        return await self._send(self._fresh if fresh else self._pooled, endpoint, request, timeout_ms)

    async def get(self, url: URL, headers: Mapping[str, str], *, timeout_ms: int) -> Reply | Outcome:
        """Send one GET with these headers, once, over a connection of its own. Else as `post`."""
        try:
            endpoint = Endpoint.of(url)
            request = endpoint.get + lines(headers) + b"\r\n"
        except ValueError:
            return outcomes.unsendable("a header or the URL cannot be put on the wire")
        return await self._send(self._fresh, endpoint, request, timeout_ms)

    async def connect(self, to: Endpoint | URL, *, timeout_ms: int) -> Outcome:
        """Open a connection as a call to `to` would (name, addresses, TCP, TLS), and close it unused.

        Success, or what a call would have ended in. Raises only CancelledError.
        """
        if self._fresh is None:
            return outcomes.closed()
        try:
            endpoint = to if isinstance(to, Endpoint) else Endpoint.of(to)
            connection = await self._fresh.acquire(endpoint.origin, endpoint.key, self._patience(timeout_ms))
        except ValueError:
            return outcomes.unsendable("the URL cannot be put on the wire")
        except Unreached as problem:
            return problem.outcome
        connection.close()
        return succeeded(None)

    async def _send(
        self, pool: Pool | None, endpoint: Endpoint, request: bytes, timeout_ms: int
    ) -> Reply | Outcome:
        if pool is None:
            return outcomes.closed()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        connection = pool.take(endpoint.key)
        if connection is None:
            try:
                connection = await pool.acquire(endpoint.origin, endpoint.key, self._patience(timeout_ms))
            except Unreached as problem:
                return problem.outcome
            if connection.closed:
                return outcomes.unwritten()
            # Past the deadline a connection comes only where the loop stood still; then there is the grace.
            if loop.time() >= deadline:
                deadline = loop.time() + GRACE_SECONDS
        answer = connection.send(request, deadline)
        try:
            return await answer
        except asyncio.CancelledError:
            connection.give_up(answer)
            raise

    def _patience(self, timeout_ms: int) -> float:
        """How long a call may wait for a connection, in seconds."""
        return min(timeout_ms / 1000, self._connect_seconds + self._tls_seconds)
