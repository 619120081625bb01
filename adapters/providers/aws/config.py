"""What the AWS provider is configured with."""

from dataclasses import dataclass, field

from adapters.providers.wire.client import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConfig:
    """`region` is used where neither the step nor its ARN names one. `endpoint_url` replaces Lambda's own
    (`{region}` in it is filled in).

    Without `access_key_id` and `secret_access_key` the credentials come from boto3's chain (environment,
    files, container, instance), `profile` chosen. Where `regions` or `accounts` are given, only those are
    called.
    """

    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    wire: WireConfig = field(default_factory=lambda: WireConfig(keepalive_ms=15_000))
