"""Providers from plain settings: the one place that knows all four."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.gcp.uris import Facts
from adapters.providers.http.config import HttpConfig, Service
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireConfig
from core.errors import ConfigurationError
from core.ports.provider import Provider

Config = TypeVar("Config", AwsConfig, GcpConfig, AzureConfig, HttpConfig)

_WIRE = frozenset(field.name for field in fields(WireConfig))


def build(settings: Mapping[str, Mapping[str, Any]], facts: Facts | None = None) -> dict[str, Provider]:
    """Providers by name, not yet open, of the names in `settings` (AWS, GCP, AZURE, HTTP).

    A provider's settings are the fields of its config and of `WireConfig`, flat; None stands for the
    default. `facts` (a store) keeps what GCP resolves. Raises ConfigurationError; a name or field that does
    not exist is one.
    """
    return {name: _one(name, values, facts) for name, values in settings.items()}


def _one(name: str, values: Mapping[str, Any], facts: Facts | None) -> Provider:
    match name:
        case "AWS":
            return AwsProvider(_config(AwsConfig, name, values))
        case "GCP":
            return GcpProvider(_config(GcpConfig, name, values), facts=facts)
        case "AZURE":
            return AzureProvider(_config(AzureConfig, name, values))
        case "HTTP":
            services = {key: Service(**service) for key, service in (values.get("services") or {}).items()}
            return HttpProvider(_config(HttpConfig, name, {**values, "services": services}))
        case _:
            raise ConfigurationError(f"There is no provider {name}; there are AWS, GCP, AZURE and HTTP.")


def _config(kind: type[Config], name: str, values: Mapping[str, Any]) -> Config:
    given = {key: value for key, value in values.items() if value is not None}
    known = _WIRE | {field.name for field in fields(kind)} - {"wire"}
    if unknown := given.keys() - known:
        raise ConfigurationError(f"{name}: there is no setting {', '.join(sorted(unknown))}.")
    own = {key: value for key, value in given.items() if key not in _WIRE}
    config = kind(**own)
    wire: dict[str, Any] = {key: value for key, value in given.items() if key in _WIRE}
    return replace(config, wire=replace(config.wire, **wire))
