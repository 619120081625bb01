"""What waits for room at a target: that it keeps nothing else from going on, and is never forgotten."""

from msgspec.structs import replace

from core.failover.health import Health, Standing
from core.graph.model import Catcher, ParallelStep, RetryPolicy, SucceedStep, TaskStep
from core.machine import events as ev
from tests.machine.helpers import AWS, AZURE, GCP, RAISED, REFUSED, Machine

STEP = TaskStep(id="t", targets=(AWS, GCP), timeout_ms=10_000, deadline_ms=10_000)
OPEN = Standing(state="OPEN", why="AWS is OPEN (5 in a row)", share=0.0)
FULL = Health(places={("GCP", None): Standing(room=0)})
NOTHING = Health(places={("AWS", None): OPEN, ("GCP", None): Standing(room=0)})
AGAIN = (RetryPolicy(errors=("*",), interval_seconds=0.1, max_attempts=3, jitter="none"),)


def two(first: TaskStep, *, caught: bool = False) -> tuple[ParallelStep | TaskStep | SucceedStep, ...]:
    both = ParallelStep(id="both", branches=("a", "b"), next="end")
    if caught:
        both = replace(both, catch=(Catcher(errors=("*",), next="c"),))
    return both, replace(first, id="a"), replace(STEP, id="b"), replace(STEP, id="c"), SucceedStep(id="end")


def test_what_waits_after_a_pause_of_its_own_keeps_no_other_branch_from_going_on() -> None:
    machine = Machine(*two(replace(STEP, retries=AGAIN)))
    machine.answer(RAISED, "both/0/a")
    assert machine.wake_at is not None
    machine.health, machine.now = NOTHING, machine.wake_at
    assert machine.decide().queued == (GCP,)
    machine.answer({}, "both/1/b")
    assert "STEP_COMPLETED" in machine.kinds(), "the other branch has its answer"


def test_what_waits_after_a_pause_of_its_own_is_not_asked_again_at_once_and_for_ever() -> None:
    machine = Machine(replace(STEP, retries=AGAIN))
    machine.answer(RAISED)
    assert machine.wake_at is not None
    machine.health, machine.now = NOTHING, machine.wake_at
    assert machine.decide().queued == (GCP,)
    assert machine.wake_at == machine.state.visits["t"].deadline_at


def test_a_branch_that_waits_may_be_given_up_because_of_its_sibling() -> None:
    machine = Machine(*two(STEP, caught=True), health=FULL)
    machine.answer(REFUSED, "both/0/a")
    machine.answer(RAISED, "both/1/b")
    assert machine.last().started.step_id == "c", "what catches the error is called at once"
    assert not machine.decide().queued


def test_who_finds_room_when_the_deadline_has_passed_sends_nothing() -> None:
    machine = Machine(replace(STEP, effects="atMostOnce", on_ambiguous="park"), health=NOTHING)
    assert machine.decide().queued == (GCP,)
    machine.health = Health()
    machine.sleep_until_wake()
    assert not machine.sent
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.DeadlineExceeded"


def test_a_retry_that_comes_late_still_has_the_time_that_it_had() -> None:
    machine = Machine(replace(STEP, retries=AGAIN))
    machine.answer(RAISED)
    machine.now += 60_000
    machine.decide()
    assert machine.last().started.timeout_ms == 9_900


def test_a_stopping_worker_leaves_the_evidence_for_the_next() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    machine.stopped = True
    machine.decide()
    assert machine.wake_at == machine.now
    machine.stopped, machine.health = False, Health()
    machine.decide()
    hop = machine.events[-2]
    assert isinstance(hop, ev.FailedOver)
    assert hop.evidence == REFUSED
    assert machine.state.failed_over
    assert machine.last().started.role == "sidestep"


def test_a_stopping_worker_does_not_move_what_was_never_sent() -> None:
    machine = Machine(STEP, health=NOTHING, stopped=True)
    assert not machine.decide().queued
    assert machine.wake_at == machine.now
    machine.stopped, machine.health = False, Health()
    machine.decide()
    assert machine.last().started.target == AWS


def test_a_rehearsal_that_a_stopping_worker_puts_off_makes_no_sidestep() -> None:
    machine = Machine(replace(STEP, effects="pure"), health=Health(rehearse=1.0), stopped=True)
    machine.stopped, machine.health = False, Health()
    machine.decide()
    assert (machine.last().started.target, machine.last().started.role) == (AWS, "")


def test_each_target_is_called_once_whichever_comes_first() -> None:
    step = replace(STEP, targets=(AWS, GCP, AZURE))
    machine = Machine(step, health=Health(places={("AWS", None): OPEN}))
    for _ in range(3):
        machine.answer(REFUSED)
    assert [send.started.target for send in machine.sent] == [GCP, AZURE, AWS]


def test_reasons_stay_short_however_often_it_is_put_off() -> None:
    machine = Machine(STEP, health=Health(refused={"AWS": "x" * 5_000}), stopped=True)
    for _ in range(50):
        machine.now += 1
        machine.tell(
            ev.RetryScheduled(
                visit="t", step_id="t", wake_at=machine.now, target_index=0, round=1, reason="y" * 5_000
            )
        )
        machine.decide()
    machine.stopped = False
    machine.decide()
    assert 1_000 < sum(map(len, machine.last().started.reasons)) < 4_000


def test_of_many_targets_that_are_passed_over_the_first_and_the_last_are_told() -> None:
    many = tuple(replace(AWS, function_id=f"f{number}") for number in range(500))
    machine = Machine(replace(STEP, targets=(*many, GCP)), health=Health(places={("AWS", None): OPEN}))
    reasons = machine.last().started.reasons
    assert machine.last().started.target == GCP
    assert sum(map(len, reasons)) < 2_000
    assert "AWS f0" in reasons[0]
    assert "AWS f499" in reasons[0]


def test_a_turn_at_a_target_that_is_well_by_then_is_an_ordinary_call() -> None:
    down = Standing(state="OPEN", why="it is OPEN", share=0.0)
    machine = Machine(
        TaskStep(id="t", targets=(AWS,), timeout_ms=100, deadline_ms=60_000),
        health=Health(places={("AWS", None): down}),
    )
    assert machine.last().started.role == "static"
    machine.answer(REFUSED)
    machine.health = Health()
    machine.sleep_until_wake()
    assert (len(machine.sent), machine.last().started.role) == (2, "")
