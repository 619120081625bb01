"""What people read of executions: attempts, durations, events."""

import json

import pytest

from cli import telling
from cli.account import account
from cli.output import clean, emit, emit_line, on_line

TIMED_OUT = {
    "attempt": 1,
    "provider": "AWS",
    "region": "eu-west-1",
    "functionId": "charge",
    "status": "FAILED",
    "durationMs": 1204.2,
    "executed": "MAYBE",
    "scope": "provider",
    "signal": "read-timeout",
    "error": "Sidestep.Timeout",
    "cause": "no answer in time; it may have run",
}
ANSWERED = {
    "attempt": 2,
    "provider": "GCP",
    "region": None,
    "functionId": "charge",
    "status": "COMPLETED",
    "durationMs": 41.0,
    "executed": "YES",
}
STEP = {
    "stepId": "charge",
    "visit": "charge",
    "type": "TASK",
    "status": "COMPLETED",
    "failedOver": True,
    "attempts": [TIMED_OUT, ANSWERED],
}
VIEW = {
    "executionId": "x1",
    "workflowId": "pay",
    "status": "COMPLETED",
    "failedOver": True,
    "startedAt": "2025-11-21T01:02:03.000Z",
    "updatedAt": "2025-11-21T01:02:04.250Z",
    "steps": [STEP],
    "output": {"paid": True},
}


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0.4, "0.000 s"),
        (4, "0.004 s"),
        (41, "0.04 s"),
        (994, "0.99 s"),
        (1204, "1.2 s"),
        (59_900, "59.9 s"),
        (60_000, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (None, ""),
    ],
)
def test_a_duration_is_told_with_the_digits_that_matter(ms: float | None, said: str) -> None:
    assert telling.duration(ms) == said


def test_an_attempt_says_where_it_went_what_happened_and_whether_it_may_have_run() -> None:
    assert telling.attempt(TIMED_OUT).plain == "#1 AWS eu-west-1 charge  timed out after 1.2 s, may have run"
    assert telling.attempt(ANSWERED).plain == "#2 GCP charge  ok 0.04 s"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"status": "RUNNING"}, "under way"),
        ({"status": "INTERRUPTED", "executed": "MAYBE"}, "interrupted, its server ended, may have run"),
        ({"status": "ABANDONED", "cause": "cancelled"}, "given up (cancelled), may have run"),
        (
            {"status": "FAILED", "signal": "connect-refused", "executed": "NO", "durationMs": 2},
            "connection refused after 0.002 s, did not run",
        ),
        (
            {
                "status": "FAILED",
                "signal": "provider-error",
                "cause": "status 503: the provider failed",
                "executed": "MAYBE",
                "durationMs": 12,
            },
            "answered 503 after 0.01 s, may have run",
        ),
        (
            {
                "status": "FAILED",
                "signal": "function-error",
                "scope": "function",
                "executed": "YES",
                "error": "CardDeclined",
                "cause": "no funds",
                "durationMs": 30,
            },
            "failed after 0.03 s, ran: CardDeclined: no funds",
        ),
        (
            {"status": "FAILED", "signal": "a-signal-of-the-future", "executed": "NO", "durationMs": 1},
            "a signal of the future after 0.001 s, did not run",
        ),
    ],
)
def test_every_way_to_end_is_told_in_words(call: dict[str, object], said: str) -> None:
    call = {"attempt": 1, "provider": "AWS", "functionId": "f", **call}
    assert telling.attempt(call).plain == f"#1 AWS f  {said}"


def test_attempts_of_a_step_share_a_line_where_there_is_room_and_else_take_one_each() -> None:
    wide = [line.plain for line in account(VIEW, width=None)]
    assert (
        "  charge  COMPLETED  #1 AWS eu-west-1 charge  timed out after 1.2 s, may have run"
        "  ->  #2 GCP charge  ok 0.04 s"
    ) in wide
    narrow = [line.plain for line in account(VIEW, width=90)]
    assert "  charge  COMPLETED  #1 AWS eu-west-1 charge  timed out after 1.2 s, may have run" in narrow
    assert "                     -> #2 GCP charge  ok 0.04 s" in narrow
    assert all(len(line) <= 90 for line in narrow)


OPENED = "breaker AWS eu-west-1 opened (7 of 9 overdue)"
WHY = f"Sidestep.Timeout; it may have run, and the step is idempotent; {OPENED}"
SIDESTEPPED = {**ANSWERED, "role": "sidestep", "reasons": [WHY]}


def test_an_attempt_after_an_opening_says_so_and_each_thing_is_said_once() -> None:
    third = {**SIDESTEPPED, "attempt": 3, "reasons": [WHY, "passed over GCP charge: no room"]}
    step = {
        **STEP,
        "attempts": [TIMED_OUT, {**SIDESTEPPED, "status": "FAILED", "signal": "throttled"}, third],
    }
    lines = [line.plain for line in account({**VIEW, "steps": [step]}, width=120)]
    assert f"                     -> #2 GCP charge  throttled after 0.04 s, ran; {OPENED}" in lines
    assert "                     -> #3 GCP charge  ok 0.04 s; passed over GCP charge: no room" in lines


def test_parents_children_and_what_is_undone_are_told() -> None:
    undoing = {
        "because": {"status": "FAILED", "error": "OutOfStock", "cause": "no"},
        "undone": 2,
        "givenUp": 1,
        "left": 3,
    }
    view = {
        **VIEW,
        "parent": {"executionId": "01parent-0", "visit": "each/0/order"},
        "compensating": undoing,
        "steps": [{**STEP, "childExecutionId": "01child-0", "undoes": "fan/0/charge"}],
    }
    lines = [line.plain.strip() for line in account(view, width=None)]
    assert "child of 01parent-0, step each/0/order" in lines
    assert "undone because of OutOfStock: 2 steps, 3 to go, 1 given up" in lines
    assert "child 01child-0" in lines
    assert "undoes fan/0/charge" in lines
    (told,) = [
        line.plain
        for line in account({**VIEW, "compensating": {**undoing, "undone": 1, "left": 0, "givenUp": 0}})
        if "undone" in line.plain
    ]
    assert told == "undone because of OutOfStock: 1 step"


def test_a_target_that_was_passed_over_is_told_by_its_breaker() -> None:
    why = "breaker AWS eu-west-1 open since 12:00:01 (7 of 9 overdue)"
    first = {**SIDESTEPPED, "attempt": 1, "reasons": [f"passed over AWS eu-west-1 charge: {why}"]}
    lines = [line.plain for line in account({**VIEW, "steps": [{**STEP, "attempts": [first]}]}, width=None)]
    assert f"  charge  COMPLETED  #1 GCP charge  ok 0.04 s; {why}" in lines


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "E; it may have run; AWS eu-west-1 is OPEN (5 in a row); passed over AZURE f: no key.",
            "breaker AWS eu-west-1 opened (5 in a row); passed over AZURE f: no key.",
        ),
        ("E; it did not run; AWS eu-west-1 charge is OPEN (x)", "breaker AWS eu-west-1 charge opened (x)"),
        (
            "E; it did not run; AWS eu-west-1 char is OPEN (x)",
            "breaker AWS eu-west-1 char open (x)",
        ),
        ("E; it did not run; AWS is SUSPECT (5 of 20)", "breaker AWS suspect (5 of 20)"),
        ("passed over AWS f: AWS is DRAINED by ada: a; b", "AWS is drained by ada: a; b"),
        (
            "passed over HTTP http://h:1/a: HTTP http://h:1/a is OPEN (x)",
            "breaker HTTP http://h:1/a open (x)",
        ),
    ],
)
def test_how_a_target_stands_is_told_as_its_breaker_which_opened_where_it_let_a_call_through_before(
    reason: str, said: str
) -> None:
    step = {**STEP, "attempts": [TIMED_OUT, {**ANSWERED, "reasons": [reason]}]}
    line = next(line.plain for line in account({**VIEW, "steps": [step]}) if "#2" in line.plain)
    assert line.endswith(f"  ->  #2 GCP charge  ok 0.04 s; {said}")


def test_what_a_breaker_says_goes_below_an_attempt_that_has_no_room_for_it() -> None:
    step = {**STEP, "attempts": [TIMED_OUT, SIDESTEPPED]}
    lines = [line.plain for line in account({**VIEW, "steps": [step]}, width=88)]
    assert "                     -> #2 GCP charge  ok 0.04 s" in lines
    assert f"                        {OPENED}" in lines
    assert all(len(line) <= 88 for line in lines)


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("", "#2 GCP charge  ok 0.04 s"),
        ("sidestep", "#2 GCP charge  ok 0.04 s"),
        ("hedge", "#2 GCP charge (hedge)  ok 0.04 s"),
        ("static", "#2 GCP charge (static: no target is well)  ok 0.04 s"),
        ("of\nthe\x1bfuture", "#2 GCP charge (of the\ufffdfuture)  ok 0.04 s"),
    ],
)
def test_a_role_that_is_no_ordinary_one_is_told(role: str, said: str) -> None:
    assert telling.attempt({**ANSWERED, "role": role}).plain == said


UNDER_WAY = "a hedge: attempt 1 at AWS eu-west-1 charge has been under way for 40 ms"
HEDGED = {
    **STEP,
    "failedOver": False,
    "attempts": [
        {**ANSWERED, "attempt": 1, "provider": "AWS", "durationMs": 50.0},
        {**ANSWERED, "role": "hedge", "reasons": [UNDER_WAY], "status": "ABANDONED", "executed": "MAYBE"},
    ],
}


def test_a_hedge_stands_beside_the_call_that_it_is_for_and_says_when_it_went_out() -> None:
    wide = [line.plain for line in account({**VIEW, "steps": [HEDGED]})]
    hedge = "#2 GCP charge (hedge after 0.04 s)  given up, may have run"
    assert f"  charge  COMPLETED  #1 AWS charge  ok 0.05 s  with  {hedge}" in wide
    narrow = [line.plain for line in account({**VIEW, "steps": [HEDGED]}, width=88)]
    assert f"                     with {hedge}" in narrow
    assert not any("->" in line for line in (*wide, *narrow))


OWN_ERROR = {
    **TIMED_OUT,
    "durationMs": 30,
    "executed": "YES",
    "scope": "function",
    "signal": "function-error",
    "error": "CardDeclined",
    "cause": "no funds",
}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"fallbacks": 1, "failoverOn": []}, True),
        ({"fallbacks": 0, "failoverOn": []}, False),
        ({"fallbacks": 1, "failoverOn": ["functionError"]}, False),
        ({}, False),
    ],
)
def test_an_own_error_that_keeps_a_step_from_its_fallbacks_says_so(
    step: dict[str, object], told: bool
) -> None:
    view = {**VIEW, "steps": [{**STEP, "status": "FAILED", "attempts": [OWN_ERROR], **step}]}
    line = next(line.plain for line in account(view) if "#1" in line.plain)
    assert line.endswith("ran: CardDeclined: no funds" + ("; its own error: no failover" if told else ""))


def test_a_step_that_fails_over_on_own_errors_says_that_it_did() -> None:
    reason = "CardDeclined; the step fails over on function errors; AWS is SUSPECT (5 of 20)"
    step = {**STEP, "fallbacks": 1, "attempts": [OWN_ERROR, {**ANSWERED, "reasons": [reason]}]}
    line = next(line.plain for line in account({**VIEW, "steps": [step]}) if "#2" in line.plain)
    assert line.endswith("ok 0.04 s; the step fails over on function errors; breaker AWS suspect (5 of 20)")


def test_a_parked_step_names_the_command_that_settles_it_and_itself_where_there_are_several() -> None:
    parked = {**STEP, "status": "PARKED", "parkedBecause": "it may have run"}
    verdicts = "--as VERDICT (completed, failed, retry or failover)"
    one = "\n".join(line.plain for line in account({**VIEW, "steps": [parked]}))
    assert f"settle it: sidestep resolve x1 {verdicts}" in one
    two = "\n".join(
        line.plain for line in account({**VIEW, "steps": [parked, {**parked, "visit": "p[0]/ship it"}]})
    )
    assert f"sidestep resolve x1 --step charge {verdicts}" in two
    assert f"sidestep resolve x1 --step 'p[0]/ship it' {verdicts}" in two


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("no TLS session: CERTIFICATE_VERIFY_FAILED: certificate has expired", "bad certificate"),
        ("no TLS session: the other side hung up", "no TLS session"),
    ],
)
def test_a_certificate_is_told_apart_from_other_ends_of_a_tls_session(cause: str, said: str) -> None:
    assert telling.failure({"signal": "tls-failure", "cause": cause}) == said


def test_an_account_begins_with_how_the_execution_stands() -> None:
    first, second, *_ = (line.plain for line in account(VIEW))
    assert first == "x1  pay"
    assert second == "COMPLETED in 1.2 s, failed over  started 2025-11-21T01:02:03.000Z"


def test_a_failed_execution_tells_its_error_and_a_parked_step_what_it_needs() -> None:
    view = {
        **VIEW,
        "status": "FAILED",
        "output": None,
        "error": {"error": "CardDeclined", "cause": "no\nfunds", "stepId": "charge"},
        "steps": [
            {**STEP, "status": "FAILED", "error": "CardDeclined", "cause": "no funds", "caught": True},
            {**STEP, "visit": "ship", "status": "PARKED", "parkedBecause": "it may have run"},
        ],
    }
    told = "\n".join(line.plain for line in account(view))
    assert "CardDeclined: no funds (caught)" in told
    assert "needs a person: it may have run" in told
    assert "a person" not in told.replace("needs a person", "")
    assert "error in step charge  CardDeclined: no funds" in told


@pytest.mark.parametrize(
    ("resolved", "said"),
    [
        ({"verdict": "retry"}, "settled by a person: retry"),
        ({"verdict": "failed", "actor": "", "reason": "no\nlist"}, "settled by a person: failed (no list)"),
        ({"verdict": "failover", "actor": "ada", "reason": "lost"}, "settled by ada: failover (lost)"),
    ],
)
def test_that_a_person_settled_a_step_is_told(resolved: dict[str, str], said: str) -> None:
    view = {**VIEW, "steps": [{**STEP, "resolved": {"at": "2025-11-21T01:02:03.000Z", **resolved}}]}
    assert said in "\n".join(line.plain for line in account(view))


def test_a_view_of_another_version_is_told_as_far_as_it_is_understood() -> None:
    assert account({}) != []
    assert account({"steps": [{"attempts": [{}]}]}) != []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            {
                "type": "ATTEMPT_STARTED",
                "details": {"attempt": 1, "target": {"provider": "AWS", "functionId": "f"}},
            },
            "#1 AWS f",
        ),
        (
            {
                "type": "FAILED_OVER",
                "details": {
                    "fromTarget": {"provider": "AWS", "functionId": "f"},
                    "toTarget": {"provider": "GCP", "functionId": "f"},
                    "reason": "it was refused",
                },
            },
            "AWS f -> GCP f  (it was refused)",
        ),
        (
            {
                "type": "ATTEMPT_FAILED",
                "details": {
                    "attempt": 1,
                    "durationMs": 700,
                    "outcome": {"signal": "read-timeout", "executed": "MAYBE"},
                },
            },
            "#1 timed out after 0.70 s, may have run",
        ),
        (
            {"type": "RETRY_SCHEDULED", "details": {"wakeAt": "1970-01-01T01:02:03.004Z", "reason": "why"}},
            "at 01:02:03.004  (why)",
        ),
        ({"type": "WORKFLOW_FAILED", "details": {"error": "E", "cause": "c"}}, "E  c"),
    ],
)
def test_an_event_is_one_line(event: dict[str, object], said: str) -> None:
    event = {"timestamp": "2025-11-21T01:02:03.004Z", "stepId": "charge", **event}
    assert telling.event(event).plain == f"01:02:03.004  {event['type']:<20}  charge  {said}"


def test_text_from_strangers_cannot_reach_the_terminal_as_control_characters() -> None:
    hostile = "a\x1b[31mred\x07\u202eb\r\n\tc\x9b"
    assert clean(hostile) == "a\ufffd[31mred\ufffd\ufffdb\ufffd\n\tc\ufffd"
    assert len(clean(hostile)) == len(hostile)
    assert on_line("a\n\n b\r\tc") == "a b c"


def test_json_is_printed_without_control_characters_and_means_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = {"a\x9b": "\x1b[31m\u202e\x7f\u2028 é \U0001f600"}
    for show in (emit, emit_line):
        show(hostile)
        told = capsys.readouterr().out
        assert json.loads(told) == hostile
        assert clean(told) == told
        assert "é \U0001f600" in told
