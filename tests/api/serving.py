"""A real server on a loopback port, functions behind plain HTTP, and a client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from api.bootstrap import build
from api.limits import Limits
from api.runtime import Runtime
from api.server import serve
from api.settings import HttpSection, ProvidersSection, Settings

HEADERS = {"content-type": "application/json"}


class Functions:
    """Functions of a test: `/echo` answers its input, `/held` waits for `release`, `/own-error` fails by
    itself, `/big` answers half a megabyte, `/mib` a whole one, `/down` is a platform that is away. `calls`
    are the idempotency keys of what really ran.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.called = asyncio.Event()
        self.release = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "down":
            return web.Response(status=503)
        given = await request.json()
        self.calls.append(request.headers["Idempotency-Key"])
        self.called.set()
        if name == "held":
            await self.release.wait()
        if name == "own-error":
            error = {"errorType": "CardDeclined", "errorMessage": "no money"}
            return web.json_response(error, status=500, headers={"Sidestep-Error": "function"})
        output = {"echo": {"seen": given}, "big": {"big": "x" * 500_000}, "mib": {"mib": "m" * (1 << 20)}}
        return web.json_response(output.get(name, {name: True}))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Functions"]:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/{name}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.release.set()
            await runner.cleanup()

    def task(self, step_id: str, name: str, **more: Any) -> dict[str, Any]:
        target = {"provider": "HTTP", "functionId": f"{self.url}/{name}"}
        return {"id": step_id, "type": "TASK", **target, **more}

    def workflow(self, *names: str, workflow_id: str = "flow") -> dict[str, Any]:
        """A line of tasks, one for each name."""
        steps = [self.task(f"s{at}", name) for at, name in enumerate(names)]
        for before, after in pairwise(steps):
            before["next"] = after["id"]
        return {"id": workflow_id, "startAt": "s0", "steps": steps}


class Server:
    """A server that runs, its functions, and a client of it."""

    def __init__(self, url: str, functions: Functions, runtime: Runtime, client: httpx.AsyncClient) -> None:
        self.url = url
        self.functions = functions
        self.runtime = runtime
        self.client = client

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    async def create(self, *names: str, **headers: str) -> str:
        """The id of a new execution of a line of tasks."""
        answer = await self.client.post(
            "/executions",
            json={"workflow": self.functions.workflow(*names), "input": {}},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["executionId"])

    async def ended(self, execution_id: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        await self.runtime.executions.wait(execution_id, 20)
        view: dict[str, Any] = (await self.client.get(f"/executions/{execution_id}")).json()
        return view

    async def listed(self) -> list[dict[str, Any]]:
        page = (await self.client.get("/executions")).json()
        return list(page["executions"])


def settings_for(store: str = "memory:", *origins: str, port: int = 0, **more: Any) -> Settings:
    """Settings that know these origins and nothing of the machine's environment."""
    providers = ProvidersSection(http=HttpSection(origins=origins) if origins else None)
    return Settings(host="127.0.0.1", port=port, store=store, providers=providers, **more)


def store_url(kind: str, folder: Path) -> str:
    return "memory:" if kind == "memory" else f"sqlite:{folder / 'test.db'}"


@contextlib.asynccontextmanager
async def serving(
    store: str = "memory:",
    *,
    limits: Limits | None = None,
    runtime: Runtime | None = None,
    allowed_hosts: tuple[str, ...] = (),
    **more: Any,
) -> AsyncIterator[Server]:
    """Start a server in this loop; stop it, in order, at the end."""
    async with Functions().running() as functions:
        settings = settings_for(store, functions.url, allowed_hosts=allowed_hosts, **more)
        runtime = runtime or build(settings)
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        server = asyncio.create_task(
            serve(settings, ready=url.set_result, stop=stop, limits=limits, runtime=runtime)
        )
        await asyncio.wait((server, url), return_when=asyncio.FIRST_COMPLETED)
        if server.done():
            url.cancel()
            server.result()
        try:
            async with httpx.AsyncClient(base_url=url.result(), timeout=30, trust_env=False) as client:
                yield Server(url.result(), functions, runtime, client)
        finally:
            functions.release.set()
            stop.set()
            await server
