"""Redrives: what failed runs again, what completed is kept."""

import pytest

from core.errors import IllegalEvent
from core.graph.model import (
    Catcher,
    FailStep,
    ParallelStep,
)
from core.machine import events as ev
from core.machine import snapshot
from core.machine.evolve import evolve
from tests.machine.asks import redrive, task
from tests.machine.helpers import RAISED, Machine


def test_a_redrive_runs_what_failed_in_the_next_round_and_keeps_what_completed() -> None:
    machine = Machine(task("a", "b"), task("b", "c"), task("c"))
    machine.answer({"x": 1})
    machine.answer(RAISED)
    assert machine.state.status == "FAILED"
    redrive(machine, 99_000)
    sent = machine.last().started
    assert (sent.visit, sent.attempt, sent.round, sent.key) == ("b", 2, 2, "x1/b/2")
    assert sent.timeout_ms == 3_000
    assert machine.last().payload == {"x": 1}
    assert machine.state.status == "RUNNING"
    assert machine.state.deadline_at == 99_000
    assert machine.state.failure is None
    machine.answer({"y": 2})
    machine.answer({"z": 3})
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == {"x": 1, "y": 2, "z": 3}


def test_a_redrive_of_branches_keeps_the_results_of_those_that_completed() -> None:
    machine = Machine(
        task("s", "fan"),
        ParallelStep(id="fan", branches=("l", "m", "r"), next="end"),
        task("l"),
        task("m", "n"),
        task("n"),
        task("r"),
        task("end"),
    )
    machine.answer({"s": 0})
    machine.answer({"l": 1}, "fan/0/l")
    machine.answer({"m": 2}, "fan/1/m")
    machine.answer(RAISED, "fan/2/r")
    assert machine.state.status == "FAILED"
    before = len(machine.sent)
    redrive(machine)
    again = [(send.started.visit, send.started.round) for send in machine.sent[before:]]
    assert again == [("fan/1/n", 2), ("fan/2/r", 2)], "n was cancelled, r failed, l completed"
    assert machine.sent[before].payload == {"s": 0, "m": 2}
    machine.answer({"n": 3}, "fan/1/n")
    machine.answer({"r": 4}, "fan/2/r")
    machine.answer({}, "end")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["fan"] == [{"l": 1}, {"m": 2, "n": 3}, {"r": 4}]


def test_a_redrive_reaches_into_branches_of_branches_from_a_snapshot_too() -> None:
    machine = Machine(
        ParallelStep(id="out", branches=("in", "z")),
        ParallelStep(id="in", branches=("l", "r")),
        task("l"),
        task("r"),
        task("z"),
    )
    machine.answer({"l": 1}, "out/0/in/0/l")
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    kept = snapshot.restore(snapshot.dump(machine.state), machine.state.workflow)
    assert kept == machine.state
    machine.state = kept
    before = len(machine.sent)
    redrive(machine)
    assert {send.started.visit for send in machine.sent[before:]} == {"out/0/in/1/r", "out/1/z"}
    machine.answer({"r": 2}, "out/0/in/1/r")
    machine.answer({"z": 3}, "out/1/z")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["out"] == [{"l": 1, "r": 2, "in": [{"l": 1}, {"r": 2}]}, {"z": 3}]


def test_an_answer_that_came_with_the_cancel_is_kept_for_the_redrive() -> None:
    machine = Machine(task("a", "b"), task("b"))
    live = machine.state.visits["a"]
    machine.tell(ev.AttemptSucceeded(visit="a", step_id="a", attempt=live.open[0].number, output={"x": 1}))
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    redrive(machine)
    assert machine.last().started.visit == "b"
    assert machine.last().started.round == 1, "it was never sent before"


def test_branches_that_all_answered_with_the_cancel_are_joined_by_the_redrive_and_not_run_again() -> None:
    machine = Machine(ParallelStep(id="fan", branches=("l", "r")), task("l"), task("r"))
    machine.tell(ev.AttemptSucceeded(visit="fan/0/l", step_id="l", attempt=1, output={"l": 1}))
    machine.tell(ev.AttemptSucceeded(visit="fan/1/r", step_id="r", attempt=1, output={"r": 2}))
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    redrive(machine)
    assert machine.state.status == "COMPLETED"
    assert len(machine.sent) == 2
    assert machine.state.context["fan"] == [{"l": 1}, {"r": 2}]


def test_an_answer_that_came_with_the_time_limit_is_kept_for_the_redrive() -> None:
    machine = Machine(task("a", "b"), task("b"), deadline_at=2_000)
    machine.now = 2_000
    machine.answer({"x": 1})
    assert machine.state.status == "TIMED_OUT"
    redrive(machine)
    assert [send.started.visit for send in machine.sent] == ["a", "b"]


def test_a_redrive_after_a_cancel_that_came_after_all_was_done_completes() -> None:
    machine = Machine(task("a"))
    machine.tell(ev.AttemptSucceeded(visit="a", step_id="a", attempt=1, output={"x": 1}))
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    redrive(machine)
    assert machine.state.status == "COMPLETED"
    assert len(machine.sent) == 1


def test_a_redrive_of_what_was_cancelled_before_its_start_starts_it() -> None:
    machine = Machine(task("a"))
    machine.state = evolve(
        machine.state.__class__(execution_id="x1", workflow=machine.state.workflow), machine.events[0]
    )
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    redrive(machine)
    assert machine.kinds()[-3:] == ["WORKFLOW_STARTED", "STEP_STARTED", "ATTEMPT_STARTED"]


def test_a_redrive_can_be_redriven_and_a_fail_step_fails_again() -> None:
    machine = Machine(task("a", "no"), FailStep(id="no", error="Nope", cause="never"))
    machine.answer(RAISED)
    for number in (2, 3):
        redrive(machine)
        assert machine.last().started.attempt == machine.last().started.round == number
        machine.answer(RAISED)
        assert machine.state.status == "FAILED"
    redrive(machine)
    machine.answer({})
    for _ in range(2):
        assert machine.state.failure is not None
        assert machine.state.failure.error == "Nope"
        redrive(machine)
    assert machine.state.redrives == 5
    assert len(machine.sent) == 4


def test_what_a_catch_took_is_not_redriven() -> None:
    fan = ParallelStep(id="fan", branches=("l", "r"), catch=(Catcher(errors=("*",), next="mend"),))
    machine = Machine(fan, task("l"), task("r"), task("mend"))
    machine.answer(RAISED, "fan/0/l")
    machine.answer(RAISED, "mend")
    assert machine.state.status == "FAILED"
    before = len(machine.sent)
    redrive(machine)
    assert [send.started.visit for send in machine.sent[before:]] == ["mend"]


def test_an_execution_that_timed_out_gets_a_new_time_limit() -> None:
    machine = Machine(task("a"), deadline_at=2_000)
    machine.now = 2_000
    machine.decide()
    assert machine.state.status == "TIMED_OUT"
    redrive(machine, 12_000)
    assert machine.wake_at == 12_000
    assert machine.last().started.visit == "a"


def test_a_redrive_renews_the_visit_budget() -> None:
    machine = Machine(task("a", "b"), task("b", "a"), budget=2)
    for _ in range(4):
        machine.answer({})
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.VisitBudgetExceeded"
    redrive(machine)
    assert machine.last().started.visit == "a~3"
    machine.answer({})
    assert machine.last().started.visit == "b~3"


def test_what_completed_cannot_be_redriven() -> None:
    machine = Machine(task("a"))
    machine.answer({})
    with pytest.raises(IllegalEvent, match="WORKFLOW_REDRIVEN cannot follow COMPLETED"):
        redrive(machine)
