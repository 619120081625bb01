"""The command: what it refuses, what it keeps, and what it goes on from."""

import json
from pathlib import Path

import pytest

from outages.__main__ import main
from outages.catalogue import CATALOGUE
from outages.kept import SIMULATED, Finished, Kept
from outages.report import BEGIN_MARK, END_MARK, into_docs


def test_a_case_that_is_none_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "meteor"]) == 2
    assert "there is no case 'meteor'; there are refused, " in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--seconds", "1"], ["--seconds", "61"], ["--rate", "0"]])
def test_numbers_that_cannot_be_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 2
    assert "--seconds is 2 to 60" in capsys.readouterr().err


def test_a_page_takes_the_whole_table_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "calm", "--docs", "page.md"]) == 2
    assert "--docs goes with all cases" in capsys.readouterr().err


def test_the_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [case.name for case in CATALOGUE]


def test_a_finished_case_is_not_played_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--case", "calm", "--simulate-only", "--seconds", "3", "--rate", "10", "--out", str(tmp_path)]
    assert main(options) == 0
    assert "in virtual time" in capsys.readouterr().out
    document = json.loads((tmp_path / "outages.json").read_text())
    assert document["ok"]
    assert main(options) == 0
    assert "in virtual time" not in capsys.readouterr().out
    assert json.loads((tmp_path / "outages.json").read_text()) == document
    # With other options it is another case.
    assert main([*options[:-4], "--rate", "12", "--out", str(tmp_path)]) == 0
    assert "in virtual time" in capsys.readouterr().out


def test_what_was_half_written_or_of_another_version_is_played_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path, {"rate": 1})
    kept.keep(Finished("calm", SIMULATED, {}, ("a problem",), 1.0))
    assert kept.find("calm", SIMULATED) == Finished("calm", SIMULATED, {}, ("a problem",), 1.0)
    assert Kept(tmp_path, {"rate": 2}).find("calm", SIMULATED) is None
    file = tmp_path / "calm.simulated.json"
    file.write_text(json.dumps({"options": {"rate": 1}, "figures": {"x": {}}, "problems": [], "took": 1}))
    assert kept.find("calm", SIMULATED) is None
    file.write_text('{"options":')
    assert kept.find("calm", SIMULATED) is None


def test_the_table_goes_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN_MARK}\n\nold\n\n{END_MARK}\n\nafter\n")
    into_docs(page, "new")
    assert page.read_text() == f"# Before\n\n{BEGIN_MARK}\n\nnew\n\n{END_MARK}\n\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has no marks"):
        into_docs(page, "new")
