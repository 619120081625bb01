"""`make flame`: where the server's time goes under load, as a flame graph and a table.

`python -m benchmarks.profile [--store everysec] [--seconds 8] [--svg FILE] [--docs docs/performance.md]`. The
load is that of the first row of the table of benchmarks. py-spy looks at the server a few hundred times a
second from outside; on most systems that takes the right to trace processes (root). `--raw FILE` keeps what
it wrote.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.children import END_SECONDS, Failed, endpoint, machine
from benchmarks.flame import shares, stacks, svg
from benchmarks.generator import Wanted
from benchmarks.line import STEPS
from benchmarks.pages import renew
from benchmarks.report import lines
from benchmarks.site import STORES, Setup, Site, cost, creation, line, site
from benchmarks.throughput import numbered
from chaos.programs import NotStarted

RATE: Final = 400
AT_ONCE: Final = 64
MOST_SECONDS: Final = 120.0
_MARGIN: Final = 2.0
"""Seconds of load beyond those that are looked at."""


def profiler() -> str:
    """Where py-spy is. Raises Failed."""
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise Failed("py-spy is not installed; `make setup` brings it where there is a wheel of it.")
    return found


async def profile(store: str, seconds: float) -> tuple[str, float, float]:
    """The stacks of the server under load, and the CPU of a step in microseconds: the server's, the store's.

    Raises Failed, NotStarted.
    """
    with endpoint() as port, tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stacks"
        async with site(Setup(store), port) as one:
            body = creation(line(port), numbered())
            await one.run(Wanted(body, AT_ONCE, 1.0))
            measured = await one.run(Wanted(body, AT_ONCE, seconds / 2))
            load = asyncio.create_task(one.run(Wanted(body, AT_ONCE, seconds + _MARGIN)))
            try:
                await _look(one, seconds, raw)
            finally:
                await asyncio.gather(load, return_exceptions=True)
            load.result()
        ours, stores = cost([measured], STEPS)
        return raw.read_text("utf-8"), ours, stores


async def _look(one: Site, seconds: float, raw: Path) -> None:
    command = [profiler(), "record", "--pid", str(one.server.pid), "--duration", str(max(1, round(seconds)))]
    looking = await asyncio.create_subprocess_exec(
        *command,
        *("--rate", str(RATE), "--format", "raw", "--output", str(raw)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + 3 * END_SECONDS):
            _, said = await looking.communicate()
    finally:
        if looking.returncode is None:
            looking.kill()
            await looking.wait()
    if looking.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise Failed(f"py-spy could not look at the server: {last or 'it said nothing'}")


def table(text: str, store: str, ours: float, stores: float) -> str:
    """What each part took, of a step."""
    found = shares(stacks(text))
    rows = [(name, f"{share:.1%}", f"{share * ours:.0f}") for name, share in found]
    rows.append(("**our process**", "100.0%", f"**{ours:.0f}**"))
    if stores:
        rows.append(("redis-server beside it", "", f"{stores:.0f}"))
    head = f"{machine()}; {STORES[store]}, one process, {AT_ONCE} executions of {STEPS} steps in flight."
    return f"{head}\n\n{lines(('part', 'share', 'CPU us a step'), rows)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile and print. Exit code 0; 2 for options that cannot be, 3 where it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="everysec")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long it is looked at [8]")
    parser.add_argument("--svg", metavar="FILE", help="write the flame graph into this file")
    parser.add_argument("--raw", metavar="FILE", help="write the stacks into this file")
    parser.add_argument("--docs", metavar="FILE", help="renew the table in this page too")
    given = parser.parse_args(arguments)
    if not 1 <= given.seconds <= MOST_SECONDS:
        sys.stderr.write(f"benchmarks.profile: --seconds is 1 to {MOST_SECONDS:g}\n")
        return 2
    try:
        profiler()
        text, ours, stores = asyncio.run(profile(given.store, given.seconds))
    except (Failed, NotStarted, TimeoutError) as problem:
        sys.stderr.write(f"benchmarks.profile: {str(problem) or 'what was waited for took too long'}\n")
        return 3
    told = table(text, given.store, ours, stores)
    print(told)
    if given.raw:
        Path(given.raw).write_text(text, "utf-8")
    if given.svg:
        title = f"sidestep serve, {STORES[given.store]}: {AT_ONCE} executions of {STEPS} HTTP steps in flight"
        Path(given.svg).write_text(svg(stacks(text), title), "utf-8")
    if given.docs:
        renew(Path(given.docs), "profile", told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
