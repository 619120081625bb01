"""Providers over HTTP: how they stand, what a person says of them, what happened, and the numbers of it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.schemas.providers import unheard_of
from core.engine.health.report import BreakerReport, PlaceReport, ProviderReport
from tests.api.serving import Server, serving, store_url

DRAIN = {"state": "drain", "reason": "maintenance", "actor": "ada", "forSeconds": 1800}
PATH = "/providers/HTTP/override"


async def put(server: Server, path: str = PATH, **changes: Any) -> httpx.Response:
    body = {name: value for name, value in {**DRAIN, **changes}.items() if value is not ...}
    return await server.client.put(path, json=body)


async def row(server: Server, name: str = "HTTP") -> dict[str, Any]:
    shown: dict[str, Any] = (await server.client.get(f"/providers/{name}")).json()
    return shown


def codes(answer: httpx.Response) -> set[tuple[str, str]]:
    assert answer.headers["content-type"] == "application/problem+json"
    return {
        (one.get("pointer") or one.get("parameter", ""), one["code"]) for one in answer.json()["problems"]
    }


def instant(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


async def test_a_provider_tells_its_breakers_windows_functions_and_quantiles(light: Server) -> None:
    for name in ("echo", "echo", "own-error"):
        await light.ended(await light.create(name))
    shown = await row(light)
    assert (shown["state"], shown["overrides"], shown["sidesteps"]) == ("CLOSED", [], {"in": 0, "out": 0})
    assert (shown["calls"], shown["failures"], shown["inFlight"]) == (3, 1, 0)
    assert 0 < shown["p50Ms"] <= shown["p95Ms"]
    assert [shown[name] for name in ("hedges", "rehearsals", "parked", "queued")] == [0, 0, 0, 0]
    (place,) = shown["places"]
    assert place["region"] is None
    assert set(place["breaker"]) == {"state", "why", "since", "nextProbeAt", "rampAt", "share", "openings"}
    assert (place["breaker"]["state"], place["breaker"]["share"], place["breaker"]["openings"]) == (
        "CLOSED",
        1,
        0,
    )
    assert place["window"] == {"seconds": 10, "calls": 3, "failures": 0, "overdue": 0}
    busiest, other = place["functions"]
    assert busiest["functionId"].endswith("/echo")
    assert other["functionId"].endswith("/own-error")
    assert (busiest["window"]["calls"], busiest["inFlight"]) == (2, 0)
    assert set(busiest) == {
        *("functionId", "breaker", "window", "inFlight", "p50Ms", "p95Ms", "p99Ms", "room"),
    }


async def test_the_list_is_the_same_without_functions_and_tells_of_the_replica(light: Server) -> None:
    await light.ended(await light.create("echo"))
    listed = (await light.client.get("/providers")).json()
    assert set(listed) == {"providers", "replica", "replicas", "isolated", "alone"}
    assert (listed["replicas"], listed["isolated"], listed["alone"]) == (1, None, None)
    assert listed["replica"]
    one = next(each for each in listed["providers"] if each["provider"] == "HTTP")
    assert set(one) == set(await row(light))
    assert all("functions" not in place for place in one["places"])


async def test_a_drained_provider_is_called_no_more_until_it_is_lifted(light: Server) -> None:
    answer = await put(light)
    assert answer.status_code == 200
    kept = answer.json()
    assert (kept["provider"], kept["region"], kept["state"]) == ("HTTP", None, "DRAINED")
    assert (kept["reason"], kept["actor"]) == ("maintenance", "ada")
    span = datetime.fromisoformat(kept["until"]) - datetime.fromisoformat(kept["at"])
    assert abs(span.total_seconds() - 1800) < 1
    shown = await row(light)
    assert shown["state"] == "DRAINED"
    assert "maintenance" in shown["why"]
    del kept["provider"]
    assert shown["overrides"] == [kept]
    assert (await light.client.delete(PATH)).status_code == 204
    assert (await row(light))["state"] == "CLOSED"
    assert (await light.client.delete(PATH)).status_code == 404


@pytest.mark.parametrize(
    ("said", "state"), [("drain", "DRAINED"), ("forceOpen", "FORCED_OPEN"), ("forceClosed", "FORCED_CLOSED")]
)
async def test_each_way_to_override_is_shown_by_its_state(light: Server, said: str, state: str) -> None:
    assert (await put(light, "/providers/aws/override", state=said)).json()["state"] == state
    assert (await row(light, "AWS"))["state"] == state


async def test_an_override_of_one_region_stands_beside_that_of_all_and_is_lifted_by_its_region(
    light: Server,
) -> None:
    path = "/providers/AWS/override"
    until = instant(hours=1)
    assert (await put(light, path, forSeconds=..., until=until)).status_code == 200
    assert (await put(light, path, region="eu-west-1", state="forceOpen")).status_code == 200
    assert {one["region"] for one in (await row(light, "AWS"))["overrides"]} == {None, "eu-west-1"}
    missing = await light.client.delete(path, params={"region": "us-east-1"})
    assert missing.json()["type"] == "urn:sidestep:problem:override-not-found"
    assert "eu-west-1" in missing.json()["detail"]
    assert (await light.client.delete(path, params={"region": "eu-west-1"})).status_code == 204
    assert [one["region"] for one in (await row(light, "AWS"))["overrides"]] == [None]


async def test_an_override_of_a_region_that_nothing_was_called_in_is_kept_with_a_note(light: Server) -> None:
    answer = await put(light, "/providers/AWS/override", region="mars-1")
    assert answer.status_code == 200
    assert answer.json()["note"] == "no call goes to region mars-1 so far"
    assert [one["region"] for one in (await row(light, "AWS"))["overrides"]] == ["mars-1"]
    assert "note" not in (await put(light, "/providers/AWS/override")).json()


def test_a_region_of_the_settings_or_of_calls_needs_no_note() -> None:
    breaker = BreakerReport(
        state="CLOSED",
        why="",
        since_ms=0,
        next_probe_ms=None,
        ramp_ms=None,
        share=1.0,
        openings=0,
        window_seconds=10,
        calls=0,
        failures=0,
        overdue=0,
    )
    aws = ProviderReport(
        name="AWS",
        configured=True,
        why_not=None,
        state="CLOSED",
        why="",
        overrides=(),
        places=(PlaceReport(region="eu-west-1", breaker=breaker, functions=()),),
        in_flight=0,
        calls=0,
        failures=0,
        signals={},
        recent=(),
    )
    assert unheard_of(aws, "eu-west-1", None) is None
    assert unheard_of(aws, "us-east-1", "us-east-1") is None
    assert unheard_of(aws, None, "us-east-1") is None
    assert unheard_of(aws, "mars-1", "us-east-1") == "no call goes to region mars-1 so far"


async def test_an_override_ends_by_itself(light: Server) -> None:
    assert (await put(light, forSeconds=1)).status_code == 200
    async with asyncio.timeout(20):
        while (await row(light))["overrides"]:
            await asyncio.sleep(0.05)
    assert (await row(light))["state"] == "CLOSED"


async def test_an_override_survives_a_restart_and_so_does_who_said_so(tmp_path: Path) -> None:
    again = store_url("sqlite", tmp_path)
    async with serving(again) as server:
        async with asyncio.timeout(20):
            # Until the board is connected to its store, nothing durable can be said.
            while (await put(server)).status_code == 503:
                await asyncio.sleep(0.05)
        assert (await row(server))["state"] == "DRAINED"
    async with serving(again) as server:
        async with asyncio.timeout(20):
            while (await row(server))["state"] != "DRAINED":
                await asyncio.sleep(0.05)
        assert (await row(server))["overrides"][0]["actor"] == "ada"
        kinds = [one["kind"] for one in (await server.client.get("/providers/events")).json()["events"]]
        assert "OVERRIDE_SET" in kinds


async def test_every_mistake_of_an_override_is_listed_at_once(light: Server) -> None:
    answer = await light.client.put(PATH, json={"state": "drained", "region": 7, "forSecond": 3})
    assert answer.status_code == 400
    assert codes(answer) == {
        ("/reason", "missing-field"),
        ("/forSeconds", "missing-field"),
        ("/state", "unknown-state"),
        ("/region", "wrong-type"),
        ("/forSecond", "unknown-field"),
    }
    mends = {one["pointer"]: one["mend"] for one in answer.json()["problems"]}
    assert mends["/state"] == "Did you mean 'drain'?"
    assert mends["/forSecond"] == "Did you mean 'forSeconds'?"
    assert (await row(light))["overrides"] == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"reason": ...}, ("/reason", "missing-field")),
        ({"reason": ""}, ("/reason", "empty")),
        ({"reason": " \t"}, ("/reason", "empty")),
        ({"reason": "\x00\x1b\u200b\u00a0"}, ("/reason", "empty")),
        ({"region": " "}, ("/region", "invalid-region")),
        ({"region": "eu-west-1\n"}, ("/region", "invalid-region")),
        ({"region": "eu\x1b[31m"}, ("/region", "invalid-region")),
        ({"reason": None}, ("/reason", "wrong-type")),
        ({"reason": "x" * 1_001}, ("/reason", "too-long")),
        ({"actor": "x" * 129}, ("/actor", "too-long")),
        ({"region": "x" * 65}, ("/region", "too-long")),
        ({"region": ""}, ("/region", "empty")),
        ({"state": ...}, ("/state", "missing-field")),
        ({"state": 3}, ("/state", "wrong-type")),
        ({"forSeconds": ...}, ("/forSeconds", "missing-field")),
        ({"forSeconds": None}, ("/forSeconds", "missing-field")),
        ({"forSeconds": "30m"}, ("/forSeconds", "wrong-type")),
        ({"forSeconds": True}, ("/forSeconds", "wrong-type")),
        ({"forSeconds": 0}, ("/forSeconds", "out-of-range")),
        ({"forSeconds": -5}, ("/forSeconds", "out-of-range")),
        ({"forSeconds": 604_801}, ("/forSeconds", "out-of-range")),
        ({"until": "2999-01-01T00:00:00Z"}, ("/until", "one-too-many")),
        ({"forSeconds": ..., "until": "2020-01-01T00:00:00Z"}, ("/until", "past")),
        ({"forSeconds": ..., "until": "2999-01-01T00:00:00Z"}, ("/until", "out-of-range")),
        ({"forSeconds": ..., "until": "tomorrow"}, ("/until", "invalid-time")),
        ({"forSeconds": ..., "until": 1767323045678}, ("/until", "wrong-type")),
    ],
)
async def test_an_override_that_cannot_be_used_is_refused_with_its_place(
    light: Server, changes: dict[str, Any], found: tuple[str, str]
) -> None:
    answer = await put(light, **changes)
    assert answer.status_code == 400
    assert found in codes(answer)
    assert all(one["mend"] for one in answer.json()["problems"])
    assert (await row(light))["overrides"] == []


async def test_a_week_is_the_longest_whichever_way_it_is_said(light: Server) -> None:
    assert (await put(light, forSeconds=604_800)).status_code == 200
    assert (await put(light, forSeconds=..., until=instant(days=7, seconds=-5))).status_code == 200
    beyond = await put(light, forSeconds=..., until=instant(days=7, seconds=5))
    assert codes(beyond) == {("/until", "out-of-range")}


async def test_no_call_about_a_provider_that_there_is_not_changes_anything(light: Server) -> None:
    for method, path in (
        ("PUT", "/providers/oracle/override"),
        ("DELETE", "/providers/oracle/override"),
        ("GET", "/providers/oracle"),
        ("GET", "/providers/oracle/events"),
    ):
        answer = await light.client.request(method, path, json=DRAIN if method == "PUT" else None)
        assert answer.status_code == 404, path
        assert answer.json()["type"] == "urn:sidestep:problem:provider-not-found"
        assert "AWS, GCP, AZURE, HTTP" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/providers?all=1", "all"),
        ("GET", "/providers/AWS?region=x", "region"),
        ("PUT", f"{PATH}?region=x", "region"),
        ("DELETE", f"{PATH}?reason=x", "reason"),
        ("DELETE", f"{PATH}?region=", "region"),
        ("GET", "/providers/events?limit=0", "limit"),
        ("GET", "/providers/events?limit=501", "limit"),
        ("GET", "/providers/AWS/events?before=no+cursor", "before"),
        ("GET", "/providers/events?before=%2B&before=x", "before"),
    ],
)
async def test_a_query_that_means_nothing_is_refused(
    light: Server, method: str, path: str, parameter: str
) -> None:
    answer = await light.client.request(method, path, json=DRAIN if method == "PUT" else None)
    assert answer.status_code == 400
    assert {one["parameter"] for one in answer.json()["problems"]} == {parameter}


async def test_what_people_said_is_listed_newest_first_by_pages_and_by_provider(light: Server) -> None:
    for number in range(3):
        assert (await put(light, reason=f"reason {number}")).status_code == 200
    assert (await put(light, "/providers/aws/override")).status_code == 200
    assert (await light.client.delete(PATH, params={"actor": "bo"})).status_code == 204

    everything = (await light.client.get("/providers/events")).json()
    assert everything["nextCursor"] is None
    told = [(one["kind"], one["provider"], one["actor"]) for one in everything["events"]]
    assert told == [
        ("OVERRIDE_LIFTED", "HTTP", "bo"),
        ("OVERRIDE_SET", "AWS", "ada"),
        *[("OVERRIDE_SET", "HTTP", "ada")] * 3,
    ]
    assert set(everything["events"][0]) == {
        *("id", "at", "kind", "provider", "region", "functionId", "why", "actor", "replica"),
    }
    assert "reason 2" in everything["events"][2]["why"]

    walked, cursor = [], None
    while True:
        params = {"limit": "2", **({"before": cursor} if cursor else {})}
        page = (await light.client.get("/providers/http/events", params=params)).json()
        assert len(page["events"]) <= 2
        walked += page["events"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert walked == [one for one in everything["events"] if one["provider"] == "HTTP"]


async def test_an_opening_is_shown_counted_and_listed(light: Server) -> None:
    for _ in range(5):
        await light.ended(await light.create("down"))
    shown = await row(light)
    assert shown["state"] in {"OPEN", "HALF_OPEN"}
    (place,) = shown["places"]
    assert place["breaker"]["openings"] == 1
    assert place["breaker"]["nextProbeAt"] is not None
    async with asyncio.timeout(20):
        while True:
            events = (await light.client.get("/providers/http/events")).json()["events"]
            if any(one["kind"] == "BREAKER_OPENED" and one["functionId"] is None for one in events):
                break
            await asyncio.sleep(0.05)
    page = (await light.client.get("/metrics")).text
    assert re.search(r'sidestep_breaker_openings_total\{provider="HTTP"\} [1-9]', page)
    assert 'sidestep_breaker_state{provider="HTTP",region="",state="CLOSED"} 0\n' in page


async def test_metrics_tell_of_breakers_overrides_and_the_replica_without_naming_functions(
    light: Server,
) -> None:
    await light.ended(await light.create("echo"))
    assert (await put(light)).status_code == 200
    page = (await light.client.get("/metrics")).text
    assert 'sidestep_breaker_state{provider="HTTP",region="",state="CLOSED"} 1\n' in page
    assert 'sidestep_breaker_state{provider="HTTP",region="",state="OPEN"} 0\n' in page
    assert 'sidestep_overrides{provider="HTTP",state="DRAINED"} 1\n' in page
    assert 'sidestep_overrides{provider="AWS",state="DRAINED"} 0\n' in page
    for name in ("hedges", "rehearsals", "probes", "steps_parked", "breaker_openings"):
        assert f'sidestep_{name}_total{{provider="AWS"}} 0\n' in page
    assert 'sidestep_queued{provider="HTTP"} 0\n' in page
    assert "sidestep_replica_isolated 0\n" in page
    assert "sidestep_board_alone 0\n" in page
    assert light.functions.url not in page


async def test_openapi_has_every_call_about_providers_with_an_example_that_the_server_takes(
    light: Server,
) -> None:
    document = (await light.client.get("/openapi.json")).json()
    paths = document["paths"]
    assert set(paths["/providers/{provider_id}/override"]) == {"put", "delete"}
    assert {"/providers", "/providers/events", "/providers/{provider_id}/events"} <= set(paths)
    order = paths["/providers/{provider_id}/override"]["put"]["requestBody"]["content"]["application/json"]
    assert (await light.client.put(PATH, json=order["example"])).status_code == 200
    schemas = document["components"]["schemas"]
    shown = await row(light)
    assert set(schemas["Provider"]["properties"]) == set(shown)
    assert set(schemas["Override"]["properties"]) == {"provider", "note", *shown["overrides"][0]}
    event = (await light.client.get("/providers/events")).json()["events"][0]
    assert set(schemas["ProviderEvent"]["properties"]) == set(event)
    example = paths["/providers/{provider_id}"]["get"]["responses"]["200"]["content"]["application/json"]
    assert "places" in example["example"]
    assert set(example["example"]) <= set(shown)
