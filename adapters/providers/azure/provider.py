"""The AZURE provider."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from yarl import URL

from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.errors import APP_STOPPED, ROWS
from adapters.providers.azure.tokens import EntraTokens
from adapters.providers.wire import outcomes, platform
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.fresh import Fresh
from adapters.providers.wire.metadata import metadata_headers, plain_headers
from adapters.providers.wire.origins import BadUrl, Location, parse_base
from adapters.providers.wire.provider import Request, WireProvider
from adapters.providers.wire.reach import Reach
from adapters.providers.wire.reply import FIRST_SERVER_ERROR, Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from adapters.providers.wire.rows import first_match
from core.errors import ConfigurationError
from core.failover.outcome import Outcome, Scope, succeeded
from core.graph.model import Target
from core.ports.provider import Call

_OPEN_SECONDS = 5.0
_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
_ROUTE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(rf"(?:{_SEGMENT}(?:/{_SEGMENT})*)?")
_KEY = re.compile(r"[\x21-\x7e]+")
_MAX_ROUTE = 256


@dataclass(frozen=True, slots=True)
class _Route:
    endpoint: Endpoint
    root: URL
    secrets: tuple[str, ...] = field(repr=False)


class AzureProvider(WireProvider[_Route]):
    """Calls HTTP-triggered functions by their route. Keys and tokens go to the configured apps only."""

    name = "AZURE"

    def __init__(
        self, config: AzureConfig, *, lookup: Lookup = system_lookup, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigurationError."""
        super().__init__(config.wire, lookup=lookup)
        self._config = config
        self._clock = clock
        self._fresh: Fresh[str] | None = None
        self._reach = Reach()
        try:
            self._base = parse_base(config.base_url) if config.base_url else None
            self._apps = {region: parse_base(url) for region, url in config.apps.items()}
        except BadUrl as problem:
            raise ConfigurationError(f"AZURE base_url or apps: {problem}.") from None
        if self._base is None and not self._apps:
            raise ConfigurationError(
                "AZURE: set SIDESTEP_PROVIDERS__AZURE__BASE_URL to the function app's URL."
            )
        if not _PREFIX.fullmatch(config.route_prefix):
            raise ConfigurationError("AZURE: the route_prefix is not a path like api.")
        for key in (config.function_key, *config.function_keys.values()):
            if key is not None and not _KEY.fullmatch(key):
                raise ConfigurationError("AZURE: a function key holds characters that keys never hold.")
        if config.function_key or config.function_keys or config.entra_scope:
            for base in (self._base, *self._apps.values()):
                if base is not None:
                    self._refuse_plain_http(base.origin)

    async def open(self) -> None:
        """Make connections, and look for a token for 5 s at most; it is looked for further on."""
        await super().open()
        if self._config.entra_scope is not None:
            self._fresh = Fresh(
                EntraTokens(self._config.entra_scope, self._reach, self._clock).fetch,
                name="Entra token",
                clock=self._clock,
            )
            self._fresh.start()
            await self._fresh.get(_OPEN_SECONDS)

    async def close(self) -> None:
        """Stop refreshing and close every connection."""
        if self._fresh is not None:
            await self._fresh.close()
        await super().close()

    def _route(self, target: Target) -> _Route | str:
        name = target.function_id
        if len(name) > _MAX_ROUTE or not _ROUTE.fullmatch(name):
            return "AZURE: the functionId is not a function's route, like charge or orders/charge."
        base: Location | None = self._base
        if target.region is not None and self._apps:
            base = self._apps.get(target.region)
        if base is None:
            return "AZURE: no function app is configured for this region; add it to providers.azure.apps."
        prefix = f"/{self._config.route_prefix}" if self._config.route_prefix else ""
        url = URL(f"{base.origin}{base.path}{prefix}/{name}", encoded=True)
        keys = self._config.function_keys
        key = keys.get(f"{target.region}/{name}") or keys.get(name) or self._config.function_key
        root = URL(f"{base.origin}{base.path}/", encoded=True)
        fixed = plain_headers() if key is None else plain_headers() | {"x-functions-key": key}
        return _Route(Endpoint.of(url, fixed), root, () if key is None else (key,))

    async def _request(self, call: Call, route: _Route, content: bytes) -> Request | Outcome:  # noqa: ARG002  nothing is signed
        headers = metadata_headers(call)
        if self._fresh is None:
            return Request(route.endpoint, headers, route.secrets)
        seconds = call.timeout_ms / 1000
        token = self._fresh.current or await self._fresh.get(seconds)
        if token is None and self._reach.gone(seconds):
            return outcomes.token_unreachable("AZURE: Entra, which issues the tokens, cannot be reached")
        if token is None:
            return outcomes.no_credentials("AZURE: no Entra token could be fetched")
        headers["Authorization"] = f"Bearer {token}"
        return Request(route.endpoint, headers, (*route.secrets, token), token)

    async def _probe(self, route: _Route, timeout_ms: int) -> Outcome:
        """GET the function app's root page, which the host answers itself: functions live under the prefix.

        Any answer below 500 shows that the app's front end and host are there, except that of an app that
        its owner stopped. Neither key nor token is sent: the page needs none.
        """
        reply = await self._client.get(route.root, plain_headers(), timeout_ms=timeout_ms)
        if isinstance(reply, Outcome):
            return reply
        if reply.status < FIRST_SERVER_ERROR and not APP_STOPPED.means(reply):
            return succeeded(None)
        return first_match(ROWS, reply).outcome(reply, ())

    def _classify(self, reply: Reply, request: Request, route: _Route) -> Outcome:  # noqa: ARG002  same for all
        outcome = platform.classify(reply, ROWS, request.secrets)
        if outcome.scope is Scope.CREDENTIALS and self._fresh is not None:
            renewed = self._fresh.refuse(request.credential)
            return msgspec.structs.replace(outcome, retry_here=renewed)
        return outcome
