"""The demo, in a short form: it ends well, tells what it saw, and leaves nothing behind."""

import os
import signal
from pathlib import Path

import httpx

from tests.cli.running import Sidestep, alive, children, document, eventually, on_terminal, started

SHORT = ("demo", "--seconds", "6")


def test_the_demo_loses_nothing_and_tells_it_in_plain_lines(sidestep: Sidestep) -> None:
    done = sidestep.apart(*SHORT)
    assert done.code == 0, done.out + done.err
    lines = done.out.splitlines()
    assert lines[-1].startswith("lost 0   completed ")
    assert "-- AWS refuses connections" in lines
    assert "-- AWS is a black hole: it takes calls and never answers" in lines
    assert "-- AWS answers 503 to everything" in lines
    assert any(line.startswith("  run twice") for line in lines)
    # The order that is told may have met an open breaker, and then AWS was passed over.
    assert any("  #1 " in line for line in lines)


def test_the_demo_on_a_terminal_is_live() -> None:
    shown = on_terminal(*SHORT, "--rate", "6", columns=110)
    assert "\x1b[" in shown
    assert "Google Cloud" in shown
    assert "answered by each cloud" in shown
    assert "lost 0" in shown


def test_the_demo_kept_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    with started(*SHORT, "--rate", "5", "--json", "--keep", folder=tmp_path) as process:
        summary = document(process.stdout)
        below = children(process.pid)
        listed = httpx.get(f"{summary['server']}/executions", params={"limit": 1}, trust_env=False).json()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert summary["ok"] is True
    assert summary["lost"] == []
    assert summary["submitted"] == summary["completed"] > 0
    assert summary["failedOver"] > 0
    assert all(double["explained"] for double in summary["runTwice"])
    assert len(listed["executions"]) == 1
    assert len(below) == 2
    assert not any(alive(pid) for pid in below)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_no_process_and_exits_130(tmp_path: Path) -> None:
    with started(*SHORT, folder=tmp_path) as process:
        eventually(lambda: len(children(process.pid)) == 2, "both processes are up")
        below = children(process.pid)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not any(alive(pid) for pid in below)


def test_a_killed_demo_leaves_no_process_either(tmp_path: Path) -> None:
    with started(*SHORT, folder=tmp_path) as process:
        eventually(lambda: len(children(process.pid)) == 2, "both processes are up")
        below = children(process.pid)
        process.kill()
        eventually(lambda: not any(alive(pid) for pid in below), "they end with their parent")


def test_a_demo_whose_server_dies_on_the_way_says_so_and_fails(tmp_path: Path) -> None:
    with started(*SHORT, folder=tmp_path) as process:
        assert process.stdout is not None
        assert "-- All clouds are up\n" in iter(process.stdout.readline, "")
        _, server = sorted(children(process.pid))
        os.kill(server, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("The demo's server ended with -9.\n")


def test_a_demo_whose_reader_goes_away_ends_quietly(tmp_path: Path) -> None:
    with started(*SHORT, folder=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.stdout = None
