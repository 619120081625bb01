"""What can be set of each provider: the sections of settings.py that its adapters are made from."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

from core.graph.model import Target

NOT_CONFIGURED = {
    "AWS": "AWS is not configured: set SIDESTEP_PROVIDERS__AWS__REGION.",
    "GCP": "GCP is not configured: set SIDESTEP_PROVIDERS__GCP__PROJECT and ..__LOCATION.",
    "AZURE": "AZURE is not configured: set SIDESTEP_PROVIDERS__AZURE__BASE_URL.",
    "HTTP": "HTTP is not configured: set SIDESTEP_PROVIDERS__HTTP__ORIGINS.",
}
"""What to say of a provider without settings."""


def words(value: Any) -> Any:
    """A list that is written as JSON, or as words between commas."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("this is not a JSON list") from None
    return [word.strip() for word in text.split(",") if word.strip()]


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(words)]
Milliseconds = Annotated[int, Field(gt=0, le=600_000)]


class Section(BaseModel):
    """A table of settings; unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


CANARY_FIELDS = frozenset({"canary", "canary_region"})
"""Settings of a provider that the health board reads, and no adapter."""


class ProviderSection(Section):
    """What every provider has: limits of its connections (defaults: failover.md), and private networks.

    `allow_private_origins` lists origins whose names may resolve to private addresses. `nameservers` are
    asked for the names that are called, instead of the system's.

    `canary` names a function of this provider (in `canary_region`, where the provider's own is not meant)
    that is safe to run at any time: probes run it, to find out whether the provider is well again.
    """

    connect_timeout_ms: Milliseconds | None = None
    tls_timeout_ms: Milliseconds | None = None
    keepalive_ms: Milliseconds | None = None
    max_connections: Annotated[int, Field(gt=0, le=65_536)] | None = None
    max_response_bytes: Annotated[int, Field(gt=0, le=1 << 30)] | None = None
    allow_private_origins: Words = ()
    ca_file: str | None = None
    nameservers: Words = ()
    canary: Annotated[str | None, Field(min_length=1, max_length=2_048)] = None
    canary_region: Annotated[str | None, Field(min_length=1, max_length=64)] = None

    def plain(self) -> dict[str, Any]:
        """What was set, secrets in the clear: for the provider's own configuration and nothing else."""
        own = self.model_fields_set - CANARY_FIELDS
        return {name: _revealed(value) for name, value in self if name in own}


def _revealed(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _revealed(inner) for name, inner in value}
        case dict():
            return {name: _revealed(inner) for name, inner in value.items()}
        case _:
            return value


class AwsSection(ProviderSection):
    """AWS Lambda. Without keys, boto3's credential chain (and `profile` in it) is used."""

    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    profile: str | None = None
    regions: Words = ()
    accounts: Words = ()


class GcpSection(ProviderSection):
    """Google Cloud Functions and Cloud Run."""

    project: str | None = None
    location: str | None = None
    base_url: str | None = None
    credentials_file: str | None = None
    origins: Words = ()
    auth: Literal["auto", "adc", "none"] = "auto"
    audience: str | None = None
    resolve: bool = True
    functions_endpoint: str | None = None


class AzureSection(ProviderSection):
    """Azure Functions."""

    base_url: str | None = None
    apps: dict[str, str] = Field(default_factory=dict)
    function_key: SecretStr | None = None
    function_keys: dict[str, SecretStr] = Field(default_factory=dict)
    entra_scope: str | None = None
    route_prefix: str = "api"


class ServiceSection(Section):
    """A registered HTTP service."""

    url: str
    headers: dict[str, SecretStr] = Field(default_factory=dict)


class HttpSection(ProviderSection):
    """Plain HTTP: origins that may be called by URL, and services that are called by name."""

    origins: Words = ()
    services: dict[str, ServiceSection] = Field(default_factory=dict)


class ProvidersSection(Section):
    """A provider without a section is not configured."""

    aws: AwsSection | None = None
    gcp: GcpSection | None = None
    azure: AzureSection | None = None
    http: HttpSection | None = None

    def plain(self) -> dict[str, dict[str, Any]]:
        """The configured providers' settings by name, secrets in the clear."""
        return {name: section.plain() for name, section in self._sections().items()}

    def canaries(self) -> dict[str, Target]:
        """The canary functions, by provider."""
        return {
            name: Target(name, section.canary, section.canary_region)
            for name, section in self._sections().items()
            if section.canary is not None
        }

    def homes(self) -> dict[str, str]:
        """The regions in which functions run that name none, by provider, as far as they are known."""
        aws, gcp = self.aws and self.aws.region, self.gcp and self.gcp.location
        return {name: region for name, region in (("AWS", aws), ("GCP", gcp)) if region}

    def _sections(self) -> dict[str, ProviderSection]:
        sections = {"AWS": self.aws, "GCP": self.gcp, "AZURE": self.azure, "HTTP": self.http}
        return {name: section for name, section in sections.items() if section is not None}

    def missing(self) -> dict[str, str]:
        """Of each provider that is not configured, a sentence that says how to."""
        configured = self.plain()
        return {name: sentence for name, sentence in NOT_CONFIGURED.items() if name not in configured}
