"""kill -9 of a server while executions wait for people, functions and jobs: what waits goes on as it was."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.app import LocalCloud
from localcloud.client import connect
from localcloud.settings import LocalCloudSettings
from tests.e2e.test_kill import free_port, server


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "TASK", **more}


FLOW = {
    "id": "patient",
    "startAt": "all",
    "steps": [
        {"id": "all", "type": "PARALLEL", "branches": ["person", "asked", "job", "caller"]},
        {"id": "person", "type": "WAIT", "signal": "go", "output": {"person": "{% $result %}"}},
        {"id": "asked", "type": "WAIT", "callback": True, "output": {"asked": "{% $result %}"}},
        task(
            "job", provider="GCP", functionId="long-job", **{"await": "poll"}, output={"job": "{% $result %}"}
        ),
        task(
            "caller",
            provider="AWS",
            functionId="answer-later",
            **{"await": "callback"},
            output={"caller": "{% $result %}"},
        ),
    ],
}


async def waits(client: httpx.AsyncClient, execution_id: str) -> dict[str, dict[str, Any]]:
    found = (await client.get(f"/executions/{execution_id}/waits")).raise_for_status().json()["waits"]
    return {wait["stepId"]: wait for wait in found}


@pytest.mark.timeout(120)
async def test_what_waits_is_answered_after_its_server_was_killed(tmp_path: Path) -> None:
    async with LocalCloud(LocalCloudSettings(port=0)) as clouds:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        async with server(tmp_path, port, clouds) as process, httpx.AsyncClient(base_url=base) as client:
            asked = {"workflow": FLOW, "input": {"workMs": 3_000, "afterMs": 3_000}}
            created = (await client.post("/executions", json=asked)).raise_for_status()
            mine = created.json()["executionId"]
            async with asyncio.timeout(30):
                while len(before := await waits(client, mine)) < 4:
                    await asyncio.sleep(0.02)
            said = {"status": "success", "output": "yes"}
            taken = await client.post(httpx.URL(before["asked"]["callbackUrl"]).path, json=said)
            assert taken.status_code == 202
            sent = await client.post(f"/executions/{mine}/signals/go", json={"by": "ada"})
            assert sent.status_code == 202
            process.kill()
            await process.wait()
        async with server(tmp_path, port, clouds), httpx.AsyncClient(base_url=base, timeout=30) as client:
            async with asyncio.timeout(60):
                while (view := (await client.get(f"/executions/{mine}")).json())["status"] == "RUNNING":
                    await asyncio.sleep(0.05)
        async with connect(clouds.control_url) as control:
            runs = await control.ledger()
    assert view["status"] == "COMPLETED", view["error"]
    results = {name: value for one in view["output"]["all"] for name, value in one.items()}
    assert (results["person"], results["asked"]) == ({"by": "ada"}, "yes")
    assert (results["job"]["report"], results["caller"]["answer"]) == ("all done", "yes")
    assert sorted(run["function"] for run in runs) == ["answer-later", "long-job"]
