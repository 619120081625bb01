"""What can be set, from the environment and a TOML file; the environment wins.

`SIDESTEP_PORT=3001`, `SIDESTEP_PROVIDERS__AWS__REGION=eu-west-1`, or in `sidestep.toml` (another file:
`SIDESTEP_CONFIG`) `port = 3001` and a table `[providers.aws]`. Lists are JSON, or words between commas.
A mistake is a `ConfigurationError` in a sentence; the value that was found is never repeated.
"""

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from api.allowance import LEAST
from api.limits import Limits
from api.provider_settings import (
    AwsSection,
    AzureSection,
    GcpSection,
    HttpSection,
    Milliseconds,
    ProvidersSection,
    Section,
    ServiceSection,
    Words,
    words,
)
from api.variables import PREFIX, unknown, without_services
from core.engine.housekeeping import Retention
from core.engine.settings import EngineSettings
from core.engine.trial.trials import TrialSettings
from core.errors import ConfigurationError
from core.failover.settings import DEFAULTS, FailoverSettings

log = logging.getLogger("sidestep.settings")

CONFIG_VARIABLE = "SIDESTEP_CONFIG"
CONFIG_FILE = "sidestep.toml"
MAX_CONFIG_BYTES = 1 << 20

__all__ = [
    "CONFIG_VARIABLE",
    "AwsSection",
    "AzureSection",
    "ExpressionsSection",
    "FailoverSection",
    "GcpSection",
    "HttpSection",
    "ProvidersSection",
    "RedisSection",
    "RetentionSection",
    "ServiceSection",
    "Settings",
    "load",
]


class RedisSection(Section):
    """The Redis store's. `shards` is fixed when a store is first used (64 where it is not set), and checked
    ever after where it is.

    With `min_replicas` every commit waits until so many replicas have it. `prefix` begins every key, so that
    services can share a Redis. `timeout_ms` bounds one exchange with it.
    """

    shards: Annotated[int, Field(ge=1, le=4_096)] | None = None
    min_replicas: Annotated[int, Field(ge=0, le=16)] = 0
    timeout_ms: Milliseconds = 2_000
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")] = "sidestep"


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([smhdw]?)")


def _seconds(value: Any) -> Any:
    """A duration in seconds, or with a unit: `90s`, `45m`, `12h`, `30d`, `4w`."""
    if isinstance(value, bool):
        raise ValueError("this is no duration")  # noqa: TRY004 - what pydantic turns into its own error
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip().lower())
    if found is None:
        raise ValueError("this is no duration; write seconds, or a number with s, m, h, d or w such as '30d'")
    return float(found[1]) * _UNITS[found[2] or "s"]


Age = Annotated[float, Field(ge=1, le=3_650 * 86_400), BeforeValidator(_seconds)]


_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_SIZES |= {unit: 1 << 10 * power for power, name in enumerate("kmg", 1) for unit in (name, f"{name}ib")}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,3})?) ?([a-z]*)")


def _bytes(value: Any) -> Any:
    """A size in bytes, or with a unit: `512MiB`, `2GiB`, `1.5g` (of 1024), `500MB` (of 1000)."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip().lower())
    if found is None or found[2] not in _SIZES:
        raise ValueError("this is no size; write bytes, or a number with a unit such as '512MiB' or '2GiB'")
    return int(float(found[1]) * _SIZES[found[2]])


Size = Annotated[int, Field(ge=LEAST, le=1 << 50, strict=True), BeforeValidator(_bytes)]


class RetentionSection(Section):
    """How long executions are kept after they ended, by status. What is not set is kept for ever."""

    completed: Age | None = None
    failed: Age | None = None
    cancelled: Age | None = None
    timed_out: Age | None = None


class ExpressionsSection(Section):
    """Where expressions run whose time has no bound of its own: processes that can be killed.

    At most `workers` of them, each with `memory_mb` MiB for expressions. One that takes more than `cpu_ms`
    milliseconds of CPU time is killed, and one that had nothing to do for `idle_seconds` ends.
    """

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    cpu_ms: Annotated[int, Field(ge=1, le=10_000)] = 100
    memory_mb: Annotated[int, Field(ge=32, le=8_192)] = 256
    idle_seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 60


Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Waiting = Annotated[float, Field(ge=0.05, le=3_000)]
"""Seconds; what replicas know of a breaker is forgotten where nothing changes it for an hour."""


MOST_STAGES = 20


class FailoverSection(Section):
    """The numbers of the failover policy; `FailoverSettings` says what each of them does."""

    window_seconds: Annotated[int, Field(ge=2, le=300)] = DEFAULTS.window_seconds
    consecutive: Count = DEFAULTS.consecutive
    minimum_calls: Count = DEFAULTS.minimum_calls
    failing: Share = DEFAULTS.failing
    suspect: Share = DEFAULTS.suspect
    agreeing: Count = DEFAULTS.agreeing
    agreeing_share: Share = DEFAULTS.agreeing_share
    overdue_factor: Annotated[float, Field(ge=1, le=100)] = DEFAULTS.overdue_factor
    overdue_floor_ms: Milliseconds = DEFAULTS.overdue_floor_ms
    overdue_samples: Count = DEFAULTS.overdue_samples
    hang_seconds: Waiting = DEFAULTS.hang_seconds
    hang_probe_seconds: Waiting = DEFAULTS.hang_probe_seconds
    hang_probes: Annotated[int, Field(ge=1, le=100)] = DEFAULTS.hang_probes
    open_seconds: Waiting = DEFAULTS.open_seconds
    open_longest_seconds: Waiting = DEFAULTS.open_longest_seconds
    open_jitter: Annotated[float, Field(ge=0, le=0.5)] = DEFAULTS.open_jitter
    probe_every_seconds: Waiting = DEFAULTS.probe_every_seconds
    probe_timeout_ms: Milliseconds = DEFAULTS.probe_timeout_ms
    probe_successes: Annotated[int, Field(ge=1, le=100)] = DEFAULTS.probe_successes
    ramp: Annotated[tuple[Share, ...], NoDecode, BeforeValidator(words)] = DEFAULTS.ramp
    ramp_calls: Count = DEFAULTS.ramp_calls
    ramp_seconds: Waiting = DEFAULTS.ramp_seconds
    ramp_after_seconds: Annotated[float, Field(ge=0, le=3_000)] = DEFAULTS.ramp_after_seconds
    flapping: Annotated[int, Field(ge=1, le=100)] = DEFAULTS.flapping
    flap_seconds: Waiting = DEFAULTS.flap_seconds
    retry_share: Annotated[float, Field(ge=0, le=1)] = DEFAULTS.retry_share
    retry_floor: Annotated[float, Field(ge=0, le=100_000)] = DEFAULTS.retry_floor
    retry_seconds: Annotated[float, Field(ge=1, le=300)] = DEFAULTS.retry_seconds
    hedge_share: Annotated[float, Field(ge=0, le=0.5)] = DEFAULTS.hedge_share
    reserve_share: Annotated[float, Field(ge=0, le=0.9)] = DEFAULTS.reserve_share
    reserve_factor: Annotated[float, Field(ge=0, le=100)] = DEFAULTS.reserve_factor
    fallback_room: Annotated[int, Field(ge=1, le=10_000)] = DEFAULTS.fallback_room
    static_room: Annotated[int, Field(ge=1, le=10_000)] = DEFAULTS.static_room
    rehearse: Annotated[float, Field(ge=0, le=1)] = DEFAULTS.rehearse
    idle_seconds: Annotated[float, Field(ge=1, le=86_400)] = DEFAULTS.idle_seconds

    @field_validator("ramp")
    @classmethod
    def _rises(cls, ramp: tuple[float, ...]) -> tuple[float, ...]:
        if (
            not 1 <= len(ramp) <= MOST_STAGES
            or ramp[-1] != 1
            or any(one >= other for one, other in pairwise(ramp))
        ):
            raise ValueError("the shares of a ramp must rise up to 1, in 20 stages at most")
        return ramp

    @model_validator(mode="after")
    def _agrees(self) -> "FailoverSection":
        if self.suspect > self.failing:
            raise ValueError("suspect must not be above failing")
        if self.open_seconds > self.open_longest_seconds:
            raise ValueError("open_seconds is not above open_longest_seconds")
        return self

    def plain(self) -> FailoverSettings:
        """The policy."""
        return FailoverSettings(**dict(self))


class Settings(BaseSettings):
    """All settings. Made directly, it reads nothing from its surroundings; `load` does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    store: Annotated[str, Field(repr=False)] = "sqlite:sidestep.db"
    """A URL, which may hold a password."""

    payloads: Annotated[str | None, Field(repr=False)] = None
    """Where large payloads are kept; None: beside the SQLite file, or in the working folder."""

    payloads_over: Annotated[int, Field(ge=1_024, le=64 << 20)] = 32 * 1024
    """Bytes: what is larger is kept there."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 3000
    worker_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Where a process that is a worker only tells of its health; 0: nowhere."""

    public_url: Annotated[
        str | None, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$", max_length=1_024)
    ] = None
    """Where functions reach the API, to call back; None: this machine, by `port`."""

    callback_secret: Annotated[SecretStr | None, Field(min_length=16, max_length=1_024)] = None
    """Signs the tokens of callbacks; None: one that the store keeps for all that share it."""

    allowed_hosts: Words = ()
    """Host names, beside loopback's and `host`, under which the API is reached."""

    max_body_bytes: Annotated[int, Field(ge=1_024, le=64 << 20)] = 1 << 20
    max_requests: Annotated[int, Field(gt=0, le=100_000)] = 2_000
    max_streams: Annotated[int, Field(gt=0, le=100_000)] = 200
    max_waits: Annotated[int, Field(gt=0, le=100_000)] = 500
    memory_limit: Size | None = None
    """Bytes that a process may have; None: a part of what its control group or the machine has."""

    concurrency: Annotated[int, Field(gt=0, le=1_000_000)] = 2_000
    lease_seconds: Annotated[float, Field(ge=1, le=3_600)] = 10.0
    grace_seconds: Annotated[float, Field(ge=0, le=3_600)] = 10.0
    visit_budget: Annotated[int, Field(gt=0, le=10_000_000)] = 10_000
    data_budget: Annotated[int, Field(gt=0, le=128 << 20)] = 16 * 1024 * 1024
    data_limit: Annotated[int, Field(gt=0, le=128 << 20)] = 256 * 1024
    """One commit may add twice as much to a journal, and Redis keeps 512 MB under a key."""

    max_trials: Annotated[int, Field(gt=0, le=64)] = 2
    trial_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    skew_ms: Annotated[int, Field(ge=0, le=600_000)] = 1_000
    """Added to the instant after which a function must not start: how far clocks may differ."""

    expressions: ExpressionsSection = Field(default_factory=ExpressionsSection)
    redis: RedisSection = Field(default_factory=RedisSection)
    retention: RetentionSection = Field(default_factory=RetentionSection)
    failover: FailoverSection = Field(default_factory=FailoverSection)
    providers: ProvidersSection = Field(default_factory=ProvidersSection)

    @classmethod
    def settings_customise_sources(  # noqa: D102  part of pydantic-settings' interface
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  given by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    def base_url(self) -> str:
        """Where functions reach the API."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    def public_names(self) -> tuple[str, ...]:
        """The host of `public_url`: under which the API is reached then."""
        name = urlsplit(self.public_url).hostname if self.public_url else None
        return () if name is None else (name,)

    def signing_secret(self) -> bytes | None:
        """What signs the tokens of callbacks, where the settings say it."""
        return None if self.callback_secret is None else self.callback_secret.get_secret_value().encode()

    def engine(self) -> EngineSettings:
        """The engine's part."""
        return EngineSettings(
            lease=self.lease_seconds,
            concurrency=self.concurrency,
            grace=self.grace_seconds,
            skew_ms=self.skew_ms,
            visit_budget=self.visit_budget,
            data_budget=self.data_budget,
            data_limit=self.data_limit,
        )

    def trials(self) -> TrialSettings:
        """The trials' part."""
        return TrialSettings(at_once=self.max_trials, seconds=self.trial_seconds)

    def keep(self) -> Retention:
        """The housekeeper's part."""
        return Retention(**dict(self.retention))

    def limits(self) -> Limits:
        """The HTTP edge's part."""
        return Limits(
            body_bytes=self.max_body_bytes,
            requests=self.max_requests,
            streams=self.max_streams,
            waits=self.max_waits,
        )


def load(
    environment: Mapping[str, str] | None = None, *, folder: Path | None = None, **overrides: Any
) -> Settings:
    """Settings from `environment` (default: the process's), over the TOML file, over the defaults.

    The file is the one that SIDESTEP_CONFIG names, or `sidestep.toml` in `folder` (default: the working
    directory) if there is one. `overrides` (a command's options) that are not None win over all. Raises
    ConfigurationError.
    """
    given = os.environ if environment is None else environment
    named = given.get(CONFIG_VARIABLE)
    path = Path(named) if named else (folder or Path.cwd()) / CONFIG_FILE
    values = _file(path, required=bool(named))
    for sentence in unknown(given, Settings).values():
        log.warning(sentence)
    _merge(values, _variables(given))
    _merge(values, {name: value for name, value in overrides.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as problem:
        raise ConfigurationError(_told(problem)) from None


def _file(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as problem:
        raise ConfigurationError(f"The settings file {path} cannot be read: {problem.strerror}.") from None
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigurationError(f"The settings file {path} is over {MAX_CONFIG_BYTES} bytes.")
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError:
        raise ConfigurationError(f"The settings file {path} is not UTF-8.") from None
    except tomllib.TOMLDecodeError as problem:
        # The parser's message can hold a piece of the file; the place is enough.
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(problem))
        where = f" ({place[1]})" if place else ""
        raise ConfigurationError(f"The settings file {path} is not TOML{where}.") from None


def _variables(environment: Mapping[str, str]) -> dict[str, Any]:
    source = EnvSettingsSource(Settings, case_sensitive=False, env_ignore_empty=True)
    source.env_vars = {name.lower(): value for name, value in without_services(environment).items() if value}
    try:
        return source()
    except SettingsError as problem:
        field = re.search(r'field "([A-Za-z_]+)"', str(problem))
        raise ConfigurationError(
            f"{PREFIX}{field[1].upper() if field else '...'} is not the JSON that it has to be."
        ) from None


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for name, value in over.items():
        below = base.get(name)
        if isinstance(below, dict) and isinstance(value, Mapping):
            _merge(below, value)
        else:
            base[name] = value


def _told(problem: ValidationError) -> str:
    """Every mistake in one sentence: where it is, by both spellings, and what is expected there."""
    told = []
    for error in problem.errors(include_url=False, include_input=False, include_context=False):
        place = [str(part) for part in error["loc"]]
        variable = PREFIX + "__".join(place).upper()
        what = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            what = "there is no such setting"
        told.append(f"{variable} ({'.'.join(place)} in a file): {what[:1].lower()}{what[1:]}")
    return f"Settings that cannot work: {'; '.join(told)}."
