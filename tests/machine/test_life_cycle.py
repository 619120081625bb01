"""Pause, resume and resolve, as the machine decides them."""

from typing import Any

import pytest

from core.engine.inbox import heard
from core.failover.health import Health
from core.graph.model import (
    Catcher,
    ParallelStep,
    WaitStep,
)
from core.machine import events as ev
from core.machine.evolve import evolve
from core.machine.requests import parked_visit
from core.ports.store import Message
from tests.machine.asks import once, pause, resolve, resume, task
from tests.machine.helpers import AWS, GCP, RAISED, REFUSED, TIMED_OUT, Machine


def test_a_paused_execution_lets_its_call_end_completes_the_step_and_starts_nothing() -> None:
    machine = Machine(task("a", "b"), task("b"))
    pause(machine)
    machine.answer({"x": 1})
    assert machine.state.status == "PAUSED"
    assert machine.state.context == {"x": 1}
    assert [send.started.step_id for send in machine.sent] == ["a"]
    assert machine.wake_at is None
    resume(machine)
    assert machine.last().started.step_id == "b"


def test_a_failed_answer_waits_for_the_resume_and_then_sidesteps() -> None:
    machine = Machine(task("a", targets=(AWS, GCP)))
    pause(machine)
    machine.answer(REFUSED)
    assert len(machine.sent) == 1
    machine.now += 3_600_000
    resume(machine)
    assert machine.last().started.target == GCP
    assert machine.last().started.timeout_ms == 3_000, "the pause is not charged to the step"


def test_an_execution_whose_last_step_ends_while_paused_completes_when_it_is_resumed() -> None:
    machine = Machine(task("a"))
    pause(machine)
    machine.answer({})
    assert machine.state.status == "PAUSED"
    resume(machine)
    assert machine.state.status == "COMPLETED"


def test_a_pause_before_the_start_holds_the_start() -> None:
    machine = Machine(task("a"), stopped=True)
    fresh = Machine(task("a"))
    state = evolve(fresh.state.__class__(execution_id="x", workflow=fresh.state.workflow), machine.events[0])
    machine.state, machine.events, machine.sent = state, machine.events[:1], []
    machine.stopped = False
    pause(machine)
    assert not machine.sent
    resume(machine)
    assert machine.kinds()[-3:] == ["WORKFLOW_STARTED", "STEP_STARTED", "ATTEMPT_STARTED"]


def test_the_time_limit_stands_still_during_a_pause() -> None:
    machine = Machine(task("a", "b"), task("b"), deadline_at=6_000)
    machine.now = 3_000
    pause(machine)
    machine.now = 100_000
    machine.decide()
    assert machine.state.status == "PAUSED"
    resume(machine)
    assert machine.state.deadline_at == 103_000
    assert machine.wake_at == 103_000


def test_a_wait_that_ended_during_a_pause_ends_with_it_and_not_later() -> None:
    machine = Machine(WaitStep(id="w", seconds=10, next="a"), task("a"))
    pause(machine)
    machine.now += 60_000
    machine.decide()
    assert not machine.sent
    resume(machine)
    assert machine.last().started.step_id == "a"


def test_a_retry_that_was_due_during_a_pause_has_its_time_after_it() -> None:
    machine = Machine(task("a", timeout_ms=9_000))
    machine.answer(REFUSED)
    assert machine.wake_at is not None
    before = machine.state.visits["a"].deadline_at
    pause(machine)
    machine.now += 60_000
    resume(machine)
    assert machine.last().started.attempt == 2
    assert machine.state.visits["a"].deadline_at == (before or 0) + 60_000


def test_a_retry_that_was_due_during_a_pause_does_not_get_the_pause_twice() -> None:
    machine = Machine(task("a", timeout_ms=60_000, deadline_ms=5_000))
    machine.answer(REFUSED)
    pause(machine)
    machine.now += 30_000
    resume(machine)
    assert machine.last().started.timeout_ms == 5_000


def test_a_branch_that_fails_during_a_pause_cancels_its_siblings_after_it() -> None:
    machine = Machine(ParallelStep(id="fan", branches=("l", "r")), task("l"), task("r"))
    pause(machine)
    machine.answer(RAISED, "fan/0/l")
    assert machine.state.status == "PAUSED"
    assert not machine.aborted
    resume(machine)
    assert machine.state.status == "FAILED"
    assert len(machine.aborted) == 1


@pytest.mark.parametrize("parked", [False, True])
def test_a_paused_execution_can_be_cancelled(*, parked: bool) -> None:
    machine = Machine(once("a") if parked else task("a"))
    if parked:
        machine.answer(TIMED_OUT)
        assert machine.state.status == "PARKED"
    pause(machine)
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"


def test_a_parked_step_that_is_resolved_as_completed_goes_on_with_the_output() -> None:
    machine = Machine(once("pay", "ship"), task("ship"))
    machine.answer(TIMED_OUT)
    assert machine.state.status == "PARKED"
    resolve(machine, "completed", output={"paid": True})
    machine.decide()
    assert machine.state.status == "RUNNING"
    assert machine.last().started.step_id == "ship"
    assert machine.last().payload == {"paid": True}


def test_a_parked_step_that_is_resolved_as_failed_is_caught_like_any_failure() -> None:
    machine = Machine(once("pay", catch=(Catcher(errors=("Lost",), next="refund"),)), task("refund"))
    machine.answer(TIMED_OUT)
    resolve(machine, "failed", error="Lost", cause="the bank says no")
    machine.decide()
    assert machine.last().started.step_id == "refund"
    assert machine.state.context == {"error": {"error": "Lost", "cause": "the bank says no"}}


def test_a_parked_step_that_is_to_be_tried_again_keeps_its_round_and_says_who_wanted_it() -> None:
    machine = Machine(once("pay", targets=(AWS, GCP)))
    machine.answer(TIMED_OUT)
    first = machine.last().started
    machine.now += 500_000
    resolve(machine, "retry")
    machine.decide()
    sent = machine.last().started
    assert (sent.target, sent.key, sent.attempt) == (AWS, first.key, 2)
    assert sent.timeout_ms == 3_000
    assert sent.reasons == ("ann settled it: retry (I looked)",)
    machine.answer(TIMED_OUT)
    assert machine.state.status == "PARKED", "one word allows one send"


def test_a_try_that_a_person_wanted_has_the_engines_own_retry_like_a_first_one() -> None:
    machine = Machine(once("pay"))
    machine.answer(REFUSED)
    machine.sleep_until_wake()
    machine.answer(TIMED_OUT)
    resolve(machine, "retry")
    machine.decide()
    machine.answer(REFUSED)
    machine.sleep_until_wake()
    assert machine.last().started.attempt == 4


def test_a_step_that_was_parked_because_its_owners_died_may_be_interrupted_again() -> None:
    machine = Machine(task("a"))
    while machine.state.status != "PARKED":
        machine.interrupt()
    before = len(machine.sent)
    resolve(machine, "retry")
    machine.decide()
    machine.interrupt()
    assert machine.state.status == "RUNNING"
    assert len(machine.sent) == before + 2


def test_a_parked_step_that_is_to_fail_over_goes_to_its_next_target() -> None:
    machine = Machine(once("pay", targets=(AWS, GCP)))
    machine.answer(TIMED_OUT)
    resolve(machine, "failover")
    machine.tell(
        ev.FailedOver(
            visit="pay", step_id="pay", from_target=AWS, to_target=GCP, to_index=1, reason="ann says so"
        )
    )
    machine.decide()
    assert machine.last().started.target == GCP
    assert machine.last().started.reasons[-1] == "ann says so"
    machine.answer(TIMED_OUT)
    assert parked_visit(machine.state, "pay", "failover") == (
        "step 'pay' has no target after the one where it is parked"
    )


def test_the_time_that_a_step_was_parked_is_given_back() -> None:
    machine = Machine(once("pay", "ship"), task("ship"), deadline_at=6_000)
    machine.now = 4_000
    machine.answer(TIMED_OUT)
    machine.now = 50_000
    pause(machine)
    machine.now = 60_000
    resolve(machine, "completed", output={})
    machine.decide()
    machine.now = 70_000
    resume(machine)
    assert machine.state.deadline_at == 6_000 + 66_000
    assert machine.last().started.step_id == "ship"


def test_the_time_that_a_step_was_parked_is_given_back_where_a_failing_sibling_cancels_it() -> None:
    fan = ParallelStep(id="fan", branches=("l", "r"), catch=(Catcher(errors=("*",), next="mend"),))
    machine = Machine(fan, once("l"), task("r"), task("mend"), deadline_at=6_000)
    machine.now = 2_000
    machine.answer(TIMED_OUT, "fan/0/l")
    machine.now = 9_000
    machine.answer(RAISED, "fan/1/r")
    assert machine.last().started.step_id == "mend"
    assert machine.state.deadline_at == 6_000 + 7_000


def test_the_time_limit_begins_anew_where_an_old_journal_does_not_say_since_when_it_stood_still() -> None:
    machine = Machine(once("pay"), deadline_at=6_000)
    machine.answer(TIMED_OUT)
    parked = machine.events[-2]
    assert isinstance(parked, ev.StepParked)
    old = [*machine.events[:-2], ev.StepParked(visit="pay", step_id="pay", reason="r"), machine.events[-1]]
    limited = machine.state.workflow.__class__(
        id="w",
        name=None,
        start_at="pay",
        steps=machine.state.workflow.steps,
        digest="d",
        source=b"",
        timeout_ms=5_000,
    )
    machine.state = machine.state.__class__(execution_id="x1", workflow=limited)
    for event in old:
        machine.state = evolve(machine.state, event)
    machine.now = 50_000
    resolve(machine, "retry")
    assert machine.state.deadline_at == 55_000


def test_of_two_parked_branches_each_is_settled_by_its_path() -> None:
    machine = Machine(ParallelStep(id="fan", branches=("l", "r")), once("l"), once("r"))
    machine.answer(TIMED_OUT, "fan/0/l")
    machine.answer(TIMED_OUT, "fan/1/r")
    assert machine.state.status == "PARKED"
    assert "2 visits are parked" in str(parked_visit(machine.state, None, "retry"))
    found = parked_visit(machine.state, "fan/1/r", "completed")
    assert not isinstance(found, str)
    assert parked_visit(machine.state, "r", "completed") == found
    assert parked_visit(machine.state, "x", "completed") == "step 'x' is not parked"
    machine.tell(
        ev.StepResolved(
            visit="fan/1/r", step_id="r", message_id="s", at=machine.now, verdict="completed", output={}
        )
    )
    machine.decide()
    assert machine.state.status == "PARKED", "the other still waits for a person"
    resolve(machine, "completed", output={})
    machine.decide()
    assert machine.state.status == "COMPLETED"


def test_a_resolved_retry_goes_elsewhere_where_its_target_is_drained() -> None:
    machine = Machine(once("pay", targets=(AWS, GCP)))
    machine.answer(TIMED_OUT)
    machine.health = Health({"AWS": "it is drained"})
    resolve(machine, "retry")
    machine.decide()
    assert machine.last().started.target == GCP


def say(machine: Machine, kind: str, **body: Any) -> str:
    """A request as an owner takes it up; returns the kind of its first event."""
    facts = heard(machine.state, Message(message_id="m", kind=kind, body=body, actor="bob"), machine.now)
    for fact in facts:
        machine.tell(fact)
    machine.decide()
    return ev.kind(facts[0])


def test_a_word_about_an_earlier_parking_settles_no_later_one() -> None:
    machine = Machine(once("pay"))
    machine.answer(TIMED_OUT)
    resolve(machine, "retry")
    machine.decide()
    machine.answer(TIMED_OUT)
    assert machine.state.status == "PARKED"
    assert say(machine, "resolve", visit="pay", attempts=1, verdict="retry") == "REQUEST_IGNORED"
    assert machine.state.status == "PARKED"
    assert say(machine, "resolve", visit="pay", attempts=2, verdict="retry") == "STEP_RESOLVED"


def test_a_request_or_a_verdict_that_this_version_does_not_know_changes_nothing() -> None:
    machine = Machine(once("pay"))
    machine.answer(TIMED_OUT)
    assert say(machine, "resolve", visit="pay", attempts=1, verdict="shrug") == "REQUEST_IGNORED"
    assert say(machine, "dance") == "REQUEST_IGNORED"
    assert machine.state.status == "PARKED"
    assert len(machine.sent) == 1


def test_a_persons_output_counts_towards_the_data_of_the_execution() -> None:
    machine = Machine(once("pay", "b"), task("b"))
    machine.answer(TIMED_OUT)
    before = machine.state.data_bytes
    say(machine, "resolve", visit="pay", attempts=1, verdict="completed", output={"x": "y" * 100})
    assert machine.state.data_bytes == before + 108


def test_what_was_parked_when_it_was_paused_is_parked_again_after_the_resume() -> None:
    machine = Machine(once("pay"))
    machine.answer(TIMED_OUT)
    pause(machine)
    assert machine.state.status == "PAUSED"
    resume(machine)
    assert machine.state.status == "PARKED"
    assert machine.kinds()[-3:] == ["PAUSE_REQUESTED", "WORKFLOW_RESUMED", "WORKFLOW_PARKED"]


def test_an_interruption_during_a_pause_is_decided_after_it() -> None:
    machine = Machine(once("pay"))
    pause(machine)
    machine.interrupt()
    assert machine.state.status == "PAUSED"
    resume(machine)
    assert machine.state.status == "PARKED"
