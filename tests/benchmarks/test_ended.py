"""Whoever ends a measurement in its middle leaves nothing behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.accounting import family

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


def names(pids: list[int]) -> str:
    return " ".join(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_ends_all_that_it_started(how: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "bare", "--seconds", "20"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until, started = time.monotonic() + SECONDS, [process.pid]
            while "benchmarks.limit" not in names(started[1:]):
                assert time.monotonic() < until
                time.sleep(0.05)
                started = family(process.pid)
            process.send_signal(how)
            _, said = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "ended before its end" in said
    # The endpoint, redis-server and the loop at the least.
    assert len(started) >= 4
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
