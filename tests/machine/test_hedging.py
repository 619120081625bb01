"""A second call beside one that takes long, and what becomes of the two."""

import pytest
from msgspec.structs import replace

from core.failover.health import Health, Standing
from core.graph.model import SucceedStep, TaskStep
from core.machine import events as ev
from core.machine.decide import Abort, decide
from core.machine.hedging import worth_a_look
from tests.machine.helpers import AWS, AZURE, GCP, REFUSED, TIMED_OUT, Machine

USUAL = Standing(p95_ms=40.0, p99_ms=80.0, overdue_ms=500.0)
CALM = Health(places={("AWS", None): USUAL})
GONE = Health(places={("AWS", None): replace(USUAL, state="OPEN", why="breaker AWS open (9 of 9)")})


def task(*, hedge: bool = True, targets: int = 2) -> TaskStep:
    return TaskStep(id="t", targets=(AWS, GCP, AZURE)[:targets], effects="pure", hedge=hedge, next="end")


def machine(step: TaskStep | None = None, health: Health = CALM) -> Machine:
    return Machine(step or task(), SucceedStep(id="end"), health=health)


def started(one: Machine) -> list[tuple[str, str]]:
    return [(send.started.target.provider, send.started.role) for send in one.sent]


def test_a_call_that_takes_longer_than_p95_gets_a_second_one_beside_it() -> None:
    one = machine()
    assert one.wake_at == one.now + 40
    one.sleep_until_wake()
    assert started(one) == [("AWS", ""), ("GCP", "hedge")]
    first, second = (send.started for send in one.sent)
    assert (first.key, first.round) == (second.key, second.round)
    assert "under way for 40 ms" in second.reasons[0]
    assert not one.state.failed_over, "nothing failed"


def test_the_first_answer_counts_and_the_other_call_is_given_up() -> None:
    one = machine()
    one.sleep_until_wake()
    one.answer({"from": "AWS"})
    assert one.aborted == [Abort("t", 2)]
    assert one.state.status == "COMPLETED"
    assert one.state.context == {"from": "AWS"}
    assert one.kinds().count("ATTEMPT_ABANDONED") == 1


def test_the_hedges_answer_counts_as_well() -> None:
    one = machine()
    one.sleep_until_wake()
    one.tell(ev.AttemptSucceeded(visit="t", step_id="t", attempt=2, output={"from": "GCP"}))
    one.decide()
    assert one.aborted == [Abort("t", 1)]
    assert one.state.context == {"from": "GCP"}


def test_where_both_answer_at_once_the_first_counts() -> None:
    one = machine()
    one.sleep_until_wake()
    one.tell(ev.AttemptSucceeded(visit="t", step_id="t", attempt=2, output={"from": "GCP"}))
    one.tell(ev.AttemptSucceeded(visit="t", step_id="t", attempt=1, output={"from": "AWS"}))
    one.decide()
    assert one.state.context == {"from": "GCP"}
    assert one.state.status == "COMPLETED"


def test_a_failure_changes_nothing_once_the_other_has_answered() -> None:
    one = machine()
    one.sleep_until_wake()
    one.tell(ev.AttemptSucceeded(visit="t", step_id="t", attempt=1, output={"from": "AWS"}))
    one.tell(ev.AttemptFailed(visit="t", step_id="t", attempt=2, outcome=TIMED_OUT))
    one.decide()
    assert one.state.context == {"from": "AWS"}


def test_while_one_of_the_two_is_under_way_the_others_failure_is_only_noted() -> None:
    one = machine()
    one.sleep_until_wake()
    one.answer(REFUSED)
    assert len(one.sent) == 2
    assert one.state.in_flight == 1
    one.answer({"from": "GCP"})
    assert one.state.status == "COMPLETED"


def test_where_both_fail_it_goes_on_after_the_hedges_target() -> None:
    one = machine(task(targets=3))
    one.sleep_until_wake()
    one.answer(TIMED_OUT)
    one.answer(TIMED_OUT)
    assert started(one) == [("AWS", ""), ("GCP", "hedge"), ("AZURE", "sidestep")]


def test_where_both_fail_and_none_is_left_the_step_fails() -> None:
    one = machine()
    one.sleep_until_wake()
    one.answer(TIMED_OUT)
    one.answer(TIMED_OUT)
    assert one.state.status == "FAILED"


def test_without_a_wish_a_healthy_call_is_left_alone() -> None:
    one = machine(task(hedge=False))
    assert one.wake_at is None
    one.now += 9_000
    one.decide()
    assert len(one.sent) == 1


def test_a_call_that_hangs_at_a_target_that_has_opened_since_is_rescued() -> None:
    one = machine(task(hedge=False))
    one.health = GONE
    one.decide()
    assert len(one.sent) == 1, "it is younger than p95"
    one.sleep_until_wake()
    assert started(one) == [("AWS", ""), ("GCP", "hedge")]
    assert "breaker AWS open (9 of 9)" in one.last().started.reasons[0]


def test_a_call_whose_ordinary_time_is_not_known_is_not_hedged_as_it_is_sent() -> None:
    one = machine(task(hedge=False), Health(places={("AWS", None): Standing(state="SUSPECT")}))
    assert len(one.sent) == 1
    assert one.wake_at == one.now + 500


def test_no_second_call_is_sent_that_would_have_no_time() -> None:
    one = machine(health=replace(CALM, hedges=False))
    deadline_at = one.state.visits["t"].deadline_at
    assert deadline_at is not None
    one.now, one.health = deadline_at, CALM
    one.decide()
    assert len(one.sent) == 1


def test_an_answer_before_a_cancel_is_kept_though_the_other_call_is_under_way() -> None:
    one = machine()
    one.sleep_until_wake()
    one.tell(ev.AttemptSucceeded(visit="t", step_id="t", attempt=2, output={"from": "GCP"}))
    one.tell(ev.CancelRequested(message_id="m1"))
    one.decide()
    assert one.aborted == [Abort("t", 1)]
    assert "STEP_COMPLETED" in one.kinds()
    assert one.state.context == {"from": "GCP"}


def test_a_suspect_target_is_hedged_after_p95_though_the_step_does_not_ask_for_it() -> None:
    one = machine(task(hedge=False), Health(places={("AWS", None): replace(USUAL, state="SUSPECT")}))
    assert one.wake_at == one.now + 40


def test_the_budget_bounds_hedges() -> None:
    one = machine(health=replace(CALM, hedges=False))
    one.sleep_until_wake()
    assert len(one.sent) == 1
    assert one.wake_at is not None, "it is looked at again, when the budget may allow it"


ONCE = replace(task(hedge=False), effects="atMostOnce", on_ambiguous="park")
AGAIN = replace(task(hedge=False), effects="idempotent")


@pytest.mark.parametrize("step", [ONCE, AGAIN])
def test_only_pure_steps_are_ever_hedged(step: TaskStep) -> None:
    one = machine(step, Health(places={("AWS", None): replace(USUAL, state="SUSPECT")}))
    assert one.wake_at is None
    one.now += 9_000
    one.decide()
    assert len(one.sent) == 1


def test_an_overdue_call_of_an_idempotent_step_is_cut_short_once_its_breaker_has_opened() -> None:
    one = machine(AGAIN)
    one.now += 300
    one.health = GONE
    one.decide()
    assert len(one.sent) == 1, "it is not overdue yet"
    one.sleep_until_wake()
    assert one.aborted == [Abort("t", 1)]
    assert one.kinds()[-3:] == ["ATTEMPT_FAILED", "FAILED_OVER", "ATTEMPT_STARTED"]
    failed, hop = one.events[-3:-1]
    assert isinstance(failed, ev.AttemptFailed)
    assert (failed.outcome.signal, failed.outcome.ambiguous, failed.duration_ms) == ("overdue", True, 500)
    assert isinstance(hop, ev.FailedOver)
    assert "breaker AWS open (9 of 9)" in hop.reason
    assert started(one) == [("AWS", ""), ("GCP", "sidestep")]
    assert one.sent[0].started.key == one.sent[1].started.key


@pytest.mark.parametrize(
    "step",
    [
        ONCE,
        replace(AGAIN, on_ambiguous="park"),
        replace(AGAIN, on_ambiguous="fail"),
        replace(AGAIN, targets=(AWS,)),
    ],
)
def test_a_call_is_left_alone_that_would_not_go_on_elsewhere(step: TaskStep) -> None:
    one = machine(step)
    one.now += 9_000
    one.health = GONE
    one.decide()
    assert not one.aborted
    assert one.wake_at is None


def test_a_call_is_not_cut_short_where_the_fallback_is_no_better() -> None:
    one = machine(AGAIN)
    one.now += 9_000
    one.health = Health(places={**GONE.places, ("GCP", None): Standing(state="OPEN", why="open")})
    one.decide()
    assert not one.aborted
    assert one.wake_at is not None, "the fallback may come back"


def test_a_call_at_a_drained_target_may_end() -> None:
    one = machine(AGAIN)
    one.now += 9_000
    one.health = Health(places={("AWS", None): replace(USUAL, state="DRAINED", why="planned")})
    one.decide()
    assert not one.aborted


def test_a_new_owner_takes_both_as_interrupted_and_goes_on() -> None:
    one = machine()
    one.sleep_until_wake()
    one.interrupt()
    assert one.kinds().count("ATTEMPT_INTERRUPTED") == 2
    one.answer({"from": "GCP"})
    assert one.state.status == "COMPLETED"


def test_a_cancel_gives_both_up() -> None:
    one = machine()
    one.sleep_until_wake()
    one.tell(ev.CancelRequested(message_id="m1"))
    one.decide()
    assert {abort.attempt for abort in one.aborted} == {1, 2}
    assert one.state.status == "CANCELLED"


def test_the_time_that_writing_it_down_took_is_not_the_calls() -> None:
    one = machine()
    sent = {("t", 1): one.now + 30}
    at = one.now + 40
    early = decide(one.state, at, CALM, sent=sent)
    assert (early.commands, early.wake_at) == ((), at + 30)
    assert decide(one.state, at + 30, CALM, sent=sent).commands


@pytest.mark.parametrize(
    ("step", "health", "worth"),
    [
        (AGAIN, CALM, False),
        (AGAIN, GONE, True),
        (task(hedge=False), CALM, False),
        (task(hedge=False), GONE, True),
        (task(hedge=True), Health(), True),
    ],
)
def test_only_calls_about_which_something_may_be_done_are_looked_at(
    step: TaskStep, health: Health, *, worth: bool
) -> None:
    one = machine(step, Health())
    assert list(one.state.watched) == ["t"]
    assert worth_a_look(one.state, health) == (["t"] if worth else [])
