"""Examples and functions whose results come later, for real: server, providers, callbacks, polls, ledger."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.bootstrap import build
from api.runtime import Runtime
from api.server import serve
from api.settings import load
from localcloud.app import LocalCloud
from localcloud.client import ControlClient
from tests.localcloud_fixtures import control, localcloud

__all__ = ["control", "localcloud"]

EXAMPLES = Path(__file__).parents[2] / "examples"


class Clouds:
    """A server that calls localcloud."""

    def __init__(self, client: httpx.AsyncClient, runtime: Runtime) -> None:
        self.client = client
        self.runtime = runtime

    async def run(self, workflow: dict[str, Any], given: dict[str, Any]) -> str:
        answer = await self.client.post("/executions", json={"workflow": workflow, "input": given})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["executionId"])

    async def ended(self, execution_id: str) -> dict[str, Any]:
        await self.runtime.executions.wait(execution_id, 30)
        view: dict[str, Any] = (await self.client.get(f"/executions/{execution_id}")).json()
        return view


@pytest.fixture
async def clouds(localcloud: LocalCloud, tmp_path: Path) -> AsyncIterator[Clouds]:
    settings = load(
        {**localcloud.environment(), "SIDESTEP_STORE": "memory:", "SIDESTEP_PORT": "0"}, folder=tmp_path
    )
    runtime, stop = build(settings), asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(settings, ready=url.set_result, stop=stop, runtime=runtime))
    await asyncio.wait((server, url), return_when=asyncio.FIRST_COMPLETED)
    try:
        async with httpx.AsyncClient(base_url=url.result(), timeout=30, trust_env=False) as client:
            yield Clouds(client, runtime)
    finally:
        stop.set()
        await server


def answering(provider: str, **changes: Any) -> dict[str, Any]:
    step = {"id": "ask", "type": "TASK", "provider": provider, "functionId": "answer-later"}
    return {"id": "later", "startAt": "ask", "steps": [{**step, "await": "callback", **changes}]}


@pytest.mark.parametrize("provider", ["AWS", "GCP", "AZURE"])
async def test_a_function_calls_back_and_that_is_the_steps_result(
    clouds: Clouds, control: ControlClient, provider: str
) -> None:
    execution_id = await clouds.run(answering(provider), {"afterMs": 50, "n": 1})
    view = await clouds.ended(execution_id)
    assert view["status"] == "COMPLETED", view
    assert view["output"]["answer"] == "yes"
    assert view["output"]["ranOn"] == provider
    (attempt,) = view["steps"][0]["attempts"]
    assert attempt["signal"] == "callback"
    assert len(await control.ledger()) == 1


async def test_a_function_that_calls_back_with_an_error_fails_by_its_own_error(clouds: Clouds) -> None:
    flow = answering("AWS", catch=[{"errors": ["Denied"], "next": "no"}])
    flow["steps"].append({"id": "no", "type": "PASS", "result": {"denied": True}})
    view = await clouds.ended(await clouds.run(flow, {"afterMs": 0, "fail": "Denied"}))
    assert (view["status"], view["output"]["denied"]) == ("COMPLETED", True)


@pytest.mark.parametrize("provider", ["GCP", "AZURE"])
async def test_a_long_job_is_polled_until_it_is_done_and_runs_once(
    clouds: Clouds, control: ControlClient, provider: str
) -> None:
    flow = json.loads((EXAMPLES / "long-job.json").read_text())
    flow["steps"][0] |= {"provider": provider, "input": {"workMs": 500}}
    flow["steps"][0].pop("fallbackProvider")
    view = await clouds.ended(await clouds.run(flow, {"day": "2026-01-02"}))
    assert view["status"] == "COMPLETED", view
    assert view["output"]["report"]["ranOn"] == provider
    runs = await control.ledger()
    assert [(run["provider"], run["function"]) for run in runs] == [(provider, "long-job")]


async def test_the_approval_is_given_by_a_person(clouds: Clouds, control: ControlClient) -> None:
    flow = json.loads((EXAMPLES / "approval.json").read_text())
    yes = await clouds.run(flow, {"orderId": "A-1", "amount": 12})
    await clouds.client.post(f"/executions/{yes}/signals/approval", json={"approved": True, "by": "ann"})
    view = await clouds.ended(yes)
    assert view["status"] == "COMPLETED", view
    assert view["output"]["approval"] == {"approved": True, "by": "ann"}
    assert {run["function"] for run in await control.ledger()} == {"reserve-stock", "charge-card"}
