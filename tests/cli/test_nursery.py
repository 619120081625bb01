"""Processes that are forked from one that has loaded everything: real ones, that say what they are."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import alive, children, environment, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

ROOT = Path(__file__).parents[2]

SUPERVISED = """
import asyncio, json, os, signal, socket, sys
from cli.failures import Stop
from cli.nursery import Born, can_fork, open_nursery
from cli.processes import REFUSED, Plan, Supervisor
from cli.tether import tether
from tests.cli.running import environment

loaded = [object()]  # what a child that was forked has, and one that was started anew has not

def told():
    given = [text for name, text in born.environment.items() if name.startswith("TOLD")]
    stdin, stdout = (os.stat(number).st_ino for number in (0, 1))
    return {
        "up": None, "pid": os.getpid(), "leads": os.getsid(0) == os.getpid(), "word": born.word,
        "variables": sum(map(len, given)), "own pipes": stdin != stdout,
        "term": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "int": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "listens": [socket.socket(fileno=number).getsockname()[1] for number in born.descriptors],
    }

async def supervise(nursery):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        anew = (sys.executable, "-c", sys.argv[2])
        plan = Plan(
            "worker", 2, lambda number: (str(number), MODE),
            {**environment(), **{f"TOLD{i}": "x" * 100_000 for i in range(3)}}, 20,
            descriptors=(listener.fileno(),), command=anew, first_pause=0.01,
        )
        supervisor = Supervisor(plan, nursery)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        up = {"nursery": nursery.pid, "port": listener.getsockname()[1]}
        await supervisor.run(stop, lambda: print(json.dumps(up), flush=True))

MODE = sys.argv[1]
assert can_fork()
born = open_nursery()
if isinstance(born, Born):
    if MODE == "refuses":
        print(json.dumps({"error": "The store evicts."}), flush=True)
        sys.exit(REFUSED)
    tether(20)
    with open(f"told-{born.word[0]}-{os.getpid()}", "w") as file:
        json.dump(told(), file)
    print(json.dumps({"up": None}), flush=True)
    signal.pause()
else:
    try:
        asyncio.run(supervise(born))
    except Stop as stop:
        print(stop, file=sys.stderr)
        sys.exit(3)
    finally:
        born.close()
"""

ANEW = """
import json, os, signal
from cli.tether import tether
tether(20)
open(f"anew-{os.getpid()}", "w").close()
print(json.dumps({"up": None}), flush=True)
signal.pause()
"""


@contextmanager
def supervising(folder: Path, mode: str = "works") -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISED, mode, ANEW],
        env={**environment(), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def up(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def test_children_are_forked_with_all_that_a_process_of_its_own_has(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        told = up(process)
        born = children(told["nursery"])
        for number in ("1", "2"):
            (file,) = tmp_path.glob(f"told-{number}-*")
            said = json.loads(file.read_text())
            assert said.pop("pid") in born
            assert said == {
                "up": None,
                "leads": True,
                "word": [number, "works"],
                "variables": 300_000,
                "own pipes": True,
                "term": True,
                "int": True,
                "listens": [told["port"]],
            }
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(alive(pid) for pid in (*born, told["nursery"]))


def test_a_forked_child_that_is_killed_is_forked_again(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        nursery = up(process)["nursery"]
        first = children(nursery)
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: len(set(children(nursery)) - {first[0]}) == 2, "another in its place")
        eventually(lambda: len(list(tmp_path.glob("told-*"))) == 3, "it works")
        assert first[1] in children(nursery), "the other one went on"
        assert not list(tmp_path.glob("anew-*"))
        eventually(lambda: first[0] not in children(nursery), "it is buried")


def test_where_the_nursery_dies_its_children_end_and_others_are_started_anew(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        nursery = up(process)["nursery"]
        born = children(nursery)
        assert len(born) == 2
        os.kill(nursery, signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in born), "its children end")
        eventually(lambda: len(list(tmp_path.glob("anew-*"))) == 2, "others are started")
        anew = [int(file.name.removeprefix("anew-")) for file in tmp_path.glob("anew-*")]
        assert set(anew) <= set(children(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(alive(pid) for pid in anew)


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        nursery = up(process)["nursery"]
        born = children(nursery)
        process.kill()
        eventually(lambda: not any(alive(pid) for pid in (*born, nursery)), "all end")


def test_a_forked_child_that_refuses_ends_all_with_its_sentence(tmp_path: Path) -> None:
    with supervising(tmp_path, "refuses") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert errors.splitlines()[-1] == "The store evicts."


def test_signals_to_a_whole_group_leave_the_nursery_to_its_supervisor(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        nursery = up(process)["nursery"]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(nursery, number)
        first = children(nursery)
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: len(set(children(nursery)) - {first[0]}) == 2, "it forks as before")
