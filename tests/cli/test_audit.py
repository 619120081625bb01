"""The demo's audit: what it calls lost, run twice and explained."""

from typing import Any

from cli.demo import report
from cli.demo.audit import Summary, audit
from cli.demo.board import Board, Finished
from cli.demo.script import LEAST_SECONDS, PHASES, SENDING_SHARE, lengths, order_workflow
from core.graph.reading import check

HEALTHY, REFUSED = PHASES[0], PHASES[1]


def call(number: int, provider: str, status: str, executed: str, key: str = "k") -> dict[str, Any]:
    return {
        "attempt": number,
        "provider": provider,
        "functionId": "f",
        "status": status,
        "executed": executed,
        "signal": None if status == "COMPLETED" else "read-timeout",
        "idempotencyKey": key,
        "durationMs": 10,
    }


def view(name: str, *calls: dict[str, Any], status: str = "COMPLETED") -> dict[str, Any]:
    return {
        "executionId": name,
        "status": status,
        "failedOver": len(calls) > 1,
        "steps": [{"stepId": "charge", "failedOver": len(calls) > 1, "attempts": list(calls)}],
    }


def run(number: int, provider: str, key: str = "k", state: str = "completed") -> dict[str, Any]:
    return {"provider": provider, "attempt": number, "idempotencyKey": key, "state": state}


def audited(views: list[dict[str, Any]], runs: list[dict[str, Any]]) -> Summary:
    board = Board(seconds=10, phase=HEALTHY)
    for one in views:
        board.submitted += 1
        board.acknowledged[one["executionId"]] = 0.0
        phase = REFUSED if one["failedOver"] else HEALTHY
        board.finish(one["executionId"], Finished(one, 40 if one["failedOver"] else 30, phase))
    return audit(board, {one["executionId"]: one for one in views}, runs, 10.0)


def test_a_run_without_trouble_is_good() -> None:
    result = audited([view("a", call(1, "AWS", "COMPLETED", "YES"))], [run(1, "AWS")])
    assert result.good
    assert result.document()["ok"] is True
    assert result.document()["ran"] == {"AWS": 1}


def test_an_acknowledged_order_that_is_not_completed_is_lost() -> None:
    result = audited([view("a", call(1, "AWS", "FAILED", "NO"), status="FAILED")], [])
    assert result.lost == ("a",)
    assert not result.good


def test_an_order_that_the_server_does_not_know_any_more_is_lost() -> None:
    board = Board(seconds=10, phase=HEALTHY, submitted=1, acknowledged={"gone": 0.0})
    assert audit(board, {}, [], 10.0).lost == ("gone",)


def test_an_order_that_was_never_acknowledged_is_not_good_either() -> None:
    assert not audit(Board(seconds=10, phase=HEALTHY, submitted=1), {}, [], 10.0).good


def test_a_double_is_explained_by_an_ambiguous_attempt() -> None:
    both = view("a", call(1, "AWS", "FAILED", "MAYBE"), call(2, "GCP", "COMPLETED", "YES"))
    result = audited([both], [run(1, "AWS"), run(2, "GCP")])
    (double,) = result.run_twice
    assert double.explained
    assert double.why == "AWS timed out, may have run"
    assert result.good


def test_a_double_is_unexplained_where_the_journal_says_that_it_did_not_run() -> None:
    both = view("a", call(1, "AWS", "FAILED", "NO"), call(2, "GCP", "COMPLETED", "YES"))
    result = audited([both], [run(1, "AWS"), run(2, "GCP")])
    assert [double.explained for double in result.run_twice] == [False]
    assert not result.good


def test_a_double_is_unexplained_where_one_attempt_ran_twice_or_is_unknown() -> None:
    once = view("a", call(1, "AWS", "COMPLETED", "YES"))
    assert not audited([once], [run(1, "AWS"), run(1, "AWS")]).good
    assert not audited([once], [run(1, "AWS"), run(7, "GCP")]).good


def test_two_answers_at_once_are_explained_by_a_hedge_and_by_nothing_else() -> None:
    first, second = call(1, "AWS", "COMPLETED", "YES"), call(2, "GCP", "COMPLETED", "YES")
    runs = [run(1, "AWS"), run(2, "GCP")]
    assert not audited([view("a", first, second)], runs).good
    assert audited([view("a", first, {**second, "role": "hedge"})], runs).good


def test_a_start_that_the_function_refused_is_no_run() -> None:
    both = view("a", call(1, "AWS", "FAILED", "MAYBE"), call(2, "GCP", "COMPLETED", "YES"))
    assert audited([both], [run(1, "AWS", state="refused"), run(2, "GCP")]).run_twice == ()


def test_a_completed_step_that_no_ledger_knows_is_unproven() -> None:
    result = audited([view("a", call(1, "AWS", "COMPLETED", "YES"))], [])
    assert result.unproven == ("a charge",)
    assert not result.good


def test_added_time_is_the_difference_of_the_medians() -> None:
    over = view("b", call(1, "AWS", "FAILED", "NO", "k2"), call(2, "GCP", "COMPLETED", "YES", "k2"))
    result = audited(
        [view("a", call(1, "AWS", "COMPLETED", "YES")), over], [run(1, "AWS"), run(2, "GCP", "k2")]
    )
    assert (result.healthy_ms, result.added_ms) == (30, 10)
    assert [(one.name, one.failed_over, one.added_ms) for one in result.outages] == [("refused", 1, 10)]
    assert result.shown == "b"


def test_the_report_says_lost_0_only_where_that_is_so() -> None:
    good = audited([view("a", call(1, "AWS", "COMPLETED", "YES"))], [run(1, "AWS")])
    bad = audited([view("a", status="FAILED")], [])
    assert report.summary(good, None, width=None)[-1].plain == "lost 0   completed 1 of 1"
    assert "lost 1   completed 0 of 1" in [line.plain for line in report.summary(bad, None, width=None)]


def test_the_phases_fill_the_demo_and_put_aws_out_in_three_ways() -> None:
    assert sum(lengths(30)) == 30 * SENDING_SHARE
    assert min(lengths(LEAST_SECONDS)) > 0
    assert {str(phase.out["AWS"]["kind"]) for phase in PHASES if "AWS" in phase.out} == {
        "refused",
        "blackhole",
        "503",
    }
    assert not PHASES[0].out
    assert not PHASES[-1].out


def test_the_order_workflow_is_valid_without_a_hint() -> None:
    assert check(order_workflow()) == ()
