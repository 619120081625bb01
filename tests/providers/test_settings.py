"""Settings: where they come from, what a mistake is told as, and what they build."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.aws.provider import AwsProvider
from adapters.providers.build import build
from api.settings import Settings, load
from core.errors import ConfigurationError
from core.graph.model import Target

EVERYTHING = {
    "SIDESTEP_PORT": "3100",
    "SIDESTEP_ALLOWED_HOSTS": "sidestep.test, other.test",
    "SIDESTEP_LEASE_SECONDS": "5",
    "SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL": "http://127.0.0.1:4101",
    "SIDESTEP_PROVIDERS__AWS__REGION": "eu-west-1",
    "SIDESTEP_PROVIDERS__AWS__ACCESS_KEY_ID": "AKID",
    "SIDESTEP_PROVIDERS__AWS__SECRET_ACCESS_KEY": "hush-aws",
    "SIDESTEP_PROVIDERS__AWS__CONNECT_TIMEOUT_MS": "250",
    "SIDESTEP_PROVIDERS__AWS__NAMESERVERS": "10.0.0.2, 10.1.0.2:5353",
    "SIDESTEP_PROVIDERS__GCP__BASE_URL": "http://127.0.0.1:4102",
    "SIDESTEP_PROVIDERS__GCP__PROJECT": "my-project",
    "SIDESTEP_PROVIDERS__GCP__LOCATION": "europe-west1",
    "SIDESTEP_PROVIDERS__AZURE__BASE_URL": "http://127.0.0.1:4103",
    "SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEY": "hush-azure",
    "SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEYS": '{"Charge": "hush-charge"}',
    "SIDESTEP_PROVIDERS__HTTP__ORIGINS": '["http://127.0.0.1:18080"]',
    "SIDESTEP_PROVIDERS__HTTP__SERVICES": '{"billing": {"url": "https://billing.test/run", '
    '"headers": {"Authorization": "Bearer hush-http"}}}',
}


def test_the_defaults_are_loopback_port_3000_and_sqlite(tmp_path: Path) -> None:
    settings = load({}, folder=tmp_path)
    assert (settings.host, settings.port, settings.store) == ("127.0.0.1", 3000, "sqlite:sidestep.db")
    assert settings == Settings()
    assert settings.providers.plain() == {}
    assert set(settings.providers.missing()) == {"AWS", "GCP", "AZURE", "HTTP"}
    assert settings.engine().lease == 10.0
    assert settings.limits().body_bytes == 1 << 20


def test_the_environment_configures_every_provider(tmp_path: Path) -> None:
    settings = load(EVERYTHING, folder=tmp_path)
    assert settings.port == 3100
    assert settings.allowed_hosts == ("sidestep.test", "other.test")
    assert settings.engine().lease == 5
    assert settings.providers.missing() == {}
    providers = build(settings.providers.plain())
    assert list(providers) == ["AWS", "GCP", "AZURE", "HTTP"]
    assert providers["AWS"].check(Target("AWS", "charge")) is None
    assert providers["GCP"].check(Target("GCP", "charge")) is None
    assert providers["AZURE"].check(Target("AZURE", "charge")) is None
    assert providers["HTTP"].check(Target("HTTP", "http://127.0.0.1:18080/x")) is None
    assert providers["HTTP"].check(Target("HTTP", "billing")) is None
    aws = providers["AWS"]
    assert isinstance(aws, AwsProvider)
    assert aws._wire.connect_timeout_ms == 250
    assert aws._wire.nameservers == ("10.0.0.2", "10.1.0.2:5353")
    assert aws._wire.keepalive_ms == 15_000, "what is not set stays the provider's default"


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = load(EVERYTHING, folder=tmp_path)
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)
    assert "hush" not in settings.model_dump_json()


def test_a_file_is_read_and_the_environment_and_options_win(tmp_path: Path) -> None:
    (tmp_path / "sidestep.toml").write_text(
        'port = 1\nhost = "h"\n[providers.aws]\nregion = "eu-west-1"\nprofile = "p"\n'
        '[providers.http]\norigins = ["https://a.test"]\n'
    )
    environment = {"SIDESTEP_PORT": "2", "SIDESTEP_PROVIDERS__AWS__REGION": "us-east-2"}
    settings = load(environment, folder=tmp_path)
    assert (settings.port, settings.host) == (2, "h")
    assert settings.providers.plain()["AWS"] == {"region": "us-east-2", "profile": "p"}
    assert settings.providers.plain()["HTTP"] == {"origins": ("https://a.test",)}
    assert load(environment, folder=tmp_path, port=3, host=None).port == 3
    elsewhere = {"SIDESTEP_CONFIG": str(tmp_path / "sidestep.toml")}
    assert load(elsewhere, folder=tmp_path / "none").port == 1


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"SIDESTEP_PORT": "hush"}, "SIDESTEP_PORT"),
        ({"SIDESTEP_PORT": "70000"}, "SIDESTEP_PORT"),
        ({"SIDESTEP_PROVIDERS__AWS__REGIO": "hush"}, "there is no such setting"),
        ({"SIDESTEP_PROVIDERS": "{hush"}, "SIDESTEP_PROVIDERS"),
        ({"SIDESTEP_PROVIDERS__HTTP__ORIGINS": "[hush"}, "not a JSON list"),
        ({"SIDESTEP_PROVIDERS__HTTP__SERVICES": "{hush"}, "JSON"),
        ({"SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEYS": '{"a": ["hush"]}'}, "FUNCTION_KEYS"),
        ({"SIDESTEP_PROVIDERS__GCP__AUTH": "hush"}, "SIDESTEP_PROVIDERS__GCP__AUTH"),
        ({"SIDESTEP_PROVIDERS__AWS__CONNECT_TIMEOUT_MS": "0"}, "greater than 0"),
        ({"SIDESTEP_CONFIG": "/does/not/exist.toml"}, "/does/not/exist.toml"),
        ({"SIDESTEP_CONFIG": "/"}, "cannot be read"),
    ],
)
def test_a_mistake_is_a_sentence_without_the_value(
    environment: dict[str, str], names: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(environment, folder=tmp_path)
    message = str(caught.value)
    assert names in message
    assert "hush" not in message
    assert message.endswith(".")
    assert "\n" not in message


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SIDESTEP_HOST.*SIDESTEP_PORT"):
        load({"SIDESTEP_PORT": "x"}, folder=tmp_path, host=["no"])


def test_a_file_that_is_not_toml_is_told_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "sidestep.toml").write_text('port = 1\nsecret_access_key = "hush\n')
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        load({}, folder=tmp_path)
    assert "hush" not in str(caught.value)
    (tmp_path / "sidestep.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load({}, folder=tmp_path)


def test_what_cannot_be_built_is_told_in_a_sentence() -> None:
    mistakes: tuple[dict[str, dict[str, Any]], ...] = (
        {"ORACLE": {}},
        {"AWS": {"colour": "red"}},
        {"HTTP": {"origins": ["http://169.254.169.254"]}},
        {"AZURE": {}},
        {"GCP": {"project": "!"}},
        {"AWS": {"allow_private_origins": ["nonsense"]}},
    )
    for settings in mistakes:
        with pytest.raises(ConfigurationError) as caught:
            build(settings)
        assert str(caught.value).endswith(".")


async def test_a_certificate_authority_that_cannot_be_read_is_told_at_opening(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for path in (tmp_path / "missing.pem", tmp_path / "ca.pem"):
        provider = build({"HTTP": {"ca_file": str(path)}})["HTTP"]
        with pytest.raises(ConfigurationError, match="ca_file"):
            await provider.open()


def test_no_vendors_library_is_loaded_before_it_is_needed() -> None:
    """Because they take half a second, and who configures one cloud needs one."""
    program = (
        "import sys, adapters.providers.build\n"
        "heavy = ('boto3', 'botocore', 'google.auth', 'google.cloud.functions_v2', 'grpc', "
        "'azure.identity', 'requests', 'dns')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
