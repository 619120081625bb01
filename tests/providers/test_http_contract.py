"""The HTTP provider passes the contract."""

from collections.abc import Sequence
from typing import Any

from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup
from tests.providers.platform_contract import PlatformContract


class TestHttp(PlatformContract):
    probe_asks = False

    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        wire = WireConfig(allow_private_origins=tuple(private), **limits)
        return HttpProvider(HttpConfig(origins=(base_url,), wire=wire), lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:
        return Target("HTTP", f"{base_url}/charge")
