import getpass

from tests.cli.running import EXAMPLES, Sidestep

WAITS = {"id": "waits", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 60}]}


def test_an_execution_is_paused_resumed_and_rerun_and_refused_what_does_not_fit(sidestep: Sidestep) -> None:
    started = sidestep("run", sidestep.file(WAITS), "--json").json()["executionId"]
    assert sidestep("pause", started, "--reason", "audit", "--json").json()["accepted"] == "now"
    assert sidestep("redrive", started).code == 1
    assert sidestep("resolve", started, "--as", "retry").code == 1
    assert sidestep("resolve", started, "--as", "nonsense").code == 2
    assert sidestep("rerun", started, "--input", '{"a": 1}', "--json").json()["executionId"] != started
    assert sidestep("cancel", started).code == 0


def test_a_watch_of_a_redriven_execution_goes_on_after_its_first_end(sidestep: Sidestep) -> None:
    once = {"id": "again", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 0.5}]}
    started = sidestep("run", sidestep.file(once), "--json").json()["executionId"]
    assert sidestep("cancel", started).code == 0
    assert sidestep("watch", started).code == 1
    assert sidestep("redrive", started).code == 0
    watched = sidestep("watch", started)
    assert watched.code == 0, watched.out
    assert "WORKFLOW_CANCELLED" in watched.out
    assert "WORKFLOW_REDRIVEN" in watched.out
    assert "WORKFLOW_COMPLETED" in watched.out


def test_the_output_of_a_resolution_may_be_given_as_text(sidestep: Sidestep) -> None:
    assert sidestep("localcloud", "outage", "AWS", "reply-lost", "--function", "charge-card").code == 0
    try:
        parked = sidestep("run", str(EXAMPLES / "payment.json"), "--wait", "--json").json()["executionId"]
    finally:
        assert sidestep("localcloud", "clear").code == 0
    assert sidestep("resolve", parked, "--as", "completed", "--output", "{").code == 2
    told = sidestep("show", parked).out
    assert f"settle it: sidestep resolve {parked} --as VERDICT (completed, failed, retry or failover)" in told
    settle = ("resolve", parked, "--as", "completed", "--output", '{"paid": "by wire"}', "--reason", "asked")
    assert sidestep(*settle, "--actor", "ada").code == 0
    assert sidestep("watch", parked).code == 0
    assert sidestep("show", parked, "--json").json()["output"]["paid"] == "by wire"
    assert "settled by ada: completed (asked)" in sidestep("show", parked).out


def test_a_resolution_is_in_the_name_of_the_user_who_is_logged_in(sidestep: Sidestep) -> None:
    assert sidestep("localcloud", "outage", "AWS", "reply-lost", "--function", "charge-card").code == 0
    try:
        parked = sidestep("run", str(EXAMPLES / "payment.json"), "--wait", "--json").json()["executionId"]
    finally:
        assert sidestep("localcloud", "clear").code == 0
    assert sidestep("resolve", parked, "--as", "failed").code == 0
    sidestep("watch", parked)
    assert f"settled by {getpass.getuser()}: failed" in sidestep("show", parked).out
