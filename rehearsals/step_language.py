"""Every kind of step survives its server's death: each machine is run, killed in the middle, and compared.

`python -m rehearsals.step_language` starts the clouds on loopback and a real server, on SQLite and then on a
real Redis. Each machine runs once without a kill. Then it runs again for each point at which the server is
killed with -9 and started again, and once more with all of these deaths in one life. What it came to must be
the same, nothing may have run twice without the journal saying why, and what must not run twice may not have.
Exit code 1: it was not so.

A Redis keeps a dead worker's leases until they lapse, as other workers may be alive: `--lease` is how long
that is here (10 s where nothing is set). A SQLite file has one server, so its executions are free at once.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from chaos.programs import NotStarted
from localcloud.app import LocalCloud
from localcloud.client import ControlClient, connect
from localcloud.settings import LocalCloudSettings
from rehearsals.killing import Kill, Killer, Point, Run, Server, audit, differences
from rehearsals.machines import Machine, machines
from rehearsals.reading import session
from tests.redis_servers import start_node

STORES: Final = ("sqlite", "redis")
_TOO_LATE: Final = "no kill met it alive: it proved nothing"
_TRIES: Final = 2
_POINTS: Final = (0.2, 0.5, 0.8)
_ITEMS: Final = 1_000
_MANY: Final = 10_000
_ROUNDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One machine with its deaths, and what was wrong with it (nothing, one hopes)."""

    store: str
    machine: str
    points: str
    status: str
    events: int
    seconds: float
    kills: tuple[Kill, ...]
    interrupted: int
    wrong: tuple[str, ...]


class Bench:
    """The clouds, a server on a store, and what kills it."""

    def __init__(self, store: str, killer: Killer, control: ControlClient, server: Server) -> None:
        self.server = server
        self._store = store
        self._killer = killer
        self._control = control

    async def calm(self, machine: Machine) -> tuple[Run, Line]:
        """The machine without a kill. Any number may run at once."""
        run = await self._killer.run(machine)
        wrong = [] if run.view["status"] == machine.status else [f"it ended as {run.view['status']}"]
        wrong += [
            f"a call of {event['stepId']} failed: {event['details']['outcome'].get('error')}"
            for history in run.histories.values()
            for event in history
            if event["type"] == "ATTEMPT_FAILED" and machine.calm
        ]
        return run, await self._line(machine, "none", run, wrong)

    async def killed(self, machine: Machine, points: Sequence[Point], calm: Run) -> Line:
        """The machine with these deaths, compared with the calm run; again where each came too late."""
        line = await self._killed(machine, points, calm)
        for _ in range(_TRIES):
            if _TOO_LATE in line.wrong:
                line = await self._killed(machine, points, calm)
        return line

    async def _killed(self, machine: Machine, points: Sequence[Point], calm: Run) -> Line:
        await self._control.clear_ledger()
        told = ", ".join(one if isinstance(one, str) else f"{one:.0%}" for one in points)
        try:
            run = await self._killer.run(machine, points, calm)
        except TimeoutError:
            wrong = (f"it did not end within {machine.patience:.0f} s",)
            return Line(self._store, machine.name, told, "?", 0, machine.patience, (), 0, wrong)
        wrong_ones = differences(machine, calm, run)
        if not any(kill.in_the_middle for kill in run.kills):
            wrong_ones.append(_TOO_LATE)
        return await self._line(machine, told, run, wrong_ones)

    async def _line(self, machine: Machine, points: str, run: Run, wrong: list[str]) -> Line:
        wrong = [*wrong, *audit(machine, run, await self._control.runs_by_key())]
        interrupted = sum(
            event["type"] == "ATTEMPT_INTERRUPTED" for history in run.histories.values() for event in history
        )
        return Line(
            self._store,
            machine.name,
            points,
            str(run.view["status"]),
            run.events,
            round(run.seconds, 2),
            run.kills,
            interrupted,
            tuple(wrong),
        )


@asynccontextmanager
async def bench(store: str, folder: Path, lease: float) -> AsyncIterator[Bench]:
    """The clouds and a server that is up, on `sqlite` or on a Redis of its own; ended with the block."""
    async with AsyncExitStack() as stack:
        clouds = await stack.enter_async_context(LocalCloud(LocalCloudSettings(port=0)))
        settings = {**clouds.environment(), "SIDESTEP_LEASE_SECONDS": str(lease)}
        if store == "redis":
            node = stack.enter_context(start_node())
            settings["SIDESTEP_STORE"] = node.url
        server = Server(folder, settings)
        stack.push_async_callback(server.end)
        await server.start()
        control = await stack.enter_async_context(connect(clouds.control_url))
        http = await stack.enter_async_context(session())
        yield Bench(store, Killer(http, server, control), control, server)


async def rehearse(store: str, chosen: Sequence[Machine], lease: float, folder: Path) -> list[Line]:
    """All of them on one store; tells each line on standard error as it comes."""
    lines: list[Line] = []
    async with bench(store, folder, lease) as of:
        for machine in chosen:
            calm, line = await of.calm(machine)
            lines.append(_tell(line))
            rows: list[tuple[Point, ...]] = [(point,) for point in _POINTS]
            rows.append(_POINTS)
            if machine.word != "none":
                rows.append(("word",))
            lines += [_tell(await of.killed(machine, points, calm)) for points in rows]
    return lines


def _tell(line: Line) -> Line:
    verdict = "; ".join(line.wrong) or "as promised"
    print(f"{line.store}: {line.machine}, killed: {line.points}: {verdict}", file=sys.stderr, flush=True)
    return line


def table(lines: Sequence[Line]) -> str:
    """What was measured, as Markdown."""
    rows = [
        "| store | machine | killed at | ended as | events | s | back after s | on after s | calls cut | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        back = ", ".join(f"{kill.ready:.1f}" for kill in line.kills)
        on = ", ".join(f"{kill.resumed:.1f}" for kill in line.kills)
        rows.append(
            f"| {line.store} | {line.machine} | {line.points} | {line.status} | {line.events:,} "
            f"| {line.seconds:.1f} | {back} | {on} | {line.interrupted} "
            f"| {'; '.join(line.wrong) or 'the same'} |"
        )
    return "\n".join(rows)


async def main() -> int:
    """Rehearse, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m rehearsals.step_language", description=__doc__)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--only", action="append", help="only machines with this in their name")
    parser.add_argument("--items", type=int, default=_ITEMS, help="of a fan-out")
    parser.add_argument("--many", type=int, default=_MANY, help="items of the large MAP")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of the loop")
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    # Whoever is killed hangs up on the clouds; that they could not answer is no news.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    every = machines(chosen.items, chosen.many, chosen.rounds)
    wanted = [one for one in every if any(part in one.name for part in chosen.only or [""])]
    lines: list[Line] = []
    for store in chosen.store or STORES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                lines += await rehearse(store, wanted, chosen.lease, Path(folder))
            except NotStarted as problem:
                print(problem, file=sys.stderr)
                return 1
    print(json.dumps([asdict(line) for line in lines], indent=2) if chosen.json else table(lines))
    return 1 if any(line.wrong for line in lines) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
