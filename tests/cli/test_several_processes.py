"""A supervisor and its children: real processes, small programs in the place of servers."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from api.server import listening
from cli.failures import Stop
from cli.processes import REFUSED, Plan, Supervisor
from cli.serving import Place
from tests.cli.running import COMMAND, alive, children, environment, eventually, started

UP = "import json, signal, sys, time\nprint(json.dumps({'up': None}), flush=True)\n"
ENDS_POLITELY = UP + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nwhile True: time.sleep(60)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + UP + "while True: time.sleep(60)\n"
CRASHES = "import sys\nsys.exit(3)\n"
REFUSES = f'import sys\nprint(\'{{"error": "The store evicts."}}\', flush=True)\nsys.exit({REFUSED})\n'


def plan(program: str, count: int = 2, *, patience: float = 20, **more: Any) -> Plan:
    """Children that run `program`; their number is their argument."""
    return Plan(
        name="worker",
        count=count,
        arguments=lambda number: (str(number),),
        environment=environment(),
        patience=patience,
        command=(sys.executable, "-c", program),
        first_pause=0.01,
        **more,
    )


class Running:
    """A supervisor that runs."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.task = asyncio.create_task(supervisor.run(self.stop, self.ready.set))


@contextlib.asynccontextmanager
async def supervising(wanted: Plan) -> AsyncIterator[Running]:
    running = Running(Supervisor(wanted))
    try:
        async with asyncio.timeout(60):
            yield running
    finally:
        running.stop.set()
        await asyncio.gather(running.task, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def test_children_are_started_told_of_and_ended_by_a_word() -> None:
    async with supervising(plan(ENDS_POLITELY, 3)) as running:
        await running.ready.wait()
        pids = running.supervisor.pids
        assert len(set(pids)) == 3
        running.stop.set()
        await running.task
    assert not any(alive(pid) for pid in pids)


async def test_a_child_that_is_killed_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(plan(ENDS_POLITELY)) as running:
        await running.ready.wait()
        first, second = running.supervisor.pids
        os.kill(first, signal.SIGKILL)
        await until(lambda: first not in running.supervisor.pids and len(running.supervisor.pids) == 2)
        assert second in running.supervisor.pids
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"worker 1 of 2 ended by SIGKILL (process {first})")


async def test_a_child_that_ends_as_it_should_comes_back_and_nobody_is_alarmed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervising(plan(ENDS_POLITELY)) as running:
        await running.ready.wait()
        first, _ = running.supervisor.pids
        os.kill(first, signal.SIGTERM)
        await until(lambda: first not in running.supervisor.pids and len(running.supervisor.pids) == 2)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_crash_loop_is_called_one_in_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(plan(CRASHES, 1)) as running:
        await until(lambda: any("does not stay up" in record.getMessage() for record in caplog.records))
        assert not running.ready.is_set()
        running.stop.set()
        await running.task
    (said, *_) = [text for record in caplog.records if "does not stay up" in (text := record.getMessage())]
    assert "it ended 3 times" in said
    assert "with exit code 3" in said
    assert "\n" not in said


async def test_what_keeps_all_from_starting_is_said_once_and_ends_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervising(plan(REFUSES, 4)) as running:
        with pytest.raises(Stop) as stopped:
            await running.task
        assert (stopped.value.message, stopped.value.code) == ("The store evicts.", 1)
    assert caplog.records == []


async def test_one_that_learns_later_that_it_cannot_go_on_ends_all(tmp_path: Path) -> None:
    evicts = tmp_path / "evicts"
    program = (
        UP
        + "import os\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        + f"while sys.argv[1] == '1' or not os.path.exists({str(evicts)!r}): time.sleep(0.01)\n"
        + REFUSES
    )
    async with supervising(plan(program)) as running:
        await running.ready.wait()
        pids = running.supervisor.pids
        evicts.touch()
        with pytest.raises(Stop, match="The store evicts"):
            await running.task
    assert not any(alive(pid) for pid in pids)


async def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    async with supervising(plan(DEAF, patience=0.2)) as running:
        await running.ready.wait()
        pids = running.supervisor.pids
        running.stop.set()
        with pytest.raises(Stop, match=r"2 of 2 processes did not end within 0\.2 s"):
            await running.task
    assert not any(alive(pid) for pid in pids)


async def test_a_program_that_is_missing_is_a_crash_loop_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = plan("")
    missing = Plan(
        wanted.name,
        wanted.count,
        wanted.arguments,
        wanted.environment,
        wanted.patience,
        command=("/no/such/program",),
        first_pause=0.01,
    )
    async with supervising(missing):
        await until(lambda: any("does not stay up" in record.getMessage() for record in caplog.records))
    assert all(record.exc_info is None for record in caplog.records)
    assert "No such file" in caplog.records[0].getMessage()


async def test_children_share_the_socket_and_what_waits_in_it_outlives_one_of_them() -> None:
    program = (
        "import os, socket, sys, time\n"
        "listener = socket.socket(fileno=int(sys.argv[2]))\n"
        "listener.setblocking(True)\n" + UP + "if sys.argv[1] == '1':\n    time.sleep(600)\n"
        "while True:\n"
        "    one, _ = listener.accept()\n"
        "    one.sendall(str(os.getpid()).encode())\n"
        "    one.close()\n"
    )
    with listening("127.0.0.1", 0) as listener:
        descriptor = listener.fileno()
        wanted = plan(program, descriptors=(descriptor,))
        wanted = Plan(
            **{
                **{name: getattr(wanted, name) for name in wanted.__slots__},
                "arguments": lambda number: (str(number), str(descriptor)),
            }
        )
        async with supervising(wanted) as running:
            await running.ready.wait()
            first, second = running.supervisor.pids
            os.kill(second, signal.SIGSTOP)
            # Nobody takes this connection now: the first child never does, the second is stopped.
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            os.kill(first, signal.SIGKILL)
            await until(lambda: first not in running.supervisor.pids)
            os.kill(second, signal.SIGCONT)
            assert int(await reader.read()) == second
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--processes", "2"), "'sqlite' is for one process"),
        (("serve", "--processes", "2", "--store", "memory:"), "'memory' is for one process"),
        (("serve", "--no-worker"), "'sqlite' is for one process"),
        (("worker",), "'sqlite' is for one process"),
        (("worker", "--processes", "2", "--store", "memory:"), "'memory' is for one process"),
        (("serve", "--processes", "2", "--store", "postgres://u:hunter2@h/db"), "names no store"),
    ],
)
def test_a_store_for_one_process_is_refused_to_several_in_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments, *(("--port", "0") if arguments[0] == "serve" else ())],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line
    assert "hunter2" not in line
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_before_any_process_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        store = "redis://:hunter2@127.0.0.1:1/0"
        with started(
            "serve", "--processes", "2", "--port", port, "--store", store, folder=tmp_path
        ) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert f"port {port}" in line


SLEEPER = """
import asyncio, sys
from cli.processes import Plan, Supervisor
from tests.cli.running import environment
plan = Plan("worker", 2, lambda number: (), environment(), 20, command=(sys.executable, "-c", sys.argv[1]))
supervisor = Supervisor(plan)
asyncio.run(supervisor.run(asyncio.Event(), lambda: print("up", flush=True)))
"""

TETHERED = """
import json, signal, time
from cli.tether import tether
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tether(0.2)
print(json.dumps({"up": None}), flush=True)
while True:
    time.sleep(60)
"""


def test_children_do_not_outlive_a_supervisor_that_is_killed_even_those_that_hear_nothing() -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, TETHERED],
        env={**environment(), "PYTHONPATH": str(root)},
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids: list[int] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        pids = children(process.pid)
        assert len(pids) == 2
        process.kill()
        eventually(lambda: not any(alive(pid) for pid in pids), "the children end")
    finally:
        process.kill()
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)


def test_an_answer_to_a_supervisor_is_a_line_of_json() -> None:
    done = subprocess.run(
        [*COMMAND, "worker", "--supervised", Place(1, 2, None, None).text()],
        env=environment(SIDESTEP_STORE="memory:"),
        capture_output=True,
        text=True,
        stdin=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert done.returncode == REFUSED
    assert "'memory' is for one process" in json.loads(done.stdout)["error"]
    assert done.stderr == ""
