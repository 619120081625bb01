"""`python -m chaos`: the plan without the deed, and options that cannot be."""

import pytest

from chaos.__main__ import main


def test_the_plan_is_printed_and_nothing_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "--seed", "7", "--rows", "sqlite,cluster"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("seed 7; ")
    assert "kill -9 primary" in told
    assert "SQLite cannot grow" in told
    assert "Sentinel" not in told
    assert main(["--plan", "--seed", "7", "--rows", "sqlite,cluster"]) == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    "arguments", [["--rows", "mysql"], ["--minutes", "0"], ["--lease", "0.5"], ["--workers", "0"]]
)
def test_options_that_cannot_be_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("chaos: ")
