"""The GCP provider passes the contract."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup, ProviderContract
from core.testing.contracts.provider_server import Answer, Seen, json_answer


class TestGcp(ProviderContract):
    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        wire = WireConfig(allow_private_origins=tuple(private), **limits)
        config = GcpConfig(base_url=base_url, auth="none", wire=wire)
        return GcpProvider(config, lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:  # noqa: ARG002  the base is the provider's
        return Target("GCP", "charge")

    def function_error(self, name: str, message: str) -> Answer:
        body = {"errorType": name, "errorMessage": message}
        return json_answer(body, 500, {"Sidestep-Error": "function"})

    def metadata(self, seen: Seen) -> Mapping[str, str]:
        names = ("idempotency-key", "sidestep-attempt", "sidestep-not-after", "traceparent")
        return {name: seen.headers[name] for name in names if name in seen.headers}
