"""The server as a process: it starts in a sentence, ends in order, and says why it cannot start."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.server import serve
from core.errors import ConfigurationError, StoreInUse
from tests.api.serving import serving, settings_for, store_url

PROGRAM = "import sys; from api.server import run; from api.settings import load; sys.exit(run(load()))"


@contextlib.asynccontextmanager
async def started(folder: Path, **settings: Any) -> AsyncIterator[Process]:
    """A server process of its own, killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIDESTEP_")}
    given = {f"SIDESTEP_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2]), **given},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def address(process: Process) -> str:
    """Where the process serves, as its log says."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        async for line in process.stderr:
            _, found, url = line.decode().partition("serving on ")
            if found:
                return url.strip()
    raise AssertionError("the server ended before it served")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_streams_and_the_process_in_order(tmp_path: Path, number: int) -> None:
    flow = {"id": "w", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 600}]}
    async with started(tmp_path, port=0) as process:
        url = await address(process)
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            created = (await client.post("/executions", json={"workflow": flow})).json()
            async with client.stream("GET", f"/executions/{created['executionId']}/events") as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                process.send_signal(number)
                async with asyncio.timeout(20):
                    rest = [line async for line in lines]
                    assert await process.wait() == 0
            assert any(line.startswith("id: ") for line in rest)
    # The default store is a file in the working directory, and it holds what was acknowledged.
    async with serving(f"sqlite:{tmp_path / 'sidestep.db'}") as again:
        (row,) = await again.listed()
        assert row["executionId"] == created["executionId"]


async def test_a_port_that_is_taken_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with started(tmp_path, port=port, store="memory:") as process:
            _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert said.decode().count("\n") == 1
    assert f"port {port}" in said.decode()
    assert "--port" in said.decode()


async def test_a_store_in_use_is_one_sentence_and_the_port_is_free_again(tmp_path: Path) -> None:
    url = store_url("sqlite", tmp_path)
    async with serving(url):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(StoreInUse):
            await serve(settings_for(url, port=port))
        with socket.create_server(("127.0.0.1", port)):
            pass


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("redis:hunter2@localhost", "redis://HOST:PORT"),
        ("postgres://ada:hunter2@localhost", "sqlite:PATH"),
        ("sqlite:", "sqlite:PATH"),
        ("memory:hunter2", "memory:"),
    ],
)
async def test_a_store_that_does_not_exist_is_a_sentence_without_its_secrets(store: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        await serve(settings_for(store))
    assert "hunter2" not in str(refused.value)


async def test_a_host_that_is_not_here_is_a_sentence() -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        settings = settings_for().model_copy(update={"host": host})
        with pytest.raises(ConfigurationError, match=r"SIDESTEP_(HOST|PORT)"):
            await serve(settings)


async def test_a_call_under_way_is_finished_before_the_server_stops(tmp_path: Path) -> None:
    url = store_url("sqlite", tmp_path)
    async with serving(url) as server:
        execution_id = await server.create("held")
        async with asyncio.timeout(20):
            await server.functions.called.wait()
        # Leaving releases the function and stops the server at once: the answer must not be lost.
    async with serving(url) as again:
        view = await again.ended(execution_id)
        assert view["status"] == "COMPLETED"
        types = [event["type"] for event in view["history"]]
        assert types.count("ATTEMPT_STARTED") == 1
        assert "ATTEMPT_INTERRUPTED" not in types
        assert again.functions.calls == []
    assert json.dumps(view["context"]) == '{"held": true}'


@pytest.mark.parametrize(
    ("settings", "said", "unsaid"),
    [
        ({}, "no provider is configured, so no task can run: AWS is not configured: set ", "\0"),
        (
            {"providers__aws__region": "eu-west-1"},
            "not configured: GCP is not configured: set ",
            "AWS is not",
        ),
    ],
)
async def test_who_starts_a_server_is_told_which_providers_are_not_configured(
    tmp_path: Path, settings: dict[str, str], said: str, unsaid: str
) -> None:
    async with started(tmp_path, port=0, store="memory:", **settings) as process:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            async for line in process.stderr:
                if "configured" in line.decode():
                    break
        assert said in line.decode()
        assert unsaid not in line.decode()
