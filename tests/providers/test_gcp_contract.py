"""The GCP provider passes the contract."""

from collections.abc import Sequence
from typing import Any

from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup
from tests.providers.platform_contract import PlatformContract


class TestGcp(PlatformContract):
    probe_asks = False

    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        wire = WireConfig(allow_private_origins=tuple(private), **limits)
        config = GcpConfig(base_url=base_url, auth="none", wire=wire)
        return GcpProvider(config, lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:  # noqa: ARG002  the base is the provider's
        return Target("GCP", "charge")
