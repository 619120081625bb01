"""Every provider against localcloud: what an outcome says is what the ledger knows."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.providers.build import build
from api.settings import load
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Provider
from localcloud.app import LocalCloud
from localcloud.aws.errors import FAULTS as AWS_FAULTS
from localcloud.azure.errors import FAULTS as AZURE_FAULTS
from localcloud.client import ControlClient
from localcloud.gcp.errors import FAULTS as GCP_FAULTS
from tests.localcloud_fixtures import control, localcloud
from tests.providers.driving import call_of, opened

__all__ = ["control", "localcloud"]

CLOUDS = ("AWS", "GCP", "AZURE")
NO, MAYBE, YES = Executed.NO, Executed.MAYBE, Executed.YES


@pytest.fixture
async def providers(localcloud: LocalCloud, tmp_path: Path) -> AsyncIterator[dict[str, Provider]]:
    """The providers as a server would have them, configured by localcloud's own environment."""
    settings = load(localcloud.environment(), folder=tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        built = build(settings.providers.plain())
        for provider in built.values():
            await provider.open()
            stack.push_async_callback(provider.close)
        yield built


async def invoke(
    providers: dict[str, Provider], cloud: str, function: str = "my-func", **changes: object
) -> Outcome:
    values = {"not_after_ms": int(time.time() * 1000) + 60_000, **changes}
    return await providers[cloud].invoke(call_of(Target(cloud, function), **values))


async def test_a_function_runs_once_and_answers(
    providers: dict[str, Provider], control: ControlClient
) -> None:
    for cloud in CLOUDS:
        outcome = await invoke(providers, cloud, payload={"hello": "world"})
        assert outcome.ok
        assert outcome.output["ranOn"] == cloud
        assert outcome.output["input"] == {"hello": "world"}
    runs = await control.ledger()
    assert [(run["provider"], run["idempotencyKey"], run["attempt"]) for run in runs] == [
        (cloud, "exec-1/charge/1", 1) for cloud in CLOUDS
    ]


async def test_the_metadata_reaches_the_functions_code(providers: dict[str, Provider]) -> None:
    for cloud in CLOUDS:
        call = call_of(Target(cloud, "echo-meta"), attempt=7, not_after_ms=4_000_000_000_000)
        outcome = await providers[cloud].invoke(call)
        assert outcome.output == {
            "idempotencyKey": call.idempotency_key,
            "attempt": 7,
            "notAfter": 4_000_000_000_000,
            "traceparent": call.traceparent,
            "ranOn": cloud,
        }


async def test_plain_http_carries_the_same_metadata_to_the_functions_code(
    localcloud: LocalCloud, tmp_path: Path
) -> None:
    """One of localcloud's apps, called as a service that happens to be there."""
    azure = load(localcloud.environment(), folder=tmp_path).providers.plain()["AZURE"]
    service = {
        "url": f"{azure['base_url']}/api/echo-meta",
        "headers": {"x-functions-key": azure["function_key"]},
    }
    provider = build({"HTTP": {"services": {"echo": service}}})["HTTP"]
    async with opened(provider):
        call = call_of(Target("HTTP", "echo"), attempt=7, not_after_ms=4_000_000_000_000)
        outcome = await provider.invoke(call)
    assert outcome.output == {
        "idempotencyKey": call.idempotency_key,
        "attempt": 7,
        "notAfter": 4_000_000_000_000,
        "traceparent": call.traceparent,
        "ranOn": "AZURE",
    }


async def test_a_late_start_is_refused_and_did_not_run(
    providers: dict[str, Provider], control: ControlClient
) -> None:
    for cloud in CLOUDS:
        outcome = await invoke(providers, cloud, not_after_ms=1)
        assert (outcome.executed, outcome.signal) == (NO, "not-started")
    assert [run["state"] for run in await control.ledger()] == ["refused"] * 3


async def test_a_bug_of_the_function_is_its_own(providers: dict[str, Provider]) -> None:
    for cloud in CLOUDS:
        outcome = await invoke(providers, cloud, "buggy-func")
        assert outcome.own_error
        assert (outcome.error, outcome.cause) == ("ValueError", "this function has a bug")


async def test_a_bug_without_our_wrapper_shows_where_the_cloud_marks_it(
    providers: dict[str, Provider],
) -> None:
    assert (await invoke(providers, "AWS", "plain-buggy-func")).own_error
    assert (await invoke(providers, "GCP", "plain-buggy-func")).own_error
    azure = await invoke(providers, "AZURE", "plain-buggy-func")
    assert (azure.executed, azure.scope) == (MAYBE, Scope.FUNCTION)


async def test_a_function_that_is_not_there_is_said_to_be_missing(
    providers: dict[str, Provider],
) -> None:
    for cloud in CLOUDS:
        outcome = await invoke(providers, cloud, "no-such-func")
        assert (outcome.executed, outcome.scope, outcome.error) == (
            NO,
            Scope.FUNCTION,
            "Sidestep.NotDeployed",
        )


async def test_flakey_func_fails_by_its_cloud_on_aws_and_works_on_gcp(
    providers: dict[str, Provider],
) -> None:
    aws = await invoke(providers, "AWS", "flakey-func")
    assert (aws.executed, aws.scope, aws.signal) == (MAYBE, Scope.PROVIDER, "aws-service-exception")
    assert (await invoke(providers, "GCP", "flakey-func")).ok


async def test_an_alias_is_a_function_too(providers: dict[str, Provider]) -> None:
    assert (await invoke(providers, "AWS", "my-func:live")).ok


# outage: what the outcome says, and how often the function ran in truth
OUTAGES = {
    "refused": (NO, Scope.PROVIDER, 0),
    "blackhole": (MAYBE, Scope.PROVIDER, 0),
    "blackhole-after": (MAYBE, Scope.PROVIDER, 1),
    "reply-lost": (MAYBE, Scope.PROVIDER, 1),
    "reset": (MAYBE, Scope.PROVIDER, 0),
    "503": (MAYBE, Scope.PROVIDER, 0),
    "throttled": (NO, Scope.SATURATION, 0),
    "expired-credentials": (NO, Scope.CREDENTIALS, 0),
    "corrupt": (YES, Scope.RESPONSE, 1),
    "truncated": (YES, Scope.RESPONSE, 1),
}


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_every_outage_is_told_as_it_was(
    cloud: str, providers: dict[str, Provider], control: ControlClient
) -> None:
    """One cloud for all outages, because starting one takes longer than an outage."""
    for kind, (executed, scope, runs) in OUTAGES.items():
        for fresh in (False, True):
            assert (await invoke(providers, cloud)).ok, f"before {kind}: it works, over a kept connection"
            await control.set_outage(cloud, kind)
            await control.clear_ledger()
            outcome = await invoke(providers, cloud, timeout_ms=300, fresh_connection=fresh)
            assert len(await control.ledger()) == runs, kind
            if kind == "refused" and not fresh and outcome.signal == "connection-lost":
                # The kept connection was closed at the moment it was used: nobody can tell from here.
                assert outcome.scope is Scope.PROVIDER
            else:
                assert (outcome.executed, outcome.scope) == (executed, scope), (kind, fresh, outcome)
            await control.clear()


NAMED = [
    *(("AWS", name) for name in sorted(AWS_FAULTS.statuses)),
    *(("GCP", name) for name in sorted(GCP_FAULTS.statuses) if name != "crash"),
    *(("AZURE", name) for name in sorted(AZURE_FAULTS.statuses)),
]


async def test_no_error_that_a_cloud_names_is_taken_for_an_execution(
    providers: dict[str, Provider], control: ControlClient
) -> None:
    told: dict[tuple[str, str], Outcome] = {}
    for cloud, name in NAMED:
        await control.clear()
        await control.set_outage(cloud, "error", name=name)
        told[cloud, name] = await invoke(providers, cloud)
    assert await control.ledger() == []
    assert {key: outcome.executed for key, outcome in told.items() if outcome.executed is YES} == {}
    certain = {key for key, outcome in told.items() if outcome.executed is NO}
    unsure = {name for cloud, name in NAMED if (cloud, name) not in certain and cloud == "AWS"}
    assert unsure == {
        "DurableExecutionAlreadyStartedException",
        "GatewayTimeout",
        "InternalFailure",
        "ServiceException",
        "ServiceUnavailableException",
    }
    assert told["GCP", "no-available-instance"].signal == "no-instance"
    assert told["AZURE", "host-not-running"].signal == "no-instance"
    assert told["AZURE", "site-stopped"].scope is Scope.FUNCTION
    assert told["GCP", "internal"].scope is Scope.FUNCTION
    for cloud in ("GCP", "AZURE"):
        for name in ("bad-gateway", "upstream-timeout", "gateway-timeout"):
            if (cloud, name) in told:
                assert (told[cloud, name].executed, told[cloud, name].scope) == (MAYBE, Scope.PROVIDER)
