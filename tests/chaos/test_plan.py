"""The plan of faults: the same for the same seed, and such that what it breaks can be told apart."""

from itertools import pairwise

import pytest

from chaos.plan import LEASE_SECONDS, Fault, plan
from chaos.rows import ROWS, Kind, Row

FULL = 94.0
OWNERS = {Kind.KILL_WORKER, Kind.STOP_WORKER, Kind.END_WORKER, Kind.CLOCK}


def full(row: Row, seed: int = 1) -> tuple[Fault, ...]:
    return plan(row, seed, FULL, workers=3, apis=2)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_same_seed_is_the_same_plan_and_another_is_another(row: Row) -> None:
    assert full(row) == full(row)
    assert full(row) != full(row, seed=2)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(20))
def test_a_full_run_meets_every_kind_of_fault_that_its_row_names(row: Row, seed: int) -> None:
    met = {fault.kind for fault in full(row, seed)}
    expected = {*row.owners, *row.hosts, Kind.CLOUD} | (set() if row.alone else {Kind.KILL_API})
    assert met == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(20))
def test_deaths_of_workers_are_more_than_a_lease_apart(row: Row, seed: int) -> None:
    times = [fault.at for fault in full(row, seed) if fault.kind in OWNERS]
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap > LEASE_SECONDS for gap in gaps), gaps


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(20))
def test_one_cloud_is_out_at_a_time(row: Row, seed: int) -> None:
    outages = [fault for fault in full(row, seed) if fault.kind is Kind.CLOUD]
    for before, after in pairwise(outages):
        assert before.at + before.seconds < after.at


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_short_run_keeps_the_first_kinds_of_each_track(row: Row) -> None:
    short = plan(row, 7, 8.0, workers=2, apis=1, lease=2.0)
    met = {fault.kind for fault in short}
    assert row.owners[0] in met
    assert row.hosts[0] in met
    assert all(0 <= fault.at < 8.0 for fault in short)
    assert all(fault.victim < 2 for fault in short if fault.kind in OWNERS)
