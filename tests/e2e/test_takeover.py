"""A worker that dies with many executions in hand, and one that sleeps past its lease and wakes.

The measurement with 1,000 executions and a lease of 10 s is `python -m benchmarks.takeover`; here the same is
done with fewer, and nothing is timed.
"""

import pytest

from benchmarks.takeover import killed, stopped


@pytest.mark.timeout(180)
async def test_another_worker_takes_over_all_that_a_dead_one_drove_and_sends_each_call_once_more() -> None:
    found = await killed(executions=100, lease=1.5)
    assert found["most_calls_of_one_key"] == 2


@pytest.mark.timeout(180)
async def test_a_worker_that_wakes_after_its_lease_sends_nothing_and_changes_nothing() -> None:
    found = await stopped(executions=60, lease=1.5)
    assert (found["sent"], found["appended"]) == (0, 0)
