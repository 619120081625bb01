"""The HTTP provider passes the contract."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup, ProviderContract
from core.testing.contracts.provider_server import Answer, Seen, json_answer


class TestHttp(ProviderContract):
    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        wire = WireConfig(allow_private_origins=tuple(private), **limits)
        return HttpProvider(HttpConfig(origins=(base_url,), wire=wire), lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:
        return Target("HTTP", f"{base_url}/charge")

    def function_error(self, name: str, message: str) -> Answer:
        body = {"errorType": name, "errorMessage": message}
        return json_answer(body, 500, {"Sidestep-Error": "function"})

    def metadata(self, seen: Seen) -> Mapping[str, str]:
        names = ("idempotency-key", "sidestep-attempt", "sidestep-not-after", "traceparent")
        return {name: seen.headers[name] for name in names if name in seen.headers}
