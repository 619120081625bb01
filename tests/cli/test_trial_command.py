"""`sidestep test`: a definition tried on the spot, without a server."""

import json
from pathlib import Path

import pytest

from tests.cli.running import Sidestep

FLOW = {
    "id": "order",
    "startAt": "charge",
    "steps": [
        {
            "id": "charge",
            "type": "TASK",
            "provider": "AWS",
            "functionId": "charge-card",
            "fallbackProvider": "GCP",
            "timeout": 3000,
        }
    ],
}
MOCKS = {"charge": [{"timeout": True}, {"output": {"receipt": "r-1"}}]}


@pytest.fixture
def alone(tmp_path: Path) -> Sidestep:
    """The command where no server is."""
    return Sidestep(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9")


def test_it_prints_what_happened_and_how_it_ended(alone: Sidestep) -> None:
    done = alone(
        "test", alone.file(FLOW), "--input", '{"amount": 12}', "--mocks", alone.file(MOCKS, "mocks.json")
    )
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "timed out after 3.0 s" in done.out
    assert "GCP charge-card" in done.out
    assert lines[-3:] == ["COMPLETED", "steps   charge", 'output  {"amount": 12, "receipt": "r-1"}']


def test_what_is_entered_many_times_in_a_row_is_told_once(alone: Sidestep) -> None:
    flow = {
        "StartAt": "Lines",
        "States": {
            "Lines": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "Line", "States": {"Line": {"Type": "Pass", "End": True}}},
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
    done = alone("test", alone.file(flow), "--input", json.dumps([0] * 30))
    assert "steps   Lines -> Line (30 times) -> Done" in done.out.splitlines()


def test_json_is_the_whole_answer(alone: Sidestep) -> None:
    done = alone("test", alone.file(FLOW), "--mocks", json.dumps(MOCKS), "--json")
    assert done.code == 0
    told = done.json()
    assert (told["status"], told["stepsEntered"]) == ("COMPLETED", ["charge"])
    assert told["history"][-1]["type"] == "WORKFLOW_COMPLETED"


def test_an_execution_that_fails_is_exit_1(alone: Sidestep) -> None:
    done = alone(
        "test", alone.file(FLOW), "--mocks", '{"charge": [{"error": "Declined", "cause": "no funds"}]}'
    )
    assert done.code == 1
    assert done.out.splitlines()[-1] == "error   Declined: no funds"


def test_a_machine_takes_any_input(alone: Sidestep) -> None:
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    done = alone("test", alone.file(machine), "--input", "[1]", "--json")
    assert (done.code, done.json()["output"]) == (0, [1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mocks", '{"chrge": [{"output": 1}]}'], "/mocks/chrge"),
        ([], "/mocks/charge: Step 'charge' was reached"),
        (["--input", "[1]"], "must be a JSON object"),
        (["--input", "none.json"], "none.json cannot be read"),
        (["--input", "-", "--mocks", "-"], "Only one of"),
    ],
)
def test_what_cannot_be_used_is_exit_2_and_a_sentence(
    alone: Sidestep, arguments: list[str], said: str
) -> None:
    done = alone("test", alone.file(FLOW), *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_definition_that_cannot_run_is_exit_2_with_its_problems(alone: Sidestep) -> None:
    done = alone("test", alone.file({**FLOW, "startAt": "chrge"}), "--json")
    assert done.code == 2
    assert done.json()["problem"]["problems"][0]["pointer"] == "/startAt"
