"""Entra tokens from azure-identity's default credential, fetched in a thread."""

import time
from collections.abc import Callable

from adapters.providers.wire.fresh import Fetched, ahead_of
from adapters.providers.wire.vendor import load

FETCH_SECONDS = 10


class EntraTokens:
    """`fetch` fits `Fresh`."""

    def __init__(self, scope: str, clock: Callable[[], float] = time.time) -> None:
        self._scope = scope
        self._clock = clock

    def fetch(self, force: bool) -> Fetched[str]:  # noqa: ARG002  a new credential has no cache to go around
        """A token for the scope. Raises what azure-identity raises."""
        credential = load("azure.identity").DefaultAzureCredential(
            process_timeout=FETCH_SECONDS, connection_timeout=FETCH_SECONDS, read_timeout=FETCH_SECONDS
        )
        with credential:
            token = credential.get_token(self._scope)
        expires_at = float(token.expires_on)
        return Fetched(str(token.token), expires_at, ahead_of(expires_at, self._clock()))
