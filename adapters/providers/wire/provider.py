"""The part of a provider that is the same for all: routes, encoding, one send, and never raising."""

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from yarl import URL

from adapters.providers.wire import outcomes
from adapters.providers.wire.accepting import followed, still, taken
from adapters.providers.wire.client import WireClient, WireConfig
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.metadata import OF_AN_ATTEMPT
from adapters.providers.wire.origins import BadUrl, Origin, address_rules
from adapters.providers.wire.payload import NotJson, encode
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from adapters.providers.wire.threads import in_thread
from core.errors import ConfigurationError
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Call, Provider

R = TypeVar("R")

log = logging.getLogger("sidestep.providers")

_MANY_ROUTES = 10_000


class Request(msgspec.Struct, frozen=True):
    """What is sent: where to, with which headers beside the endpoint's own, and which values are secret.

    `credential` is what was used, as the subclass that made it knows it (to refuse it later).
    """

    endpoint: Endpoint
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    credential: Any = None

    @property
    def url(self) -> URL:
        """The URL as it goes on the wire."""
        return self.endpoint.url

    def __repr__(self) -> str:
        """Without headers, query and secrets."""
        return f"Request({self.url.with_query(None)!s})"


class WireProvider(Provider, ABC, Generic[R]):
    """A provider over `WireClient`. A subclass says how a target is addressed (`R`, its route), what the
    request is, and what an answer means.
    """

    def __init__(self, wire: WireConfig, *, lookup: Lookup = system_lookup) -> None:
        """Raises ConfigurationError where `wire` cannot work."""
        try:
            self._rules = address_rules(wire.allow_private_origins)
        except BadUrl as problem:
            raise ConfigurationError(f"allow_private_origins of {self.name}: {problem}.") from None
        self._wire = wire
        try:
            self._client = WireClient(wire, self._rules, lookup)
        except ValueError as problem:
            raise ConfigurationError(f"nameservers of {self.name}: {problem}.") from None
        self._routes: dict[Target, R | str] = {}

    async def open(self) -> None:
        """Make the connection pools. Raises ConfigurationError."""
        await self._client.open(await in_thread(self._tls, name="tls") if self._wire.ca_file else None)

    async def close(self) -> None:
        """Close every connection; calls in flight end as outcomes."""
        await self._client.close()

    def check(self, target: Target) -> str | None:
        """Why this target can never be called from here, in a sentence; None where it can."""
        route = self._routed(target)
        return route if isinstance(route, str) else None

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Nothing to resolve, unless a subclass says otherwise."""

    async def invoke(self, call: Call) -> Outcome:
        """Send one attempt, once. Raises only CancelledError."""
        route = self._routed(call.target)
        if isinstance(route, str):
            return outcomes.refused(route)
        try:
            content = encode(call.payload)
        except NotJson as problem:
            return outcomes.unsendable(str(problem))
        written = False
        try:
            loop = asyncio.get_running_loop()
            started = loop.time()
            request = await self._request(call, route, content)
            if isinstance(request, Outcome):
                return request
            if call.callback_token is not None:
                # Pages that repeat what they were sent must not bring it into the journal.
                request = msgspec.structs.replace(request, secrets=(*request.secrets, call.callback_token))
            spent_ms = int((loop.time() - started) * 1000)
            if spent_ms >= call.timeout_ms:
                return outcomes.no_credentials("the attempt's time was over before it could be sent")
            written = True
            reply = await self._client.post(
                request.endpoint,
                request.headers,
                content,
                timeout_ms=call.timeout_ms - spent_ms,
                fresh=call.fresh_connection,
            )
            if isinstance(reply, Outcome):
                return reply
            outcome = self._classify(reply, request, route)
            return outcome if call.awaits == "answer" else taken(call.awaits, reply, outcome, request.url)
        except Exception:
            # A fault of ours. The port promises an outcome, and what is not known counts as MAYBE.
            where = call.target.function_id.partition("?")[0]  # a query can hold a key
            log.exception("%s: a call of %s ended in an internal error", self.name, where)
            return _fault(Executed.MAYBE if written else Executed.NO)

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:
        """Ask for the result of an accepted call, with a GET. Raises only CancelledError."""
        route = self._routed(target)
        if isinstance(route, str):
            return outcomes.refused(route)
        try:
            request = await self._request(_question(target, timeout_ms), route, b"")
            if isinstance(request, Outcome):
                return request
            url = URL(followed(request.url, location), encoded=True)
            every = {**request.endpoint.fixed, **request.headers}
            headers = {name: value for name, value in every.items() if name not in OF_AN_ATTEMPT}
            reply = await self._client.get(url, headers, timeout_ms=timeout_ms)
            if isinstance(reply, Outcome):
                return reply
            return still(reply, self._classify(reply, request, route))
        except BadUrl as problem:
            return outcomes.refused(f"{self.name}: the Location of an accepted call: {problem}.")
        except Exception:
            log.exception("%s: a question for a result ended in an internal error", self.name)
            return _fault(Executed.NO)

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:
        """Whether `target` can be reached; runs no function. Raises only CancelledError."""
        route = self._routed(target)
        if isinstance(route, str):
            return outcomes.refused(route)
        try:
            return outcomes.of_probe(await self._probe(route, timeout_ms))
        except Exception:
            log.exception("%s: a probe ended in an internal error", self.name)
            return outcomes.of_probe(_fault(Executed.NO))

    def _routed(self, target: Target) -> R | str:
        route = self._routes.get(target)
        if route is None:
            if len(self._routes) >= _MANY_ROUTES:
                self._routes.clear()
            route = self._routes[target] = self._route(target)
        return route

    def _refuse_plain_http(self, origin: Origin) -> None:
        """Raise ConfigurationError where secrets would travel to `origin` in the clear."""
        if not self._rules.may_carry_secrets(origin):
            raise ConfigurationError(
                f"{self.name}: {origin} is not https, and keys and tokens are not sent in the clear; "
                "on a private network, list it in allow_private_origins."
            )

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._wire.ca_file)
        except OSError as problem:
            raise ConfigurationError(
                f"{self.name}: the certificate authority file (ca_file) cannot be read: "
                f"{problem.strerror or 'not a certificate'}."
            ) from None

    @abstractmethod
    def _route(self, target: Target) -> R | str:
        """How `target` is addressed, or why it never can be. Pure; asked once a target."""

    @abstractmethod
    async def _request(self, call: Call, route: R, content: bytes) -> Request | Outcome:
        """What to send. Waits only where there is no usable credential yet."""

    @abstractmethod
    def _classify(self, reply: Reply, request: Request, route: R) -> Outcome:
        """What an answer means."""

    @abstractmethod
    async def _probe(self, route: R, timeout_ms: int) -> Outcome:
        """The cheapest thing that shows whether the target can be reached, and that runs no function."""


def _question(target: Target, timeout_ms: int) -> Call:
    """What credentials are made for: a call of nothing, of which only they are sent."""
    return Call(
        target=target,
        payload=None,
        idempotency_key="",
        attempt=0,
        timeout_ms=timeout_ms,
        not_after_ms=0,
        traceparent="",
    )


def _fault(executed: Executed) -> Outcome:
    return Outcome(
        executed=executed,
        scope=Scope.PROVIDER,
        signal="adapter-fault",
        error="Sidestep.InternalError",
        cause="an internal error of the provider's adapter; the server's log has it",
    )
