"""The compose file, for real: built, started, broken under load, and audited.

`python -m rehearsals.containers` builds the image, starts the project under a name and on ports of its own
(two APIs, three workers, localcloud), submits executions at a steady rate, and meanwhile puts clouds out and
kills Redis, workers and an API. Then it compares the list of what was acknowledged and the journals with the
ledgers. Everything is taken down, volumes too, however it ends. Exit code 0: no promise was broken; 1: one
was; 2: there is no Docker here.

localcloud is the one container that is not killed: it holds the ledgers, which are the witness.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from chaos.audit import Found, audit
from chaos.faults import Injected
from chaos.load import Load
from chaos.plan import Fault
from chaos.rows import Kind
from cli.failures import FAILED, Stop
from localcloud.client import ControlClient, connect
from rehearsals.engine import Container, Project, build, check, docker, inspect, restarted
from rehearsals.reading import get, ready, session, settled, views

HOME: Final = Path(__file__).resolve().parent.parent
APIS: Final = 2
WORKERS: Final = 3
_LIMIT_SECONDS: Final = 300.0
_UP_SECONDS: Final = 120.0
_BACK_SECONDS: Final = 45.0
_DRAIN_SECONDS: Final = 45.0
_SETTLE_SECONDS: Final = 60.0
_LEAST_SECONDS: Final = 20.0
_LARGE: Final = 200_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done: when (seconds of the load), what, and after how long it was healed."""

    at: float
    what: str
    healed: float | None


class Stage:
    """The project that is up, and what has been done to it."""

    def __init__(self, project: Project, control: ControlClient, containers: list[Container]) -> None:
        self.injected: list[Injected] = []
        self.events: list[Event] = []
        self._project = project
        self.control = control
        self._containers = containers
        self._began = time.monotonic()

    def begin(self) -> None:
        """Count times from now."""
        self._began = time.monotonic()

    async def kill(self, service: str, number: int, kind: Kind) -> None:
        """Kill -9 a container, and wait until its restart policy has brought it back."""
        victim = next(one for one in self._containers if (one.service, one.number) == (service, number))
        before = int((await inspect(victim))["RestartCount"])
        at = time.monotonic() - self._began
        one = Injected(Fault(round(at, 2), kind, number - 1, 0.0), time.time())
        self.injected.append(one)
        await self._project.kill(victim)
        if service == "redis":
            await _answering(victim, _BACK_SECONDS)
            one.back = time.time()
        one.ended = await restarted(victim, before, _BACK_SECONDS)
        self._tell(at, f"kill -9 {victim.name}", (one.back or one.ended) - one.began)

    async def outage(self, provider: str, kind: str, seconds: float, **options: Any) -> None:
        """Put a cloud out for so long."""
        at = time.monotonic() - self._began
        one = Injected(Fault(round(at, 2), Kind.CLOUD, 0, seconds, {"provider": provider}), time.time())
        self.injected.append(one)
        await self.control.set_outage(provider, kind, for_seconds=seconds, **options)
        await asyncio.sleep(seconds)
        one.ended = time.time()
        self._tell(at, f"{provider} {kind} for {seconds:.0f} s", None)

    def _tell(self, at: float, what: str, healed: float | None) -> None:
        self.events.append(Event(round(at, 1), what, None if healed is None else round(healed, 2)))
        _say(f"{at:6.1f} s  {what}" + ("" if healed is None else f", back after {healed:.2f} s"))


Act = Callable[[Stage], Awaitable[None]]

PLAN: Final[tuple[tuple[float, Act], ...]] = (
    (0.06, lambda stage: stage.outage("AWS", "refused", 8)),
    (0.16, lambda stage: stage.kill("worker", 1, Kind.KILL_WORKER)),
    (0.34, lambda stage: stage.kill("redis", 1, Kind.KILL_REDIS)),
    (0.46, lambda stage: stage.outage("GCP", "reply-lost", 6, percent=50)),
    (0.50, lambda stage: stage.kill("api", 1, Kind.KILL_API)),
    (0.62, lambda stage: stage.kill("worker", 2, Kind.KILL_WORKER)),
    (0.64, lambda stage: stage.kill("redis", 1, Kind.KILL_REDIS)),
    (0.76, lambda stage: stage.outage("AWS", "blackhole", 6, percent=60)),
    (0.84, lambda stage: stage.kill("api", 2, Kind.KILL_API)),
    (0.92, lambda stage: stage.kill("worker", 3, Kind.KILL_WORKER)),
)
"""What is done at which share of the load's length. Deaths of workers are more than a lease apart."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    found: Found
    events: tuple[Event, ...]
    problems: tuple[str, ...]
    up_seconds: float
    seconds: float

    @property
    def broken(self) -> tuple[str, ...]:
        """Every broken promise and problem, a sentence each."""
        return (*self.found.broken, *self.problems)


async def rehearse(rate: float, seconds: float) -> Result:
    """Do all of it. Raises Stop where it cannot be done."""
    began = time.monotonic()
    await check()
    image = os.environ.get("SIDESTEP_IMAGE") or "sidestep:test"
    _say("building the image")
    await build(image, HOME)
    _say(f"built in {time.monotonic() - began:.0f} s")
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            async with _up(image) as (stage, apis, up_seconds), session() as http:
                return await _broken(stage, apis, http, rate, seconds, up_seconds)
    except TimeoutError as problem:
        raise Stop(f"It took too long. {problem}".rstrip()) from None
    except ExceptionGroup as problems:
        raise Stop(f"{problems.exceptions[0]}") from problems


async def _broken(
    stage: Stage, apis: list[str], http: aiohttp.ClientSession, rate: float, seconds: float, up_seconds: float
) -> Result:
    began = time.monotonic()
    problems = await _large(http, apis)
    load = Load(http, apis, "containers")
    stage.begin()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.send(round(rate * seconds), seconds))
        for share, act in PLAN:
            group.create_task(_later(share * seconds, act, stage))
    await load.drain(_DRAIN_SECONDS)
    await stage.control.clear()
    if not await settled(http, apis, _SETTLE_SECONDS):
        problems.append(f"some executions had not ended {_SETTLE_SECONDS:.0f} s after the load")
    found = audit(
        load.submitted,
        load.acknowledged,
        load.acks,
        await views(http, apis),
        await stage.control.ledger(),
        stage.injected,
    )
    if load.wrong:
        problems.append(f"{len(load.wrong)} answers of the API were wrong: {'; '.join(load.wrong[:3])}")
    if len(load.acknowledged) < load.submitted:
        problems.append(f"{load.submitted - len(load.acknowledged)} requests were never acknowledged")
    return Result(found, tuple(stage.events), tuple(problems), up_seconds, time.monotonic() - began)


async def _later(seconds: float, act: Act, stage: Stage) -> None:
    await asyncio.sleep(seconds)
    await act(stage)


async def _large(http: aiohttp.ClientSession, apis: list[str]) -> list[str]:
    """One execution whose payload goes through the shared volume: what came back wrong, if anything."""
    step = {"id": "large", "type": "TASK", "provider": "AWS", "functionId": "my-func"}
    sent = {"order": 1_000_000, "filling": "." * _LARGE}
    body = {"workflow": {"id": "large", "startAt": "large", "steps": [step]}, "input": sent}
    async with http.post(f"{apis[0]}/executions", json=body) as answer:
        created = await answer.json()
        if not answer.ok:
            return [f"the large execution was answered with {answer.status} {str(created)[:300]}"]
    await settled(http, apis, _SETTLE_SECONDS)
    view = await get(http, apis[-1:], f"/executions/{created['executionId']}")
    if view["status"] != "COMPLETED" or view["input"] != sent or view["output"].get("input") != sent:
        return [f"the large execution is {view['status']}, and its data did not come back as they were"]
    return []


@asynccontextmanager
async def _up(image: str) -> AsyncIterator[tuple[Stage, list[str], float]]:
    """The project, healthy: the stage, the APIs' URLs, and the seconds that it took. Taken down after."""
    api, control = _free_ports(APIS), _free_ports(1)
    with tempfile.TemporaryDirectory(prefix="sidestep-containers-") as folder:
        project = Project(
            name=f"sidestep-test-{secrets.token_hex(3)}",
            folder=HOME,
            image=image,
            environment={
                "SIDESTEP_IMAGE": image,
                "SIDESTEP_ENV_FILE": str(_settings(Path(folder))),
                "SIDESTEP_PUBLISH": f"{api}-{api + APIS - 1}",
                "LOCALCLOUD_PUBLISH": str(control),
            },
            options=("--profile", "demo"),
        )
        began = time.monotonic()
        try:
            scales = [f"--scale=api={APIS}", f"--scale=worker={WORKERS}"]
            await project.compose("up", "--no-build", "--wait", *scales, seconds=_UP_SECONDS)
            took = time.monotonic() - began
            urls = [f"http://127.0.0.1:{api + number}" for number in range(APIS)]
            async with session() as http:
                await asyncio.gather(*(ready(http, url, _UP_SECONDS) for url in urls))
            _say(f"up in {took:.0f} s: {APIS} api, {WORKERS} worker, redis, localcloud")
            async with connect(f"http://127.0.0.1:{control}") as client:
                yield Stage(project, client, await project.containers()), urls, took
        except BaseException:
            with suppress(Stop):
                _say(await asyncio.shield(project.compose("logs", "--no-color", "--tail=15")))
            raise
        finally:
            await asyncio.shield(project.down())


def _settings(folder: Path) -> Path:
    """The file that points at localcloud, with the HTTP service of the chaos suite's orders added."""
    service = {
        "notify": {
            "url": "http://localcloud:4103/api/echo-meta",
            "headers": {"x-functions-key": "localcloud-function-key"},
        }
    }
    path = folder / "clouds.env"
    path.write_text(
        (HOME / "compose" / "localcloud.env").read_text()
        + "SIDESTEP_PROVIDERS__HTTP__ALLOW_PRIVATE_ORIGINS=http://localcloud:4103\n"
        + f"SIDESTEP_PROVIDERS__HTTP__SERVICES='{json.dumps(service)}'\n"
    )
    return path


def _free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody uses at this moment."""
    while True:
        first = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first


async def _answering(redis: Container, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            with suppress(Stop):
                if await docker("exec", redis.id, "redis-cli", "ping") == "PONG":
                    return
            await asyncio.sleep(0.05)


def table(result: Result) -> str:
    """What became of the executions, as Markdown."""
    found = result.found
    calm = [one.seconds for one in found.takeovers]
    pauses = [one.acknowledged for one in found.pauses if one.acknowledged is not None]
    rows = [
        ("submitted", found.submitted),
        ("acknowledged", found.acknowledged),
        ("completed", found.completed),
        ("failed, by the function's own error", found.failed),
        ("parked", found.parked),
        ("lost", len(found.lost)),
        ("run twice, explained by the journal", found.explained),
        ("run twice, not explained", len(found.unexplained)),
        ("`atMostOnce` steps run twice", len(found.at_most_once)),
        ("completed twice", len(found.completed_twice)),
        ("attempts interrupted by a death", found.interrupted),
        ("takeover after a worker's death, longest", f"{max(calm):.1f} s" if calm else "-"),
        ("first 201 after Redis was back, longest", f"{max(pauses):.2f} s" if pauses else "-"),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join([*lines, *(f"BROKEN: {one}" for one in result.broken)])


def main() -> int:
    """Read the arguments and rehearse."""
    parser = argparse.ArgumentParser(
        prog="python -m rehearsals.containers", description="Break the compose file."
    )
    parser.add_argument("--rate", type=float, default=10.0, help="executions a second (default 10)")
    parser.add_argument("--seconds", type=float, default=75.0, help="how long they are sent (default 75)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, the rest to stderr")
    given = parser.parse_args()
    if given.seconds < _LEAST_SECONDS or not 0 < given.rate <= 200:  # noqa: PLR2004 - what one client can send
        parser.error(f"--seconds is {_LEAST_SECONDS:.0f} or more, --rate above 0 and 200 at most")
    try:
        result = asyncio.run(_interruptible(rehearse(given.rate, given.seconds)))
    except Stop as stop:
        print(stop.message, file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        return 130
    if given.json:
        print(json.dumps({"ok": not result.broken, "broken": result.broken, **asdict(result)}))
    else:
        print(f"\n{table(result)}")
    return FAILED if result.broken else 0


async def _interruptible(work: Awaitable[Result]) -> Result:
    """SIGTERM ends it as Ctrl-C does: with everything taken down."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise Stop("It was told to end.") from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
