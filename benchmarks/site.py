"""The real server on a store of its own, under load from another process, and what all of it costs.

CPU is that of the server's processes (its helpers included) and of redis-server; the generator and the
endpoint are other processes and do not count.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from benchmarks.accounting import cpu_of, family, pss_mb
from benchmarks.children import Child, child
from benchmarks.generator import Seen, Wanted
from benchmarks.line import FIRST, STEPS
from chaos.programs import Program, free_port
from tests.redis_servers import Node, start_node

STORES: Final = {
    "sqlite": "SQLite (synchronous=FULL)",
    "everysec": "Redis, append-only every second",
    "always": "Redis, append-only always",
}
PROVIDERS: Final = ("HTTP", "AWS", "GCP", "AZURE")
PATIENCE: Final = 60.0
"""Seconds that a run may take over its own."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is started: a store of STORES, so many processes, further settings of the server."""

    store: str
    processes: int = 1
    worker: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For a table."""
        return STORES[self.store] + (f", {self.processes} processes" if self.processes > 1 else "")


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Latencies are an execution's (or a creation's), in milliseconds; CPU in seconds."""

    count: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu: float
    store_cpu: float


class Loaded:
    """A server of which `pid` is the first process now, its store and the generator."""

    def __init__(self, pid: Callable[[], int], generator: Child, node: Node | None) -> None:
        self._pid = pid
        self._generator = generator
        self._node = node

    def processes(self) -> list[int]:
        """All that run for it: the server, what it started, redis-server."""
        return family(self._pid()) + ([] if self._node is None else [self._node.pid])

    def memory_mb(self) -> float:
        """PSS of all processes of server and store now."""
        return pss_mb([self._pid()] + ([] if self._node is None else [self._node.pid]))

    async def run(self, wanted: Wanted) -> Run:
        """Put this load on the server. Raises Failed where one answer is not as it should be."""
        server, store = cpu_of([self._pid()]), self._store_cpu()
        within = min(wanted.seconds, 600.0) + PATIENCE
        seen = await self._generator.ask(wanted, Seen, within)
        return Run(
            seen.count,
            seen.seconds,
            seen.p50_ms,
            seen.p99_ms,
            cpu_of([self._pid()]) - server,
            self._store_cpu() - store,
        )

    def _store_cpu(self) -> float:
        return 0.0 if self._node is None else cpu_of([self._node.pid])


class Site(Loaded):
    """`sidestep serve`, which can be killed and started again."""

    def __init__(self, server: Program, generator: Child, node: Node | None) -> None:
        super().__init__(lambda: server.pid, generator, node)
        self.server = server

    @property
    def url(self) -> str:
        """The server's."""
        return f"http://127.0.0.1:{self.server.option('--port')}"


def clouds(port: int) -> dict[str, str]:
    """Settings with which all four providers call the static endpoint; AWS signs."""
    origin = f"http://127.0.0.1:{port}"
    given = {
        "HTTP__ORIGINS": origin,
        "AWS__REGION": "eu-west-1",
        "AWS__ENDPOINT_URL": origin,
        "AWS__ACCESS_KEY_ID": "AKIDBENCHMARK",
        "AWS__SECRET_ACCESS_KEY": "a-key-that-nobody-checks",
        "GCP__BASE_URL": origin,
        "GCP__AUTH": "none",
        "AZURE__BASE_URL": origin,
        "AZURE__FUNCTION_KEY": "a-key-that-nobody-checks",
    }
    return {f"SIDESTEP_PROVIDERS__{name}": value for name, value in given.items()}


def line(port: int, steps: int = STEPS, provider: str = "HTTP", timeout_ms: int = 30_000) -> dict[str, Any]:
    """So many steps, one after the other, each a call of the static endpoint as this provider calls."""
    function = f"http://127.0.0.1:{port}/fn" if provider == "HTTP" else "fn"
    made: list[dict[str, Any]] = [
        {"id": f"s{n}", "type": "TASK", "provider": provider, "functionId": function, "timeout": timeout_ms}
        for n in range(steps)
    ]
    for number, step in enumerate(made[:-1]):
        step["next"] = f"s{number + 1}"
    return {"id": f"line-{provider.lower()}-{steps}", "startAt": "s0", "steps": made}


def creation(workflow: Mapping[str, Any], given: object = FIRST) -> str:
    """The body of `POST /executions`."""
    return msgspec.json.encode({"workflow": workflow, "input": given}).decode()


@asynccontextmanager
async def site(setup: Setup, port: int) -> AsyncIterator[Site]:
    """Start all of it, for a static endpoint at `port`, and end it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sidestep-bench-")))
        settings, node = clouds(port) | dict(setup.settings), None
        if setup.store == "sqlite":
            settings["SIDESTEP_STORE"] = f"sqlite:{folder}/bench.db"
        else:
            node = stack.enter_context(start_node(appendfsync=setup.store))
            settings["SIDESTEP_STORE"] = node.url
        listening = free_port()
        command = ["serve", "--port", str(listening), "--processes", str(setup.processes)]
        server = Program("server", command + ([] if setup.worker else ["--no-worker"]), folder, settings)
        stack.push_async_callback(server.end)
        server.start()
        await server.document()
        yield Site(server, await stack.enter_async_context(child("generator", listening)), node)


def middle(runs: list[Run], of: str) -> float:
    """The median of one figure of several runs."""
    return float(median(getattr(run, of) for run in runs))


def rate(runs: list[Run], each: int = 1) -> float:
    """The median of how many a second, where one of those counted is `each` of these."""
    return float(median(run.count * each / run.seconds for run in runs))


def cost(runs: list[Run], each: int = 1) -> tuple[float, float]:
    """The medians of the CPU of one, in microseconds: the server's and the store's."""
    return (
        float(median(run.server_cpu / (run.count * each) for run in runs)) * 1e6,
        float(median(run.store_cpu / (run.count * each) for run in runs)) * 1e6,
    )
