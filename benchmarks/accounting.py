"""What processes cost, from Linux's /proc: CPU time, and memory that is counted once where it is shared."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)


def family(pid: int) -> list[int]:
    """A process and all that it started, and those started, as far as they run."""
    found = [pid]
    for one in found:
        with suppress(*_GONE):
            for task in Path(f"/proc/{one}/task").iterdir():
                with suppress(*_GONE):
                    found += [int(child) for child in (task / "children").read_text("ascii").split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where it has gone."""
    with suppress(*_GONE):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def cpu_of(pids: Iterable[int]) -> float:
    """The same of these processes and all that they started."""
    return sum(cpu_seconds(one) for pid in pids for one in family(pid))


def pss_mb(pids: Iterable[int]) -> float:
    """The proportional set size of these processes and all that they started, now, in MB (2**20 bytes). A
    page that several share counts for each in part, so that the sum is what they take.
    """
    kib = 0
    for one in (one for pid in pids for one in family(pid)):
        with suppress(*_GONE, PermissionError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text("ascii").splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib / 1024
