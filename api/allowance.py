"""How much memory a process may have: what its control group allows, else what the machine has."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

SHARE: Final = 0.8
"""Of what there is, the part that the processes of one command take. The rest is for the processes in which
expressions run, for the kernel's share of a control group, and for what is used between two looks.
"""

LEAST: Final = 16 << 20
"""No limit is below that: nothing runs in less."""

UNLIMITED: Final = 1 << 60
"""Version 1 of control groups writes a number near 2**63 where there is no limit."""


def default_limit(processes: int = 1, root: Path = Path("/")) -> int:
    """Bytes for each of so many processes: their part of what control groups allow, else of the machine's
    memory. `root` is where `/proc` and `/sys` are looked for.
    """
    return max(LEAST, int(min([*_groups(root), physical()]) * SHARE) // processes)


def physical() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[int]:
    """Every limit of the control groups that this process is in, up to their roots.

    In a container the path may be that of the machine, of which only the lower end is to be seen, mounted as
    the root. So what is not there is passed over, and the root is looked at always.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            places, name = [mounts, mounts / "unified"], "memory.max"
        elif "memory" in controllers.split(","):
            places, name = [mounts / "memory"], "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        if ".." in group.parts:  # outside of the part of the tree that can be seen from here
            group = PurePosixPath()
        for mount in places:
            for folder in (group, *group.parents):
                limit = _number(mount / folder / name)
                if limit is not None:
                    yield limit


def _number(path: Path) -> int | None:
    """The limit in a file; None where there is none (`max`), or no file."""
    try:
        limit = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return limit if 0 < limit < UNLIMITED else None
