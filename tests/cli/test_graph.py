"""`sidestep graph`: what it prints or writes, and how it exits. No server is there."""

import io
import json
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Sidestep

ORDER = str(EXAMPLES / "order.json")
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def sidestep(tmp_path: Path) -> Sidestep:
    return Sidestep(tmp_path, NOBODY, NOBODY)


def test_a_definition_is_drawn_as_mermaid_unless_asked_otherwise(sidestep: Sidestep) -> None:
    done = sidestep("graph", ORDER)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("flowchart TD\n")
    assert "else GCP charge-card" in done.out
    assert sidestep("graph", ORDER, "--format", "mermaid").out == done.out


def test_svg_goes_to_a_file_and_writes_over_what_was_there(sidestep: Sidestep, tmp_path: Path) -> None:
    target = tmp_path / "order.svg"
    target.write_text("before")
    done = sidestep("graph", ORDER, "--format", "svg", "--out", str(target))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert target.read_text().startswith("<svg ")
    assert target.read_text() == sidestep("graph", ORDER, "--format", "svg").out


def test_json_holds_nodes_edges_and_groups(sidestep: Sidestep) -> None:
    parallel = str(EXAMPLES / "parallel.json")
    drawing = sidestep("graph", parallel, "--json").json()
    assert drawing == sidestep("graph", parallel, "--format", "json").json()
    assert set(drawing) == {"title", "nodes", "edges", "groups"}
    steps = {step["id"] for step in json.loads(Path(parallel).read_text())["steps"]}
    assert {node["step"] for node in drawing["nodes"]} - {None} == steps
    assert [group["kind"] for group in drawing["groups"]] == ["parallel", "branch", "branch"]


def test_a_definition_comes_from_standard_input_as_well(sidestep: Sidestep) -> None:
    assert sidestep("graph", "-", text=Path(ORDER).read_text()).out == sidestep("graph", ORDER).out


def test_an_invalid_definition_is_exit_1_with_its_problems_and_no_picture(sidestep: Sidestep) -> None:
    broken = sidestep.file({"id": "x", "startAt": "b", "steps": [{"id": "a", "type": "PASS"}]})
    done = sidestep("graph", broken)
    assert (done.code, done.out) == (1, "")
    assert done.err == sidestep("validate", broken).out
    assert done.err.startswith("/startAt: ")
    told = sidestep("graph", broken, "--json")
    assert told.code == 1
    assert told.json() == sidestep("validate", broken, "--json").json()


def test_what_is_no_json_is_a_problem_as_well(sidestep: Sidestep) -> None:
    done = sidestep("graph", sidestep.file("{", "half.json"))
    assert (done.code, done.out) == (1, "")
    assert "is not JSON" in done.err


def test_a_file_that_cannot_be_read_or_written_is_exit_2(sidestep: Sidestep, tmp_path: Path) -> None:
    missing = sidestep("graph", str(tmp_path / "missing.json"))
    assert (missing.code, missing.out) == (2, "")
    assert "cannot be read" in missing.err
    nowhere = sidestep("graph", ORDER, "--out", str(tmp_path / "no" / "order.mmd"))
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "cannot be written" in nowhere.err
    assert sidestep("graph", ORDER, "--format", "png").code == 2


def test_too_many_steps_for_a_picture_are_refused_in_a_sentence_and_written_as_mermaid(
    sidestep: Sidestep,
) -> None:
    steps = [{"id": f"s{n}", "type": "PASS", "next": f"s{n + 1}"} for n in range(2_000)]
    steps.append({"id": "s2000", "type": "SUCCEED"})
    large = sidestep.file({"id": "large", "startAt": "s0", "steps": steps})
    refused = sidestep("graph", large, "--format", "svg")
    assert (refused.code, refused.out) == (1, "")
    assert "2001 steps" in refused.err
    assert "Mermaid" in refused.err
    assert sidestep("graph", large).code == 0


def test_a_terminal_is_not_reached_by_what_a_definition_says(sidestep: Sidestep) -> None:
    name = "a\x1b[31m\x07\u202eb"
    flow = sidestep.file({"id": "x", "name": name, "startAt": "a", "steps": [{"id": "a", "type": "PASS"}]})
    for form in ("mermaid", "svg", "json"):
        out = sidestep("graph", flow, "--format", form).out
        assert not any(char in out for char in "\x1b\x07\u202e"), io.StringIO(out).readline()
