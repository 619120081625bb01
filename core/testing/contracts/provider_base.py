"""What the parts of the provider contract share: what a binding says of its cloud, and helpers."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Call, Provider
from core.testing.contracts.provider_server import Answer, ProviderServer, Seen

Lookup = Callable[[str, int, int], Sequence[str]]

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LIMIT_BYTES = 64 * 1024
SOON_SECONDS = 5.0


class ProviderCases(ABC):
    """A binding gives the four abstract methods, and `probe_asks`."""

    @abstractmethod
    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: int
    ) -> Provider:
        """An unopened provider whose functions live under `base_url`.

        `lookup(host, port, family)` replaces name resolution; the origins in `private` may be private.
        `limits`: connect_timeout_ms, tls_timeout_ms, max_response_bytes, max_connections.
        """

    @abstractmethod
    def target(self, base_url: str) -> Target:
        """A target that `provider(base_url)` can call."""

    @abstractmethod
    def function_error(self, name: str, message: str) -> Answer:
        """The answer of a function that ran and failed by itself."""

    @abstractmethod
    def metadata(self, seen: Seen) -> Mapping[str, str]:
        """The metadata that reached the function, by lower-case header name."""

    # ---- helpers

    @contextlib.asynccontextmanager
    async def _open(self, base_url: str, **options: Any) -> AsyncIterator[Provider]:
        settings: dict[str, Any] = {"max_response_bytes": LIMIT_BYTES, **options}
        provider = self.provider(base_url, **settings)
        await provider.open()
        try:
            yield provider
        finally:
            await provider.close()

    @contextlib.asynccontextmanager
    async def _running(self, **options: Any) -> AsyncIterator[tuple[ProviderServer, Provider]]:
        async with ProviderServer().running() as server, self._open(server.url, **options) as provider:
            yield server, provider

    def _call(self, base_url: str, payload: Any = None, **changes: Any) -> Call:
        values: dict[str, Any] = {
            "target": self.target(base_url),
            "payload": {"hello": "world"} if payload is None else payload,
            "idempotency_key": "exec-1/charge/1",
            "attempt": 3,
            "timeout_ms": 5_000,
            "not_after_ms": 1_763_689_200_123,
            "traceparent": TRACEPARENT,
            **changes,
        }
        return Call(**values)

    @staticmethod
    def _is(outcome: Outcome, executed: Executed, scope: Scope, signal: str) -> None:
        assert not outcome.ok
        assert (outcome.executed, outcome.scope, outcome.signal) == (executed, scope, signal), outcome
        assert outcome.error.startswith("Sidestep.")
        assert outcome.cause
