"""What follows each kind of outcome."""

import pytest

from core.failover.health import Health
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Catcher, Effects, RetryPolicy, SucceedStep, TaskStep
from core.machine.events import AttemptFailed, FailedOver, RetryScheduled, StepFailed
from tests.machine.helpers import (
    AWS,
    AZURE,
    BAD_REQUEST,
    GCP,
    RAISED,
    REFUSED,
    THROTTLED,
    TIMED_OUT,
    Machine,
)

MONEY = TaskStep(id="pay", targets=(AWS, GCP), effects="atMostOnce", on_ambiguous="park")


def task(**changes: object) -> TaskStep:
    fields: dict[str, object] = {"id": "t", "targets": (AWS, GCP), **changes}
    return TaskStep(**fields)  # type: ignore[arg-type] # a test's shorthand


@pytest.mark.parametrize("effects", ["pure", "idempotent", "atMostOnce"])
def test_what_did_not_run_goes_to_the_fallback_at_once_whatever_the_effects(effects: Effects) -> None:
    machine = Machine(task(effects=effects, on_ambiguous="park" if effects == "atMostOnce" else "failover"))
    machine.answer(REFUSED)
    assert machine.last().started.target == GCP
    machine.answer({"ok": True})
    assert machine.state.status == "COMPLETED"
    assert machine.state.failed_over


def test_the_decision_and_its_evidence_stand_before_the_fallbacks_attempt() -> None:
    machine = Machine(task())
    machine.answer(REFUSED)
    assert machine.kinds()[-3:] == ["ATTEMPT_FAILED", "FAILED_OVER", "ATTEMPT_STARTED"]
    hop = machine.events[-2]
    assert isinstance(hop, FailedOver)
    assert hop.evidence == REFUSED
    assert "did not run" in hop.reason


def test_an_ambiguous_outcome_keeps_the_round_and_its_key_at_the_fallback() -> None:
    machine = Machine(task())
    first = machine.last().started
    machine.answer(TIMED_OUT)
    second = machine.last().started
    assert second.target == GCP
    assert (first.key, first.round) == (second.key, second.round)
    assert second.attempt == first.attempt + 1


def test_an_ambiguous_at_most_once_step_is_parked_and_sent_nowhere() -> None:
    machine = Machine(MONEY)
    machine.answer(TIMED_OUT)
    assert len(machine.sent) == 1
    assert machine.kinds()[-2:] == ["STEP_PARKED", "WORKFLOW_PARKED"]
    assert machine.state.status == "PARKED"
    assert machine.wake_at is None


def test_an_interrupted_at_most_once_step_is_parked_too() -> None:
    machine = Machine(MONEY)
    machine.interrupt()
    assert len(machine.sent) == 1
    assert machine.state.status == "PARKED"


def test_an_interrupted_idempotent_step_is_sent_again_to_the_same_target_in_its_round() -> None:
    machine = Machine(task())
    first = machine.last().started
    machine.interrupt()
    again = machine.last().started
    assert again.target == AWS
    assert again.key == first.key
    assert again.attempt == 2
    assert "ATTEMPT_INTERRUPTED" in machine.kinds()
    assert not machine.state.failed_over


def test_on_ambiguous_fail_fails_the_step_and_its_catch_takes_it() -> None:
    step = task(on_ambiguous="fail", catch=(Catcher(errors=("Sidestep.Timeout",), next="sorry"),))
    machine = Machine(step, SucceedStep(id="sorry"))
    machine.answer(TIMED_OUT)
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["error"]["error"] == "Sidestep.Timeout"


def test_a_function_error_does_not_fail_over() -> None:
    machine = Machine(task())
    machine.answer(RAISED)
    assert len(machine.sent) == 1
    assert machine.state.status == "FAILED"
    assert machine.state.failure is not None
    assert machine.state.failure.error == "ValueError"


def test_a_function_error_fails_over_where_the_step_asks_for_it() -> None:
    machine = Machine(task(failover_on_function_error=True))
    machine.answer(RAISED)
    assert machine.last().started.target == GCP


def test_a_function_error_is_retried_by_the_steps_own_policy_in_a_new_round() -> None:
    machine = Machine(task(retries=(RetryPolicy(max_attempts=1, interval_seconds=1, jitter="none"),)))
    machine.answer(RAISED)
    assert machine.wake_at == machine.now + 1_000
    machine.sleep_until_wake()
    first, second = (send.started for send in machine.sent)
    assert (first.round, second.round) == (1, 2)
    assert first.key != second.key
    assert second.attempt == 2
    machine.answer(RAISED)
    assert machine.state.status == "FAILED"


def test_an_at_most_once_step_is_not_retried_after_it_ran() -> None:
    machine = Machine(task(effects="atMostOnce", retries=(RetryPolicy(max_attempts=5),)))
    machine.answer(RAISED)
    assert machine.state.status == "FAILED"


def test_a_callers_error_fails_the_step_and_no_other_cloud_is_asked() -> None:
    machine = Machine(task(retries=(RetryPolicy(max_attempts=5),)))
    machine.answer(BAD_REQUEST)
    assert len(machine.sent) == 1
    assert machine.state.status == "FAILED"


def test_a_throttled_call_is_tried_once_more_there_after_the_wish_of_the_provider() -> None:
    machine = Machine(task())
    machine.answer(THROTTLED)
    assert machine.wake_at == machine.now + 500
    machine.sleep_until_wake()
    assert machine.last().started.target == AWS
    machine.answer(THROTTLED)
    assert machine.last().started.target == GCP


def test_a_long_retry_after_is_not_waited_for_where_another_target_can_answer() -> None:
    machine = Machine(task())
    machine.answer(
        Outcome(
            executed=Executed.NO,
            scope=Scope.SATURATION,
            signal="throttled",
            error="Sidestep.Throttled",
            retry_after_ms=20_000,
            retry_here=True,
        )
    )
    assert machine.last().started.target == GCP


def test_targets_are_tried_in_order_and_the_last_error_is_the_steps() -> None:
    machine = Machine(task(targets=(AWS, GCP, AZURE)))
    for _ in range(3):
        machine.answer(REFUSED)
    machine.sleep_until_wake()
    machine.answer(REFUSED)
    assert [send.started.target for send in machine.sent] == [AWS, GCP, AZURE, AZURE]
    assert machine.state.status == "FAILED"
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.Unavailable"


def test_when_no_target_is_left_the_steps_retries_begin_again_at_the_first() -> None:
    machine = Machine(task(retries=(RetryPolicy(max_attempts=1, interval_seconds=0.1),)))
    machine.answer(REFUSED)
    machine.answer(REFUSED)
    machine.sleep_until_wake()
    machine.answer(REFUSED)
    machine.sleep_until_wake()
    assert machine.last().started.target == AWS
    assert machine.last().started.round == 1
    assert isinstance(machine.events[-2], RetryScheduled)


def test_a_provider_that_took_nothing_is_tried_once_more_where_there_is_no_other() -> None:
    machine = Machine(task(targets=(AWS,)))
    machine.answer(REFUSED)
    assert machine.wake_at is not None
    assert 50 <= machine.wake_at - machine.now <= 1_000
    machine.sleep_until_wake()
    machine.answer(REFUSED)
    assert len(machine.sent) == 2
    assert machine.state.status == "FAILED"


def test_a_key_stays_while_another_attempt_of_its_round_may_have_run() -> None:
    machine = Machine(task(retries=(RetryPolicy(max_attempts=1, interval_seconds=0.1),)))
    machine.answer(TIMED_OUT)
    machine.answer(RAISED)
    machine.sleep_until_wake()
    assert len({send.started.key for send in machine.sent}) == 1
    assert machine.last().started.round == 1


def test_a_call_that_ends_every_worker_is_left_to_a_person() -> None:
    machine = Machine(task())
    for _ in range(10):
        assert machine.state.status == "RUNNING"
        machine.interrupt()
    assert machine.state.status == "PARKED"
    assert len(machine.sent) == 10


def test_an_answer_that_waited_for_us_brings_the_visits_time_back() -> None:
    machine = Machine(task(timeout_ms=1_000, deadline_ms=2_000))
    machine.now += 10_000
    machine.tell(
        AttemptFailed(visit="t", step_id="t", attempt=1, outcome=REFUSED, deadline_at=machine.now + 1_000)
    )
    machine.decide()
    assert machine.last().started.target == GCP


def test_an_unconfigured_primary_goes_to_its_fallback_without_a_call() -> None:
    machine = Machine(task(), health=Health({"AWS": "it is not configured"}))
    assert [send.started.target for send in machine.sent] == [GCP]
    assert machine.kinds()[-2:] == ["FAILED_OVER", "ATTEMPT_STARTED"]
    assert machine.state.failed_over


def test_an_unconfigured_fallback_is_passed_over() -> None:
    machine = Machine(task(targets=(AWS, GCP, AZURE)), health=Health({"GCP": "it is not configured"}))
    machine.answer(REFUSED)
    assert machine.last().started.target == AZURE


def test_without_any_usable_target_the_step_fails_and_says_why() -> None:
    machine = Machine(task(), health=Health({"AWS": "no key", "GCP": "no project"}))
    assert machine.sent == []
    failed = machine.events[-2]
    assert isinstance(failed, StepFailed)
    assert failed.error == "Sidestep.NoUsableTarget"
    assert "no key" in failed.cause
    assert "no project" in failed.cause


def test_no_sidestep_starts_after_the_visits_deadline() -> None:
    machine = Machine(task(deadline_ms=2_000))
    machine.now += 2_000
    machine.answer(TIMED_OUT)
    assert len(machine.sent) == 1
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.DeadlineExceeded"


def test_an_attempts_time_limit_is_what_is_left_of_the_visits_deadline() -> None:
    machine = Machine(task(timeout_ms=2_000, deadline_ms=3_000))
    assert machine.last().started.timeout_ms == 2_000
    machine.now += 2_000
    machine.answer(TIMED_OUT)
    assert machine.last().started.timeout_ms == 1_000
    assert machine.last().started.not_after == machine.now + 1_000 + 1_000


def test_time_that_the_control_plane_was_away_is_not_the_steps() -> None:
    machine = Machine(task(deadline_ms=2_000))
    machine.now += 60_000
    machine.interrupt()
    assert machine.last().started.attempt == 2
    assert machine.last().started.timeout_ms == 9_000
