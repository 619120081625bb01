"""The GCP provider."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from yarl import URL

from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.errors import classify
from adapters.providers.gcp.functions import (
    FunctionKey,
    audience_of,
    belongs_to,
    is_googles,
    is_location,
    is_name,
    is_project,
)
from adapters.providers.gcp.tokens import FETCH_SECONDS, IdTokens
from adapters.providers.gcp.uris import Facts, Uris
from adapters.providers.wire import outcomes
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.metadata import metadata_headers, plain_headers
from adapters.providers.wire.origins import (
    BadUrl,
    Location,
    Origin,
    parse_base,
    parse_origin,
    parse_url,
)
from adapters.providers.wire.provider import Request, WireProvider
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from core.errors import ConfigurationError
from core.failover.outcome import Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Call

log = logging.getLogger("sidestep.providers")

PREPARE_SECONDS = 2.0
"""How long `prepare` waits (a registration waits with it); what it began goes on in the background."""
_MANY_PLACES = 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call goes, and the audience of its token (None: no token is sent there)."""

    endpoint: Endpoint
    audience: str | None


@dataclass(frozen=True, slots=True)
class _Route:
    place: _Place
    key: FunctionKey | None
    """Set where the Cloud Functions API may know a better place."""


class GcpProvider(WireProvider[_Route]):
    """Calls HTTP functions and Cloud Run services.

    An ID token names the one URL that it is good for, and is sent to that URL only; over plain http only to
    loopback and to private origins.
    """

    name = "GCP"

    def __init__(
        self,
        config: GcpConfig,
        *,
        facts: Facts | None = None,
        lookup: Lookup = system_lookup,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigurationError."""
        super().__init__(config.wire, lookup=lookup)
        self._config = config
        if config.project is not None and not is_project(config.project):
            raise ConfigurationError("GCP: the project is not a project's id.")
        if config.location is not None and not is_location(config.location):
            raise ConfigurationError("GCP: the location is not the name of one, like europe-west1.")
        try:
            self._base = parse_base(config.base_url) if config.base_url else None
            self._origins = frozenset(parse_origin(text) for text in config.origins)
        except BadUrl as problem:
            raise ConfigurationError(f"GCP base_url or origins: {problem}.") from None
        self._clock = clock
        self._facts = facts
        self._tokens: IdTokens | None = None
        self._uris: Uris | None = None
        self._places: dict[Location, _Place] = {}
        self._learning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Make connections. Tokens are fetched for targets as `prepare` or the first call names them."""
        await super().open()
        if self._config.auth != "none":
            self._tokens = IdTokens(self._config.credentials_file, self._clock)
        if self._config.resolve and self._base is None:
            self._uris = Uris(self._config, self._origins, self._facts, self._clock)

    async def close(self) -> None:
        """Stop refreshing and close every connection."""
        for task in tuple(self._learning):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._tokens is not None:
            await self._tokens.close()
        await super().close()

    def _sends_token(self, origin: Origin) -> bool:
        """Whether calls to `origin` bear a token at all (see `GcpConfig.auth`)."""
        config = self._config
        if config.auth == "none" or not self._rules.may_carry_secrets(origin):
            return False
        return config.auth == "adc" or config.credentials_file is not None or is_googles(origin)

    def _place(self, location: Location) -> _Place:
        place = self._places.get(location)
        if place is None:
            if len(self._places) >= _MANY_PLACES:
                self._places.clear()
            audience = None
            if self._sends_token(location.origin):
                ours = not is_googles(location.origin)
                audience = (self._config.audience if ours else None) or audience_of(location)
            place = self._places[location] = _Place(
                Endpoint.of(URL(str(location), encoded=True), plain_headers()), audience
            )
        return place

    def _route(self, target: Target) -> _Route | str:
        name = target.function_id
        if "://" in name:
            return self._url_route(name)
        if not is_name(name):
            return "GCP: the functionId is neither a function's name nor a URL."
        location = target.region or self._config.location
        if location is not None and not is_location(location):
            return "GCP: the region is not the name of a location, like europe-west1."
        if self._base is not None:
            return _Route(self._place(Location(self._base.origin, f"{self._base.path}/{name}")), None)
        if self._config.project is None or location is None:
            return (
                "GCP: a function by name needs the project and a location; set "
                "SIDESTEP_PROVIDERS__GCP__PROJECT and SIDESTEP_PROVIDERS__GCP__LOCATION."
            )
        key = FunctionKey(self._config.project, location, name)
        return _Route(self._place(parse_url(key.url)), key)

    def _url_route(self, text: str) -> _Route | str:
        try:
            location = parse_url(text)
        except BadUrl as problem:
            return f"GCP: {problem}."
        own_base = (
            self._base is not None
            and location.origin == self._base.origin
            and location.path.startswith(f"{self._base.path}/")
        )
        if own_base or location.origin in self._origins or belongs_to(location.origin, self._config.project):
            return _Route(self._place(location), None)
        return (
            f"GCP: {location.origin} is not a configured origin; add it to providers.gcp.origins "
            "if calls may go there."
        )

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Learn the URIs and fetch the tokens of these targets, for at most 2 s. Raises nothing."""
        task = asyncio.get_running_loop().create_task(self._prepare(targets), name="prepare GCP")
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)
        await asyncio.wait({task}, timeout=PREPARE_SECONDS)

    async def _prepare(self, targets: tuple[Target, ...]) -> None:
        try:
            await self._learn(targets)
        except Exception:
            # Preparing is a courtesy; calls do without.
            log.exception("GCP: preparing ended in an internal error")

    async def _learn(self, targets: tuple[Target, ...]) -> None:
        routes = [route for target in targets if not isinstance(route := self._routed(target), str)]
        if self._uris is not None:
            await self._uris.learn(route.key for route in routes if route.key is not None)
        if self._tokens is not None:
            audiences = {self._present(route).audience for route in routes} - {None}
            await asyncio.gather(
                *(self._tokens.of(text).get(FETCH_SECONDS) for text in audiences if text is not None)
            )

    def _present(self, route: _Route) -> _Place:
        """The best place that is known now."""
        if route.key is not None and self._uris is not None:
            location = self._uris.get(route.key)
            if location is not None:
                return self._place(location)
        return route.place

    async def _request(self, call: Call, route: _Route, content: bytes) -> Request | Outcome:  # noqa: ARG002  nothing is signed
        place = self._present(route)
        headers = metadata_headers(call)
        if place.audience is None:
            return Request(place.endpoint, headers)
        if self._tokens is None:
            return outcomes.closed()
        fresh = self._tokens.of(place.audience)
        seconds = call.timeout_ms / 1000
        token = fresh.current or await fresh.get(seconds)
        if token is None and self._tokens.reach.gone(seconds):
            return outcomes.token_unreachable("GCP: the service that issues ID tokens cannot be reached")
        if token is None:
            return outcomes.no_credentials("GCP: no ID token could be fetched for this function")
        headers["Authorization"] = f"Bearer {token}"
        return Request(place.endpoint, headers, (token,), (fresh, token))

    async def _probe(self, route: _Route, timeout_ms: int) -> Outcome:
        """A connection, resolved, checked and encrypted as a call's, and closed unused.

        No request: Google's front end hands every path and method of a function's host to the
        function, and has no dry run. So this shows that the front end is there, and no more.
        """
        return await self._client.connect(self._present(route).endpoint, timeout_ms=timeout_ms)

    def _classify(self, reply: Reply, request: Request, route: _Route) -> Outcome:
        outcome = classify(reply, request.secrets)
        if outcome.scope is Scope.CREDENTIALS and request.credential is not None:
            fresh, token = request.credential
            return msgspec.structs.replace(outcome, retry_here=fresh.refuse(token))
        if outcome.signal == "not-deployed" and route.key is not None and self._uris is not None:
            self._uris.forget(route.key)
        return outcome
