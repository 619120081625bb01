"""kill -9 of a real server in the middle of every kind of step: what comes of it is what would have come.

One death each, on SQLite; `make step-language` has more of them, and Redis.
"""

from pathlib import Path

import pytest

from rehearsals.killing import Run, audit, differences
from rehearsals.machines import machines
from rehearsals.step_language import bench

ITEMS, MANY, ROUNDS = 60, 200, 40
LEASE_SECONDS = 2.0


@pytest.mark.timeout(240)
async def test_whatever_is_killed_in_the_middle_ends_as_it_would_have(tmp_path: Path) -> None:
    wrong: list[str] = []
    async with bench("sqlite", tmp_path, LEASE_SECONDS) as of:
        for machine in machines(ITEMS, MANY, ROUNDS):
            calm, line = await of.calm(machine)
            killed = await of.killed(machine, (0.5,), calm)
            wrong += [f"{machine.name}: {one}" for one in (*line.wrong, *killed.wrong)]
    assert not wrong


@pytest.mark.timeout(120)
async def test_a_word_that_was_taken_is_not_lost_with_the_server(tmp_path: Path) -> None:
    async with bench("sqlite", tmp_path, LEASE_SECONDS) as of:
        for machine in machines(ITEMS, MANY, ROUNDS):
            if machine.word != "none":
                calm, _ = await of.calm(machine)
                assert (await of.killed(machine, ("word",), calm)).wrong == ()


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
