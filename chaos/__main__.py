"""`python -m chaos [--minutes N] [--executions N] [--seed N] [--rows a,b] [--plan] [--json FILE]`.

Exit code 0 when every promise was kept, 1 when one was broken (the folder with logs, journals and ledgers
is kept then, and named), 2 for options that cannot be.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaos import report
from chaos.plan import LEASE_SECONDS
from chaos.playing import Played, Sizes, planned, play
from chaos.programs import faketime
from chaos.rows import ROWS, Row
from cli.tether import until_signalled

_LOAD_SHARE: Final = 0.88
"""The part of a row's time in which load is sent; the rest starts it, lets it end and audits it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rows one after the other; the exit code."""
    given = _parser().parse_args(arguments)
    known = [row.name for row in ROWS]
    wanted = given.rows.split(",") if given.rows else known
    if unknown := [name for name in wanted if name not in known]:
        sys.stderr.write(f"chaos: there is no row {unknown[0]!r}; --rows takes {', '.join(known)}\n")
        return 2
    if min(given.minutes, given.executions, given.workers, given.apis) <= 0 or given.lease < 1:
        sys.stderr.write("chaos: numbers are above 0, and a lease is 1 second at least\n")
        return 2
    rows = [row for row in ROWS if row.name in wanted]
    sizes = Sizes(
        executions=max(1, given.executions // len(rows)),
        seconds=given.minutes * 60 / len(rows) * _LOAD_SHARE,
        seed=given.seed,
        workers=given.workers,
        apis=given.apis,
        lease=given.lease,
    )
    print(f"seed {given.seed}; {report.machine()}")
    if faketime() is None:
        print("No clock is moved: libfaketime is not installed (on Debian, the package faketime).")
    if given.plan:
        for row in rows:
            print(f"\n{row.title}", *(fault.told() for fault in planned(row, sizes)), sep="\n")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="sidestep-chaos-"))
    keep = given.keep
    try:
        played = asyncio.run(_all(rows, sizes, folder))
        keep = keep or any(one.broken for one in played) or len(played) < len(rows)
    except BaseException:
        keep = True
        raise
    finally:
        if keep:
            print(f"Logs, journals and ledgers are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        Path(given.json).write_text(json.dumps(report.document(played), indent=1) + "\n")
    print("", report.markdown(played), "", sep="\n")
    for one in played:
        for sentence in one.broken:
            print(f"BROKEN, {one.row.name}: {sentence}")
    if len(played) < len(rows):
        print("Interrupted; everything that was started has ended.")
        return 1
    if any(one.broken for one in played):
        return 1
    print("Every promise was kept.")
    return 0


async def _all(rows: Sequence[Row], sizes: Sizes, folder: Path) -> list[Played]:
    """The rows in turn, until the last one or until SIGINT or SIGTERM."""
    played: list[Played] = []
    with until_signalled() as asked:
        asking = asyncio.create_task(asked.wait())
        try:
            for row in rows:
                (folder / row.name).mkdir()
                playing = asyncio.create_task(play(row, sizes, folder / row.name, _say))
                try:
                    await asyncio.wait((playing, asking), return_when=asyncio.FIRST_COMPLETED)
                    if not playing.done():
                        return played
                    played.append(playing.result())
                finally:
                    playing.cancel()
                    await asyncio.gather(playing, return_exceptions=True)
                for sentence in played[-1].broken:
                    _say(f"BROKEN: {sentence}")
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    return played


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all rows together [10]")
    parser.add_argument("--executions", type=int, default=20_000, help="for all rows together [20000]")
    parser.add_argument("--seed", type=int, default=1, help="of the plan [1]")
    parser.add_argument("--workers", type=int, default=3, help="worker processes [3]")
    parser.add_argument("--apis", type=int, default=2, help="API processes [2]")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds [10]")
    parser.add_argument("--rows", default="", help=f"some of {', '.join(row.name for row in ROWS)} [all]")
    parser.add_argument("--plan", action="store_true", help="print the plan and do nothing")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--json", metavar="FILE", help="write all of the result there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
