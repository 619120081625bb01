"""Variables of the environment that are settings, that are somebody else's, and that are mistakes."""

import logging
from pathlib import Path

import pytest

from api.settings import Settings, load
from api.variables import unknown

OF_KUBERNETES = {
    "SIDESTEP_PORT": "tcp://10.0.0.1:3000",
    "SIDESTEP_SERVICE_HOST": "10.0.0.1",
    "SIDESTEP_SERVICE_PORT": "3000",
    "SIDESTEP_SERVICE_PORT_HTTP": "3000",
    "SIDESTEP_PORT_3000_TCP": "tcp://10.0.0.1:3000",
    "SIDESTEP_PORT_3000_TCP_PROTO": "tcp",
    "SIDESTEP_PORT_3000_TCP_PORT": "3000",
    "SIDESTEP_PORT_3000_TCP_ADDR": "10.0.0.1",
    "SIDESTEP_WORKER_PORT": "tcp://10.0.0.2:9000",
    "SIDESTEP_STORE_SERVICE_HOST": "10.0.0.3",
}


def test_what_kubernetes_says_of_services_is_no_setting_and_no_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(OF_KUBERNETES, folder=tmp_path)
    assert settings == Settings()
    assert caplog.records == []


def test_a_port_that_is_a_number_is_a_setting_still(tmp_path: Path) -> None:
    settings = load({"SIDESTEP_PORT": "3100", "sidestep_worker_port": "9000"}, folder=tmp_path)
    assert (settings.port, settings.worker_port) == (3100, 9000)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SIDESTEP_STROE", "SIDESTEP_STORE"),
        ("SIDESTEP_REDIS_SHARDS", "SIDESTEP_REDIS__SHARDS"),
        ("SIDESTEP_REDIZ__MIN_REPLICAS", "SIDESTEP_REDIS__MIN_REPLICAS"),
        ("sidestep_lease", "SIDESTEP_LEASE_SECONDS"),
        ("SIDESTEP_PROVIDER__AWS__REGION", "SIDESTEP_PROVIDERS__AWS__REGION"),
    ],
)
def test_a_misspelt_variable_is_one_line_that_names_the_nearest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, nearest: str
) -> None:
    with caplog.at_level(logging.WARNING, "sidestep"):
        load({name: "hunter2"}, folder=tmp_path)
    (record,) = caplog.records
    said = record.getMessage()
    assert said.endswith(f"did you mean {nearest}?")
    assert name in said
    assert "hunter2" not in said
    assert "\n" not in said


def test_a_name_like_nothing_leads_to_the_page_that_lists_them() -> None:
    (said,) = unknown({"SIDESTEP_\n\x1b[31mQQQQ": "1", "OTHER": "1"}, Settings).values()
    assert "settings.md" in said
    assert said.isprintable()


def test_what_the_command_line_reads_is_no_mistake() -> None:
    read = ("SIDESTEP_CONFIG", "SIDESTEP_SERVER", "SIDESTEP_LOCALCLOUD", "SIDESTEP_TRACEBACK")
    assert unknown(dict.fromkeys(read, "x"), Settings) == {}
