"""The machines in examples/states-language, each with the input and the answers that lie beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import EXAMPLES, Sidestep

MACHINES = EXAMPLES / "states-language"
NOBODY = "http://127.0.0.1:9"
NAMES = ("approval", "fan-out", "long-job", "saga")


@pytest.fixture
def sidestep(tmp_path: Path) -> Sidestep:
    return Sidestep(tmp_path, NOBODY, NOBODY)


def tried(sidestep: Sidestep, name: str, mocks: object = None) -> dict[str, Any]:
    given = str(MACHINES / f"{name}.mocks.json") if mocks is None else json.dumps(mocks)
    files = ("--input", str(MACHINES / f"{name}.input.json"), "--mocks", given)
    view: dict[str, Any] = sidestep("test", str(MACHINES / f"{name}.json"), *files, "--json").json()
    return view


def answers(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MACHINES / f"{name}.mocks.json").read_text())
    return found


def test_there_are_no_others() -> None:
    machines = {path.name for path in MACHINES.glob("*.json")}
    assert machines == {f"{name}{part}.json" for name in NAMES for part in ("", ".input", ".mocks")}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid_and_has_fallbacks_and_can_be_drawn(sidestep: Sidestep, name: str) -> None:
    machine = str(MACHINES / f"{name}.json")
    assert sidestep("validate", machine).out == f"{machine}: valid\n"
    drawn = sidestep("graph", machine)
    assert drawn.code == 0
    assert "else GCP" in drawn.out
    assert sidestep("graph", machine, "--format", "svg").code == 0


def test_an_order_that_cannot_be_shipped_is_undone_newest_first(sidestep: Sidestep) -> None:
    view = tried(sidestep, "saga")
    assert (view["status"], view["error"]) == ("FAILED", "CarrierDown")
    assert view["stepsEntered"] == [
        "ReserveStock",
        "ChargeCard",
        "Screen",
        "ShipOrder",
        "RefundCard",
        "ReleaseStock",
        "OrderFailed",
    ]


def test_an_order_whose_charge_fails_gives_back_what_was_reserved_and_no_more(sidestep: Sidestep) -> None:
    view = tried(sidestep, "saga", {**answers("saga"), "ChargeCard": [{"error": "NoMoney"}]})
    assert (view["status"], view["error"]) == ("FAILED", "NoMoney")
    assert view["stepsEntered"] == ["ReserveStock", "ChargeCard", "ReleaseStock", "OrderFailed"]


def test_an_order_that_can_be_shipped_is(sidestep: Sidestep) -> None:
    view = tried(sidestep, "saga", {**answers("saga"), "ShipOrder": [{"output": {"parcel": "p-1"}}]})
    assert view["status"] == "COMPLETED"
    assert view["output"]["shipment"] == {"parcel": "p-1"}


def test_a_thousand_lines_are_priced_and_summed_up(sidestep: Sidestep) -> None:
    view = tried(sidestep, "fan-out")
    assert view["output"] == {"total": 3_000, "priced": 1_000}
    assert view["stepsEntered"].count("PriceLine") == 1_000


def test_an_order_that_nobody_approves_within_a_day_is_refused_and_released(sidestep: Sidestep) -> None:
    view = tried(sidestep, "approval")
    assert (view["status"], view["error"]) == ("FAILED", "NotApproved")
    assert view["stepsEntered"] == [
        "ReserveStock",
        "AskForApproval",
        "NobodyAnswered",
        "ReleaseStock",
        "OrderFailed",
    ]


def test_an_approval_charges_the_card_and_a_refusal_does_not(sidestep: Sidestep) -> None:
    said = {**answers("approval"), "ChargeCard": [{"output": {"chargeId": "c-2"}}]}
    yes = tried(sidestep, "approval", {**said, "AskForApproval": [{"output": {"approved": True}}]})
    assert yes["status"] == "COMPLETED"
    assert yes["output"]["charge"] == {"chargeId": "c-2"}
    no = tried(sidestep, "approval", {**said, "AskForApproval": [{"output": {"approved": False}}]})
    assert (no["status"], no["error"]) == ("FAILED", "Refused")
    assert "ChargeCard" not in no["stepsEntered"]


def test_a_job_is_asked_until_it_is_done_with_a_minute_between(sidestep: Sidestep) -> None:
    view = tried(sidestep, "long-job")
    assert (view["status"], view["output"]) == ("COMPLETED", {"rows": 412})
    assert view["stepsEntered"].count("Pause") == 3
    assert view["stepsEntered"].count("AskReport") == 3


def test_a_job_that_fails_says_why(sidestep: Sidestep) -> None:
    failed = {"output": {"status": "FAILED", "why": "no data"}}
    view = tried(sidestep, "long-job", {**answers("long-job"), "AskReport": [failed]})
    assert (view["error"], view["cause"]) == ("ReportFailed", "no data")
