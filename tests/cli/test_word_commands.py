import json
import time
from pathlib import Path
from typing import Any

from tests.cli.running import Sidestep


def waiting(sidestep: Sidestep, **step: Any) -> tuple[str, dict[str, Any]]:
    """An execution of one WAIT, and what it waits for, once it does."""
    workflow = {"id": "asks", "startAt": "ask", "steps": [{"id": "ask", "type": "WAIT", **step}]}
    execution_id = sidestep("run", sidestep.file(workflow), "--json").json()["executionId"]
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = sidestep("waits", execution_id, "--json").json()["waits"]
        if found:
            return execution_id, found[0]
    raise AssertionError("it never waited")


def test_a_signal_is_sent_once_under_a_key_and_its_payload_may_be_a_file(
    sidestep: Sidestep, tmp_path: Path
) -> None:
    execution_id, wait = waiting(sidestep, signal="approval")
    assert (wait["kind"], wait["name"]) == ("signal", "approval")
    assert "ask: signal approval since" in sidestep("waits", execution_id).out
    assert "waits for a signal approval" in sidestep("show", execution_id).out
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"approved": True}))
    sent = ("signal", execution_id, "approval", "--payload", f"@{payload}", "--key", "k")
    assert sidestep(*sent, "--json").json()["fresh"] is True
    assert "before" in sidestep(*sent).out
    assert sidestep("watch", execution_id).code == 0
    assert sidestep("show", execution_id, "--json").json()["output"] == {"approved": True}
    assert sidestep("signal", execution_id, "approval").code == 1
    assert "nothing" in sidestep("waits", execution_id).out


def test_a_callback_ends_a_wait_by_its_address_and_says_one_thing_only(sidestep: Sidestep) -> None:
    execution_id, wait = waiting(sidestep, callback=True)
    address = wait["callbackUrl"]
    assert address in sidestep("waits", execution_id).out
    assert sidestep("callback", address).code == 2
    assert sidestep("callback", address, "--success", "1", "--heartbeat").code == 2
    assert sidestep("callback", address, "--success", "1", "--cause", "x").code == 2
    assert sidestep("callback", address, "--success", "{").code == 2
    assert sidestep("callback", "nonsense", "--success", "1").code == 1
    told = sidestep("callback", address, "--failure", "Denied", "--cause", "by ada")
    assert told.code == 0
    assert "failure of ask" in told.out
    assert sidestep("watch", execution_id).code == 1
    error = sidestep("show", execution_id, "--json").json()["error"]
    assert (error["error"], error["cause"]) == ("Denied", "by ada")
    assert sidestep("callback", address, "--success", "1").code == 1
