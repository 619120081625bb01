"""What the GCP provider is configured with."""

from dataclasses import dataclass, field
from typing import Literal

from adapters.providers.wire.client import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpConfig:
    """Names are looked for in `project` and `location`, or, where `base_url` is given, under that URL.

    Function ids may also be URLs: of the project's own cloudfunctions.net hosts, or within `origins`.
    `auth` "auto" uses `credentials_file` (a service account's key) where given; else no token towards
    `base_url`, and application default credentials ("adc") towards Google's own hosts. `audience` replaces
    the tokens' audience for `base_url` and `origins` (default: the URL that is called). With `resolve` the
    URI of a function by name is asked of the Cloud Functions API ahead of its first call.
    `functions_endpoint` replaces that API's address.
    """

    project: str | None = None
    location: str | None = None
    base_url: str | None = None
    credentials_file: str | None = None
    origins: tuple[str, ...] = ()
    auth: Literal["auto", "adc", "none"] = "auto"
    audience: str | None = None
    resolve: bool = True
    functions_endpoint: str | None = None
    wire: WireConfig = field(default_factory=lambda: WireConfig(keepalive_ms=15_000))
