"""The chaos suite in short: each row of the table of promises for some seconds, with a lease of two."""

import asyncio
from pathlib import Path

import pytest

from chaos.plan import Fault
from chaos.playing import Played, Sizes, planned, play
from chaos.rows import ROWS, Kind, Row

SIZES = Sizes(executions=120, seconds=8.0, seed=3, workers=2, apis=2, lease=2.0, drain=60.0, grace=1.0)

# `always` differs from `everysec` by one word in redis.conf, and is left to the long run.
SHORT = [row for row in ROWS if row.name != "always"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("row", SHORT, ids=lambda row: row.name)
async def test_nothing_acknowledged_is_lost_and_every_second_run_is_explained(
    row: Row, tmp_path: Path
) -> None:
    lines: list[str] = []
    played = await play(row, SIZES, tmp_path, lines.append)
    assert played.broken == (), "\n".join(lines)
    assert played.found is not None
    assert played.found.acknowledged == SIZES.executions
    assert done(played) == [fault for fault in planned(row, SIZES) if possible(fault, played)]
    # A store that was away shows that the faults met the load, and that it went on after.
    assert played.found.pauses or row.name == "sqlite"
    assert all(pause.acknowledged is not None for pause in played.found.pauses)


def done(played: Played) -> list[Fault]:
    return [one.fault for one in played.injected]


def possible(fault: Fault, played: Played) -> bool:
    return fault.kind is not Kind.CLOCK or played.clocks


async def test_a_run_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    lines: list[str] = []
    playing = asyncio.create_task(play(ROWS[0], SIZES, tmp_path, lines.append))
    async with asyncio.timeout(60):
        while not lines:
            await asyncio.sleep(0.02)
    assert at_home(tmp_path) != []
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert at_home(tmp_path) == []


def at_home(folder: Path) -> list[str]:
    """The processes whose working directory this is."""
    return [link.parent.name for link in Path("/proc").glob("[0-9]*/cwd") if reads(link) == str(folder)]


def reads(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
