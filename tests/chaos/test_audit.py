"""The audit sees each promise that a journal and a ledger can show broken, and nothing on a good day."""

from typing import Any

from chaos.audit import Found, audit
from chaos.faults import Injected
from chaos.orders import AT_MOST_ONCE, FAILING
from chaos.plan import Fault
from chaos.rows import Kind

ONE = "01m7y7jmha9nxfpjcnddnxy8q0-0"
NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""


def call(
    number: int, status: str = "COMPLETED", executed: str = "YES", step: str = "reserve"
) -> dict[str, Any]:
    return {
        "attempt": number,
        "provider": "AWS",
        "idempotencyKey": f"{ONE}/{step}/1",
        "status": status,
        "executed": executed,
        "signal": "read-timeout",
        "error": "Sidestep.Timeout",
        "cause": "timed out",
        "durationMs": 5.0,
        "endedAt": "2026-11-21T12:00:01.000Z",
    }


def event(kind: str, second: int = 0, **details: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": f"2026-11-21T12:00:{second:02}.000Z", "details": details}


def view(*calls: dict[str, Any], step: str = "reserve", **more: Any) -> dict[str, Any]:
    history = [event("STEP_COMPLETED", visit=step), event("WORKFLOW_COMPLETED")]
    return {
        "executionId": ONE,
        "workflowId": "chaos-0",
        "status": "COMPLETED",
        "error": None,
        "input": {"order": 0},
        "steps": [{"stepId": step, "attempts": list(calls)}],
        "history": history,
        **more,
    }


def run(
    number: int, step: str = "reserve", state: str = "completed", started: float = NOON
) -> dict[str, Any]:
    return {
        "idempotencyKey": f"{ONE}/{step}/1",
        "attempt": number,
        "provider": "AWS",
        "state": state,
        "startedAt": started * 1000,
    }


def audited(
    views: list[dict[str, Any]], runs: list[dict[str, Any]], injected: tuple[Injected, ...] = (), **more: Any
) -> Found:
    given: dict[str, Any] = {"acknowledged": {0: ONE}, "acks": [], **more}
    return audit(
        submitted=1,
        views={one["executionId"]: one for one in views},
        runs=runs,
        injected=injected,
        **given,
    )


def test_a_good_day_breaks_nothing() -> None:
    found = audited([view(call(1))], [run(1)])
    assert found.broken == ()
    assert (found.completed, found.explained) == (1, 0)


def test_an_acknowledged_execution_that_is_nowhere_is_lost() -> None:
    assert audited([], []).lost == (f"{ONE} (not in the store)",)


def test_an_execution_that_never_ends_is_lost_and_a_parked_one_is_not() -> None:
    assert audited([view(status="RUNNING")], []).lost == (f"{ONE} (RUNNING)",)
    assert audited([view(status="PARKED")], []).broken == ()


def test_a_second_run_that_the_journal_calls_ambiguous_is_explained() -> None:
    found = audited([view(call(1, "INTERRUPTED", "MAYBE"), call(2))], [run(1), run(2)])
    assert found.explained == 1
    assert found.broken == ()


def test_a_second_run_that_the_journal_calls_impossible_is_not() -> None:
    found = audited([view(call(1, "FAILED", "NO"), call(2))], [run(1), run(2)])
    assert [double.idempotency_key for double in found.unexplained] == [f"{ONE}/reserve/1"]


def test_an_attempt_that_was_sent_twice_is_not_explained_by_anything() -> None:
    found = audited([view(call(1, "INTERRUPTED", "MAYBE"), call(2))], [run(1), run(1), run(2)])
    assert found.unexplained


def test_a_step_that_must_not_run_twice_is_counted_over_all_its_attempts() -> None:
    attempts = call(1, "INTERRUPTED", "MAYBE", AT_MOST_ONCE), call(2, step=AT_MOST_ONCE)
    found = audited([view(*attempts, step=AT_MOST_ONCE)], [run(1, AT_MOST_ONCE), run(2, AT_MOST_ONCE)])
    assert found.at_most_once == (f"{ONE}/{AT_MOST_ONCE} ran 2 times",)


def test_a_refused_start_is_no_run() -> None:
    found = audited([view(call(1, "FAILED", "NO"), call(2))], [run(1, state="refused"), run(2)])
    assert found.broken == ()


def test_a_run_that_no_journal_holds_is_told() -> None:
    assert audited([view(call(1))], [run(1), run(2)]).unjournaled == (f"{ONE}/reserve/1 #2 AWS",)


def test_a_run_that_began_after_its_attempt_was_given_up_is_told() -> None:
    views = [view(call(1, "INTERRUPTED", "MAYBE"), call(2))]
    assert audited(views, [run(1), run(2)]).late == ()
    assert audited(views, [run(1, started=NOON + 2), run(2)]).late == (f"{ONE}/reserve/1 #1 AWS",)


def test_an_answer_that_no_ledger_knows_is_told() -> None:
    assert audited([view(call(1))], []).unproven == (f"{ONE} reserve",)


def test_a_visit_or_an_execution_that_ended_twice_is_told() -> None:
    twice = [event("STEP_COMPLETED", visit="reserve")] * 2
    ended = [event("WORKFLOW_COMPLETED"), event("WORKFLOW_FAILED")]
    for history in (twice, ended):
        assert audited([view(call(1), history=history)], [run(1)]).completed_twice == (ONE,)


def test_two_executions_of_one_order_are_told() -> None:
    found = audited([view(call(1)), view(executionId="other", steps=[])], [run(1)])
    assert found.created_twice == (f"order 0: {ONE}, other",)
    assert found.unacknowledged == 1


def test_a_failure_needs_a_failed_call_or_a_workflow_that_is_made_to_fail() -> None:
    error = {"error": "Sidestep.Odd", "cause": "?", "stepId": "reserve"}
    failed: dict[str, Any] = {"status": "FAILED", "error": error}
    assert audited([view(call(1), **failed)], [run(1)]).failed_otherwise
    assert not audited([view(call(1, "FAILED"), **failed)], [run(1)]).failed_otherwise
    assert not audited([view(call(1), workflowId=FAILING, **failed)], [run(1)]).failed_otherwise


def test_a_takeover_is_counted_from_the_death_that_the_attempt_lived_to_see() -> None:
    history = [
        event("ATTEMPT_STARTED", 1, visit="reserve", attempt=1),
        event("ATTEMPT_INTERRUPTED", 13, visit="reserve", attempt=1),
    ]
    deaths = (
        Injected(Fault(0.0, Kind.KILL_WORKER, 0, 1.0), NOON),
        Injected(Fault(2.0, Kind.KILL_WORKER, 1, 1.0), NOON + 2),
    )
    found = audited([view(call(1), history=history)], [run(1)], deaths)
    assert [(one.seconds, one.disturbed) for one in found.takeovers] == [(11.0, False)]
    away = Injected(Fault(3.0, Kind.KILL_REDIS, 0, 1.0), NOON + 3, back=NOON + 5)
    found = audited([view(call(1), history=history)], [run(1)], (*deaths, away))
    assert [one.disturbed for one in found.takeovers] == [True]


def test_a_pause_is_counted_from_the_stores_return() -> None:
    away = Injected(Fault(3.0, Kind.KILL_REDIS, 0, 1.0), NOON, back=NOON + 2)
    found = audited(
        [view(call(1))], [run(1, started=NOON + 2.5)], (away,), acks=[NOON + 1, NOON + 3, NOON + 9]
    )
    (pause,) = found.pauses
    assert (pause.away, pause.acknowledged, pause.step) == (2.0, 1.0, 0.5)
