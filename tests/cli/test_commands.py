"""Every command against a real server: what it prints, and how it exits."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Sidestep

HELLO = str(EXAMPLES / "hello.json")
FLAKEY = str(EXAMPLES / "flakey.json")


def waits(seconds: float, **more: object) -> dict[str, object]:
    return {"id": "waits", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": seconds}], **more}


def start(sidestep: Sidestep, definition: object) -> str:
    done = sidestep("run", sidestep.file(definition), "--json")
    assert done.code == 0
    return str(done.json()["executionId"])


def test_run_prints_the_id_and_waits_only_on_request(sidestep: Sidestep) -> None:
    done = sidestep("run", HELLO)
    assert done.code == 0
    execution_id, status = done.out.split()
    assert status == "PENDING"
    assert f"sidestep watch {execution_id}" in done.err
    assert sidestep("watch", execution_id).code == 0


def test_the_version_is_the_distributions(sidestep: Sidestep) -> None:
    assert sidestep("--version").out == f"sidestep {metadata.version('sidestep')}\n"


def test_a_problem_of_a_parameter_names_it(sidestep: Sidestep) -> None:
    done = sidestep("list", "--status", "BOGUS")
    assert done.code == 2
    assert "status:" in done.err
    assert "the document" not in done.err


def test_a_waited_for_execution_is_told_attempt_by_attempt(sidestep: Sidestep) -> None:
    done = sidestep("run", FLAKEY, "--wait", "--input", '{"hello": "world"}')
    assert done.code == 0
    assert "COMPLETED in" in done.out
    assert "#1 AWS flakey-func  answered 500 ServiceException after" in done.out
    assert "may have run  ->  #2 GCP flakey-func  ok" in done.out


def test_an_input_comes_from_a_file_or_standard_input_as_well(sidestep: Sidestep) -> None:
    file = sidestep.file({"from": "file"}, "input.json")
    assert sidestep("run", HELLO, "--wait", "--json", "--input", file).json()["input"] == {"from": "file"}
    piped = sidestep("run", HELLO, "--wait", "--json", "--input", "-", text='{"from": "pipe"}')
    assert piped.json()["input"] == {"from": "pipe"}
    whole = sidestep("run", "-", "--wait", "--json", text=Path(HELLO).read_text())
    assert whole.json()["status"] == "COMPLETED"


def test_the_same_key_and_request_again_is_the_same_execution_and_another_request_is_refused(
    sidestep: Sidestep,
) -> None:
    once, again = (sidestep("run", HELLO, "--json", "--idempotency-key", "k-1") for _ in range(2))
    assert once.json()["executionId"] == again.json()["executionId"]
    other = sidestep("run", HELLO, "--idempotency-key", "k-1", "--input", '{"a": 1}')
    assert other.code == 2
    assert "Idempotency-Key" in other.err


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"id": "end", "type": "FAIL", "error": "NotToday", "cause": "closed"}, "FAILED"),
        ({"id": "end", "type": "TASK", "provider": "AWS", "functionId": "buggy-func"}, "FAILED"),
    ],
)
def test_a_waited_for_failure_is_exit_1(sidestep: Sidestep, step: dict[str, object], status: str) -> None:
    flow = sidestep.file({"id": "fails", "startAt": "end", "steps": [step]})
    assert sidestep("run", flow, "--wait").code == 1
    done = sidestep("run", flow, "--wait", "--json")
    assert (done.code, done.json()["status"]) == (1, status)


def test_an_execution_that_times_out_is_exit_1(sidestep: Sidestep) -> None:
    done = sidestep("run", sidestep.file(waits(60, timeoutSeconds=0.2)), "--wait")
    assert done.code == 1
    assert "TIMED_OUT after" in done.out


def test_a_parked_execution_ends_the_wait_with_exit_1_and_says_what_it_needs(sidestep: Sidestep) -> None:
    step = {
        "id": "pay",
        "type": "TASK",
        "provider": "AWS",
        "functionId": "echo-meta",
        "effects": "atMostOnce",
    }
    out = sidestep("localcloud", "outage", "AWS", "reply-lost", "--function", "echo-meta")
    assert out.code == 0
    try:
        flow = sidestep.file({"id": "once", "startAt": "pay", "steps": [step]})
        done = sidestep("run", flow, "--wait")
    finally:
        assert sidestep("localcloud", "clear", "aws").code == 0
    assert done.code == 1
    assert "PARKED" in done.out
    assert "needs a person" in done.out
    watched = sidestep("watch", done.out.split()[0])
    assert watched.code == 1
    assert "a person has to settle it" in watched.err


def test_a_wait_ends_at_its_timeout_with_exit_4_and_the_execution_goes_on(sidestep: Sidestep) -> None:
    done = sidestep("run", sidestep.file(waits(60)), "--wait", "--timeout", "0.3", "--json")
    assert (done.code, done.json()["status"]) == (4, "RUNNING")
    assert "goes on" in done.err
    assert sidestep("cancel", done.json()["executionId"]).code == 0


def test_cancel_keeps_the_reason_and_watch_ends_with_exit_1(sidestep: Sidestep) -> None:
    execution_id = start(sidestep, waits(60))
    done = sidestep("cancel", execution_id, "--reason", "changed my mind", "--json")
    assert done.code == 0
    assert done.json()["executionId"] == execution_id
    watched = sidestep("watch", execution_id)
    assert watched.code == 1
    assert "CANCEL_REQUESTED" in watched.out
    assert "changed my mind" in watched.out
    assert sidestep("show", execution_id, "--json").json()["status"] == "CANCELLED"


def test_watch_prints_one_json_document_a_line(sidestep: Sidestep) -> None:
    execution_id = start(sidestep, waits(0.2))
    done = sidestep("watch", execution_id, "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "WORKFLOW_CREATED"
    assert events[-1]["type"] == "WORKFLOW_COMPLETED"


def test_show_tells_the_history_on_request(sidestep: Sidestep) -> None:
    execution_id = sidestep("run", FLAKEY, "--wait", "--json").json()["executionId"]
    plain = sidestep("show", execution_id)
    assert "FAILED_OVER" not in plain.out
    told = sidestep("show", execution_id, "--history")
    assert "FAILED_OVER" in told.out
    assert "AWS flakey-func -> GCP flakey-func" in told.out
    assert not any(line != line.rstrip() for line in told.out.splitlines())


def test_list_filters_and_pages(sidestep: Sidestep) -> None:
    name = "listed"
    for _ in range(3):
        start(sidestep, {**waits(0), "id": name})
    page = sidestep("list", "--workflow", name, "--limit", "2", "--json").json()
    assert [row["workflowId"] for row in page["executions"]] == [name, name]
    rest = sidestep(
        "list", "--workflow", name, "--limit", "2", "--cursor", page["nextCursor"], "--json"
    ).json()
    assert len(rest["executions"]) == 1
    assert rest["nextCursor"] is None
    plain = sidestep("list", "--workflow", name, "--limit", "2")
    assert plain.out.splitlines()[0].split()[:3] == ["EXECUTION", "WORKFLOW", "STATUS"]
    assert f"--cursor {page['nextCursor']}" in plain.err
    assert sidestep("list", "--status", "FAILED", "--workflow", name, "--json").json()["executions"] == []
    assert sidestep("list", "--failed-over", "--workflow", name, "--json").json()["executions"] == []


def test_a_filter_that_the_server_does_not_know_is_exit_2(sidestep: Sidestep) -> None:
    done = sidestep("list", "--status", "BROKEN")
    assert done.code == 2
    assert "status" in done.err


def test_providers_and_their_last_failure_are_listed(sidestep: Sidestep) -> None:
    sidestep("run", FLAKEY, "--wait")
    plain = sidestep("providers")
    assert [line.split()[0] for line in plain.out.splitlines()] == ["PROVIDER", "AWS", "GCP", "AZURE", "HTTP"]
    assert "SIDESTEP_PROVIDERS__HTTP__ORIGINS" in plain.out
    assert {row["provider"] for row in sidestep("providers", "--json").json()["providers"]} == {
        "AWS",
        "GCP",
        "AZURE",
        "HTTP",
    }


def test_a_registered_workflow_is_listed_read_back_and_run_by_its_id(sidestep: Sidestep) -> None:
    definition = {**waits(0), "id": "kept"}
    assert sidestep("workflows", "put", sidestep.file(definition)).out == "kept version 1\n"
    changed = {**definition, "name": "again"}
    assert sidestep("workflows", "put", sidestep.file(changed), "--json").json()["version"] == 2
    machine = sidestep.file({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    assert sidestep("workflows", "put", machine, "--id", "named").out == "named version 1\n"
    assert sidestep("workflows", "put", machine).code == 2
    assert sidestep("workflows", "put", sidestep.file(changed), "--id", "other").code == 2
    assert "kept" in sidestep("workflows", "list").out
    assert sidestep("workflows", "get", "kept").json() == changed
    assert sidestep("workflows", "get", "kept", "--version", "1", "--json").json()["version"] == 1
    assert sidestep("run", "--workflow", "kept", "--wait").code == 0
    assert sidestep("workflows", "get", "unknown").code == 1


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_example_runs_to_its_end(sidestep: Sidestep, example: Path) -> None:
    order = {"orderId": "o-1", "amount": 10}
    given = json.dumps({**order, "orders": [order], "day": "2026-01-02"})
    # What the examples start, and what they ask for.
    assert sidestep("workflows", "put", str(EXAMPLES / "order.json")).code == 0
    started = sidestep("run", str(example), "--json", "--input", given).json()["executionId"]
    if example.stem == "approval":
        assert sidestep("signal", started, "approval", "--payload", '{"approved": true}').code == 0
    assert sidestep("watch", started).code == 0
    assert sidestep("show", started, "--json").json()["status"] == "COMPLETED"


def test_validate_works_without_a_server_and_tells_place_sentence_and_mend(sidestep: Sidestep) -> None:
    wrong = sidestep.file({**waits(1), "startAt": "W"})
    done = sidestep("validate", wrong, server="http://127.0.0.1:1")
    assert done.code == 1
    assert done.out.splitlines()[0] == (
        "/startAt: The start, 'W', is no step of this workflow. Did you mean 'w'?"
    )
    report = sidestep("validate", wrong, "--json").json()
    assert report["valid"] is False
    assert report["problems"][0]["pointer"] == "/startAt"


def test_validate_asks_a_server_where_one_is_named(sidestep: Sidestep) -> None:
    step = {"id": "a", "type": "TASK", "provider": "HTTP", "functionId": "http://10.0.0.1/x"}
    flow = sidestep.file({"id": "http", "startAt": "a", "steps": [step]})
    assert sidestep("validate", flow).code == 0
    there = sidestep("validate", flow, "--server", sidestep.server)
    assert there.code == 1
    assert "HTTP is not configured" in there.out


def test_a_definition_that_is_no_json_is_invalid_but_one_that_cannot_be_read_is_usage(
    sidestep: Sidestep,
) -> None:
    broken = sidestep("validate", sidestep.file('{"id": "x",}'), "--json")
    assert (broken.code, broken.json()["problems"][0]["code"]) == (1, "not-json")
    assert sidestep("validate", "missing.json").code == 2


def test_a_refused_definition_is_exit_2_with_every_problem_and_its_place(sidestep: Sidestep) -> None:
    wrong = sidestep.file({**waits(1), "startAt": "W", "extra": 1})
    done = sidestep("run", wrong)
    assert done.code == 2
    assert "/workflow/startAt: " in done.err
    assert "/workflow/extra: " in done.err
    report = sidestep("run", wrong, "--json").json()
    assert report["exitCode"] == 2
    assert len(report["problem"]["problems"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "missing.json"),
        ("run", "missing.json", "--workflow", "both"),
        ("run", HELLO, "--timeout", "3"),
        ("run", HELLO, "--input", "[1]"),
        ("run", HELLO, "--input", '{"a": NaN}'),
        ("run", "-", "--input", "-"),
        ("list", "--limit", "0"),
        ("show",),
        ("unknown",),
        ("list", "--server", "ftp://x"),
        ("demo", "--seconds", "1"),
        ("localcloud", "outage", "AWS", "slow", "--flap", "x"),
        ("localcloud", "--functions", "missing"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_with_a_sentence(sidestep: Sidestep, arguments: tuple[str, ...]) -> None:
    done = sidestep(*arguments)
    assert done.code == 2
    assert done.err.strip()
    assert done.out == ""


@pytest.mark.parametrize("command", ["show", "watch", "cancel"])
def test_an_unknown_execution_is_exit_1(sidestep: Sidestep, command: str) -> None:
    done = sidestep(command, "no-such/execution", "--json")
    assert done.code == 1
    assert done.json()["problem"]["status"] == 404


def test_help_names_every_command_and_imports_nothing_heavy(sidestep: Sidestep) -> None:
    done = sidestep("--help")
    assert done.code == 0
    for name in ("serve", "demo", "localcloud", "run", "list", "show", "watch", "cancel", "validate"):
        assert f"  {name} " in done.out


def test_the_command_line_itself_loads_no_server_and_no_client() -> None:
    heavy = {"httpx", "fastapi", "aiohttp", "boto3", "rich", "core.engine", "localcloud.app"}
    program = "import sys, cli.main; cli.main.build(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not heavy & set(loaded)
