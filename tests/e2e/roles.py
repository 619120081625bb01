"""Sidestep's roles as processes of their own, on a real Redis."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import environment

START_SECONDS = 60.0


class Program:
    """A `sidestep` command that can be ended and started again. Its log is `NAME.log` in `folder`."""

    def __init__(self, name: str, *arguments: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        self._arguments = arguments
        self._folder = folder
        self._variables = dict(variables)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote so far, in all of its lives."""
        return (self._folder / f"{self.name}.log").read_text()

    async def start(self) -> dict[str, Any]:
        """Start it; what it says once it is up."""
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "cli.main", *self._arguments, "--json", "--tethered"),
                cwd=self._folder,
                env=environment(**self._variables),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        text = b""
        async with asyncio.timeout(START_SECONDS):
            async for line in self._process.stdout:
                text += line
                if line == b"}\n":
                    said: dict[str, Any] = json.loads(text)
                    return said
        raise AssertionError(f"{self.name} ended before it was up: {text!r} {self.log}")

    async def end(self, number: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await self.wait(seconds)

    async def wait(self, seconds: float = 60.0) -> int:
        """Wait until it has ended by itself; the exit code."""
        assert self._process is not None
        async with asyncio.timeout(seconds):
            return await self._process.wait()

    async def close(self) -> None:
        """Be gone, whatever happens."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


@asynccontextmanager
async def running(*programs: Program) -> AsyncIterator[None]:
    """All of them started together, and gone at the end."""
    try:
        await asyncio.gather(*(program.start() for program in programs))
        yield
    finally:
        await asyncio.gather(*(program.close() for program in programs))


async def ready(client: httpx.AsyncClient) -> None:
    """Wait until the server takes requests."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.02)


async def create(client: httpx.AsyncClient, body: Mapping[str, Any], key: str) -> str:
    """Create an execution as a careful client does: with a key, again until it is acknowledged."""
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post("/executions", json=body, headers={"idempotency-key": key})
                if answer.status_code == 201:
                    return str(answer.json()["executionId"])
                assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.05)


async def sent(client: httpx.AsyncClient, execution_id: str) -> None:
    """Wait until its first call is under way."""
    async with asyncio.timeout(30):
        while not (await client.get(f"/executions/{execution_id}")).json()["steps"]:
            await asyncio.sleep(0.02)


async def ended(client: httpx.AsyncClient, execution_id: str) -> dict[str, Any]:
    """The execution, once it has ended. A connection that is cut is made again: its process may have died."""
    while True:
        with suppress(httpx.TransportError):
            answer = await client.get(f"/executions/{execution_id}")
            assert answer.status_code == 200, answer.text
            view: dict[str, Any] = answer.json()
            if view["status"] not in ("PENDING", "RUNNING"):
                return view
        await asyncio.sleep(0.05)
