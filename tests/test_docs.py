"""What the documentation says of files and settings is so."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from msgspec import structs
from pydantic import BaseModel

from adapters.evaluator.pool import EvaluatorSettings
from adapters.providers.aws.config import AwsConfig
from adapters.providers.http.config import HttpConfig
from adapters.providers.wire.client import WireConfig
from api.provider_settings import CANARY_FIELDS, ProviderSection
from api.settings import (
    AwsSection,
    AzureSection,
    ExpressionsSection,
    FailoverSection,
    GcpSection,
    HttpSection,
    RedisSection,
    Settings,
)
from core.failover.settings import DEFAULTS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts[:-1])
)
CLOUDS = (ROOT / "docs/how-to/real-clouds.md").read_text("utf-8")
SETTINGS = (ROOT / "docs/reference/settings.md").read_text("utf-8")

UNSET = frozenset(
    {
        "allowed_hosts",
        "callback_secret",
        "expressions",
        "failover",
        "memory_limit",
        "payloads",
        "providers",
        "public_url",
        "redis",
        "retention",
    }
)
"""Settings that have no value, or are tables."""


def rows(page: str) -> dict[str, str]:
    """The second column of the tables whose first is a setting, by setting."""
    found: dict[str, str] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) > 1 and cells[0].startswith("`"):
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[1].strip("`"))
    return found


def _told(default: object) -> str:
    return f"{default:.0f}" if isinstance(default, float) else str(default)


def _number(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_number, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_setting_of_the_server_is_told_with_its_default() -> None:
    told = rows(SETTINGS.partition("\n## ")[0])
    assert told.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        expected = "none" if name in UNSET else _told(field.default)
        assert told[name] == expected, name


def test_every_setting_of_expressions_is_told_with_its_default() -> None:
    told = rows(SETTINGS.partition("\n## Expressions\n")[2].partition("\n## ")[0])
    assert told == {name: _told(field.default) for name, field in ExpressionsSection.model_fields.items()}
    assert EvaluatorSettings() == EvaluatorSettings(**dict(ExpressionsSection()))


def test_every_setting_of_redis_is_told_with_its_default() -> None:
    told = rows(SETTINGS.partition("\n## Redis\n")[2].partition("\n## ")[0])
    defaults = {name: field.default for name, field in RedisSection.model_fields.items()}
    assert told == {name: "none" if value is None else _told(value) for name, value in defaults.items()}


def test_every_setting_of_failover_is_told_with_its_default() -> None:
    told = rows(SETTINGS.partition("\n## Failover\n")[2].partition("\n## ")[0])
    defaults = {name: field.default for name, field in FailoverSection.model_fields.items()}
    assert told == {name: _number(value) for name, value in defaults.items()}
    assert defaults == structs.asdict(DEFAULTS)


@pytest.mark.parametrize("section", [AwsSection, GcpSection, AzureSection, HttpSection])
def test_every_setting_of_a_provider_is_told(section: type[BaseModel]) -> None:
    name = section.__name__.removesuffix("Section").lower()
    heading = {"aws": "AWS Lambda", "gcp": "Google Cloud", "azure": "Azure Functions", "http": "HTTP"}[name]
    told = rows(CLOUDS.partition(f"## {heading}\n")[2].partition("\n## ")[0])
    assert told.keys() == section.model_fields.keys() - ProviderSection.model_fields.keys()


def test_every_limit_of_connections_is_told_with_its_default() -> None:
    told = rows(CLOUDS.partition("## Every provider\n")[2])
    assert told.keys() == ProviderSection.model_fields.keys()
    assert told.keys() == {one.name for one in fields(WireConfig)} | CANARY_FIELDS
    wire = WireConfig()
    for name in ("connect_timeout_ms", "tls_timeout_ms", "max_connections"):
        assert told[name] == str(getattr(wire, name)), name
    assert told["keepalive_ms"] == (
        f"{AwsConfig().wire.keepalive_ms} (HTTP: {HttpConfig().wire.keepalive_ms})"
    )
    assert told["max_response_bytes"] == f"{wire.max_response_bytes >> 20} MiB"
