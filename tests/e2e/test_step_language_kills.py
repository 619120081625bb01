"""kill -9 of a real server in the middle of every kind of step: what comes of it is what would have come.

One death each, on SQLite; `make step-language` has more of them, and Redis.
"""

import asyncio
from pathlib import Path

import pytest

from rehearsals.killing import Point, Run, audit, differences
from rehearsals.machines import machines
from rehearsals.step_language import bench

ITEMS, MANY, ROUNDS = 60, 600, 40  # of so many items there is a snapshot when half are done
LEASE_SECONDS = 2.0


@pytest.mark.timeout(240)
async def test_whatever_is_killed_in_the_middle_ends_as_it_would_have(tmp_path: Path) -> None:
    wrong: list[str] = []
    every = list(machines(ITEMS, MANY, ROUNDS))
    async with bench("sqlite", tmp_path, LEASE_SECONDS) as of:
        calm = await asyncio.gather(*(of.calm(machine) for machine in every))
        for machine, (run, line) in zip(every, calm, strict=True):
            # Where somebody waits for an answer, the death comes when that was just taken.
            at: tuple[Point, ...] = (0.5,) if machine.word == "none" else ("word",)
            killed = await of.killed(machine, at, run)
            wrong += [f"{machine.name}: {one}" for one in (*line.wrong, *killed.wrong)]
    assert not wrong


async def test_the_audit_sees_a_run_that_the_journal_does_not_explain(tmp_path: Path) -> None:
    machine = next(machines(ITEMS, MANY, ROUNDS))
    async with bench("sqlite", tmp_path, LEASE_SECONDS) as of:
        calm, _ = await of.calm(machine)
    key = f"{calm.execution_id}/charge-card/1"
    once = [{"state": "completed"}]
    assert not [one for one in audit(machine, calm, {key: once}) if key in one]
    assert [one for one in audit(machine, calm, {key: once * 2}) if key in one and "does not say why" in one]
    assert [one for one in audit(machine, calm, {f"{key}0": once}) if "no journal holds it" in one]
    assert [one for one in audit(machine, calm, {}) if key in one and "never ran" in one]
    other = Run(calm.execution_id, {**calm.view, "status": "COMPLETED"}, {}, (), (), 0.0)
    assert [one.partition(":")[0] for one in differences(machine, calm, other)] == ["status", "steps"]
