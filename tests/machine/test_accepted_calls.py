"""Accepted calls that fall silent: what follows, by the step's effects and targets, and by its time."""

import pytest

from core.graph.model import TaskStep
from core.machine import events as ev
from tests.machine.helpers import AWS, GCP, Machine


def accepted(step: TaskStep) -> Machine:
    machine = Machine(step)
    machine.tell(ev.AttemptAccepted(visit="a", step_id="a", attempt=1, at=machine.now))
    machine.decide()
    assert machine.state.in_flight == 0
    return machine


def step(**changes: object) -> TaskStep:
    values = {"targets": (AWS, GCP), "timeout_ms": 60_000, "deadline_ms": 130_000, "awaits": "callback"}
    return TaskStep(id="a", **(values | changes))  # type: ignore[arg-type] # values of many types


def test_an_accepting_call_has_a_minute_however_long_its_result_may_take() -> None:
    machine = Machine(step(timeout_ms=3_600_000, deadline_ms=7_300_000))
    assert machine.last().started.timeout_ms == 60_000


def test_silence_is_looked_at_when_the_time_is_over_and_leads_to_the_fallback() -> None:
    machine = accepted(step())
    assert machine.wake_at == machine.now + 60_000
    machine.sleep_until_wake()
    assert machine.last().started.target == GCP
    assert machine.sent[0].started.key == machine.sent[1].started.key


def test_where_nobody_was_there_when_the_time_was_over_the_fallback_has_its_time_all_the_same() -> None:
    machine = accepted(step())
    machine.now += 24 * 3_600_000
    machine.decide()
    assert machine.last().started.target == GCP
    machine.tell(ev.AttemptAccepted(visit="a", step_id="a", attempt=2, at=machine.now))
    machine.decide()
    assert machine.wake_at == machine.now + 60_000


@pytest.mark.parametrize("effects", ["atMostOnce", "idempotent"])
def test_silence_of_the_only_target_parks_what_may_run_once_and_fails_the_rest(effects: str) -> None:
    wish = "park" if effects == "atMostOnce" else "failover"
    machine = accepted(step(effects=effects, on_ambiguous=wish, targets=(AWS,)))
    machine.sleep_until_wake()
    assert machine.state.status == ("PARKED" if effects == "atMostOnce" else "FAILED")


def test_a_heartbeat_late_in_the_time_of_one_moves_the_next_look() -> None:
    machine = accepted(step(heartbeat_ms=10_000))
    assert machine.wake_at == machine.now + 10_000
    machine.now += 9_000
    beat = ev.HeartbeatReceived(visit="a", step_id="a", attempt=1, message_id="m", at=machine.now)
    machine.tell(beat)
    machine.decide()
    assert machine.wake_at == machine.now + 10_000
    machine.sleep_until_wake()
    assert machine.kinds()[-2:] == ["FAILED_OVER", "ATTEMPT_STARTED"]
