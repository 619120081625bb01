"""Which target a call goes to, by what is known of each."""

import pytest
from msgspec.structs import replace

from core.failover.choosing import Chosen, Full, Nowhere, choose, others, rehearsal
from core.failover.health import DRAINED, FORCED_CLOSED, FORCED_OPEN, Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.routing import Fail, Position, Retry, Sidestep, Wait, route
from core.graph.model import Effects, Target, TaskStep

AWS, GCP, AZURE = (Target(name, "f") for name in ("AWS", "GCP", "AZURE"))
REFUSED = Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="connect-refused", error="Sidestep.Gone")


def task(*targets: Target, effects: Effects = "idempotent") -> TaskStep:
    return TaskStep(id="t", targets=targets or (AWS, GCP), effects=effects)


def known(**standings: Standing) -> Health:
    return Health(places={(name, None): standing for name, standing in standings.items()})


def at(target: int = 0, **changes: object) -> Position:
    fields = {"tries_here": 1, "round": 1, "retries": (), "deadline_at": 9_000, "now": 0, "label": "t#1"}
    return Position(target=target, tried=(target,), **{**fields, **changes})  # type: ignore[arg-type] # a test's shorthand


OPEN = Standing(state="OPEN", why="breaker AWS open (7 of 9 overdue)", share=0.0)


def test_an_open_target_is_passed_over_and_the_reason_goes_along() -> None:
    chosen = choose(task(), (0, 1), known(AWS=OPEN), 1, "t")
    assert chosen == Chosen(1, "sidestep", ("passed over AWS f: breaker AWS open (7 of 9 overdue)",))


@pytest.mark.parametrize("state", [DRAINED, FORCED_OPEN])
def test_what_a_person_took_out_is_passed_over(state: str) -> None:
    chosen = choose(task(), (0, 1), known(AWS=Standing(state=state, why="ann said so")), 1, "t")
    assert isinstance(chosen, Chosen)
    assert chosen.target == 1


def test_what_a_person_forced_closed_is_called() -> None:
    assert choose(task(), (0, 1), known(AWS=Standing(state=FORCED_CLOSED)), 1, "t") == Chosen(0)


def test_a_half_open_target_takes_a_probe_but_never_of_a_step_that_must_not_run_twice() -> None:
    health = known(AWS=Standing(state="HALF_OPEN", why="half open", probe=True))
    assert choose(task(), (0, 1), health, 1, "t") == Chosen(0, "probe", ("a probe: half open",))
    once = choose(task(effects="atMostOnce"), (0, 1), health, 1, "t")
    assert isinstance(once, Chosen)
    assert (once.target, once.role) == (1, "sidestep")


def test_of_a_half_open_target_without_a_permit_nothing_is_asked() -> None:
    chosen = choose(task(), (0, 1), known(AWS=Standing(state="HALF_OPEN")), 1, "t")
    assert isinstance(chosen, Chosen)
    assert chosen.target == 1


def test_a_ramping_target_gets_about_its_share_by_draw() -> None:
    health = known(AWS=Standing(state="RAMPING", share=0.25))
    chosen = [choose(task(), (0, 1), health, 1, f"t{number}") for number in range(4_000)]
    back = sum(isinstance(one, Chosen) and one.target == 0 for one in chosen)
    # Four standard deviations of a binomial draw around 1,000.
    assert 890 < back < 1_110


def test_a_fallback_without_room_is_passed_over_for_the_next_and_waited_for_where_it_is_the_last() -> None:
    health = known(AWS=OPEN, GCP=Standing(room=0), AZURE=Standing(room=1))
    next_one = choose(task(AWS, GCP, AZURE), (0, 1, 2), health, 1, "t")
    assert isinstance(next_one, Chosen)
    assert next_one.target == 2
    assert isinstance(choose(task(), (0, 1), health, 1, "t"), Full)


def test_room_is_for_sidesteps_only() -> None:
    assert choose(task(), (0, 1), known(AWS=Standing(room=0)), 1, "t") == Chosen(0)


def test_where_all_are_open_the_least_bad_is_tried_all_the_same() -> None:
    health = known(AWS=OPEN, GCP=Standing(state="HALF_OPEN"))
    chosen = choose(task(), (0, 1), health, 1, "t")
    assert isinstance(chosen, Chosen)
    assert (chosen.target, chosen.role) == (1, "static")
    assert chosen.reasons[-1].startswith("fail static")


def test_fail_static_is_throttled_and_then_waits() -> None:
    health = known(AWS=replace(OPEN, static_room=0), GCP=replace(OPEN, static_room=0))
    assert choose(task(), (0, 1), health, 1, "t") == Full(
        (0, 1),
        (
            "passed over AWS f: breaker AWS open (7 of 9 overdue)",
            "passed over GCP f: breaker AWS open (7 of 9 overdue)",
        ),
    )


def test_what_was_forced_open_is_not_even_tried_when_nothing_else_is_left() -> None:
    assert isinstance(choose(task(AWS), (0,), known(AWS=Standing(state=FORCED_OPEN)), 1, "t"), Nowhere)


def test_a_drained_target_is_tried_before_an_open_one_when_nothing_else_is_left() -> None:
    chosen = choose(task(), (0, 1), known(AWS=OPEN, GCP=Standing(state=DRAINED)), 1, "t")
    assert isinstance(chosen, Chosen)
    assert chosen.target == 1


def test_after_the_last_target_come_those_that_were_passed_over_before() -> None:
    step = task(AWS, GCP, AZURE)
    assert others(step, 1, (1,)) == (2, 0)
    assert others(step, 1, (0, 1)) == (2,)


def test_a_fallback_that_fails_leads_back_to_a_primary_that_was_passed_over() -> None:
    verdict = route(task(), at(1), REFUSED, known(AWS=OPEN), 1)
    assert isinstance(verdict, Sidestep)
    assert (verdict.target, verdict.role) == (0, "static")


def test_the_reason_of_a_sidestep_says_what_the_breaker_says() -> None:
    verdict = route(task(), at(), REFUSED, known(AWS=OPEN), 1)
    assert isinstance(verdict, Sidestep)
    assert "breaker AWS open (7 of 9 overdue)" in verdict.reason


def test_a_sidestep_waits_where_the_only_fallback_is_full() -> None:
    verdict = route(task(), at(), REFUSED, known(GCP=Standing(room=0)), 1)
    assert isinstance(verdict, Wait)
    assert verdict.targets == (1,)


THROTTLED = Outcome(executed=Executed.NO, scope=Scope.SATURATION, signal="throttled", retry_here=True)


def test_the_engines_own_retry_needs_room_in_its_budget() -> None:
    assert isinstance(route(task(), at(), THROTTLED, Health(), 1), Retry)
    assert isinstance(route(task(), at(), THROTTLED, known(AWS=Standing(retry=False)), 1), Sidestep)


def test_a_suspect_target_is_not_tried_twice_while_another_is_well() -> None:
    suspect = Standing(state="SUSPECT", why="6 of 20 failed")
    assert isinstance(route(task(), at(), THROTTLED, known(AWS=suspect), 1), Sidestep)
    assert isinstance(route(task(AWS), at(), THROTTLED, known(AWS=suspect), 1), Retry)


def test_an_interrupted_call_goes_on_elsewhere_where_its_target_is_open_by_now() -> None:
    interrupted = Outcome(executed=Executed.MAYBE, signal="interrupted", error="Sidestep.Interrupted")
    assert isinstance(route(task(), at(), interrupted, Health(), 1), Retry)
    verdict = route(task(), at(), interrupted, known(AWS=OPEN), 1)
    assert isinstance(verdict, Sidestep)
    assert verdict.target == 1


def test_a_callers_error_fails_whatever_the_breakers_say() -> None:
    wrong = Outcome(executed=Executed.NO, scope=Scope.CALLER, error="Sidestep.BadRequest")
    assert isinstance(route(task(), at(), wrong, known(AWS=OPEN), 1), Fail)


def test_a_rehearsal_takes_pure_steps_to_a_fallback_that_is_well_and_only_those() -> None:
    health = Health(rehearse=1.0)
    pure = task(effects="pure")
    chosen = rehearsal(pure, health, 1, "t")
    assert chosen is not None
    assert (chosen.target, chosen.role) == (1, "rehearsal")
    assert rehearsal(task(), health, 1, "t") is None
    assert rehearsal(pure, Health(), 1, "t") is None
    assert rehearsal(task(AWS, effects="pure"), health, 1, "t") is None
    assert rehearsal(pure, replace(known(GCP=Standing(state="SUSPECT")), rehearse=1.0), 1, "t") is None


def test_a_rehearsal_takes_about_its_share() -> None:
    pure, health = task(effects="pure"), Health(rehearse=0.005)
    taken = sum(rehearsal(pure, health, 1, f"t{number}") is not None for number in range(20_000))
    # Four standard deviations around 100.
    assert 60 < taken < 140


def test_calls_of_one_decision_see_what_those_before_have_taken() -> None:
    health = known(GCP=Standing(room=1, static_room=2), AWS=Standing(state="HALF_OPEN", probe=True))
    assert health.after(GCP, "sidestep").of(GCP).room == 0
    assert health.after(GCP, "").of(GCP).room == 1
    assert health.after(GCP, "static").of(GCP).static_room == 1
    assert not health.after(AWS, "probe").of(AWS).probe
    assert not health.after(GCP, "hedge").hedges
    assert Health().after(AWS, "sidestep") == Health()
