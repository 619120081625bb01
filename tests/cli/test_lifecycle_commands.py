from tests.cli.running import Sidestep

WAITS = {"id": "waits", "startAt": "w", "steps": [{"id": "w", "type": "WAIT", "seconds": 60}]}


def test_an_execution_is_paused_resumed_and_rerun_and_refused_what_does_not_fit(sidestep: Sidestep) -> None:
    started = sidestep("run", sidestep.file(WAITS), "--json").json()["executionId"]
    assert sidestep("pause", started, "--reason", "audit", "--json").json()["accepted"] == "now"
    assert sidestep("redrive", started).code == 1
    assert sidestep("resolve", started, "--as", "retry").code == 1
    assert sidestep("resolve", started, "--as", "nonsense").code == 2
    assert sidestep("rerun", started, "--input", '{"a": 1}', "--json").json()["executionId"] != started
    assert sidestep("cancel", started).code == 0
