"""Child executions and the outbox, as the machine decides them."""

from typing import Any

import pytest

from core.engine.inbox import heard
from core.graph.model import Catcher, FailStep, MapStep, ParallelStep, RetryPolicy, WaitStep, WorkflowStep
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import Tell, decide
from core.machine.evolve import evolve, fold
from core.machine.ids import child_id, execution_id, shard_in
from core.machine.state import blank
from core.ports.store import Message
from tests.machine.asks import pause, redrive, resume, task
from tests.machine.helpers import RAISED, Machine


def child(name: str, following: str | None = None, **changes: Any) -> WorkflowStep:
    return WorkflowStep(id=name, workflow_id="kid", next=following, **changes)


def told(machine: Machine) -> list[Tell]:
    """What a driver would send now."""
    again = decide(machine.state, machine.now, machine.health, entropy=7)
    return [one for one in again.commands if isinstance(one, Tell)]


def sent(machine: Machine) -> None:
    """All that can be sent now was."""
    machine.tell(ev.MessagesSent(names=[one.name for one in told(machine)]))
    machine.decide()


def says(machine: Machine, status: str, visit: str = "c", **more: Any) -> None:
    """The child of the visit ended."""
    live = machine.state.visits.get(visit)
    body = {"visit": visit, "childId": live.child if live is not None else "gone", "status": status, **more}
    for event in heard(
        machine.state, Message(message_id=f"m{len(machine.events)}", kind="child", body=body), 0
    ):
        machine.tell(event)
    machine.decide()


def of_child(parent: str | None = "p1-3") -> Machine:
    """An execution that `parent` started."""
    machine = Machine(task("a"))
    first = machine.events[0]
    assert isinstance(first, ev.WorkflowCreated)
    machine.state = blank("k1-3", machine.state.workflow)
    machine.events, machine.sent = [], []
    machine.tell(
        ev.WorkflowCreated(
            workflow_id="w", digest="d", input={}, visit_budget=10, parent=parent, parent_visit="c", depth=1
        )
    )
    machine.decide()
    return machine


def test_a_child_is_created_after_its_start_is_durable_and_its_output_is_the_steps() -> None:
    machine = Machine(child("c", "after"), task("after"), input_={"n": 1})
    [create] = told(machine)
    started = next(event for event in machine.events if isinstance(event, ev.ChildStarted))
    assert create.message.kind == "create"
    assert create.message.execution_id == started.child_id
    assert create.message.data == {"n": 1}
    assert machine.wake_at is None
    sent(machine)
    assert not machine.state.outbox
    assert not told(machine)
    says(machine, "COMPLETED", output={"did": "it"})
    assert machine.last().started.step_id == "after"
    assert machine.state.context == {"n": 1, "did": "it"}


def test_what_was_not_sent_is_handed_out_again() -> None:
    machine = Machine(child("c"))
    first = told(machine)
    assert told(machine) == first
    assert len(first) == 1


def test_a_child_that_fails_fails_the_step_with_its_error_which_can_be_caught() -> None:
    machine = Machine(child("c", catch=(Catcher(errors=("Broke",), next="after"),)), task("after"))
    says(machine, "FAILED", error="Broke", cause="no")
    assert machine.last().started.step_id == "after"
    assert machine.state.context["error"] == {"error": "Broke", "cause": "no"}


@pytest.mark.parametrize(
    ("status", "error"), [("CANCELLED", "Sidestep.ChildCancelled"), ("TIMED_OUT", "Sidestep.Timeout")]
)
def test_a_child_that_ends_otherwise_fails_the_step_by_name(status: str, error: str) -> None:
    machine = Machine(child("c"))
    says(machine, status)
    assert machine.state.failure is not None
    assert machine.state.failure.error == error


def test_a_retry_is_another_child() -> None:
    machine = Machine(child("c", retries=(RetryPolicy(max_attempts=1, interval_seconds=1, jitter="none"),)))
    says(machine, "FAILED", error="Broke")
    machine.sleep_until_wake()
    assert set(machine.state.visits) == {"c~2"}
    ids = [event.child_id for event in machine.events if isinstance(event, ev.ChildStarted)]
    assert len(set(ids)) == 2
    says(machine, "COMPLETED", "c~2", output={})
    assert machine.state.status == "COMPLETED"


def test_a_child_that_takes_too_long_is_cancelled_and_the_step_fails() -> None:
    machine = Machine(child("c", timeout_ms=5_000))
    sent(machine)
    assert machine.wake_at == machine.now + 5_000
    machine.sleep_until_wake()
    assert machine.state.status == "FAILED"
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.Timeout"
    assert [(one.message.kind, one.message.execution_id) for one in told(machine)] == [
        ("cancel", next(event.child_id for event in machine.events if isinstance(event, ev.ChildStarted)))
    ]


def test_a_child_is_not_cancelled_before_it_was_created() -> None:
    machine = Machine(child("c"))
    machine.tell(ev.CancelRequested(message_id="cancel"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    assert [one.message.kind for one in told(machine)] == ["create"]
    sent(machine)
    assert [one.message.kind for one in told(machine)] == ["cancel"]
    sent(machine)
    assert not machine.state.outbox


def test_an_end_that_is_heard_before_the_creation_was_noted_takes_it_out_of_the_outbox() -> None:
    machine = Machine(child("c", "after"), task("after"))
    says(machine, "COMPLETED", output={})
    assert not machine.state.outbox, "the child may be removed by now, and must not be made a second time"


def test_siblings_of_what_failed_are_cancelled() -> None:
    machine = Machine(ParallelStep(id="fan", branches=("c", "t")), child("c"), task("t"))
    sent(machine)
    machine.answer(RAISED)
    assert machine.state.status == "FAILED"
    assert [one.message.kind for one in told(machine)] == ["cancel"]


def test_the_end_of_a_child_that_nobody_waits_for_is_ignored() -> None:
    machine = Machine(child("c", timeout_ms=10, catch=(Catcher(errors=("*",), next="t"),)), task("t"))
    late = machine.state.visits["c"].child
    machine.sleep_until_wake()
    body: dict[str, Any] = {"visit": "c", "childId": late, "status": "COMPLETED", "output": {}}
    [ignored] = heard(machine.state, Message(message_id="m", kind="child", body=body), machine.now)
    assert isinstance(ignored, ev.RequestIgnored)


def test_the_end_of_an_earlier_child_of_the_visit_is_ignored() -> None:
    machine = Machine(child("c"))
    first = machine.state.visits["c"].child
    says(machine, "FAILED", error="Broke")
    redrive(machine)
    second = machine.state.visits["c"].child
    assert second not in {None, first}
    body: dict[str, Any] = {"visit": "c", "childId": first, "status": "COMPLETED", "output": {}}
    [ignored] = heard(machine.state, Message(message_id="m", kind="child", body=body), machine.now)
    assert isinstance(ignored, ev.RequestIgnored)


def test_a_paused_parent_hears_the_end_and_goes_on_when_it_is_resumed() -> None:
    for status in ("COMPLETED", "FAILED"):
        machine = Machine(child("c", "t", catch=(Catcher(errors=("*",), next="t"),)), task("t"))
        pause(machine)
        says(machine, status, error="Broke", output={"x": 1})
        assert machine.state.status == "PAUSED"
        assert not machine.sent
        resume(machine)
        assert machine.last().started.step_id == "t"


def test_a_parked_sibling_does_not_park_an_execution_whose_child_is_under_way() -> None:
    fan = ParallelStep(id="fan", branches=("c", "t"))
    machine = Machine(fan, child("c"), task("t", effects="atMostOnce", on_ambiguous="park"))
    machine.interrupt()
    assert machine.state.parked == 1
    assert machine.state.status == "RUNNING"
    says(machine, "COMPLETED", "fan/0/c", output={})
    assert machine.state.status == "PARKED"


def test_a_child_at_the_limit_of_depth_starts_none() -> None:
    machine = Machine(child("c"))
    machine.state = blank("x1", machine.state.workflow)
    machine.tell(ev.WorkflowCreated(workflow_id="w", digest="d", input={}, visit_budget=10, depth=10))
    machine.decide()
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.ChildDepthExceeded"


def test_a_map_of_children_has_one_each() -> None:
    machine = Machine(MapStep(id="m", first="c", items="list"), child("c"), input_={"list": [1, 2, 3]})
    assert len(machine.state.outbox) == 3
    assert {one.message.data["item"] for one in told(machine)} == {1, 2, 3}
    for index in range(3):
        says(machine, "COMPLETED", f"m/{index}/c", output={"n": index})
    assert machine.state.context["m"] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_child_tells_its_parent_how_it_ended_and_once_more_after_a_redrive() -> None:
    machine = of_child()
    machine.answer(RAISED)
    [first] = told(machine)
    assert (first.message.kind, first.message.execution_id) == ("ended", "p1-3")
    assert (first.message.status, first.message.error) == ("FAILED", "ValueError")
    redrive(machine)
    machine.answer({"x": 1})
    both = told(machine)
    assert [one.message.status for one in both] == ["FAILED", "COMPLETED"]
    assert len({one.name for one in both}) == 2
    assert both[1].message.data == {"x": 1}


def test_an_execution_without_a_parent_tells_nobody() -> None:
    machine = of_child(None)
    machine.answer({})
    assert machine.state.status == "COMPLETED"
    assert not machine.state.outbox


def test_a_parent_that_is_undone_undoes_a_completed_child_by_its_own_step() -> None:
    machine = Machine(child("c", "end", compensate="undo"), FailStep(id="end"), task("undo"))
    says(machine, "COMPLETED", output={"order": 4})
    assert machine.last().payload["compensating"]["output"] == {"order": 4}


def test_the_child_that_undoes_is_cancelled_when_it_takes_too_long_and_a_person_decides() -> None:
    machine = Machine(
        task("a", "end", compensate="undo"), FailStep(id="end"), child("undo", timeout_ms=1_000)
    )
    machine.answer({})
    sent(machine)
    machine.sleep_until_wake()
    assert machine.state.status == "PARKED"
    assert [one.message.kind for one in told(machine)] == ["cancel"]
    assert machine.state.visits["~undo/1/undo"].child is None


def test_ids_of_children_are_in_the_shard_of_their_parent_and_differ() -> None:
    parent = execution_id(1_000, 5, 7)
    ids = {child_id(parent, f"c {n}", 1_000, 3) for n in range(50)}
    assert len(ids) == 50
    assert {shard_in(one) for one in ids} == {7}
    assert child_id(parent, "c", 1_000, 3) == child_id(parent, "c", 1_000, 3)
    assert all(len(one) == len(parent) and one > execution_id(999, 2**80 - 1, 7) for one in ids)


def test_a_snapshot_keeps_the_outbox() -> None:
    machine = Machine(WaitStep(id="w", seconds=0, next="c"), child("c", timeout_ms=100), input_={"n": 1})
    machine.decide()
    state = machine.state
    assert state.outbox
    assert snapshot.restore(snapshot.dump(state), state.workflow) == state
    assert fold(blank("x1", state.workflow), machine.events) == state
    assert not evolve(state, ev.MessagesSent(names=[*state.outbox, "gone"])).outbox
