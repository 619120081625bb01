"""One row, from its first process to its audit."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from chaos.audit import Found, audit
from chaos.faults import Injected, Stage, inject
from chaos.hosts import Host, open_host
from chaos.load import Load
from chaos.plan import LEASE_SECONDS, Fault, plan
from chaos.programs import NotStarted, Program, faketime, free_port
from chaos.reading import settled, views_of
from chaos.rows import Row
from cli.demo.doubles import Run, View
from localcloud.client import connect

Told = Callable[[str], None]

_PAUSE: Final = 0.25
_READ_SECONDS: Final = 30.0
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a row is played. Seconds: `seconds` of load, `drain` at most for the rest to end, the lease."""

    executions: int
    seconds: float
    seed: int
    workers: int = 3
    apis: int = 2
    lease: float = LEASE_SECONDS
    drain: float = 120.0
    grace: float = 3.0


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a row. `problems`: why its audit cannot be trusted, or what broke besides."""

    row: Row
    sizes: Sizes
    found: Found | None
    injected: tuple[Injected, ...]
    problems: tuple[str, ...]
    folder: Path
    seconds: float
    clocks: bool

    @property
    def broken(self) -> tuple[str, ...]:
        """Every promise that was broken, and every problem."""
        return (*(self.found.broken if self.found else ("there was no audit",)), *self.problems)


async def play(row: Row, sizes: Sizes, folder: Path, told: Told) -> Played:
    """Play it in `folder`, which is there and empty. All that it started has ended when this returns."""
    began = time.monotonic()
    clocks = faketime() is not None
    faults = plan(row, sizes.seed, sizes.seconds, sizes.workers, sizes.apis, sizes.lease)
    injected: list[Injected] = []
    problems: list[str] = []
    found = None
    try:
        async with _up(row, sizes, folder) as stage, _session() as session:
            urls = [_url(one) for one in stage.apis]
            await asyncio.gather(*(_ready(session, url) for url in urls))
            load = Load(session, urls, f"chaos-{sizes.seed}-{row.name}")
            told(f"{row.title}: {sizes.executions} executions in {sizes.seconds:.0f} s")
            async with _counted(load, told):
                async with asyncio.TaskGroup() as group:
                    group.create_task(inject(faults, stage, injected, told))
                    group.create_task(load.send(sizes.executions, sizes.seconds))
                await load.drain(sizes.drain / 2)
            await stage.control.clear()
            await settled(session, urls, sizes.drain)
            views = await views_of(session, urls)
            runs = await stage.control.ledger()
            _keep(folder, load, views, runs, injected)
            found = audit(load.submitted, load.acknowledged, load.acks, views, runs, injected)
            problems += _problems(load, stage, injected)
    except (NotStarted, TimeoutError, aiohttp.ClientError, RuntimeError, OSError) as problem:
        problems.append(f"{type(problem).__name__}: {problem}")
    return Played(
        row,
        sizes,
        found,
        tuple(injected),
        tuple(problems),
        folder,
        time.monotonic() - began,
        clocks,
    )


def planned(row: Row, sizes: Sizes) -> tuple[Fault, ...]:
    """The faults that `play` would do."""
    return plan(row, sizes.seed, sizes.seconds, sizes.workers, sizes.apis, sizes.lease)


def _problems(load: Load, stage: Stage, injected: list[Injected]) -> list[str]:
    """What is broken though no journal shows it."""
    problems = [f"{one.fault.kind}: {one.problem}" for one in injected if one.problem]
    if load.wrong:
        problems.append(f"{len(load.wrong)} answers of the API were wrong: {'; '.join(load.wrong[:3])}")
    if len(load.acknowledged) < load.submitted:
        problems.append(f"{load.submitted - len(load.acknowledged)} requests were never acknowledged")
    for program in {one.name: one for one in (*stage.workers, *stage.apis)}.values():
        problems += program.ended_by_itself
    return problems


@contextlib.asynccontextmanager
async def _up(row: Row, sizes: Sizes, folder: Path) -> AsyncIterator[Stage]:
    """The clouds, the store and the processes, each ready; taken down in the other order."""
    async with contextlib.AsyncExitStack() as stack:
        clouds = Program("localcloud", ["localcloud", "--port", "0"], folder, {})
        stack.push_async_callback(clouds.end)
        clouds.start()
        where = await clouds.document()
        programs: list[Program] = []
        host = await open_host(row, folder, lambda: programs[0])
        stack.push_async_callback(host.close)
        workers, apis = _programs(row, sizes, folder, _environment(where, host, sizes))
        programs += list({one.name: one for one in (*workers, *apis)}.values())
        for program in programs:
            stack.push_async_callback(program.end)
            program.start()
        for program in programs:
            await program.document()
        control = await stack.enter_async_context(connect(str(where["control"])))
        watching = [asyncio.create_task(program.watch()) for program in programs]
        try:
            yield Stage(workers, apis, host, control, faketime() is not None)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


def _programs(
    row: Row, sizes: Sizes, folder: Path, environment: Mapping[str, str]
) -> tuple[list[Program], list[Program]]:
    if row.alone:
        port = str(free_port())
        server = Program("server", ["serve", "--port", port], folder, environment)
        return [server], [server]
    workers = [
        Program(f"worker-{number}", ["worker"], folder, environment) for number in range(sizes.workers)
    ]
    apis = [
        Program(f"api-{number}", ["serve", "--no-worker", "--port", str(free_port())], folder, environment)
        for number in range(sizes.apis)
    ]
    return workers, apis


def _environment(where: Mapping[str, Any], host: Host, sizes: Sizes) -> dict[str, str]:
    clouds = {str(name): str(value) for name, value in where["environment"].items()}
    azure = str(where["providers"]["AZURE"])
    service = {
        # Called as plain HTTP, a function app is an HTTP service with a key in a header.
        "url": f"{azure}/api/echo-meta",
        "headers": {"x-functions-key": clouds["SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEY"]},
    }
    return {
        **clouds,
        **host.environment(),
        "SIDESTEP_PROVIDERS__HTTP__SERVICES": json.dumps({"notify": service}),
        "SIDESTEP_LEASE_SECONDS": str(sizes.lease),
        "SIDESTEP_GRACE_SECONDS": str(sizes.grace),
        # What ends unexpectedly says where, in the log that is kept.
        "SIDESTEP_TRACEBACK": "1",
    }


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200), timeout=aiohttp.ClientTimeout(total=_READ_SECONDS)
    )


def _url(program: Program) -> str:
    return f"http://127.0.0.1:{program.option('--port')}"


async def _ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:  # noqa: PLR2004 - OK
                        return
            await asyncio.sleep(_PAUSE)


@contextlib.asynccontextmanager
async def _counted(load: Load, told: Told) -> AsyncIterator[None]:
    """Tell every few seconds how far the load is."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(5)
            again = ", ".join(f"{count} x {name}" for name, count in load.again.most_common(3))
            told(
                f"          sent {load.submitted}, acknowledged {len(load.acknowledged)}, again: {again or 0}"
            )

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _keep(
    folder: Path,
    load: Load,
    views: Mapping[str, View],
    runs: Sequence[Run],
    injected: list[Injected],
) -> None:
    """Write down what the audit starts from, so that it can be looked at again."""
    with (folder / "journals.jsonl").open("w") as file:
        file.writelines(json.dumps(view) + "\n" for view in views.values())
    with (folder / "ledger.jsonl").open("w") as file:
        file.writelines(json.dumps(run) + "\n" for run in runs)
    client = {
        "acknowledged": load.acknowledged,
        "acks": load.acks,
        "faults": [
            {"told": one.fault.told(), "began": one.began, "ended": one.ended, "back": one.back}
            for one in injected
        ],
    }
    (folder / "client.json").write_text(json.dumps(client))
