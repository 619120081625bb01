"""The control API against callers who mean well and callers who do not."""

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest

from localcloud.app import LocalCloud
from localcloud.client import ControlClient, ControlError
from tests.localcloud.calling import caller_of


async def ask(
    cloud: LocalCloud, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, cloud.control_url + path, data=body, headers=headers) as response,
    ):
        return response.status, await response.json()


async def test_it_says_what_is_there(localcloud: LocalCloud, control: ControlClient) -> None:
    await control.set_outage("AWS", "slow", delay_ms=5)
    described = (await control.describe())["providers"]
    assert list(described) == ["AWS", "GCP", "AZURE"]
    for provider, url in localcloud.urls.items():
        assert url.endswith(f":{described[provider]['port']}")
        assert described[provider]["listening"] is True
        assert {"my-func", "flakey-func", "reserve-stock", "charge-card", "ship-order"} <= set(
            described[provider]["functions"]
        )
    assert described["AWS"]["outages"][0]["kind"] == "slow"


async def test_rules_are_listed_replaced_and_ended_one_by_one(control: ControlClient) -> None:
    await control.set_outage("AWS", "503")
    await control.set_outage("AWS", "reset", percent=30, seed=4)
    await control.set_outage("AWS", "503", message="again")
    await control.set_outage("GCP", "blackhole")
    listed = await control.outages()
    assert [rule["id"] for rule in listed["AWS"]] == ["reset", "503"]
    assert listed["AWS"][0]["percent"] == 30
    assert await control.clear("AWS", "reset") == 1
    with pytest.raises(ControlError) as raised:
        await control.clear("AWS", "reset")
    assert raised.value.status == 404
    assert await control.clear("AWS") == 1
    assert await control.clear() == 1
    assert await control.outages() == {"AWS": [], "GCP": [], "AZURE": []}


async def test_a_whole_set_is_replaced_at_once_and_within_50_ms(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        assert (await caller.call("AZURE")).status == 200
        await control.set_outage("AWS", "503")
        await control.set_outage("GCP", "reset")
        script: list[dict[str, Any]] = [
            {"AWS": [{"kind": "dns-nxdomain"}]},
            {"AWS": [{"kind": "refused"}], "AZURE": [{"kind": "throttled"}, {"kind": "slow", "delay_ms": 5}]},
            {"AWS": [{"kind": "503"}], "AZURE": [{"kind": "throttled"}]},
            {},
        ]
        loop = asyncio.get_running_loop()
        took = []
        for step in script:
            started = loop.time()
            shown = await control.replace_outages(step)
            took.append(loop.time() - started)
            assert {name: [rule["kind"] for rule in rules] for name, rules in shown.items()} == {
                name: [rule["kind"] for rule in step.get(name, [])] for name in ("AWS", "GCP", "AZURE")
            }
            assert localcloud._fronts["AWS"].listening is ({"kind": "refused"} not in step.get("AWS", []))
            if step.get("AZURE"):
                assert (await caller.call("AZURE")).status == 429
        assert sorted(took)[1] < 0.05  # not the slowest: this machine does other things too


async def test_one_providers_set_leaves_the_others_alone(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    await control.set_outage("GCP", "reset")
    await control.set_outage("AWS", "503")
    status, shown = await ask(
        localcloud, "PUT", "/outages/AWS", b'[{"kind": "reset"}, {"kind": "throttled"}]'
    )
    assert (status, [rule["kind"] for rule in shown["AWS"]]) == (200, ["reset", "throttled"])
    assert [rule["kind"] for rule in (await control.outages())["GCP"]] == ["reset"]


async def test_a_set_with_one_wrong_rule_changes_nothing_and_says_where_it_is(control: ControlClient) -> None:
    await control.set_outage("AWS", "503")
    with pytest.raises(ControlError) as raised:
        await control.replace_outages(
            {"AWS": [], "GCP": [{"kind": "reset"}, {"kind": "slow"}], "AZURE": [{"kind": "nope"}]}
        )
    assert [problem.split(": ")[:2] for problem in raised.value.problems] == [
        ["GCP", "rule 1"],
        ["AZURE", "rule 0"],
    ]
    assert [len(rules) for rules in (await control.outages()).values()] == [1, 0, 0]


async def test_runs_are_told_by_key(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        await control.set_outage("AWS", "reply-lost")
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.call("AWS", key="k1", attempt=1)
        await caller.call("AZURE", key="k1", attempt=2)
        await caller.call("AZURE", "echo-meta", key="k2")
        await caller.call("AZURE")
    runs = await control.runs_by_key()
    assert {
        key: [(run["provider"], run["function"], run["attempt"], run["state"], run["replied"]) for run in own]
        for key, own in runs.items()
    } == {
        "k1": [("AWS", "my-func", 1, "completed", False), ("AZURE", "my-func", 2, "completed", True)],
        "k2": [("AZURE", "echo-meta", 1, "completed", True)],
    }


async def test_a_wrong_rule_is_a_400_that_lists_every_problem_and_starts_nothing(
    control: ControlClient,
) -> None:
    with pytest.raises(ControlError) as raised:
        await control.set_outage("GCP", "refused", percent=200, function="f", surprise=1)
    assert raised.value.status == 400
    assert len(raised.value.problems) == 4
    assert (await control.outages())["GCP"] == []


async def test_the_ledger_is_read_page_by_page_and_forgotten(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        for number in range(5):
            await caller.call("AZURE", key=f"k{number % 4}")
    status, page = await ask(localcloud, "GET", "/ledger?limit=2")
    assert (status, len(page["entries"]), page["droppedEntries"]) == (200, 2, 0)
    status, rest = await ask(localcloud, "GET", f"/ledger?after={page['next']}")
    assert [run["idempotencyKey"] for run in rest["entries"]] == ["k2", "k3", "k0"]
    assert rest["next"] is None
    assert len(await control.ledger(key="k0", provider="AZURE", function="my-func")) == 2
    assert await control.ledger(provider="AWS") == []
    assert (await control.summary())["runTwice"]["keys"] == 1
    await control.clear_ledger()
    assert (await control.summary())["executions"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/outages/AWS", b"", 400),
        ("PUT", "/outages/AWS", b"{", 400),
        ("PUT", "/outages/AWS", b"\xff", 400),
        ("PUT", "/outages/AWS", b"[" * 60_000, 400),
        ("PUT", "/outages/AWS", b'"refused"', 400),
        ("PUT", "/outages/AWS", b'["refused"]', 400),
        ("PUT", "/outages/AWS", b'[{"kind": "reset"}, {"kind": "reset"}]', 400),
        ("PUT", "/outages/AWS", b"[" + b",".join([b"{}"] * 101) + b"]", 409),
        ("PUT", "/outages", b"{", 400),
        ("PUT", "/outages", b"[]", 400),
        ("PUT", "/outages", b'{"AWS": {"kind": "reset"}}', 400),
        ("PUT", "/outages", b'{"AWS": [{"kind": "reset"}], "ORACLE": []}', 400),
        ("PUT", "/outages", b'{"AWS": [{"kind": "reset"}], "GCP": [{"kind": "nope"}]}', 400),
        ("PUT", "/outages/AWS", b'{"kind": NaN}', 400),
        ("PUT", "/outages/AWS", b'{"kind": "slow", "delay_ms": NaN}', 400),
        ("PUT", "/outages/AWS", b'{"kind": "slow", "delay_ms": 1e999}', 400),
        ("PUT", "/outages/AWS", b" " * 70_000, 413),
        ("PUT", "/outages/ORACLE", b'{"kind": "refused"}', 404),
        ("PUT", "/outages/aws", b'{"kind": "refused"}', 404),
        ("DELETE", "/outages/ORACLE", b"", 404),
        ("DELETE", "/outages/AWS/none", b"", 404),
        ("POST", "/outages/AWS", b'{"kind": "refused"}', 405),
        ("GET", "/nope", b"", 404),
        ("GET", "/ledger?limit=-1", b"", 400),
        ("GET", "/ledger?limit=5001", b"", 400),
        ("GET", "/ledger?after=x", b"", 400),
        ("GET", "/ledger?after=99999999999999999999", b"", 400),
        ("GET", "/ledger?provider=ORACLE", b"", 400),
        ("GET", "/ledger?color=red&shape=round", b"", 400),
    ],
)
async def test_what_cannot_be_served_is_refused_with_a_reason(
    localcloud: LocalCloud, control: ControlClient, method: str, path: str, body: bytes, status: int
) -> None:
    got, answer = await ask(localcloud, method, path, body)
    assert got == status
    assert answer["problems"]
    assert answer["error"]
    assert await control.outages() == {"AWS": [], "GCP": [], "AZURE": []}


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("127.0.0.1:4100", True),
        ("localhost", True),
        ("[::1]:4100", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
async def test_a_foreign_host_name_gets_nowhere(localcloud: LocalCloud, host: str, served: bool) -> None:
    status, _ = await ask(localcloud, "GET", "/", Host=host)
    assert status == (200 if served else 421)


async def raw(port: int, text: bytes) -> bytes:
    """Send bytes as they are and read what comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_bytes_that_are_no_http_harm_no_server(localcloud: LocalCloud) -> None:
    ports = [int(url.rsplit(":", 1)[1]) for url in (localcloud.control_url, *localcloud.urls.values())]
    hostile = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ]
    for port in ports:
        for text in hostile:
            answer = await raw(port, text)
            assert not answer or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    async with caller_of(localcloud) as caller:
        for provider in localcloud.urls:
            assert (await caller.call(provider)).status == 200


async def test_a_caller_who_leaves_in_the_middle_of_a_request_leaves_nothing(localcloud: LocalCloud) -> None:
    port = localcloud._fronts["AZURE"].port
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST /api/my-func HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
    async with caller_of(localcloud) as caller:
        assert (await caller.call("AZURE")).status == 200
    assert len(localcloud.ledger.entries()) == 1


async def test_nothing_that_it_shows_is_a_secret(localcloud: LocalCloud, control: ControlClient) -> None:
    own = localcloud.settings
    shown = json.dumps([await control.describe(), await control.outages(), await control.summary()])
    shown += repr(own)
    for secret in (
        own.aws.credentials[0].secret_access_key,
        own.azure.function_key,
        own.azure.master_key,
        own.azure.client_secret,
    ):
        assert secret not in shown
