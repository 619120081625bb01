"""How a graph is walked: data, branches, waits, errors, ends."""

import pytest

from core.errors import IllegalEvent
from core.graph.model import (
    Catcher,
    ChoiceRule,
    ChoiceStep,
    Comparison,
    FailStep,
    ParallelStep,
    PassStep,
    SucceedStep,
    TaskStep,
    WaitStep,
)
from core.machine.events import (
    AttemptStarted,
    AttemptSucceeded,
    CancelRequested,
    StepCancelled,
    StepFailed,
    WorkflowCancelled,
    WorkflowStarted,
)
from core.machine.evolve import evolve
from tests.machine.helpers import AWS, GCP, RAISED, TIMED_OUT, Machine


def call(name: str, **changes: object) -> TaskStep:
    return TaskStep(id=name, targets=(AWS, GCP), **changes)  # type: ignore[arg-type] # a test's shorthand


def fan(*branches: str, next_: str | None = None, catch: tuple[Catcher, ...] = ()) -> ParallelStep:
    return ParallelStep(id="fan", branches=branches, next=next_, catch=catch)


def test_an_object_is_merged_into_the_context_and_anything_else_stands_under_the_steps_id() -> None:
    machine = Machine(call("a", next="b"), call("b"), input_={"x": 1, "y": 1})
    machine.answer({"y": 2})
    assert machine.last().payload == {"x": 1, "y": 2}
    machine.answer([1, 2])
    assert machine.state.context == {"x": 1, "y": 2, "b": [1, 2]}


def test_the_commit_that_completes_a_step_also_starts_the_next_attempt() -> None:
    machine = Machine(call("a", next="b"), call("b"))
    before = len(machine.events)
    machine.answer({})
    assert machine.kinds()[before:] == [
        "ATTEMPT_SUCCEEDED",
        "STEP_COMPLETED",
        "STEP_STARTED",
        "ATTEMPT_STARTED",
    ]


def test_a_choice_follows_the_first_rule_that_holds() -> None:
    choice = ChoiceStep(
        id="c",
        choices=(
            ChoiceRule(Comparison(("n",), "gt", 10), "big"),
            ChoiceRule(Comparison(("n",), "gt", 5), "middle"),
        ),
        default="small",
    )
    ends = tuple(PassStep(id=name, result={"took": name}) for name in ("big", "middle", "small"))
    for n, took in ((11, "big"), (6, "middle"), (1, "small")):
        assert Machine(choice, *ends, input_={"n": n}).state.context["took"] == took


def test_a_choice_that_fits_nothing_fails_by_name() -> None:
    machine = Machine(
        ChoiceStep(id="c", choices=(ChoiceRule(Comparison(("n",), "gt", 10), "e"),)), SucceedStep(id="e")
    )
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.NoChoiceMatched"


def test_branches_are_all_in_flight_together_and_join_in_declared_order() -> None:
    machine = Machine(fan("a", "b", next_="z"), call("a"), call("b"), SucceedStep(id="z"), input_={"n": 0})
    assert {send.started.visit for send in machine.sent} == {"fan/0/a", "fan/1/b"}
    machine.answer({"who": "b", "b": 1}, visit="fan/1/b")
    assert machine.state.status == "RUNNING"
    machine.answer({"who": "a", "a": 1}, visit="fan/0/a")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == {
        "n": 0,
        "who": "b",
        "a": 1,
        "b": 1,
        "fan": [{"who": "a", "a": 1}, {"who": "b", "b": 1}],
    }


def test_a_branch_that_leaves_a_value_alone_does_not_undo_a_siblings_change() -> None:
    machine = Machine(fan("a", "b"), call("a"), call("b"), input_={"n": 0})
    machine.answer({"n": 1}, visit="fan/0/a")
    machine.answer({"other": True}, visit="fan/1/b")
    assert machine.state.context["n"] == 1


def test_a_branch_sees_its_own_steps_and_not_its_siblings() -> None:
    machine = Machine(fan("a", "b"), call("a", next="a2"), call("a2"), call("b"))
    machine.answer({"b": 1}, visit="fan/1/b")
    machine.answer({"a": 1}, visit="fan/0/a")
    assert machine.last().payload == {"a": 1}


def test_a_failing_branch_cancels_its_siblings_and_their_calls_count_as_abandoned() -> None:
    machine = Machine(fan("a", "b"), call("a"), call("b"))
    machine.answer(RAISED, visit="fan/0/a")
    assert machine.state.status == "FAILED"
    assert [(abort.visit, abort.attempt) for abort in machine.aborted] == [("fan/1/b", 1)]
    assert machine.kinds()[-5:] == [
        "STEP_FAILED",
        "ATTEMPT_ABANDONED",
        "STEP_CANCELLED",
        "STEP_FAILED",
        "WORKFLOW_FAILED",
    ]


def test_a_parallel_catches_what_its_branches_do_not() -> None:
    step = fan("a", "b", catch=(Catcher(errors=("ValueError",), next="sorry", result_path="oh.no"),))
    machine = Machine(step, call("a"), call("b"), PassStep(id="sorry"))
    machine.answer(RAISED, visit="fan/0/a")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == {"oh": {"no": {"error": "ValueError", "cause": "no"}}}


def test_nested_branches_are_cancelled_from_the_inside_out() -> None:
    inner = ParallelStep(id="in", branches=("b", "c"))
    machine = Machine(fan("a", "in"), call("a"), inner, call("b"), call("c"))
    machine.answer(RAISED, visit="fan/0/a")
    cancelled = [event.visit for event in machine.events if isinstance(event, StepCancelled)]
    assert cancelled == ["fan/1/in/0/b", "fan/1/in/1/c", "fan/1/in"]
    assert machine.state.status == "FAILED"


def test_a_time_limit_does_not_sweep_a_parked_branch_away() -> None:
    money = call("pay", effects="atMostOnce", on_ambiguous="park")
    machine = Machine(fan("pay", "w"), money, WaitStep(id="w", seconds=60), deadline_at=5_000)
    machine.answer(TIMED_OUT, visit="fan/0/pay")
    machine.now = 10_000
    machine.decide()
    assert machine.state.status == "RUNNING"
    machine.sleep_until_wake()
    assert machine.state.status == "PARKED"


def test_a_caught_error_in_a_branch_leaves_its_neighbours_in_the_context() -> None:
    step = call("a", catch=(Catcher(errors=("*",), next="on", result_path="order.error"),))
    machine = Machine(fan("a"), step, SucceedStep(id="on"), input_={"order": {"id": 1, "total": 9}})
    machine.answer(RAISED)
    assert machine.state.context["order"] == {
        "id": 1,
        "total": 9,
        "error": {"error": "ValueError", "cause": "no"},
    }


def test_a_worker_that_stops_puts_its_sends_off_and_the_next_one_has_all_the_time() -> None:
    machine = Machine(call("a", deadline_ms=2_000), stopped=True)
    assert machine.sent == []
    assert machine.wake_at == machine.now
    machine.stopped = False
    machine.now += 60_000
    machine.decide()
    assert machine.last().started.timeout_ms == 2_000


def test_a_parked_branch_lets_the_others_finish_and_then_parks_the_execution() -> None:
    money = call("pay", effects="atMostOnce", on_ambiguous="park")
    machine = Machine(fan("pay", "b"), money, call("b"))
    machine.answer(TIMED_OUT, visit="fan/0/pay")
    assert machine.state.status == "RUNNING"
    machine.answer({}, visit="fan/1/b")
    assert machine.state.status == "PARKED"


def test_a_wait_ends_at_its_time_and_not_before() -> None:
    machine = Machine(WaitStep(id="w", seconds=5))
    assert machine.wake_at == 6_000
    machine.now = 5_999
    machine.decide()
    assert machine.state.status == "RUNNING"
    machine.now = 6_000
    machine.decide()
    assert machine.state.status == "COMPLETED"


def test_a_wait_until_an_instant_in_the_past_is_over_at_once() -> None:
    assert Machine(WaitStep(id="w", until_ms=1)).state.status == "COMPLETED"


def test_a_fail_step_fails_with_its_error_and_can_be_caught() -> None:
    machine = Machine(
        FailStep(id="f", error="Nope", cause="why", catch=(Catcher(errors=("*",), next="e"),)),
        SucceedStep(id="e"),
    )
    assert machine.state.context == {"error": {"error": "Nope", "cause": "why"}}
    failed = Machine(FailStep(id="f", error="Nope", cause="why"))
    assert failed.state.failure is not None
    assert (failed.state.failure.error, failed.state.failure.cause) == ("Nope", "why")


def test_a_loop_names_each_visit_for_ever() -> None:
    machine = Machine(
        call("a", next="again"),
        ChoiceStep(id="again", choices=(ChoiceRule(Comparison(("more",), "eq", True), "a"),), default="end"),
        SucceedStep(id="end"),
    )
    machine.answer({"more": True})
    machine.answer({"more": False})
    assert [send.started.visit for send in machine.sent] == ["a", "a~2"]
    assert machine.sent[0].started.key != machine.sent[1].started.key
    assert machine.state.status == "COMPLETED"


def test_a_runaway_ends_by_name_when_its_visits_are_used_up() -> None:
    machine = Machine(PassStep(id="a", next="b"), PassStep(id="b", next="a"), budget=25)
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.VisitBudgetExceeded"
    assert machine.kinds().count("STEP_COMPLETED") == 50


def test_a_cancel_closes_what_is_in_flight_and_ends() -> None:
    machine = Machine(fan("a", "b"), call("a"), call("b"))
    machine.tell(CancelRequested(message_id="m", actor="ann", reason="changed my mind"))
    machine.decide()
    assert len(machine.aborted) == 2
    assert machine.state.status == "CANCELLED"
    last = machine.events[-1]
    assert isinstance(last, WorkflowCancelled)
    assert (last.actor, last.reason) == ("ann", "changed my mind")


def test_an_execution_ends_at_its_own_time_limit() -> None:
    machine = Machine(call("a"), deadline_at=5_000)
    assert machine.wake_at == 5_000
    machine.now = 5_000
    machine.decide()
    assert machine.state.status == "TIMED_OUT"
    assert len(machine.aborted) == 1


def test_a_parked_execution_does_not_time_out_but_can_be_cancelled() -> None:
    money = call("pay", effects="atMostOnce", on_ambiguous="park")
    machine = Machine(money, deadline_at=5_000)
    machine.answer(TIMED_OUT)
    machine.now = 9_000
    machine.decide()
    assert machine.state.status == "PARKED"
    machine.tell(CancelRequested(message_id="m"))
    machine.decide()
    assert machine.state.status == "CANCELLED"


@pytest.mark.parametrize(
    "event",
    [
        WorkflowStarted(),
        AttemptSucceeded(visit="a", step_id="a", attempt=9),
        AttemptSucceeded(visit="ghost", step_id="a", attempt=1),
        AttemptStarted(
            visit="a", step_id="a", attempt=1, round=1, target=AWS, key="k", timeout_ms=1, not_after=1
        ),
        AttemptStarted(
            visit="a", step_id="a", attempt=2, round=5, target=AWS, key="k", timeout_ms=1, not_after=1
        ),
        StepFailed(visit="a", step_id="a", error="x"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_illegal_event_raises_and_leaves_the_state_as_it_was(event: object) -> None:
    machine = Machine(call("a"))
    before = machine.state
    with pytest.raises(IllegalEvent):
        evolve(machine.state, event)  # type: ignore[arg-type] # all are events
    assert machine.state == before
