"""Entra tokens from azure-identity's default credential, fetched in a thread."""

import os
import time
from collections.abc import Callable
from typing import Any, Self

from adapters.providers.wire.fresh import Fetched, ahead_of
from adapters.providers.wire.reach import Reach
from adapters.providers.wire.vendor import load

FETCH_SECONDS = 10


class EntraTokens:
    """`fetch` fits `Fresh`; `reach` is told whether Entra answers."""

    def __init__(self, scope: str, reach: Reach, clock: Callable[[], float] = time.time) -> None:
        self._scope = scope
        self._reach = reach
        self._clock = clock

    def fetch(self, force: bool) -> Fetched[str]:  # noqa: ARG002  a new credential has no cache to go around
        """A token for the scope. Raises what azure-identity raises."""
        limits = {"connection_timeout": FETCH_SECONDS, "read_timeout": FETCH_SECONDS}
        with load("azure.core.pipeline.transport").RequestsTransport(**limits) as transport:
            credential = load("azure.identity").DefaultAzureCredential(
                process_timeout=FETCH_SECONDS, transport=_Transport(transport, self._reach), **limits
            )
            with credential:
                token = credential.get_token(self._scope)
        expires_at = float(token.expires_on)
        return Fetched(str(token.token), expires_at, ahead_of(expires_at, self._clock()))


class _Unreached(Exception):
    """Entra gave no answer. No AzureError: those are tried ten times over many minutes by azure-core, while
    calls wait; the next fetch is soon enough.
    """


class _Transport:
    """azure-core's transport, lent to every credential of the chain: its owner opens and closes it.

    It notes what requests to Entra came to: the chain tells every failure in the same words.
    """

    def __init__(self, transport: Any, reach: Reach) -> None:
        self._transport = transport
        self._reach = reach
        errors = load("azure.core.exceptions")
        self._unanswered = (errors.ServiceRequestError, errors.ServiceResponseError)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It is its owner's."""

    def open(self) -> None:
        """It is open."""

    def close(self) -> None:
        """It is its owner's."""

    def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        self._transport.sleep(seconds)

    def send(self, request: Any, **options: Any) -> Any:
        """Send one request. Raises what the transport raises, and `_Unreached`."""
        if not _is_entras(request.url):
            return self._transport.send(request, **options)
        with self._reach.asking(_Unreached):
            try:
                return self._transport.send(request, **options)
            except self._unanswered as problem:
                raise _Unreached(type(problem).__name__) from None


def _is_entras(url: str) -> bool:
    """Whether a request leaves the machine: Entra is https always, identity endpoints of machines are http
    or named by the environment.
    """
    own = os.environ.get("IDENTITY_ENDPOINT")
    return url.startswith("https:") and not (own and url.startswith(own))
