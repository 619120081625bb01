"""Sidestep's own providers, pointed at names and certificates as a server would be, meet the outages."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.providers.build import build
from api.settings import load
from core.failover.outcome import Executed, Outcome
from core.graph.model import Target
from core.ports.provider import Provider
from localcloud.app import LocalCloud
from localcloud.client import ControlClient, connect
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import PROVIDERS
from tests.providers.driving import call_of


@pytest.fixture
async def clouds() -> AsyncIterator[LocalCloud]:
    async with LocalCloud(LocalCloudSettings(port=0, tls=True, names=True)) as cloud:
        yield cloud


@pytest.fixture
async def ruler(clouds: LocalCloud) -> AsyncIterator[ControlClient]:
    async with connect(clouds.control_url) as client:
        yield client


@pytest.fixture
async def providers(clouds: LocalCloud, tmp_path: Path) -> AsyncIterator[dict[str, Provider]]:
    settings = load(clouds.environment(), folder=tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        built = build(settings.providers.plain())
        for provider in built.values():
            await provider.open()
            stack.push_async_callback(provider.close)
        yield built


async def invoke(provider: Provider) -> Outcome:
    # A fresh connection: whether an old one was closed in time is another test's business.
    now = int(time.time() * 1000)
    target = Target(provider.name, "my-func")
    return await provider.invoke(call_of(target, not_after_ms=now + 60_000, fresh_connection=True))


@pytest.mark.parametrize(
    ("kind", "signal"),
    [("dns-nxdomain", "dns-failure"), ("dns-timeout", None), ("bad-certificate", "tls-failure")],
)
async def test_what_is_met_before_a_connection_executes_nothing_and_is_over_when_it_is_lifted(
    clouds: LocalCloud,
    ruler: ControlClient,
    providers: dict[str, Provider],
    kind: str,
    signal: str | None,
) -> None:
    for name in PROVIDERS:
        assert (await invoke(providers[name])).ok
    clouds.ledger.clear()
    await ruler.replace_outages({name: [{"kind": kind}] for name in PROVIDERS})
    for name in PROVIDERS:
        outcome = await invoke(providers[name])
        assert (outcome.ok, outcome.executed) == (False, Executed.NO)
        assert signal is None or outcome.signal == signal
        assert not (await providers[name].probe(Target(name, "my-func"), 500)).ok
    assert clouds.ledger.entries() == []
    await ruler.clear()
    for name in PROVIDERS:
        assert (await invoke(providers[name])).ok
        assert (await providers[name].probe(Target(name, "my-func"), 2_000)).ok
    assert len(clouds.ledger.entries()) == len(PROVIDERS)


async def test_a_database_that_is_down_shows_as_the_functions_own_error(
    clouds: LocalCloud, ruler: ControlClient, providers: dict[str, Provider]
) -> None:
    await ruler.replace_outages({name: [{"kind": "function-raises"}] for name in PROVIDERS})
    for name in PROVIDERS:
        outcome = await invoke(providers[name])
        assert (outcome.ok, outcome.own_error, outcome.executed) == (False, True, Executed.YES)
    assert [run.state for run in clouds.ledger.entries()] == ["raised"] * len(PROVIDERS)
