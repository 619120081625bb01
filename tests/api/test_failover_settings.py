"""How the failover policy is set."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from adapters.providers.build import build as build_providers
from api.bootstrap import build
from api.settings import load
from core.errors import ConfigurationError
from core.failover.settings import DEFAULTS
from core.graph.model import Target
from core.machine.events import AttemptStarted


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert load({}, folder=tmp_path).failover.plain() == DEFAULTS


def test_the_policy_is_set_by_the_environment_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "sidestep.toml").write_text("[failover]\nopen_seconds = 7\nramp = [0.5, 1]\nflapping = 4\n")
    environment = {"SIDESTEP_FAILOVER__OPEN_SECONDS": "2.5", "SIDESTEP_FAILOVER__RAMP": "0.1, 0.4,1"}
    settings = load(environment, folder=tmp_path).failover.plain()
    assert settings == structs.replace(DEFAULTS, open_seconds=2.5, ramp=(0.1, 0.4, 1.0), flapping=4)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RAMP", "0.5,0.1,1", "rise"),
        ("RAMP", "0.1,0.5", "rise"),
        ("RAMP", "0,1", "greater than 0"),
        ("RAMP", "", ""),
        ("RAMP", "[]", "rise"),
        ("WINDOW_SECONDS", "1", "greater than or equal to 2"),
        ("FAILING", "1.1", "less than or equal to 1"),
        ("SUSPECT", "0.9", "suspect must not be above failing"),
        ("OPEN_SECONDS", "301", "open_seconds is not above open_longest_seconds"),
        ("OPEN_SECONDS", "nan", ""),
        ("FLAP_SECONDS", "1e9", "less than or equal to 3000"),
        ("NO_SUCH", "1", "there is no such setting"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_in_a_sentence(
    name: str, value: str, told: str, tmp_path: Path
) -> None:
    environment = {f"SIDESTEP_FAILOVER__{name}": value}
    if not value:
        # A variable without a value is none.
        assert load(environment, folder=tmp_path).failover.plain() == DEFAULTS
        return
    with pytest.raises(ConfigurationError) as refused:
        load(environment, folder=tmp_path)
    assert "FAILOVER" in str(refused.value)
    assert told in str(refused.value)


def test_a_canary_is_for_the_board_and_for_no_adapter(tmp_path: Path) -> None:
    environment = {
        "SIDESTEP_PROVIDERS__AWS__REGION": "eu-west-1",
        "SIDESTEP_PROVIDERS__AWS__CANARY": "health",
        "SIDESTEP_PROVIDERS__AWS__CANARY_REGION": "eu-central-1",
        "SIDESTEP_PROVIDERS__HTTP__ORIGINS": "http://localhost:1",
    }
    providers = load(environment, folder=tmp_path).providers
    assert providers.canaries() == {"AWS": Target("AWS", "health", "eu-central-1")}
    assert providers.plain()["AWS"] == {"region": "eu-west-1"}
    assert build_providers(providers.plain()).keys() == {"AWS", "HTTP"}


async def test_a_server_runs_a_board_that_goes_by_them(tmp_path: Path) -> None:
    environment = {"SIDESTEP_STORE": "memory:", "SIDESTEP_FAILOVER__WINDOW_SECONDS": "3"}
    runtime = build(load(environment, folder=tmp_path))
    await runtime.start()
    try:
        async with asyncio.timeout(20):
            while runtime.board.report().alone is not None:
                await asyncio.sleep(0.01)
        runtime.board.sent(
            AttemptStarted(
                visit="v",
                step_id="s",
                attempt=1,
                round=0,
                target=Target("AWS", "f"),
                key="k",
                timeout_ms=1_000,
                not_after=0,
            )
        )
        assert runtime.board.report().providers[0].places[0].breaker.window_seconds == 3
    finally:
        await runtime.stop()
    assert len(asyncio.all_tasks()) == 1
