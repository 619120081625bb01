"""Every outage as a caller meets it at the wire, and what the ledger knows of it."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ResponseStreamingError

from localcloud.app import LocalCloud
from localcloud.client import ControlClient
from localcloud.reading import parse
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import PROVIDERS, ProviderName
from tests.localcloud.calling import Caller, caller_of, lambda_client

every_provider = pytest.mark.parametrize("provider", PROVIDERS)


async def runs(control: ControlClient) -> list[tuple[str, bool | None]]:
    return [(run["state"], run["replied"]) for run in await control.ledger()]


async def warm(caller: Caller, provider: ProviderName) -> None:
    """A first call, so that a connection is open and a token at hand."""
    assert (await caller.call(provider)).status == 200
    caller.cloud.ledger.clear()


@every_provider
async def test_refused_closes_the_socket_and_resets_what_is_open(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        port = localcloud._fronts[provider].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await control.set_outage(provider, "refused")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", port))
        with pytest.raises(aiohttp.ClientConnectorError):
            await caller.call(provider)
        assert (await control.describe())["providers"][provider]["listening"] is False
        # The port stays taken, so that nobody else answers there meanwhile.
        with socket.socket() as thief, pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", port))
        await control.clear(provider)
        assert (await caller.call(provider)).status == 200
        assert localcloud._fronts[provider].port == port
        assert await runs(control) == [("completed", True)]


@every_provider
async def test_refused_resets_a_call_in_flight_whose_function_runs_on(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        call = asyncio.create_task(caller.call(provider, "slow-func", {"delayMs": 200}))
        await until_running(localcloud)
        await control.set_outage(provider, "refused")
        with pytest.raises(aiohttp.ClientConnectionError):
            await call
        async with asyncio.timeout(5):
            while await runs(control) != [("completed", False)]:
                await asyncio.sleep(0.005)


async def until_running(cloud: LocalCloud) -> None:
    async with asyncio.timeout(5):
        while not cloud.ledger.entries():
            await asyncio.sleep(0.002)


@every_provider
@pytest.mark.parametrize(("kind", "ran"), [("blackhole", False), ("blackhole-after", True)])
async def test_a_black_hole_takes_the_request_and_never_answers(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName, kind: str, ran: bool
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, kind)
        with pytest.raises(TimeoutError):
            await caller.call(provider, timeout=0.3)
        assert await runs(control) == ([("completed", False)] if ran else [])
        # The caller hung up, and nothing waits for it any more.
        async with asyncio.timeout(5):
            while open_requests(localcloud, provider):
                await asyncio.sleep(0.005)


def open_requests(cloud: LocalCloud, provider: ProviderName) -> int:
    http = cloud._fronts[provider]._http
    return len(http.connections) if http is not None else 0


@every_provider
@pytest.mark.parametrize(("kind", "ran"), [("reset", False), ("reply-lost", True)])
async def test_a_reset_comes_before_or_after_the_execution(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName, kind: str, ran: bool
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, kind)
        with pytest.raises(aiohttp.ClientConnectionError) as raised:
            await caller.call(provider)
        assert isinstance(raised.value, ConnectionResetError | aiohttp.ClientOSError)
        assert await runs(control) == ([("completed", False)] if ran else [])


@every_provider
async def test_a_truncated_answer_ends_in_its_middle(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, "truncated")
        with pytest.raises(aiohttp.ClientPayloadError):
            await caller.call(provider)
        assert await runs(control) == [("completed", False)]


@every_provider
async def test_a_corrupt_answer_is_whole_and_makes_no_sense(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, "corrupt")
        answer = await caller.call(provider)
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"Expecting|Invalid|Unterminated"):
            _ = answer.json
        assert await runs(control) == [("completed", False)]


@every_provider
async def test_who_is_turned_away_is_turned_away_in_an_outage_of_the_reply_too(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        for kind in ("corrupt", "truncated", "reply-lost", "blackhole-after"):
            await control.set_outage(provider, kind)
            assert (await caller.call(provider, "nope")).status == 404
            await control.clear()
    assert await runs(control) == []


@every_provider
async def test_slow_holds_an_execution_back(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await warm(caller, provider)
        await control.set_outage(provider, "slow", delay_ms=150)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert (await caller.call(provider)).status == 200
        assert loop.time() - started >= 0.15
        # Who gives up while it is held back is never executed.
        with pytest.raises(TimeoutError):
            await caller.call(provider, timeout=0.05)
        assert await runs(control) == [("completed", True)]


THROTTLED = {"AWS": 429, "GCP": 429, "AZURE": 429}
EXPIRED = {"AWS": 403, "GCP": 401, "AZURE": 401}


@every_provider
async def test_short_names_for_what_happens_most(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage(provider, "503")
        assert (await caller.call(provider)).status == 503
        await control.clear()
        await control.set_outage(provider, "throttled", retry_after=2)
        answer = await caller.call(provider)
        assert (answer.status, answer.headers["Retry-After"]) == (THROTTLED[provider], "2")
        await control.clear()
        await control.set_outage(provider, "expired-credentials")
        assert (await caller.call(provider)).status == EXPIRED[provider]
    assert await runs(control) == []


@every_provider
async def test_every_named_error_has_its_status(
    localcloud: LocalCloud, control: ControlClient, provider: ProviderName
) -> None:
    faults = localcloud._fronts[provider].vendor.faults
    async with caller_of(localcloud) as caller:
        for name, status in faults.statuses.items():
            await control.set_outage(provider, "error", id="one", name=name, message="as said")
            answer = await caller.call(provider)
            assert answer.status == status, name
            assert b"as said" in answer.body, name
        for status, name in faults.by_status.items():
            rule = await control.set_outage(provider, "error", id="one", status=status)
            assert rule["name"] == name
            assert (await caller.call(provider)).status == status
    assert await runs(control) == []


async def test_the_bodies_that_matter_to_callers_say_what_the_clouds_say(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    said: list[tuple[ProviderName, str, bytes]] = [
        ("GCP", "no-available-instance", b"no available instance"),
        ("GCP", "upstream-timeout", b"upstream request timeout"),
        ("AZURE", "host-not-running", b"Function host is not running."),
        ("AZURE", "site-stopped", b"This web app is stopped."),
    ]
    async with caller_of(localcloud) as caller:
        for provider, name, words in said:
            await control.set_outage(provider, "error", id="one", name=name)
            assert words in (await caller.call(provider)).body
        await control.set_outage("GCP", "error", id="one", name="crash")
        assert (await caller.call("GCP")).headers["X-Google-Status"] == "crash"


async def test_one_function_only(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "503", function="charge-card")
        assert (await caller.call("AZURE", "charge-card")).status == 503
        assert (await caller.call("AZURE", "my-func")).status == 200


async def test_one_provider_only(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AWS", "503")
        assert [(await caller.call(provider)).status for provider in PROVIDERS] == [503, 200, 200]


async def test_a_percentage_hits_the_same_calls_for_the_same_seed(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async def pattern(seed: int) -> list[int]:
        await control.set_outage("AZURE", "503", percent=30, seed=seed)
        return [(await caller.call("AZURE")).status for _ in range(60)]

    async with caller_of(localcloud) as caller:
        first, again, other = await pattern(1), await pattern(1), await pattern(2)
    assert first == again != other
    assert 5 <= first.count(503) <= 35


async def test_slowness_adds_to_what_comes_after_it(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AZURE", "slow", delay_ms=60, id="a")
        await control.set_outage("AZURE", "slow", delay_ms=60, id="b")
        await control.set_outage("AZURE", "503")
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert (await caller.call("AZURE")).status == 503
        assert loop.time() - started >= 0.12


async def test_the_token_endpoint_fails_only_when_it_is_asked_to(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    await control.set_outage("GCP", "503")
    async with caller_of(localcloud) as caller:
        assert (await caller.call("GCP")).status == 503  # a token was had, the function was not
        await control.clear()
        await control.set_outage("GCP", "503", plane="control")
        assert (await caller.call("GCP")).status == 200
        url = f"{localcloud.urls['GCP']}/token"
        assert (await caller.post(url, b"")).status == 503
        await control.set_outage("GCP", "503", plane="all")
        assert (await caller.call("GCP")).status == 503


async def test_a_refusal_ends_by_itself_and_flaps(localcloud: LocalCloud, control: ControlClient) -> None:
    async def until(listening: bool) -> None:
        async with asyncio.timeout(5):
            while localcloud._fronts["AWS"].listening is not listening:
                await asyncio.sleep(0.002)

    await control.set_outage("AWS", "refused", for_seconds=0.05)
    assert localcloud._fronts["AWS"].listening is False
    await until(listening=True)
    assert await control.outages() == {"AWS": [], "GCP": [], "AZURE": []}
    await control.set_outage("AWS", "refused", flap=[0.03, 0.03])
    for listening in (False, True, False, True):
        await until(listening=listening)
    async with caller_of(localcloud) as caller:
        await control.clear()
        assert (await caller.call("AWS")).status == 200


async def test_a_refusal_while_refused_and_two_clears_are_harmless(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    await asyncio.gather(*(control.set_outage("AWS", "refused", id=f"r{i}") for i in range(20)))
    assert await control.clear("AWS", "r0") == 1
    assert localcloud._fronts["AWS"].listening is False
    await asyncio.gather(*(control.clear("AWS") for _ in range(5)))
    async with caller_of(localcloud) as caller:
        assert (await caller.call("AWS")).status == 200


async def test_stopping_frees_what_is_held_in_a_black_hole() -> None:
    async with LocalCloud(LocalCloudSettings(port=0)) as cloud, caller_of(cloud) as caller:
        await warm(caller, "AZURE")
        cloud._fronts["AZURE"].outages.put(rule_of(cloud, kind="blackhole"))
        call = asyncio.create_task(caller.call("AZURE", timeout=30))
        async with asyncio.timeout(5):
            while cloud._fronts["AZURE"].outages.listed()[0]["hits"] == 0:
                await asyncio.sleep(0.002)
        await cloud.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await call


def rule_of(cloud: LocalCloud, **body: Any) -> Any:
    return parse(body, cloud._fronts["AZURE"].vendor.faults)


async def test_boto3_sees_an_outage_as_it_sees_a_real_one(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    expected: dict[str, type[Exception]] = {
        "refused": EndpointConnectionError,
        "reset": ConnectionClosedError,
        "reply-lost": ConnectionClosedError,
        "truncated": ResponseStreamingError,
    }

    def invoke() -> bytes:
        return lambda_client(localcloud).invoke(FunctionName="my-func", Payload=b"{}")["Payload"].read()

    for kind, error in expected.items():
        await control.set_outage("AWS", kind)
        with pytest.raises(error):
            await asyncio.to_thread(invoke)
        await control.clear()
    assert b"Hello" in await asyncio.to_thread(invoke)
