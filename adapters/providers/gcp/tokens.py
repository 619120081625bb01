"""OIDC ID tokens, one an audience, fetched by google-auth in threads and replaced ahead of time."""

import asyncio
import datetime as dt
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from adapters.providers.wire.fresh import Fetched, Fresh, ahead_of
from adapters.providers.wire.reach import Reach
from adapters.providers.wire.vendor import load

MAX_AUDIENCES = 1_000
FETCH_SECONDS = 5.0
"""How long one request to a token service may take."""
_AT_ONCE = 8
_METADATA: Final = "/computeMetadata/"
"""In the path of every question to the metadata server: the machine's own, it says nothing of GCP."""


class IdTokens:
    """Tokens by audience. Open within the event loop; the least recently used go when there are too many."""

    def __init__(self, credentials_file: str | None, clock: Callable[[], float] = time.time) -> None:
        self._file = credentials_file
        self._clock = clock
        self._fresh: OrderedDict[str, Fresh[str]] = OrderedDict()
        self._retired: list[Fresh[str]] = []
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.reach = Reach()
        """Of the token service, one for all audiences: who waits for a turn learns from those before it."""

    def of(self, audience: str) -> Fresh[str]:
        """The token for `audience`; its first fetch starts with the first question."""
        fresh = self._fresh.get(audience)
        if fresh is None:
            fresh = Fresh(
                lambda _: self._fetch(audience), name="GCP ID token", clock=self._clock, gate=self._gate
            )
            fresh.start()
            self._fresh[audience] = fresh
            if len(self._fresh) > MAX_AUDIENCES:
                _, oldest = self._fresh.popitem(last=False)
                oldest.stop()
                self._retired = [*(one for one in self._retired if not one.stopped), oldest]
        else:
            self._fresh.move_to_end(audience)
        return fresh

    async def close(self) -> None:
        """Stop fetching."""
        for fresh in (*self._fresh.values(), *self._retired):
            await fresh.close()
        self._fresh.clear()
        self._retired.clear()

    def _fetch(self, audience: str) -> Fetched[str]:
        with load("requests").Session() as session:
            request = bounded_request(session)
            if self._file is not None:
                service_account = load("google.oauth2.service_account")
                credentials = service_account.IDTokenCredentials.from_service_account_file(
                    self._file, target_audience=audience
                )
            else:
                id_token = load("google.oauth2.id_token")
                credentials = id_token.fetch_id_token_credentials(audience, request=request)
            credentials.refresh(self._noted(request))
        expires_at = credentials.expiry.replace(tzinfo=dt.UTC).timestamp()
        return Fetched(str(credentials.token), expires_at, ahead_of(expires_at, self._clock()))

    def _noted(self, request: Any) -> Any:
        """`request`, which tells `reach` of what it came to."""
        unanswered = load("google.auth.exceptions").TransportError

        def noted(url: str, **options: Any) -> Any:
            if _METADATA in url:
                return request(url, **options)
            with self.reach.asking(unanswered):
                return request(url, **options)

        return noted


def bounded_request(session: Any) -> Any:
    """google-auth's way to make requests, each bounded by `FETCH_SECONDS` (its own default is 120 s)."""
    request = load("google.auth.transport.requests").Request(session)

    def bounded(url: str, **options: Any) -> Any:
        options["timeout"] = FETCH_SECONDS
        return request(url, **options)

    return bounded
