"""`python -m outages [--case NAME ...] [--seconds N] [--rate 100] [--out FOLDER]`, and `--help` for the rest.

Plays the cases one after the other and writes `outages.md` and `outages.json` into the folder. What is
finished there with the same options is not played again; Ctrl-C keeps it. Exit code 0 when every promise was
kept, 1 when one was broken (or the run was ended before its end), 2 for options that cannot be.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.tether import until_signalled
from outages import report
from outages.cases import Case
from outages.catalogue import CATALOGUE
from outages.figures import Figures, count
from outages.kept import SIMULATED, WIRE, Finished, Kept
from outages.ours import Sidestep
from outages.playing import Sizes, play
from outages.report import SIDESTEP, Row
from outages.simulator import Maker, TimeStandsStill, simulate
from outages.strategies import BASELINES

_STRATEGIES: Final[Mapping[str, Maker]] = {SIDESTEP: Sidestep, **BASELINES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what is asked for; the exit code."""
    given = _parser().parse_args(arguments)
    names = [case.name for case in CATALOGUE]
    if unknown := [name for name in given.case if name not in names]:
        sys.stderr.write(f"outages: there is no case {unknown[0]!r}; there are {', '.join(names)}\n")
        return 2
    if given.seconds < 2 or given.rate <= 0 or given.seconds > 60 or given.rate > 1_000:  # noqa: PLR2004 - told below
        sys.stderr.write("outages: --seconds is 2 to 60, and --rate above 0 and at most 1000\n")
        return 2
    if given.docs and (given.case or given.simulate_only or given.wire_only):
        sys.stderr.write("outages: a page takes the whole table: --docs goes with all cases, in both ways\n")
        return 2
    cases = [case for case in CATALOGUE if not given.case or case.name in given.case]
    if given.list:
        for case in cases:
            print(f"{case.name:32} {case.sort:12} {case.title}")
        return 0
    options: dict[str, Any] = {"seconds": given.seconds, "rate": given.rate}
    kept = Kept(Path(given.out).resolve(), options)
    rows, whole = asyncio.run(_all(cases, given, kept))
    text = report.markdown(rows, options)
    (kept.folder / "outages.md").write_text(text + "\n", "utf-8")
    (kept.folder / "outages.json").write_text(json.dumps(report.document(rows, options), indent=1) + "\n")
    if given.docs and whole:
        report.into_docs(Path(given.docs), text)
    print("", text, "", sep="\n")
    print(f"The table, and each case as JSON, are in {kept.folder}")
    if not whole:
        print("Interrupted: what is finished is kept, and the same command goes on from there.")
    return 0 if whole and not any(row.broken for row in rows) else 1


async def _all(cases: Sequence[Case], given: argparse.Namespace, kept: Kept) -> tuple[list[Row], bool]:
    """The rows in turn, and whether all were played before SIGINT or SIGTERM."""
    rows: list[Row] = []
    with until_signalled() as asked:
        asking = asyncio.create_task(asked.wait())
        try:
            for number, case in enumerate(cases, 1):
                _say(f"[{number}/{len(cases)}] {case.name}: {case.title}")
                playing = asyncio.create_task(_one(case, given, kept))
                try:
                    await asyncio.wait((playing, asking), return_when=asyncio.FIRST_COMPLETED)
                    if not playing.done():
                        return rows, False
                    rows.append(playing.result())
                finally:
                    playing.cancel()
                    await asyncio.gather(playing, return_exceptions=True)
                for why in rows[-1].broken:
                    _say(f"  BROKEN: {why}")
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    return rows, True


async def _one(case: Case, given: argparse.Namespace, kept: Kept) -> Row:
    simulated = wire = None
    if not given.wire_only and not case.only_wire:
        simulated = kept.find(case.name, SIMULATED)
        if simulated is None:
            # A process's loop cannot run inside another: it has a thread, and Ctrl-C waits for its end.
            simulated = await asyncio.to_thread(_simulated, case, given)
            kept.keep(simulated)
            _say(f"  in virtual time: {simulated.took:.1f} s")
    if not given.simulate_only:
        wire = kept.find(case.name, WIRE)
        if wire is None:
            wire = await _wired(case, given, kept)
            if wire.figures:
                # What could not be played is played again the next time.
                kept.keep(wire)
            _say(f"  on the wire: {wire.took:.1f} s")
        else:
            _say("  on the wire: played before")
    return Row(case, wire, simulated)


def _simulated(case: Case, given: argparse.Namespace) -> Finished:
    began = time.monotonic()
    seconds = given.seconds if case.seconds is None else case.seconds
    figures: dict[str, Figures] = {}
    problems: list[str] = []
    for name, make in _STRATEGIES.items():
        try:
            figures[name] = count(case, simulate(case, make, seconds, given.rate))
        except TimeStandsStill as problem:
            problems.append(f"{name}: {problem}")
    return Finished(case.name, SIMULATED, figures, tuple(problems), round(time.monotonic() - began, 1))


async def _wired(case: Case, given: argparse.Namespace, kept: Kept) -> Finished:
    folder = kept.folder / "logs" / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    played = await play(case, Sizes(given.seconds, given.rate), folder, _say)
    figures = {} if played.seen is None else {SIDESTEP: count(case, played.seen)}
    return Finished(case.name, WIRE, figures, played.problems, round(played.took, 1))


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m outages", description=__doc__)
    parser.add_argument(
        "--case", action="append", default=[], metavar="NAME", help="this one only; repeat it"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of load, for a case without its own [20]"
    )
    parser.add_argument("--rate", type=float, default=100.0, help="executions a second [100]")
    parser.add_argument("--out", default="outages-out", metavar="FOLDER", help="[outages-out]")
    parser.add_argument("--docs", metavar="FILE", help="write the table into this page too")
    parser.add_argument("--list", action="store_true", help="print the cases and do nothing")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--simulate-only", action="store_true", help="every strategy in virtual time")
    ways.add_argument("--wire-only", action="store_true", help="the real server only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
