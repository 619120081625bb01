"""What the HTTP provider is configured with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.providers.wire.client import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A registered service: its URL, and headers that only it is sent. Both may hold secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """`origins` (scheme://host[:port]) may be called by URL, without credentials; `services` by name."""

    origins: tuple[str, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    wire: WireConfig = field(default_factory=WireConfig)
