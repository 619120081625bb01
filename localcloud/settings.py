"""What a local cloud is made of: addresses, credentials, limits. Plain values with working defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# These open nothing but loopback servers, and only while a local cloud runs.
_DEMO_SECRET = "localcloud/aws/secret/access/key/only"  # noqa: S105 - the documented default of a loopback server
_DEMO_FUNCTION_KEY = "localcloud-function-key"
_DEMO_MASTER_KEY = "localcloud-master-key"
_DEMO_CLIENT_SECRET = "localcloud-client-secret"  # noqa: S105 - the documented default of a loopback server


@dataclass(frozen=True, slots=True)
class AwsCredential:
    """An access key that AWS knows. With `expires_at` (epoch seconds) in the past it is an expired one."""

    access_key_id: str = "AKIALOCALCLOUD000001"
    secret_access_key: str = field(default=_DEMO_SECRET, repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """AWS Lambda. The first credential is the one that `LocalCloud.environment()` hands out."""

    region: str = "us-east-1"
    account: str = "000000000000"
    credentials: tuple[AwsCredential, ...] = (AwsCredential(),)
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class GcpSettings:
    """Google Cloud Functions. `timeout_seconds`: when the front end gives up (the container runs on)."""

    project: str = "localcloud"
    location: str = "us-central1"
    service_account: str = "sidestep@localcloud.iam.gserviceaccount.com"
    timeout_seconds: float = 60.0
    token_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """Azure Functions.

    `function_key` is the host's default key, good for every function; `function_keys` adds keys of one
    function each. The 230 s are the documented limit of an HTTP trigger's front end.
    """

    region: str = "westeurope"
    function_key: str = field(default=_DEMO_FUNCTION_KEY, repr=False)
    master_key: str = field(default=_DEMO_MASTER_KEY, repr=False)
    tenant: str = "localcloud"
    client_id: str = "sidestep"
    client_secret: str = field(default=_DEMO_CLIENT_SECRET, repr=False)
    audience: str = "api://localcloud"
    function_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 230.0
    token_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class LocalCloudSettings:
    """All of a local cloud.

    `port` is the control server's; AWS, GCP and AZURE take the three that follow, the name server (UDP)
    the fourth and, with `tls`, Google's token endpoint the fifth. Port 0 takes free ones. `functions` is
    a directory in the layout of `localcloud/functions` (see `loading`): what it defines is added to the
    demo's functions and wins where names agree.
    `advertised_host` is the host name that callers use where it is not `host` (a container's name).
    `credentials_file` says where the service account's JSON goes (mode 0600); by default a
    temporary file that `stop()` removes.
    `tls`: the providers speak HTTPS, with certificates of an authority made at the start, whose own is
    in `ca_file` (by default a temporary file). Google's token endpoint then has a port of its own and
    speaks plain HTTP, because its clients take no private authority.
    `names`: `environment()` points a server at the providers' names and at the name server, not at
    addresses.
    """

    host: str = "127.0.0.1"
    port: int = 4100
    functions: Path | None = None
    advertised_host: str | None = None
    credentials_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    names: bool = False
    workers: int = 64
    ledger_entries: int = 50_000
    ledger_keys: int = 2_000_000
    aws: AwsSettings = AwsSettings()
    gcp: GcpSettings = GcpSettings()
    azure: AzureSettings = AzureSettings()
