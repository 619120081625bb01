"""A MAP: its items begin in order, as many at once as it says, and what fails is tolerated as it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.errors import IllegalEvent
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import (
    Batching,
    Catcher,
    FailStep,
    MapStep,
    PassStep,
    RetryPolicy,
    SucceedStep,
    TaskStep,
)
from core.machine import events as ev
from core.machine.event import Entry
from core.machine.evolve import evolve, fold
from core.machine.maps import BEGUN_AT_ONCE, batches
from core.machine.snapshot import dump, restore
from core.machine.state import State, blank
from tests.machine.helpers import AWS, Machine

BROKEN = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, error="Broken", cause="it said so")


def task(name: str, following: str | None = None) -> TaskStep:
    return TaskStep(id=name, targets=(AWS,), next=following)


def each(**said: Any) -> MapStep:
    return MapStep(id="each", first="charge", **{"items": "items", **said})


def items(machine: Machine) -> list[int]:
    return [one.index for one in machine.events if isinstance(one, ev.ItemStarted)]


def test_every_item_is_walked_and_the_results_stand_in_the_order_of_the_items() -> None:
    machine = Machine(each(), task("charge"), input_={"items": ["a", "b", "c"], "who": "me"})
    assert [send.started.visit for send in machine.sent] == [f"each/{n}/charge" for n in range(3)]
    assert machine.sent[1].payload == {"items": ["a", "b", "c"], "who": "me", "item": "b", "index": 1}
    for number in (2, 0, 1):
        machine.answer({"paid": number}, f"each/{number}/charge")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["each"] == [{"paid": 0}, {"paid": 1}, {"paid": 2}]
    assert "item" not in machine.state.context


def test_no_items_are_no_work() -> None:
    machine = Machine(each(), task("charge"), input_={"items": []})
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == {"items": [], "each": []}


@pytest.mark.parametrize(("value", "told"), [({}, "nothing is there"), ({"items": {}}, "it is an object")])
def test_what_is_no_list_fails_the_step_by_name(value: dict[str, Any], told: str) -> None:
    machine = Machine(each(), task("charge"), input_=value)
    failure = machine.state.failure
    assert failure is not None
    assert failure.error == "Sidestep.ItemsNotAList"
    assert told in failure.cause


def test_only_so_many_items_are_under_way_at_once() -> None:
    machine = Machine(each(max_concurrency=2), task("charge"), input_={"items": list(range(5))})
    assert items(machine) == [0, 1]
    machine.answer({}, "each/1/charge")
    assert items(machine) == [0, 1, 2]
    while machine.state.in_flight:
        assert machine.state.in_flight <= 2
        machine.answer({})
    assert machine.state.status == "COMPLETED"
    assert items(machine) == [0, 1, 2, 3, 4]


def test_many_items_begin_in_portions_that_a_store_can_hold() -> None:
    machine = Machine(each(), task("charge"), input_={"items": list(range(250))})
    assert len(items(machine)) == BEGUN_AT_ONCE
    assert machine.wake_at == machine.now
    machine.decide()
    machine.decide()
    assert len(items(machine)) == 250


def test_an_item_that_fails_stops_the_others_and_fails_the_map_with_its_error() -> None:
    machine = Machine(each(), task("charge"), input_={"items": [1, 2, 3]})
    machine.answer({}, "each/0/charge")
    machine.answer(BROKEN, "each/2/charge")
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Broken"
    assert machine.kinds().count("STEP_CANCELLED") == 1
    assert [abort.visit for abort in machine.aborted] == ["each/1/charge"]


def test_tolerated_failures_stand_in_the_results() -> None:
    machine = Machine(each(tolerated_count=1), task("charge"), input_={"items": [1, 2, 3]})
    machine.answer(BROKEN, "each/1/charge")
    machine.answer({"ok": 0}, "each/0/charge")
    machine.answer({"ok": 2}, "each/2/charge")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["each"] == [
        {"ok": 0},
        {"error": "Broken", "cause": "it said so"},
        {"ok": 2},
    ]


@pytest.mark.parametrize(
    ("count", "percent", "failing", "fails"),
    [(1, 0.0, 2, True), (0, 50.0, 2, False), (0, 49.0, 2, True), (3, 25.0, 2, True), (2, 50.0, 2, False)],
)
def test_of_two_limits_of_failure_both_hold(count: int, percent: float, failing: int, fails: bool) -> None:
    step = each(tolerated_count=count, tolerated_percent=percent, max_concurrency=1)
    machine = Machine(step, task("charge"), input_={"items": [1, 2, 3, 4]})
    for number in range(4):
        if machine.state.in_flight:
            machine.answer(BROKEN if number < failing else {})
    failure = machine.state.failure
    assert (failure is not None) == fails
    assert failure is None or failure.error == "Sidestep.TooManyItemsFailed"


def test_a_map_that_fails_can_be_caught() -> None:
    step = each(catch=(Catcher(errors=("Broken",), next="after"),))
    machine = Machine(step, task("charge"), SucceedStep(id="after"), input_={"items": [1]})
    machine.answer(BROKEN)
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["error"]["error"] == "Broken"


def test_a_map_is_retried_as_a_whole_under_paths_that_were_never_used() -> None:
    policy = RetryPolicy(max_attempts=1, interval_seconds=3.0, jitter="none")
    machine = Machine(each(retries=(policy,)), task("charge"), input_={"items": [1, 2]})
    machine.answer({}, "each/0/charge")
    machine.answer(BROKEN, "each/1/charge")
    assert machine.wake_at == machine.now + 3_000
    assert not machine.state.in_flight
    machine.now += 3_000
    machine.decide()
    assert [send.started.visit for send in machine.sent[2:]] == ["each~2/0/charge", "each~2/1/charge"]
    keys = [send.started.key for send in machine.sent]
    assert len(set(keys)) == len(keys)
    machine.answer(BROKEN, "each~2/0/charge")
    assert machine.state.status == "FAILED"


def test_a_redrive_begins_the_fallen_items_again_and_keeps_what_completed() -> None:
    step = each(max_concurrency=2)
    machine = Machine(step, task("charge"), input_={"items": [1, 2, 3]})
    machine.answer({"ok": 0}, "each/0/charge")
    machine.answer(BROKEN, "each/1/charge")
    assert machine.state.status == "FAILED"
    sent = len(machine.sent)
    machine.tell(ev.WorkflowRedriven(message_id="m"))
    machine.decide()
    again = machine.sent[sent:]
    assert [send.started.visit for send in again] == ["each/1/charge", "each/2/charge"]
    assert [send.started.attempt for send in again] == [2, 2]
    machine.answer({"ok": 1}, "each/1/charge")
    machine.answer({"ok": 2}, "each/2/charge")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["each"] == [{"ok": 0}, {"ok": 1}, {"ok": 2}]


def test_results_by_reference_are_counted_and_not_kept() -> None:
    step = each(results="reference", tolerated_count=1, max_concurrency=1)
    machine = Machine(step, task("charge"), input_={"items": [1, 2, 3]})
    machine.answer({"big": "x" * 1_000})
    machine.answer(BROKEN)
    assert not machine.state.visits["each"].results
    machine.answer({})
    told = machine.state.context["each"]
    assert (told["items"], told["succeeded"], told["failed"]) == (3, 2, 1)


def test_a_fail_in_an_item_stops_the_map_and_a_second_first_item_is_illegal() -> None:
    step = MapStep(id="each", first="no", items="items")
    machine = Machine(step, FailStep(id="no", error="Nope"), input_={"items": [1, 2]})
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Nope"
    running = Machine(each(max_concurrency=1), task("charge"), input_={"items": [1, 2]})
    for index in (0, 2):
        with pytest.raises(IllegalEvent):
            evolve(running.state, ev.ItemStarted(visit="each", step_id="each", index=index))


def test_maps_stand_in_maps_and_see_the_inner_item() -> None:
    outer = MapStep(id="outer", first="inner", items="rows")
    inner = MapStep(id="inner", first="charge", items="item")
    machine = Machine(outer, inner, task("charge"), input_={"rows": [[1, 2], [3]]})
    assert [send.payload["item"] for send in machine.sent] == [1, 2, 3]
    while machine.state.in_flight:
        machine.answer({})
    assert machine.state.context["outer"] == [{"inner": [{}, {}]}, {"inner": [{}]}]


def test_what_an_ended_item_counted_is_forgotten() -> None:
    machine = Machine(each(), task("charge", "after"), PassStep(id="after"), input_={"items": [1, 2]})
    machine.answer({}, "each/0/charge")
    assert "each/0" not in machine.state.scopes
    assert dict(machine.state.scopes["each/1"].entered) == {"charge": 1}


@given(st.lists(st.text(max_size=5), max_size=12), st.integers(1, 4), st.integers(2, 40))
def test_batches_hold_every_item_in_order_and_keep_to_their_limits(
    values: list[str], most: int, size: int
) -> None:
    found = batches(values, Batching(items=most, size=size), {"shared": 1})
    assert [item for batch in found for item in batch["Items"]] == values
    assert all(0 < len(batch["Items"]) <= most for batch in found)
    assert all(batch["BatchInput"] == {"shared": 1} for batch in found)


@given(st.data())
def test_a_map_goes_on_from_a_snapshot_as_if_there_had_been_none(data: st.DataObject) -> None:
    step = each(max_concurrency=data.draw(st.integers(0, 3)), tolerated_count=data.draw(st.integers(0, 2)))
    machine = Machine(step, task("charge"), input_={"items": list(range(data.draw(st.integers(0, 6))))})
    while machine.state.in_flight:
        live = sorted(path for path, visit in machine.state.visits.items() if visit.open)
        machine.answer(BROKEN if data.draw(st.booleans()) else {"n": 1}, data.draw(st.sampled_from(live)))
        assert _kept(machine.state) == machine.state
    assert machine.state.status in {"COMPLETED", "FAILED"}


def _kept(state: State) -> State:
    return replace(restore(dump(state), state.workflow), workflow=state.workflow)


def test_a_walk_keeps_what_it_was_given_through_a_snapshot_and_a_redrive() -> None:
    machine = Machine(each(max_concurrency=1), task("charge"), input_={"items": [], "who": "me"})
    entry = Entry(items=[7, 8])
    state = fold(
        blank("x1", machine.state.workflow),
        [
            ev.WorkflowCreated(workflow_id="w", digest="d", input={"who": "me"}, visit_budget=10),
            ev.WorkflowStarted(),
            ev.StepStarted(visit="each", step_id="each", entry=entry),
            ev.ItemStarted(visit="each", step_id="each", index=0, input={"line": 7}),
        ],
    )
    assert state.scopes["each/0"].data == {"line": 7}
    assert restore(dump(state), state.workflow) == state
    fallen = fold(
        state,
        [
            ev.StepStarted(visit="each/0/charge", step_id="charge"),
            ev.StepFailed(visit="each/0/charge", step_id="charge", error="No"),
            ev.StepFailed(visit="each", step_id="each", error="No"),
            ev.WorkflowFailed(error="No"),
            ev.WorkflowRedriven(message_id="again"),
        ],
    )
    fallen = restore(dump(fallen), state.workflow)
    again = fold(
        fallen,
        [
            ev.StepStarted(visit="each", step_id="each", entry=entry),
            ev.ItemStarted(visit="each", step_id="each", index=0, input={"line": 7}),
        ],
    )
    assert again.scopes["each/0"].data == {"line": 7}
