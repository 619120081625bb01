"""The AZURE provider passes the contract."""

from collections.abc import Sequence
from typing import Any

from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup
from tests.providers.platform_contract import PlatformContract


class TestAzure(PlatformContract):
    probe_asks = True

    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        wire = WireConfig(allow_private_origins=tuple(private), **limits)
        config = AzureConfig(base_url=base_url, function_key="function-key", wire=wire)
        return AzureProvider(config, lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:  # noqa: ARG002  the base is the provider's
        return Target("AZURE", "orders/charge")
