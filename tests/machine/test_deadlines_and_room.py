"""Time that a first attempt leaves its fallback, and waiting for room."""

from msgspec.structs import replace

from core.failover.health import Health, Standing
from core.graph.model import ParallelStep, TaskStep
from core.machine import events as ev
from tests.machine.helpers import AWS, GCP, REFUSED, THROTTLED, Machine

STEP = TaskStep(id="t", targets=(AWS, GCP), timeout_ms=10_000, deadline_ms=10_000)


def health(primary_p99: float | None, fallback_p99: float | None) -> Health:
    return Health(
        places={
            ("AWS", None): Standing(p99_ms=primary_p99),
            ("GCP", None): Standing(p99_ms=fallback_p99),
        }
    )


def first_timeout(step: TaskStep, known: Health) -> int:
    return Machine(step, health=known).last().started.timeout_ms


def test_a_first_attempt_leaves_its_fallback_twice_its_p99() -> None:
    assert first_timeout(STEP, health(100.0, 300.0)) == 9_400


def test_it_leaves_at_most_four_tenths_of_the_deadline() -> None:
    assert first_timeout(STEP, health(100.0, 9_000.0)) == 6_000
    assert first_timeout(STEP, health(100.0, None)) == 6_000


def test_it_is_not_cut_short_where_its_own_p99_would_not_fit() -> None:
    assert first_timeout(STEP, health(6_500.0, None)) == 10_000
    assert first_timeout(STEP, health(None, 300.0)) == 10_000


def test_it_is_not_cut_short_for_a_fallback_that_it_would_not_go_to() -> None:
    parks = replace(STEP, effects="atMostOnce", on_ambiguous="park")
    assert first_timeout(parks, health(100.0, 300.0)) == 10_000
    assert first_timeout(replace(STEP, targets=(AWS,)), health(100.0, 300.0)) == 10_000


def test_it_is_not_cut_short_for_a_fallback_that_is_not_well() -> None:
    known = health(100.0, 300.0)
    down = {**known.places, ("GCP", None): Standing(state="OPEN", p99_ms=300.0)}
    assert first_timeout(STEP, replace(known, places=down)) == 10_000
    assert first_timeout(STEP, replace(known, refused={"GCP": "it is not configured"})) == 10_000


def test_the_fallback_has_what_is_left() -> None:
    machine = Machine(STEP, health=health(100.0, 300.0))
    machine.now += 9_400
    machine.answer(REFUSED)
    assert machine.last().started.timeout_ms == 600


FULL = Health(places={("GCP", None): Standing(room=0)})


def test_a_sidestep_waits_for_room_and_nothing_is_journaled_of_that() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    assert machine.kinds()[-1] == "ATTEMPT_FAILED"
    decision = machine.decide()
    assert decision.queued == (GCP,)
    assert decision.wake_at == machine.state.visits["t"].deadline_at
    machine.health = Health()
    machine.decide()
    assert machine.last().started.target == GCP
    assert isinstance(machine.events[-2], ev.FailedOver)


def test_who_waits_past_the_deadline_fails_and_says_that_it_waited() -> None:
    machine = Machine(STEP, health=FULL)
    machine.answer(REFUSED)
    machine.sleep_until_wake()
    assert machine.state.status == "FAILED"
    assert machine.state.failure is not None
    assert machine.state.failure.error == "Sidestep.DeadlineExceeded"
    assert "waited for room" in machine.state.failure.cause


def test_a_stopping_worker_keeps_nothing_that_waits() -> None:
    machine = Machine(STEP, health=FULL)
    machine.stopped = True
    machine.answer(REFUSED)
    assert not machine.decide().queued
    assert machine.wake_at == machine.now
    machine.stopped, machine.health = False, Health()
    machine.decide()
    assert machine.last().started.target == GCP


def test_other_branches_go_on_while_one_waits_for_room() -> None:
    both = ParallelStep(id="both", branches=("a", "b"))
    steps = (replace(STEP, id="a"), replace(STEP, id="b", next="c"), replace(STEP, id="c"))
    machine = Machine(both, *steps, health=FULL)
    machine.answer(REFUSED, "both/0/a")
    assert machine.decide().queued == (GCP,)
    machine.answer({}, "both/1/b")
    assert machine.last().started.step_id == "c"
    assert machine.decide().queued == (GCP,)


def test_a_rehearsal_is_no_failover_and_its_failure_goes_to_the_primary() -> None:
    machine = Machine(replace(STEP, effects="pure"), health=Health(rehearse=1.0))
    assert machine.last().started.role == "rehearsal"
    assert machine.last().started.target == GCP
    assert not machine.state.failed_over
    machine.answer(REFUSED)
    assert machine.last().started.target == AWS


def test_a_retry_for_which_the_budget_is_gone_when_it_is_due_goes_elsewhere_where_it_can() -> None:
    for targets, went in (((AWS, GCP), ("GCP", "sidestep")), ((AWS,), ("AWS", "retry"))):
        machine = Machine(replace(STEP, targets=targets))
        machine.answer(THROTTLED)
        machine.health = Health(places={("AWS", None): Standing(retry=False)})
        machine.sleep_until_wake()
        assert (machine.last().started.target.provider, machine.last().started.role) == went
