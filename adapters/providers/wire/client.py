"""One guarded, pooled HTTP client a provider. It sends once and never raises for what the network did.

No redirects, no cookies, no proxies from the environment, no decompression (a compressed answer is asked
against and not unpacked, so a small body cannot unfold into a large one), no retries: aiohttp sends a request
again by itself only for idempotent methods, and not where its body was written (`payload.RequestBody`).
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs
from yarl import URL

from adapters.providers.wire import outcomes
from adapters.providers.wire.connector import GuardedConnector
from adapters.providers.wire.nameservers import MAX_SERVERS, NameServers, parse_server
from adapters.providers.wire.origins import AddressRules
from adapters.providers.wire.payload import RequestBody
from adapters.providers.wire.reply import Broken, Reply
from adapters.providers.wire.resolver import GuardedResolver, Lookup, system_lookup
from core.engine.patience import Patience
from core.failover.outcome import Outcome, succeeded

_READ_BUFFER = 256 * 1024
_MANY_TIMEOUTS = 4096


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
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._connect_seconds = config.connect_timeout_ms / 1000
        self._tls_seconds = config.tls_timeout_ms / 1000
        self._names: NameServers | None = None
        if config.nameservers:
            if len(config.nameservers) > MAX_SERVERS:
                raise ValueError(f"there are more than {MAX_SERVERS} name servers")
            servers = [parse_server(text) for text in config.nameservers]
            self._names = NameServers(servers, self._connect_seconds)
        self._timeouts: dict[int, aiohttp.ClientTimeout] = {}

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        """Make the pools. `tls` overrides the certificate authorities."""
        if self._names is not None:
            await self._names.open()
        self._pooled = self._session(tls, keepalive_timeout=self._config.keepalive_ms / 1000)
        self._fresh = self._session(tls, force_close=True)

    def _session(self, tls: ssl.SSLContext | None, **options: object) -> aiohttp.ClientSession:
        connector = GuardedConnector(
            connect_seconds=self._connect_seconds,
            tls_seconds=self._tls_seconds,
            resolver=GuardedResolver(self._rules, self._connect_seconds, self._lookup, self._names),
            # Name servers of one's own are remembered by their records' TTL, not by the pool.
            use_dns_cache=self._names is None,
            limit=self._config.max_connections,
            ssl=tls or True,
            timeout_ceil_threshold=float("inf"),
            **options,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
        )

    async def close(self) -> None:
        """Close every connection; calls in flight end as outcomes."""
        sessions = [session for session in (self._pooled, self._fresh) if session is not None]
        self._pooled = self._fresh = None
        for session in sessions:
            await session.close()
        if self._names is not None:
            await self._names.close()

    async def post(
        self, url: URL, headers: Mapping[str, str], content: bytes, *, timeout_ms: int, fresh: bool
    ) -> Reply | Outcome:
        """Send one POST, once. A reply (any status), or the outcome where there is none.

        Raises only CancelledError, where the calling task was cancelled; its connection is closed then.
        """
        session = self._fresh if fresh else self._pooled
        return await self._send(session, hdrs.METH_POST, url, headers, content, timeout_ms)

    async def get(self, url: URL, headers: Mapping[str, str], *, timeout_ms: int) -> Reply | Outcome:
        """Send one GET, once, over a connection of its own. Else as `post`."""
        return await self._send(self._fresh, hdrs.METH_GET, url, headers, b"", timeout_ms)

    async def connect(self, url: URL, *, timeout_ms: int) -> Outcome:
        """Open a connection as a call to `url` would (name, addresses, TCP, TLS), and close it unused.

        Success, or what a call would have ended in. Raises only CancelledError.
        """
        session = self._fresh
        if session is None or session.connector is None:
            return outcomes.closed()
        try:
            async with Patience(timeout_ms / 1000):
                request = aiohttp.ClientRequest(
                    hdrs.METH_HEAD, url, loop=asyncio.get_running_loop(), session=session
                )
                connection = await session.connector.connect(request, [], self._timeout(timeout_ms))
                connection.close()
                return succeeded(None)
        except asyncio.CancelledError as problem:
            return self._when_cancelled(problem, written=False)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as problem:
            return outcomes.from_exception(problem, written=False)

    async def _send(
        self,
        session: aiohttp.ClientSession | None,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        content: bytes,
        timeout_ms: int,
    ) -> Reply | Outcome:
        if session is None:
            return outcomes.closed()
        body = RequestBody(content)
        response: aiohttp.ClientResponse | None = None
        try:
            async with Patience(timeout_ms / 1000):
                response = await session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=self._timeout(timeout_ms),
                )
                return await self._read(response)
        except asyncio.CancelledError as problem:
            return self._when_cancelled(problem, written=body.written)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as problem:
            if response is not None:
                broken = Broken.LATE if isinstance(problem, TimeoutError) else Broken.TRUNCATED
                return Reply(response.status, response.headers, b"", broken)
            # ValueError: a header that HTTP cannot carry. RuntimeError: the session was closed.
            return outcomes.from_exception(problem, written=body.written)

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        limit = self._config.max_response_bytes
        body, broken = b"", None
        try:
            length = response.content_length
            if length is not None and length <= limit:
                body = await response.read()
            elif length is not None:
                broken = Broken.TOO_LARGE
            else:
                body, broken = await _read_up_to(limit, response)
        except BaseException:
            response.close()
            raise
        if broken is None:
            response.release()
        else:
            response.close()
        return Reply(response.status, response.headers, body, broken)

    def _timeout(self, timeout_ms: int) -> aiohttp.ClientTimeout:
        """The limit of what lies before a connection is in hand; that of the whole call is Patience's."""
        timeout = self._timeouts.get(timeout_ms)
        if timeout is None:
            if len(self._timeouts) >= _MANY_TIMEOUTS:
                self._timeouts.clear()
            timeout = aiohttp.ClientTimeout(
                total=None,
                connect=min(timeout_ms / 1000, self._connect_seconds + self._tls_seconds),
                ceil_threshold=float("inf"),  # aiohttp rounds longer limits up to whole seconds otherwise
            )
            self._timeouts[timeout_ms] = timeout
        return timeout

    @staticmethod
    def _when_cancelled(problem: asyncio.CancelledError, *, written: bool) -> Outcome:
        """Tell a cancelled caller from a pool that closed under a call that waited for a connection."""
        task = asyncio.current_task()
        if task is None or task.cancelling() or written:
            raise problem
        return outcomes.closed()


async def _read_up_to(limit: int, response: aiohttp.ClientResponse) -> tuple[bytes, Broken | None]:
    """The body of a response that does not say its length, and whether it went over the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            return b"", Broken.TOO_LARGE
        chunks.append(chunk)
    return b"".join(chunks), None
