"""What becomes of a step when every target is known to fail, and has failed."""

from typing import Any

from msgspec.structs import replace

from core.failover.health import Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.failover.routing import TURN_LONGEST_MS, Fail, Park, Position, Retry, route
from core.graph.model import RetryPolicy, Target, TaskStep

AWS, GCP, AZURE = (Target(name, "f") for name in ("AWS", "GCP", "AZURE"))
STEP = TaskStep(id="t", targets=(AWS, GCP))
REFUSED = Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="refused", error="Sidestep.Gone")
LOST = replace(REFUSED, executed=Executed.MAYBE, signal="reset")
OPEN = Standing(state="OPEN", why="it is OPEN (5 of 5 failed)", share=0.0)
DOWN = Health(places={(one.provider, None): OPEN for one in (AWS, GCP, AZURE)})


def at(target: int, **changes: Any) -> Position:
    fields: dict[str, Any] = {
        "tries_here": 2,
        "round": 1,
        "retries": (),
        "tried": (0, 1),
        "attempts": 3,
        "deadline_at": 31_000,
        "now": 0,
        "label": "t#3",
    }
    return Position(target=target, **{**fields, **changes})


def test_while_its_deadline_lasts_it_waits_for_another_turn_at_the_next_target() -> None:
    for target, following in ((0, 1), (1, 0)):
        verdict = route(STEP, at(target), REFUSED, DOWN, 1)
        assert isinstance(verdict, Retry)
        assert (verdict.target, verdict.round, verdict.policy) == (following, 1, None)
        assert "5 of 5 failed" in verdict.reason


def test_what_cannot_be_called_at_all_gets_no_turn() -> None:
    step = replace(STEP, targets=(AWS, GCP, AZURE))
    known = replace(DOWN, refused={"GCP": "it is not configured"})
    verdict = route(step, at(0, tried=(0, 2)), REFUSED, known, 1)
    assert isinstance(verdict, Retry)
    assert verdict.target == 2


def test_turns_come_ever_later_up_to_a_bound() -> None:
    def longest(attempts: int) -> int:
        found = 0
        for seed in range(200):
            verdict = route(STEP, at(0, attempts=attempts, deadline_at=10**9), REFUSED, DOWN, seed)
            assert isinstance(verdict, Retry)
            found = max(found, verdict.delay_ms)
        return found

    assert longest(1) <= 1_000 < longest(5) <= 4_000
    assert longest(30) <= TURN_LONGEST_MS < longest(30) * 2


def test_it_fails_where_no_turn_fits_its_deadline() -> None:
    assert isinstance(route(STEP, at(0, deadline_at=20), REFUSED, DOWN, 1), Fail)


def test_what_is_known_to_fail_is_not_tried_twice_in_a_turn() -> None:
    verdict = route(STEP, at(0, tries_here=1), REFUSED, DOWN, 1)
    assert isinstance(verdict, Retry)
    assert verdict.target == 1
    surprised = route(STEP, at(0, tries_here=1), REFUSED, Health(), 1)
    assert isinstance(surprised, Retry)
    assert (surprised.target, surprised.role) == (0, "retry")


def test_it_fails_where_its_provider_was_not_known_to_fail() -> None:
    assert isinstance(route(STEP, at(0), REFUSED, Health(), 1), Fail)


def test_what_may_have_run_and_must_not_run_twice_is_parked_all_the_same() -> None:
    once = replace(STEP, effects="atMostOnce", on_ambiguous="park")
    assert isinstance(route(once, at(0), LOST, DOWN, 1), Park)
    assert isinstance(route(once, at(0), REFUSED, DOWN, 1), Retry)


def test_the_steps_own_retries_come_first() -> None:
    own = replace(STEP, retries=(RetryPolicy(max_attempts=1),))
    verdict = route(own, at(0), REFUSED, DOWN, 1)
    assert isinstance(verdict, Retry)
    assert verdict.policy == 0
    verdict = route(own, at(0, retries=(1,)), REFUSED, DOWN, 1)
    assert isinstance(verdict, Retry)
    assert verdict.policy is None


def test_what_the_last_target_lacks_ends_no_step_while_a_provider_is_out() -> None:
    refused = Outcome(executed=Executed.NO, scope=Scope.CREDENTIALS, signal="credentials-refused", error="No")
    gcp_answers = replace(DOWN, places={("AWS", None): OPEN})
    assert isinstance(route(STEP, at(1), refused, gcp_answers, 1), Retry)
    assert isinstance(route(STEP, at(1), refused, Health(), 1), Fail)


def test_a_functions_own_breaker_is_no_outage() -> None:
    missing = Outcome(executed=Executed.NO, scope=Scope.FUNCTION, signal="not-deployed", error="Missing")
    own = Health(functions={AWS: OPEN, GCP: OPEN})
    assert isinstance(route(STEP, at(1), missing, own, 1), Fail)


def test_a_functions_own_error_is_waited_out_by_nobody() -> None:
    raised = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="function-error", error="Bug")
    moves = replace(STEP, failover_on_function_error=True)
    assert isinstance(route(moves, at(1), raised, DOWN, 1), Fail)
