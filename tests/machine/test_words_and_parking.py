"""What has been parked waits for a person only, and a word is never taken for another one."""

from core.data.flow import Answer, Flow, Request, Template
from core.engine.inbox import heard
from core.graph.model import FailStep, ParallelStep, TaskStep, WaitStep, WorkflowStep
from core.machine import events as ev
from core.machine.decide import decide
from core.machine.requests import parked_visit
from core.machine.run import Asked, Rules
from core.ports.store import Message
from tests.machine.asks import pause, resolve, resume, task
from tests.machine.helpers import AWS, GCP, Machine


def hear(machine: Machine, kind: str, body: dict[str, object], message_id: str) -> None:
    """A message, as whoever drives the execution takes it up."""
    message = Message(message_id=message_id, kind=kind, body=body, sent_at_ms=machine.now)
    for fact in heard(machine.state, message, machine.now):
        machine.tell(fact)
    machine.decide()


def test_a_wait_that_was_to_undo_something_and_was_parked_hears_no_signal_any_more() -> None:
    machine = Machine(
        task("a", "end", compensate="undo"),
        FailStep(id="end"),
        WaitStep(id="undo", signal="go", timeout_ms=1_000),
    )
    machine.answer({})
    machine.sleep_until_wake()
    assert machine.state.status == "PARKED"
    hear(machine, "signal", {"name": "go", "payload": 1}, "late")
    assert machine.state.status == "PARKED"
    resolve(machine, "retry")
    machine.decide()
    assert machine.state.status == "FAILED", "the new visit takes the signal"
    assert machine.state.ending is not None
    assert machine.state.ending.undone == 1


def test_what_was_parked_for_its_output_is_not_completed_by_a_pause() -> None:
    machine = Machine(task("a", "end", compensate="undo"), FailStep(id="end"), task("undo"))
    machine.answer({})
    path = "~undo/1/undo"
    large = {"much": "x" * 100}
    answered = ev.AttemptSucceeded(visit=path, step_id="undo", attempt=1, output=large, size=110)
    machine.tell(answered)
    decision = decide(machine.state, machine.now, entropy=7, rules=Rules(data_budget=50, data_limit=40))
    machine.state = decision.state
    assert machine.state.status == "PARKED"
    pause(machine)
    assert machine.state.visits[path].status == "PARKED"
    resume(machine)
    resolve(machine, "completed", output={})
    machine.decide()
    assert machine.state.status == "FAILED"


def test_each_of_two_waits_is_given_the_signal_that_it_took() -> None:
    flow = Flow(language="native", output=Template({"given": "{% $uppercase($result) &  %}"}))
    machine = Machine(
        ParallelStep(id="both", branches=("a", "b")),
        WaitStep(id="a", signal="go", flow=flow),
        WaitStep(id="b", signal="go", flow=flow),
    )
    for number, name in enumerate(("first", "second")):
        machine.tell(ev.SignalReceived(name="go", message_id=f"m{number}", at=1, payload=name, size=8))
    state, answers, asked_for = machine.state, dict[Asked, Answer](), 0
    for _ in range(4):
        decision = decide(state, machine.now, answers=answers)
        state = decision.state
        if not decision.wanted:
            break
        asked_for += len(decision.wanted)
        answers |= {asked: _result(request) for asked, request in decision.wanted.items()}
    assert state.status == "COMPLETED"
    assert asked_for == 3, "the second wait is asked about once more"
    assert isinstance(state.context, dict)
    assert [one["given"] for one in state.context["both"]] == ["first", "second"]


def _result(request: Request) -> Answer:
    return Answer(value={"given": request.frame.result})


def test_nobody_is_called_with_another_input_than_the_template_makes() -> None:
    flow = Flow(language="native", arguments=Template({"order": "$.nothing.there"}))
    machine = Machine(
        task("a", "end", compensate="undo"), FailStep(id="end"), task("undo", flow=flow, targets=(AWS, GCP))
    )
    machine.answer({})
    assert machine.state.status == "PARKED"
    assert "no input" in str(parked_visit(machine.state, None, "failover"))
    resolve(machine, "retry")
    machine.decide()
    assert [send.started.visit for send in machine.sent] == ["a"]
    assert machine.state.status == "PARKED", "the template makes no more of it than before"
    resolve(machine, "completed", output={})
    machine.decide()
    assert machine.state.status == "FAILED"


def test_heartbeats_without_end_do_not_fill_the_journal() -> None:
    call = TaskStep(
        id="a",
        targets=(AWS,),
        awaits="callback",
        heartbeat_ms=20_000,
        timeout_ms=600_000,
        deadline_ms=700_000,
    )
    machine = Machine(call)
    machine.tell(ev.AttemptAccepted(visit="a", step_id="a", attempt=1, at=machine.now))
    machine.decide()
    for number in range(3_000):
        machine.now += 10
        hear(machine, "callback", {"visit": "a", "status": "heartbeat"}, f"m{number}")
    assert 10 < machine.kinds().count("HEARTBEAT_RECEIVED") <= 16
    assert machine.state.status == "RUNNING"
    assert machine.wake_at is not None
    assert machine.wake_at > machine.now + 17_000, "a sign of life counts"


def test_a_step_that_answered_what_its_output_cannot_be_made_of_is_told_as_not_undone() -> None:
    flow = Flow(language="native", output=Template({"x": "$.nothing"}))
    machine = Machine(
        task("z", "a", compensate="undo"), task("a", None, compensate="undo", flow=flow), task("undo")
    )
    machine.answer({})
    machine.answer({"charged": 1})
    begun = next(one for one in machine.events if isinstance(one, ev.CompensationStarted))
    assert begun.doubtful == ("a",)


def test_an_expression_of_a_branch_that_was_given_up_keeps_nothing_from_being_parked() -> None:
    slow = Flow(language="native", arguments=Template({"n": "{% $uppercase($string(n)) & '' %}"}))
    machine = Machine(
        task("a", "end", compensate="undo"),
        FailStep(id="end"),
        ParallelStep(id="undo", branches=("asks", "fails")),
        task("asks", flow=slow),
        FailStep(id="fails"),
    )
    machine.answer({})
    assert not machine.state.ready
    assert machine.state.parked == 1
    assert machine.state.status == "PARKED", "a person has to be told"


def test_the_time_that_a_child_has_stands_still_in_a_pause() -> None:
    machine = Machine(WorkflowStep(id="w", workflow_id="child", timeout_ms=10_000))
    machine.now += 4_000
    pause(machine)
    machine.now += 3_600_000
    resume(machine)
    assert machine.wake_at == machine.now + 6_000
    machine.sleep_until_wake()
    assert machine.state.status == "FAILED"
