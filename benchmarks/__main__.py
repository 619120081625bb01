"""`make bench`: the table of benchmarks, in one run, with the machine that it ran on.

`python -m benchmarks [--seconds 2] [--only PART ...] [--json FILE] [--docs docs/performance.md]`. It starts
all that it needs on loopback (a static endpoint, the load generator, `redis-server`, `sidestep serve`), each
in a process of its own, and ends it. With the default a run takes about five minutes, and less or more in
proportion to `--seconds`. `--ratios` takes what `python -m benchmarks.peers --json` wrote, and judges by it.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.boards import boards, scraping
from benchmarks.children import endpoint, machine
from benchmarks.concurrent import measure as many_at_once
from benchmarks.deaths import death
from benchmarks.judged import judged
from benchmarks.pages import renew
from benchmarks.report import document, markdown
from benchmarks.results import Results
from benchmarks.shapes import lengths, maps, shards
from benchmarks.site import PROVIDERS, Setup
from benchmarks.sizes import Sizes
from benchmarks.throughput import bare, creations, loads
from chaos.programs import NotStarted

FIRST: Final = Setup("everysec")
OTHERS: Final = (Setup("everysec", 2), Setup("always"), Setup("always", 2), Setup("sqlite"))
MANY_STORES: Final = ("sqlite", "redis")
MOST_SECONDS: Final = 60.0

Found = dict[str, Any]


async def _loads(port: int, sizes: Sizes) -> Found:
    providers = await loads(FIRST, port, sizes, PROVIDERS)
    rows = [providers[0]]
    for setup in OTHERS:
        rows += await loads(setup, port, sizes)
    return {"loads": tuple(rows), "providers": tuple(providers)}


async def _bare(port: int, sizes: Sizes) -> Found:
    rows = [await bare(setup, port, sizes) for setup in (FIRST, *OTHERS)]
    return {"bare": tuple(rows), "plain": (await bare(FIRST, port, sizes, "aiohttp"),)}


async def _creations(port: int, sizes: Sizes) -> Found:
    return {
        "creations": tuple([await creations(one, port, sizes) for one in ("everysec", "always", "sqlite")])
    }


async def _lengths(port: int, sizes: Sizes) -> Found:
    return {"lengths": tuple(await lengths(FIRST.store, port, sizes))}


async def _maps(port: int, sizes: Sizes) -> Found:
    return {"maps": tuple(await maps(FIRST.store, port, sizes))}


async def _shards(port: int, sizes: Sizes) -> Found:
    return {"shards": tuple(await shards(FIRST.store, port, sizes))}


async def _on_off(port: int, sizes: Sizes) -> Found:
    return {"on_off": (await boards(FIRST.store, port, sizes), await scraping(FIRST.store, port, sizes))}


async def _deaths(_port: int, sizes: Sizes) -> Found:
    return {"deaths": (await death("everysec", sizes), await death("sqlite", sizes))}


async def _many(_port: int, sizes: Sizes) -> Found:
    if not sizes.many:
        return {}
    return {"many": {one: await asyncio.to_thread(many_at_once, one, sizes.many) for one in MANY_STORES}}


PARTS: Final[Mapping[str, Callable[[int, Sizes], Awaitable[Found]]]] = {
    "loads": _loads,
    "bare": _bare,
    "creations": _creations,
    "lengths": _lengths,
    "maps": _maps,
    "shards": _shards,
    "on-off": _on_off,
    "deaths": _deaths,
    "many": _many,
}


async def run(
    parts: Sequence[str], sizes: Sizes, say: Callable[[str], None]
) -> tuple[Results, tuple[str, ...]]:
    """Measure these parts, one after the other; and why those that could not be measured could not."""
    found: Found = {}
    problems: list[str] = []
    with endpoint() as port:
        for number, name in enumerate(parts, 1):
            began = time.monotonic()
            try:
                found |= await PARTS[name](port, sizes)
            except (RuntimeError, NotStarted, TimeoutError, OSError) as problem:
                problems.append(f"{name}: {str(problem) or 'what was waited for took too long'}")
                say(f"  {problems[-1]}")
            say(f"[{number}/{len(parts)}] {name}: {time.monotonic() - began:.0f} s")
    return Results(machine=machine(), seconds=sizes.seconds, **found), tuple(problems)


async def _until_asked(parts: Sequence[str], sizes: Sizes) -> tuple[Results, tuple[str, ...]]:
    """The same; SIGTERM ends it as Ctrl-C does, with all that it started."""
    running = asyncio.ensure_future(run(parts, sizes, lambda line: print(line, file=sys.stderr, flush=True)))
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, judge and print. Exit code 0; 2 for options that cannot be, 3 where a part could not be
    measured, 130 where it was ended.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a repetition lasts [2]")
    parser.add_argument(
        "--only", action="append", choices=PARTS, default=[], metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--json", metavar="FILE", help="write everything into this file too")
    parser.add_argument("--docs", metavar="FILE", help="renew the tables in this page too")
    parser.add_argument("--ratios", metavar="FILE", help="what benchmarks.peers wrote, to be judged by")
    given = parser.parse_args(arguments)
    if not 0.1 <= given.seconds <= MOST_SECONDS:
        sys.stderr.write(f"benchmarks: --seconds is 0.1 to {MOST_SECONDS:g}\n")
        return 2
    if given.docs and given.only:
        sys.stderr.write("benchmarks: a page takes the whole table: --docs goes without --only\n")
        return 2
    ratios = json.loads(Path(given.ratios).read_text("utf-8"))["ratios"] if given.ratios else None
    try:
        results, problems = asyncio.run(_until_asked(given.only or list(PARTS), Sizes.of(given.seconds)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("benchmarks: ended before its end, with all that it had started\n")
        return 130
    verdict = judged(results, ratios)
    text = markdown(results, verdict)
    print(text)
    if given.json:
        Path(given.json).write_bytes(document(results, verdict) + b"\n")
    for problem in problems:
        sys.stderr.write(f"benchmarks: {problem}\n")
    if given.docs and not problems:
        renew(Path(given.docs), "bench", text)
    return 3 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
