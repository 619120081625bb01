"""Undoing what completed steps did, as the machine decides it."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.data.flow import Flow, Template
from core.engine.inbox import heard
from core.graph.model import (
    Catcher,
    FailStep,
    MapStep,
    ParallelStep,
    PassStep,
    RetryPolicy,
    Step,
    TaskStep,
    WaitStep,
)
from core.machine import events as ev
from core.machine import snapshot
from core.machine.evolve import evolve, fold
from core.machine.requests import refused
from core.machine.state import State, blank
from core.ports.store import Message
from tests.machine.asks import once, pause, redrive, resolve, resume, task
from tests.machine.helpers import RAISED, TIMED_OUT, Machine


def saga(*names: str, last: Step | None = None, **changes: Any) -> list[Step]:
    """A line of tasks, each undone by `undo-<name>`, that ends with `last`."""
    end = last or FailStep(id="end", error="Broken", cause="on purpose")
    followed = [*names[1:], end.id]
    line: list[Step] = [
        task(name, following, compensate=f"undo-{name}")
        for name, following in zip(names, followed, strict=True)
    ]
    return [*line, end, *(task(f"undo-{name}", **changes) for name in names)]


def undone(machine: Machine) -> list[str]:
    """The visits whose undoing began, in order."""
    started = [event for event in machine.events if isinstance(event, ev.StepStarted)]
    return [event.undoes for event in started if event.undoes is not None]


def test_what_completed_is_undone_newest_first_and_then_the_execution_fails_as_it_was_to() -> None:
    machine = Machine(*saga("a", "b"), input_={"n": 1})
    machine.answer({"charge": 7})
    machine.answer(5)
    assert machine.state.status == "RUNNING"
    assert machine.state.ending is not None
    assert machine.last().started.visit == "~undo/2/undo-b"
    assert machine.last().payload == {
        "n": 1,
        "charge": 7,
        "b": 5,
        "compensating": {"step": "b", "visit": "b", "output": 5, "error": "Broken", "cause": "on purpose"},
    }
    machine.answer({"refunded": True})
    assert machine.last().started.visit == "~undo/1/undo-a"
    assert "refunded" not in machine.last().payload, "each is undone in a scope of its own"
    assert machine.last().payload["compensating"]["output"] == {"charge": 7}
    machine.answer({})
    assert machine.state.status == "FAILED"
    assert machine.state.failure is not None
    assert (machine.state.failure.error, machine.state.failure.cause) == ("Broken", "on purpose")
    assert machine.kinds().count("COMPENSATION_STARTED") == 1
    assert machine.state.context == {"n": 1, "charge": 7, "b": 5}
    assert undone(machine) == ["b", "a"]


def test_an_execution_with_nothing_to_undo_fails_at_once() -> None:
    machine = Machine(*saga("a"))
    machine.answer(RAISED)
    assert machine.state.status == "FAILED"
    assert "COMPENSATION_STARTED" not in machine.kinds()


def test_a_failure_that_is_caught_undoes_nothing_until_a_later_one_is_not() -> None:
    caught = task("b", "c", catch=(Catcher(errors=("*",), next="c"),), compensate="undo-b")
    machine = Machine(task("a", "b", compensate="undo-a"), caught, task("c"), task("undo-a"), task("undo-b"))
    machine.answer({})
    machine.answer(RAISED)
    assert machine.last().started.visit == "c"
    machine.answer(RAISED)
    machine.answer({})
    assert undone(machine) == ["a"]
    assert machine.state.status == "FAILED"


def test_a_completed_execution_undoes_nothing_and_keeps_nothing_for_it() -> None:
    machine = Machine(*saga("a", last=PassStep(id="end")))
    machine.answer({})
    assert machine.state.status == "COMPLETED"
    assert not machine.state.undo


def test_what_completed_in_branches_is_undone_in_the_order_of_completion() -> None:
    fan = ParallelStep(id="fan", branches=("l", "r"), next="end")
    machine = Machine(
        fan,
        task("l", compensate="undo-l"),
        task("r", compensate="undo-r"),
        FailStep(id="end"),
        task("undo-l"),
        task("undo-r"),
        input_={"n": 1},
    )
    machine.answer({"right": 2}, "fan/1/r")
    machine.answer({"left": 1}, "fan/0/l")
    assert machine.last().started.step_id == "undo-l"
    machine.answer({})
    assert machine.last().started.step_id == "undo-r"
    assert machine.last().payload["compensating"]["visit"] == "fan/1/r"
    assert machine.last().payload["right"] == 2


def test_the_items_of_a_map_that_fails_are_undone_each_with_its_item() -> None:
    walk = MapStep(id="all", first="book", items="trips", max_concurrency=1)
    machine = Machine(
        walk, task("book", compensate="undo"), task("undo"), input_={"trips": ["rome", "oslo", "nowhere"]}
    )
    machine.answer({"booking": 1})
    machine.answer({"booking": 2})
    machine.answer(RAISED)
    assert machine.last().payload["item"] == "oslo"
    machine.answer({})
    assert (machine.last().payload["item"], machine.last().payload["index"]) == ("rome", 0)
    assert machine.last().payload["booking"] == 1
    machine.answer({})
    assert undone(machine) == ["all/1/book", "all/0/book"]
    assert machine.state.failure is not None
    assert machine.state.failure.error == "ValueError"


def test_each_visit_of_a_loop_is_undone() -> None:
    machine = Machine(
        task("a", "b", compensate="undo-a"),
        task("b", catch=(Catcher(errors=("ValueError",), next="a"),)),
        task("undo-a"),
    )
    machine.answer({"n": 1})
    machine.answer(RAISED)
    machine.answer({"n": 2})
    machine.answer(replace(RAISED, error="Other"))
    machine.answer({})
    machine.answer({})
    assert undone(machine) == ["a~2", "a"]
    assert [send.payload["n"] for send in machine.sent[-2:]] == [2, 1]


def test_a_cancel_undoes_and_then_cancels() -> None:
    machine = Machine(*saga("a", last=WaitStep(id="end", seconds=60)))
    machine.answer({})
    machine.tell(ev.CancelRequested(message_id="cancel", actor="ann", reason="enough"))
    machine.decide()
    assert machine.last().payload["compensating"]["error"] == "Sidestep.Cancelled"
    assert machine.last().payload["compensating"]["cause"] == "enough"
    machine.answer({})
    assert machine.state.status == "CANCELLED"
    assert isinstance(machine.events[-1], ev.WorkflowCancelled)
    assert (machine.events[-1].actor, machine.events[-1].reason) == ("ann", "enough")


def test_a_time_limit_undoes_and_does_not_bound_that() -> None:
    machine = Machine(*saga("a", last=WaitStep(id="end", seconds=60)), deadline_at=31_000)
    machine.answer({})
    machine.sleep_until_wake()
    assert machine.last().payload["compensating"]["error"] == "Sidestep.TimedOut"
    machine.now += 3_600_000
    machine.answer({})
    assert machine.state.status == "TIMED_OUT"


def test_a_cancel_while_it_is_undone_is_ignored_and_so_is_a_second_one() -> None:
    machine = Machine(*saga("a"))
    machine.answer({})
    [ignored] = heard(machine.state, Message(message_id="c", kind="cancel"), machine.now)
    assert isinstance(ignored, ev.RequestIgnored)
    assert "undone" in ignored.why
    machine.tell(ignored)
    machine.answer({})
    assert machine.state.status == "FAILED"


def test_it_can_be_paused_between_two_and_goes_on() -> None:
    machine = Machine(*saga("a", "b"))
    machine.answer({})
    machine.answer({})
    pause(machine)
    machine.answer({})
    assert machine.state.status == "PAUSED"
    assert machine.last().started.step_id == "undo-b"
    resume(machine)
    assert machine.last().started.step_id == "undo-a"
    machine.answer({})
    assert machine.state.status == "FAILED"


def test_one_whose_last_undoing_ended_while_it_was_paused_ends_when_it_is_resumed() -> None:
    machine = Machine(*saga("a"))
    machine.answer({})
    pause(machine)
    machine.answer({})
    assert machine.state.status == "PAUSED"
    resume(machine)
    assert machine.state.status == "FAILED"


@pytest.mark.parametrize(
    ("verdict", "more", "counts"),
    [
        ("completed", {"output": {"by": "hand"}}, (2, 0)),
        ("failed", {"error": "Sidestep.ResolvedAsFailed"}, (1, 1)),
    ],
)
def test_an_undoing_step_that_fails_waits_for_a_person_and_then_the_next_is_undone(
    verdict: str, more: dict[str, Any], counts: tuple[int, int]
) -> None:
    machine = Machine(*saga("a", "b"))
    machine.answer({})
    machine.answer({})
    machine.answer(RAISED)
    assert machine.state.status == "PARKED"
    [parked] = [event for event in machine.events if isinstance(event, ev.StepParked)]
    assert (parked.visit, parked.error) == ("~undo/2/undo-b", "ValueError")
    assert machine.wake_at is None
    resolve(machine, verdict, **more)
    machine.decide()
    assert machine.last().started.step_id == "undo-a"
    machine.answer({})
    assert machine.state.status == "FAILED"
    assert machine.state.ending is not None
    assert (machine.state.ending.undone, machine.state.ending.given_up) == counts


def test_a_retry_of_an_undoing_step_that_is_known_to_have_failed_has_a_key_of_its_own() -> None:
    machine = Machine(*saga("a"))
    machine.answer({})
    before = machine.last().started
    machine.answer(RAISED)
    resolve(machine, "retry")
    machine.decide()
    after = machine.last().started
    assert (after.visit, after.attempt) == (before.visit, 2)
    assert after.key != before.key
    machine.answer(RAISED)
    assert machine.state.status == "PARKED", "it is parked as often as it fails"
    resolve(machine, "completed", output=None)
    machine.decide()
    assert machine.state.status == "FAILED"


@pytest.mark.parametrize("verdict", ["retry", "completed", "failed"])
def test_any_kind_of_step_that_undoes_can_be_settled(verdict: str) -> None:
    fan = ParallelStep(id="undo-a", branches=("x", "y"))
    machine = Machine(
        task("a", "end", compensate="undo-a"), FailStep(id="end"), fan, task("x"), task("y"), input_={"n": 1}
    )
    machine.answer({})
    machine.answer(RAISED, "~undo/1/undo-a/0/x")
    assert machine.state.status == "PARKED"
    assert [live.path for live in machine.state.visits.values()] == ["~undo/1/undo-a"]
    resolve(machine, verdict, **({"output": {"ok": 1}} if verdict == "completed" else {}))
    machine.decide()
    if verdict == "retry":
        machine.answer({}, "~undo/1/undo-a~2/0/x")
        machine.answer({}, "~undo/1/undo-a~2/1/y")
    assert machine.state.status == "FAILED"
    assert machine.state.ending is not None
    assert machine.state.ending.undone == (verdict != "failed")


def test_what_a_person_gave_and_no_template_can_take_is_parked_again_and_not_given_up() -> None:
    undo = task("undo-a", flow=Flow(language="native", output=Template({"id": "$.id"})))
    machine = Machine(task("a", "end", compensate="undo-a"), FailStep(id="end"), undo)
    machine.answer({})
    machine.answer(RAISED)
    resolve(machine, "completed", output={"other": 1})
    machine.decide()
    assert machine.state.status == "PARKED"
    resolve(machine, "completed", output={"id": 1})
    machine.decide()
    assert machine.state.status == "FAILED"
    assert machine.state.ending is not None
    assert (machine.state.ending.undone, machine.state.ending.given_up) == (1, 0)


def test_a_parked_step_that_a_person_settled_as_failed_is_not_in_doubt() -> None:
    machine = Machine(
        task("a", "b", compensate="undo-a"),
        once("b", compensate="undo-b"),
        task("undo-a"),
        task("undo-b"),
    )
    machine.answer({})
    machine.answer(TIMED_OUT)
    resolve(machine, "failed", error="Nothing", cause="it was not charged")
    machine.decide()
    [started] = [event for event in machine.events if isinstance(event, ev.CompensationStarted)]
    assert started.doubtful == ()


def test_a_catcher_of_an_undoing_step_takes_its_failure() -> None:
    undo = task("undo-a", catch=(Catcher(errors=("*",), next="tell"),))
    machine = Machine(task("a", "end", compensate="undo-a"), FailStep(id="end"), undo, task("tell"))
    machine.answer({})
    machine.answer(RAISED)
    assert machine.last().started.visit == "~undo/1/tell"
    assert machine.last().payload["error"]["error"] == "ValueError"
    machine.answer({})
    assert machine.state.status == "FAILED"


def test_an_undoing_step_that_goes_round_for_ever_is_given_up_and_the_next_is_undone() -> None:
    machine = Machine(
        task("a", "b", compensate="undo-a"),
        task("b", "end", compensate="undo-b"),
        FailStep(id="end"),
        task("undo-a"),
        PassStep(id="undo-b", next="round"),
        PassStep(id="round", next="undo-b"),
        budget=5,
    )
    machine.answer({})
    machine.answer({})
    assert machine.last().started.step_id == "undo-a"
    machine.answer({})
    assert machine.state.status == "FAILED"
    assert machine.state.ending is not None
    assert (machine.state.ending.undone, machine.state.ending.given_up) == (1, 1)


def test_one_that_was_undone_cannot_be_redriven_and_one_that_was_not_can() -> None:
    machine = Machine(*saga("a"))
    machine.answer({})
    machine.answer({})
    assert "rerun" in (refused("redrive", machine.state) or "")
    [ignored] = heard(machine.state, Message(message_id="r", kind="redrive"), machine.now)
    assert isinstance(ignored, ev.RequestIgnored)
    other = Machine(*saga("a"))
    other.answer(RAISED)
    assert refused("redrive", other.state) is None


def test_what_completed_before_a_redrive_is_undone_after_the_next_failure() -> None:
    steps: list[Step] = [
        task("a", "b"),
        task("b", "end", compensate="undo-b"),
        FailStep(id="end"),
        task("undo-b"),
    ]
    machine = Machine(*steps)
    machine.answer({})
    machine.answer(RAISED)
    redrive(machine)
    machine.answer({})
    machine.answer({})
    assert undone(machine) == ["b"]
    assert machine.state.status == "FAILED"


def test_a_step_that_a_person_settled_as_completed_is_undone() -> None:
    machine = Machine(
        once("a", "end", compensate="undo-a"), FailStep(id="end"), task("undo-a"), input_={"n": 1}
    )
    machine.answer(TIMED_OUT)
    resolve(machine, "completed", output={"charge": 9})
    machine.decide()
    assert machine.last().payload["compensating"]["output"] == {"charge": 9}


def test_what_is_in_doubt_is_named_and_not_undone() -> None:
    machine = Machine(
        task("a", "b", compensate="undo-a"),
        task("b", compensate="undo-b"),
        task("undo-a"),
        task("undo-b"),
    )
    machine.answer({})
    machine.answer(TIMED_OUT)
    [started] = [event for event in machine.events if isinstance(event, ev.CompensationStarted)]
    assert started.doubtful == ("b",)
    assert undone(machine) == ["a"]


def test_a_call_that_was_given_up_is_in_doubt() -> None:
    fan = ParallelStep(id="fan", branches=("l", "r"))
    machine = Machine(
        task("a", "fan", compensate="undo-a"),
        fan,
        task("l", compensate="undo-l"),
        task("r"),
        task("undo-a"),
        task("undo-l"),
    )
    machine.answer({})
    machine.answer(RAISED, "fan/1/r")
    [started] = [event for event in machine.events if isinstance(event, ev.CompensationStarted)]
    assert started.doubtful == ("fan/0/l",)


def test_a_budget_of_data_that_is_used_up_does_not_keep_the_rest_from_being_undone() -> None:
    machine = Machine(*saga("a"))
    machine.tell(
        ev.AttemptSucceeded(visit="a", step_id="a", attempt=1, output={"big": 1}, size=17 * 1024 * 1024)
    )
    machine.decide()
    # The step failed for its size, so it did not complete, and there is nothing to undo.
    assert machine.state.status == "FAILED"
    machine = Machine(*saga("a", "b"))
    machine.answer({})
    machine.tell(ev.AttemptSucceeded(visit="b", step_id="b", attempt=1, output=1, size=17 * 1024 * 1024))
    machine.decide()
    assert undone(machine) == ["a"]
    machine.answer({})
    assert machine.state.status == "FAILED"


def test_what_undoes_has_a_retry_budget_of_its_own() -> None:
    steps = saga("a", last=FailStep(id="end"), retries=(RetryPolicy(max_attempts=1, jitter="none"),))
    retried = replace(steps[0], retries=(RetryPolicy(max_attempts=1, jitter="none"),))
    machine = Machine(retried, *steps[1:])
    machine.state = replace(machine.state, workflow=replace(machine.state.workflow, retry_budget=1))
    machine.answer(RAISED)
    machine.sleep_until_wake()
    machine.answer({})
    machine.answer(RAISED)
    assert machine.state.status == "RUNNING"
    machine.sleep_until_wake()
    machine.answer({})
    assert machine.state.status == "FAILED"


def test_what_undoes_may_see_more_than_one_step_may_have() -> None:
    machine = Machine(*saga("a"), input_={"text": "x" * 200_000})
    machine.tell(
        ev.AttemptSucceeded(visit="a", step_id="a", attempt=1, output={"more": "y" * 200_000}, size=300_000)
    )
    machine.decide()
    assert undone(machine) == ["a"]
    assert machine.state.status == "RUNNING"
    assert len(machine.last().payload["compensating"]["output"]["more"]) == 200_000


def test_a_template_of_what_undoes_sees_the_item() -> None:
    walk = MapStep(id="all", first="book", items="trips", next="end")
    given = Flow(language="native", arguments=Template("{% $item %}"))
    machine = Machine(
        walk,
        task("book", compensate="undo"),
        FailStep(id="end"),
        task("undo", flow=given),
        input_={"trips": ["rome"]},
    )
    booked = machine.state.visits["all/0/book"].open[0]
    machine.tell(
        ev.AttemptSucceeded(visit="all/0/book", step_id="book", attempt=booked.number, output={"n": 1})
    )
    machine.decide()
    assert machine.last().payload == "rome"


def test_a_snapshot_in_the_middle_is_the_state_that_was_folded() -> None:
    fan = ParallelStep(id="undo-a", branches=("x",))
    machine = Machine(
        task("a", "b", compensate="undo-a"),
        task("b", "end", compensate="undo-b"),
        FailStep(id="end"),
        fan,
        task("x"),
        task("undo-b"),
        input_={"n": 1},
    )
    machine.answer({"out": 1})
    machine.answer({})
    machine.answer({})
    assert "~undo/1/undo-a/0/x" in machine.state.visits
    state = blank("x1", machine.state.workflow)
    for event in machine.events:
        state = evolve(state, event)
        assert snapshot.restore(snapshot.dump(state), state.workflow) == state
    assert state == machine.state


def test_the_fold_of_the_journal_is_the_state_that_was_decided_on() -> None:
    machine = Machine(*saga("a", "b"))
    machine.answer({})
    machine.answer({})
    again: State = fold(blank("x1", machine.state.workflow), machine.events)
    assert again == machine.state
    assert isinstance(machine.state.workflow.steps["a"], TaskStep)
