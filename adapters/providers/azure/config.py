"""What the AZURE provider is configured with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.providers.wire.client import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureConfig:
    """The function app at `base_url`; `apps` names others by region, and a step's `region` then chooses.

    `function_keys` are by function id, or `region/functionId`; others use `function_key`. With
    `entra_scope` (like api://<app id>/.default) calls bear a token of azure-identity's default credential.
    `route_prefix` is host.json's `extensions.http.routePrefix`.
    """

    base_url: str | None = None
    apps: Mapping[str, str] = field(default_factory=dict)
    function_key: str | None = field(default=None, repr=False)
    function_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    entra_scope: str | None = None
    route_prefix: str = "api"
    wire: WireConfig = field(default_factory=lambda: WireConfig(keepalive_ms=15_000))
