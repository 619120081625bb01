"""Large and too large payloads, seen through the HTTP API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.stores import stubs
from api.bootstrap import build, offloading, open_store
from api.settings import HttpSection, ProvidersSection, Settings
from core.errors import ConfigurationError
from core.testing.clock import ManualClock
from tests.api.serving import Functions, Server, serving

MIB = 1 << 20


def settings_with(url: str, folder: Path, *, response_bytes: int | None = None, **more: Any) -> Settings:
    http: dict[str, Any] = {"origins": (url,)}
    if response_bytes is not None:
        http["max_response_bytes"] = response_bytes
    store = f"sqlite:{folder / 'test.db'}"
    more.setdefault("data_limit", 8 * MIB)
    return Settings(port=0, store=store, providers=ProvidersSection(http=HttpSection(**http)), **more)


@asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncIterator[tuple[Server, Functions]]:
    async with Functions().running() as functions:
        chosen = settings_with(functions.url, folder, **settings)
        async with serving(chosen.store, runtime=build(chosen), limits=chosen.limits()) as server:
            yield server, functions


async def run(server: Server, workflow: dict[str, Any], input_: dict[str, Any]) -> dict[str, Any]:
    answer = await server.client.post("/executions", json={"workflow": workflow, "input": input_})
    assert answer.status_code == 201, answer.text
    return await server.ended(answer.json()["executionId"])


def bytes_of(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file())


def line(functions: Functions, *names: str) -> dict[str, Any]:
    return functions.workflow(*names)


async def test_outputs_of_a_mebibyte_leave_the_stores_file_small(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, functions):
        ended = await run(server, line(functions, "mib", "ok", "mib"), {"note": "n" * 100_000})
        assert ended["status"] == "COMPLETED"
        assert ended["output"]["mib"] == "m" * MIB
        assert ended["input"]["note"] == "n" * 100_000
        events = (await server.client.get(f"/executions/{ended['executionId']}/history")).json()["events"]
        told = [event for event in events if event.get("details", {}).get("output") == {"mib": "m" * MIB}]
        assert len(told) == 2
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        async with server.client.stream("GET", f"/executions/{ended['executionId']}/events") as stream:
            streamed = "".join([chunk async for chunk in stream.aiter_text()])
        assert streamed.count("m" * MIB) == 2
    assert bytes_of(tmp_path, "test.db*") < 200_000
    assert bytes_of(tmp_path, "test.db.payloads/**/j*") > 2 * MIB


async def test_a_restart_reads_what_was_offloaded(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, functions):
        first = await run(server, line(functions, "mib"), {})
    async with served(tmp_path) as (server, _):
        again = (await server.client.get(f"/executions/{first['executionId']}")).json()
    assert again == first


async def test_payloads_kept_in_the_store_look_the_same(tmp_path: Path) -> None:
    async with served(tmp_path, payloads="store") as (server, functions):
        ended = await run(server, line(functions, "mib"), {})
        assert ended["output"]["mib"] == "m" * MIB
    assert not (tmp_path / "test.db.payloads").exists()


async def test_an_answer_over_the_response_limit_ends_the_step_by_name(tmp_path: Path) -> None:
    async with served(tmp_path, response_bytes=100_000) as (server, functions):
        ended = await run(server, line(functions, "big", "ok"), {})
        assert len(functions.calls) == 1, "it ran, and is not silently run again"
    assert ended["status"] == "FAILED"
    assert ended["error"]["error"] == "Sidestep.DataLimitExceeded"


async def test_an_output_over_the_budget_ends_the_step_by_name_and_is_not_kept(tmp_path: Path) -> None:
    async with served(tmp_path, data_budget=400_000) as (server, functions):
        ended = await run(server, line(functions, "big", "ok"), {})
        assert len(functions.calls) == 1
    assert ended["error"]["error"] == "Sidestep.DataLimitExceeded"
    assert bytes_of(tmp_path, "test.db.payloads/**/j*") == 0


async def test_outputs_over_the_budget_together_end_the_step_by_name(tmp_path: Path) -> None:
    async with served(tmp_path, data_budget=800_000) as (server, functions):
        ended = await run(server, line(functions, "big", "big", "ok"), {})
        assert len(functions.calls) == 2
    assert ended["error"]["error"] == "Sidestep.DataLimitExceeded"
    assert ended["error"]["stepId"] == "s1"


async def test_large_answers_of_many_branches_at_once_end_by_name(tmp_path: Path) -> None:
    async with served(tmp_path, data_budget=1_200_000) as (server, functions):
        branches = [functions.task(f"b{number}", "big") for number in range(8)]
        fan = {"id": "fan", "type": "PARALLEL", "branches": [branch["id"] for branch in branches]}
        workflow = {"id": "wide", "startAt": "fan", "steps": [fan, *branches]}
        ended = await run(server, workflow, {})
    assert ended["status"] == "FAILED"
    assert ended["error"]["error"] == "Sidestep.DataLimitExceeded"


async def test_a_named_limit_can_be_caught(tmp_path: Path) -> None:
    async with served(tmp_path, data_budget=400_000) as (server, functions):
        workflow = {
            "id": "careful",
            "startAt": "s0",
            "steps": [
                functions.task("s0", "big", catch=[{"errors": ["Sidestep.DataLimitExceeded"], "next": "s1"}]),
                functions.task("s1", "ok"),
            ],
        }
        ended = await run(server, workflow, {})
    assert ended["status"] == "COMPLETED"


async def test_an_input_over_the_body_limit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    async with served(tmp_path, max_body_bytes=100_000) as (server, functions):
        workflow = line(functions, "ok")
        answer = await server.client.post(
            "/executions", json={"workflow": workflow, "input": {"a": "x" * 100_000}}
        )
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert await server.listed() == []


async def test_an_execution_waits_while_its_payloads_place_is_away_and_then_completes(
    tmp_path: Path,
) -> None:
    place, aside = tmp_path / "test.db.payloads", tmp_path / "aside"
    async with served(tmp_path) as (server, functions):
        answer = await server.client.post(
            "/executions", json={"workflow": line(functions, "held", "mib", "ok"), "input": {}}
        )
        execution_id = answer.json()["executionId"]
        await functions.called.wait()
        place.rename(aside)
        functions.release.set()
        with pytest.raises(AssertionError):
            await until_completed(server, execution_id, seconds=1)
        refused = await server.client.post(
            "/executions", json={"workflow": line(functions, "ok"), "input": {"a": "x" * 100_000}}
        )
        assert refused.status_code == 503
        aside.rename(place)
        ended = await server.ended(execution_id)
        assert ended["status"] == "COMPLETED"
        assert len(functions.calls) == 3, "no step failed, and none ran twice"


async def until_completed(server: Server, execution_id: str, seconds: float) -> None:
    assert await server.runtime.executions.wait(execution_id, seconds) == "COMPLETED"


async def test_a_payload_that_is_gone_is_a_problem_and_no_made_up_answer(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, functions):
        ended = await run(server, line(functions, "mib"), {})
        for file in payload_files(tmp_path):
            file.unlink()
        answer: httpx.Response = await server.client.get(f"/executions/{ended['executionId']}")
        assert answer.status_code >= 500
        assert answer.headers["content-type"] == "application/problem+json"


def payload_files(folder: Path) -> list[Path]:
    return list(folder.glob("test.db.payloads/*/*/*/j*"))


async def test_the_settings_decide_what_is_large(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:{tmp_path / 'a.db'}", payloads_over=2_000)
    clock = ManualClock()
    store = offloading(open_store(settings.store, clock), settings, clock)
    await store.open()
    assert store is not None
    await store.put_fact("a", b"b")
    await store.close()
    assert (tmp_path / "a.db.payloads").is_dir()
    assert stubs.MAGIC[0] == 0


def test_a_store_in_memory_keeps_payloads_itself() -> None:
    clock = ManualClock()
    plain = open_store("memory:", clock)
    assert offloading(plain, Settings(store="memory:"), clock) is plain
    with pytest.raises(ConfigurationError, match="SIDESTEP_PAYLOADS"):
        offloading(plain, Settings(store="memory:", payloads="s3://bucket"), clock)
