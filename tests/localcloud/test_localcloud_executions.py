"""Outages of the execution itself: cold starts, functions that fail because their database is down."""

import asyncio
import time
from typing import Any

import pytest

from localcloud.app import LocalCloud
from localcloud.client import ControlClient, ControlError
from localcloud.instances import Instances
from localcloud.vendor import PROVIDERS, ProviderName
from tests.localcloud.calling import Caller, caller_of, lambda_client, signed

every_provider = pytest.mark.parametrize("provider", PROVIDERS)


async def warm(caller: Caller, provider: ProviderName) -> None:
    """A first call, so that a token is at hand."""
    assert (await caller.call(provider)).status == 200
    caller.cloud.ledger.clear()


async def burst(caller: Caller, provider: ProviderName, many: int) -> list[float]:
    """How long each of so many calls at once took, the shortest first."""

    async def one() -> float:
        started = time.monotonic()
        assert (await caller.call(provider, "slow-func", {"delayMs": 200})).status == 200
        return time.monotonic() - started

    return sorted(await asyncio.gather(*(one() for _ in range(many))))


@every_provider
async def test_a_burst_beyond_the_warm_instances_waits_once_for_new_ones(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, "cold-start", delay_ms=600, warm=3)
        took = await burst(caller, provider, 8)
        assert took[3] >= 0.8
        assert took[0] < 0.8
        assert await made(control, provider) == 5
        await burst(caller, provider, 8)
        assert await made(control, provider) == 5  # they stayed warm
        assert (await burst(caller, provider, 9))[-1] >= 0.8
        assert await made(control, provider) == 6


async def made(control: ControlClient, provider: ProviderName) -> int:
    """How many instances the only rule has made."""
    return int((await control.outages())[provider][0]["hits"])


async def test_slowness_keeps_instances_busy(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "slow", delay_ms=300, id="0")
        await control.set_outage("AZURE", "cold-start", delay_ms=300, warm=1, id="1")
        started = time.monotonic()
        await asyncio.gather(*(caller.call("AZURE") for _ in range(3)))
        assert time.monotonic() - started >= 0.6
        assert [rule["hits"] for rule in (await control.outages())["AZURE"]] == [3, 2]


def test_instances_are_a_functions_own() -> None:
    instances = Instances(warm=1, delay=2.0)
    stays = [instances.enter(name) for name in ("f", "f", "g")]
    assert [stay.delay for stay in stays] == [0.0, 2.0, 0.0]
    for stay in (*stays, *stays):
        instances.leave(stay)
    assert [instances.enter("f").delay for _ in range(3)] == [0.0, 0.0, 2.0]
    assert instances.made == 2


async def test_who_hangs_up_on_a_cold_start_is_not_executed_and_leaves_a_warm_instance(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "cold-start", delay_ms=300)
        with pytest.raises(TimeoutError):
            await caller.call("AZURE", timeout=0.05)
        await until(lambda: not localcloud._fronts["AZURE"]._busy)
        assert (await caller.call("AZURE")).status == 200
        assert await made(control, "AZURE") == 1
    assert len(localcloud.ledger.entries()) == 1


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.002)


async def test_a_function_that_runs_on_without_its_caller_keeps_its_instance(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "cold-start", delay_ms=200, warm=1)
        with pytest.raises(TimeoutError):
            await caller.call("AZURE", "slow-func", {"delayMs": 900}, timeout=0.3)
        assert (await caller.call("AZURE", "slow-func")).status == 200
        assert await made(control, "AZURE") == 1


MARKED: dict[ProviderName, tuple[int, str, str]] = {
    "AWS": (200, "X-Amz-Function-Error", "Unhandled"),
    "GCP": (500, "X-Google-Status", "crash"),
    "AZURE": (500, "Sidestep-Error", "function"),
}


@every_provider
async def test_functions_run_and_raise_as_their_platform_marks_it(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage(
            provider, "function-raises", error="OperationalError", message="no connection", function="my-func"
        )
        status, header, value = MARKED[provider]
        answer = await caller.call(provider, key="k1")
        assert (answer.status, answer.headers[header]) == (status, value)
        assert b"OperationalError" in answer.body
        assert b"no connection" in answer.body
        assert (await caller.call(provider, "echo-meta")).status == 200
    first, second = await control.ledger()
    assert (first["function"], first["idempotencyKey"]) == ("my-func", "k1")
    assert (first["state"], first["replied"]) == ("raised", True)
    assert second["state"] == "completed"


@every_provider
async def test_a_function_that_is_to_raise_still_refuses_a_late_start(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    late = {"sidestep-not-after": str(int(time.time() * 1000) - 1_000)}
    async with caller_of(localcloud) as caller:
        await control.set_outage(provider, "function-raises")
        answer = await caller.call(provider, headers=late)
        assert b"Sidestep.NotStarted" in answer.body
        if provider != "AWS":
            assert (answer.status, answer.headers["Sidestep-Error"]) == (412, "not-started")
    assert [run["state"] for run in await control.ledger()] == ["refused"]


async def test_boto3_sees_a_function_error(localcloud: LocalCloud, control: ControlClient) -> None:
    await control.set_outage("AWS", "function-raises")

    def invoke() -> str:
        return lambda_client(localcloud).invoke(FunctionName="my-func", Payload=b"{}")["FunctionError"]

    assert await asyncio.to_thread(invoke) == "Unhandled"


@pytest.mark.parametrize("provider", ["GCP", "AZURE"])
async def test_a_platform_that_does_not_tell_answers_a_bare_500(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage(provider, "function-raises-unmarked")
        answer = await caller.call(provider)
        assert answer.status == 500
        assert "Sidestep-Error" not in answer.headers
        assert "X-Google-Status" not in answer.headers
    assert [run["state"] for run in await control.ledger()] == ["raised"]


async def test_aws_marks_every_error(control: ControlClient) -> None:
    with pytest.raises(ControlError, match="AWS marks every error of a function"):
        await control.set_outage("AWS", "function-raises-unmarked")


@every_provider
async def test_an_error_can_come_after_the_execution(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage(provider, "503", executed=True)
        assert (await caller.call(provider)).status == 503
    assert [(run["state"], run["replied"]) for run in await control.ledger()] == [("completed", False)]


async def test_an_execution_takes_so_many_times_as_long(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "slow", factor=10)
        started = time.monotonic()
        assert (await caller.call("AZURE", "slow-func", {"delayMs": 30})).status == 200
        assert time.monotonic() - started >= 0.3


PROBED = ("503", "blackhole", "blackhole-after", "reset", "reply-lost")


@pytest.mark.parametrize("kind", PROBED)
async def test_what_ails_invocations_ails_their_dry_runs_and_azures_own_page(
    localcloud: LocalCloud, control: ControlClient, kind: str
) -> None:
    async with caller_of(localcloud) as caller:
        assert (await dry_run(caller), await home(caller)) == (204, 200)
        for provider in ("AWS", "AZURE"):
            await control.set_outage(provider, kind)
        for probe in (dry_run, home):
            try:
                assert await probe(caller) == 503
            except (TimeoutError, ConnectionError, OSError):
                assert kind != "503"
        await control.clear()
        assert (await dry_run(caller), await home(caller)) == (204, 200)
    assert localcloud.ledger.entries() == []


async def test_what_ails_one_function_leaves_azures_own_page_alone(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "503", function="my-func")
        assert await home(caller) == 200


async def test_a_probe_needs_no_instance(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        for provider in ("AWS", "AZURE"):
            await control.set_outage(provider, "cold-start", delay_ms=60_000)
        assert (await dry_run(caller), await home(caller)) == (204, 200)


async def dry_run(caller: Caller) -> int:
    url = f"{caller.cloud.urls['AWS']}/2015-03-31/functions/my-func/invocations"
    headers = signed(caller.cloud, url, b"{}", {"X-Amz-Invocation-Type": "DryRun"})
    return (await caller.post(url, b"{}", headers, timeout=0.6)).status


async def home(caller: Caller) -> int:
    async with asyncio.timeout(0.6), caller.session.get(f"{caller.cloud.urls['AZURE']}/") as answer:
        return answer.status
