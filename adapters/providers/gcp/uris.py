"""The URIs of functions by name: asked of the Cloud Functions API ahead of the first call, and kept.

Where the API is down or forbidden, calls go to the URL that can be known without asking.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.functions import FunctionKey, trusted_uri
from adapters.providers.gcp.tokens import FETCH_SECONDS
from adapters.providers.wire.origins import Location, Origin
from adapters.providers.wire.threads import in_thread
from adapters.providers.wire.vendor import load

log = logging.getLogger("sidestep.providers")

KEPT_SECONDS = 24 * 3600.0
"""A kept URI is asked for again after a day. It is used meanwhile."""

_AT_ONCE = 4
_MANY = 10_000


class Facts(Protocol):
    """Small values that outlive the process (the store port has these two)."""

    async def get_fact(self, key: str) -> bytes | None:
        """What was kept under `key`, or None."""
        ...

    async def put_fact(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`."""
        ...


class _Kept(msgspec.Struct, frozen=True):
    uri: str
    at: float


class Uris:
    """What is known, in memory and in the store."""

    def __init__(
        self,
        config: GcpConfig,
        origins: frozenset[Origin],
        facts: Facts | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._origins = origins
        self._facts = facts
        self._clock = clock
        self._known: dict[FunctionKey, tuple[Location, float]] = {}
        self._asked: dict[FunctionKey, float] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def get(self, key: FunctionKey) -> Location | None:
        """What is known of `key`, at once."""
        known = self._known.get(key)
        return known[0] if known else None

    def forget(self, key: FunctionKey) -> None:
        """The function was not found at its URI: use the other URL until the API is asked again."""
        self._known.pop(key, None)

    async def learn(self, keys: Iterable[FunctionKey]) -> None:
        """Know these where that is possible; raises nothing."""
        await asyncio.gather(*(self._learn(key) for key in dict.fromkeys(keys)))

    async def _learn(self, key: FunctionKey) -> None:
        known = self._known.get(key) or await self._recall(key)
        now = self._clock()
        if known is not None and now - known[1] < KEPT_SECONDS:
            return
        if now - self._asked.get(key, float("-inf")) < FETCH_SECONDS * _AT_ONCE:
            return  # asked a moment ago, without success
        if len(self._asked) >= _MANY:
            self._asked.clear()
        self._asked[key] = now
        try:
            async with self._slots:
                text = await in_thread(lambda: self._ask(key), name="gcp-uri")
        except Exception as problem:  # noqa: BLE001  Google's libraries raise what they like; calls go on
            log.warning("the URI of %s could not be asked for (%s)", key.resource, type(problem).__name__)
            return
        location = trusted_uri(text, self._origins)
        if location is None:
            log.warning("the Cloud Functions API names a URI for %s that is not used", key.resource)
            return
        self._keep(key, location, now)
        if self._facts is not None:
            with contextlib.suppress(Exception):  # a store that is away costs another question later
                await self._facts.put_fact(_fact(key), msgspec.json.encode(_Kept(str(location), now)))

    async def _recall(self, key: FunctionKey) -> tuple[Location, float] | None:
        if self._facts is None:
            return None
        try:
            value = await self._facts.get_fact(_fact(key))
            kept = msgspec.json.decode(value, type=_Kept) if value else None
        except Exception as problem:  # noqa: BLE001  a store that is away is as good as an empty one here
            log.warning("the URI of %s could not be recalled (%s)", key.resource, type(problem).__name__)
            return None
        location = trusted_uri(kept.uri, self._origins) if kept else None
        if kept is None or location is None:
            return None
        self._keep(key, location, kept.at)
        return location, kept.at

    def _keep(self, key: FunctionKey, location: Location, at: float) -> None:
        if len(self._known) >= _MANY:
            self._known.clear()
        self._known[key] = (location, at)

    def _ask(self, key: FunctionKey) -> str:
        service = load("google.cloud.functions_v2").FunctionServiceClient
        endpoint = self._config.functions_endpoint
        options: dict[str, Any] = {"credentials": self._credentials()}
        if endpoint is not None:
            scheme, _, host = endpoint.rstrip("/").partition("://")
            options |= {"host": host, "url_scheme": scheme}
        transport = service.get_transport_class("rest")(**options)
        try:
            function = service(transport=transport).get_function(
                name=key.resource, retry=None, timeout=FETCH_SECONDS
            )
        finally:
            transport.close()
        return str(function.service_config.uri or function.url)

    def _credentials(self) -> Any:
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        if self._config.auth == "none":
            return load("google.auth.credentials").AnonymousCredentials()
        if self._config.credentials_file is not None:
            return load("google.oauth2.service_account").Credentials.from_service_account_file(
                self._config.credentials_file, scopes=scopes
            )
        return load("google.auth").default(scopes=scopes)[0]


def _fact(key: FunctionKey) -> str:
    return f"gcp-uri:{key.project}/{key.location}/{key.name}"
