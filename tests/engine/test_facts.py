"""What a new owner finds, and what it owes the steps for the time that nobody was there."""

from core.engine.facts import OVERSLEPT_MS, left_by_former_owner
from core.engine.waiting import ASK_AGAIN_MS, LONGEST_MS, WaitingRoom
from core.failover.health import Health, Standing
from core.graph.model import RetryPolicy, TaskStep
from core.machine import events as ev
from tests.machine.helpers import AWS, GCP, RAISED, REFUSED, Machine

STEP = TaskStep(id="t", targets=(AWS, GCP), timeout_ms=10_000, deadline_ms=10_000)
FULL = Health(places={("GCP", None): Standing(room=0)})
NOWHERE = Health(
    places={("AWS", None): Standing(state="OPEN", static_room=0), ("GCP", None): Standing(room=0)}
)


def taken_up(machine: Machine, late: int) -> list[str]:
    """A new owner takes it up so late (milliseconds after its deadline) with all well; what it adds."""
    deadline_at = machine.state.visits["t"].deadline_at
    assert deadline_at is not None
    machine.now = deadline_at + late
    before = len(machine.events)
    for event in left_by_former_owner(machine.state, machine.now):
        machine.tell(event)
    machine.health = Health()
    machine.decide()
    return machine.kinds()[before:]


def test_what_waited_for_room_while_nobody_was_there_goes_on_with_all_its_time() -> None:
    machine = Machine(STEP, health=NOWHERE)
    assert taken_up(machine, 60_000) == ["RETRY_SCHEDULED", "ATTEMPT_STARTED"]
    assert machine.last().started.target == AWS
    assert machine.last().started.timeout_ms == 10_000
    assert "no worker had it in hand" in machine.last().started.reasons[0]


def test_what_waited_to_go_elsewhere_goes_there_and_the_evidence_is_kept() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    assert taken_up(machine, 60_000) == ["FAILED_OVER", "RETRY_SCHEDULED", "ATTEMPT_STARTED"]
    assert machine.last().started.target == GCP
    assert machine.last().started.role == "sidestep"
    assert "Sidestep.Unavailable; it waited for room" in machine.last().started.reasons[0]
    hop = machine.events[-3]
    assert isinstance(hop, ev.FailedOver)
    assert hop.evidence == REFUSED


def test_a_retry_that_nobody_took_up_has_what_it_had_though_it_finds_no_room_at_first() -> None:
    again = (RetryPolicy(max_attempts=1, interval_seconds=4.0, jitter="none"),)
    machine = Machine(
        TaskStep(id="t", targets=(AWS, GCP), retries=again, timeout_ms=9_000, deadline_ms=9_000)
    )
    machine.answer(RAISED)
    machine.now += 60_000
    for event in left_by_former_owner(machine.state, machine.now):
        machine.tell(event)
    machine.health = NOWHERE
    assert machine.decide().queued == (GCP,)
    assert machine.wake_at == machine.now + 5_000
    machine.health = Health()
    machine.decide()
    assert machine.last().started.timeout_ms == 5_000


def test_who_waited_in_somebodys_hands_gets_nothing_back() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    assert taken_up(machine, OVERSLEPT_MS) == ["STEP_FAILED", "WORKFLOW_FAILED"]


def test_what_is_parked_paused_or_waits_for_a_time_to_come_is_left_as_it_is() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    machine.tell(ev.PauseRequested(message_id="m", at=machine.now))
    assert not left_by_former_owner(machine.state, machine.now + 60_000)


def test_those_without_a_seat_ask_again_one_after_the_other_but_none_too_late() -> None:
    room = WaitingRoom(1)
    assert room.enter()
    assert not room.enter()
    times = [room.ask_again_at(1_000_000) for _ in range(5_000)]
    assert times[0] == 1_000_000 + ASK_AGAIN_MS
    assert times[200] == times[0] + 1_000
    assert max(times) == 1_000_000 + LONGEST_MS
    assert times == sorted(times)
    assert room.ask_again_at(2_000_000) == 2_000_000 + ASK_AGAIN_MS
