"""An outside harness: what it is given, and what is made of what it leaves."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.children import Failed
from benchmarks.peers import main, ratios, run

HARNESS = """
import json, os, sys
from pathlib import Path
names = [one for one in sys.argv[1:sys.argv.index("--reps")]]
folder = Path(os.environ["PEERS_HOME"], "run/results")
folder.mkdir(parents=True, exist_ok=True)
assert Path(os.environ["SIDESTEP"]).name == "sidestep"
assert sys.argv[sys.argv.index("--reps"):] == ["--reps", "2", "--secs", "1.5"], sys.argv
for name, found in json.loads(Path(__file__).with_name("says.json").read_text()).items():
    if name in names:
        folder.joinpath(name + ".json").write_text(json.dumps(found))
"""


def engine(steps: float, cpu: float, alone: float, *, durable: bool = True) -> dict[str, Any]:
    death = {
        "completed_executions": 200,
        "submitted": 200,
        "re_executed_steps": 17,
        "all_done_s_after_kill": 2.5,
    }
    median = {"steps_s": steps, "cpu_ms_step": cpu, "p50": alone, "p99": 2 * alone, "peak_mb": 77.0}
    return {"median": median, **({"recovery": death} if durable else {})}


SAYS = {
    "sidestep-always": engine(4_000.0, 0.2, 6.0),
    "slow": engine(500.0, 2.0, 24.0),
    "other": engine(1_000.0, 1.0, 12.0),
    "fast-and-forgetful": engine(9_000.0, 0.1, 1.0, durable=False),
}


@pytest.fixture
def harness(tmp_path: Path) -> Path:
    (tmp_path / "bench.py").write_text(HARNESS)
    (tmp_path / "says.json").write_text(json.dumps(SAYS))
    return tmp_path


def test_ours_is_compared_with_the_best_that_is_durable() -> None:
    assert ratios(SAYS) == {"best": "other", "steps_always": 4.0, "cpu_always": 0.2, "alone_always": 0.5}
    assert ratios({"sidestep-always": SAYS["sidestep-always"]}) == {"best": None}


def test_the_table_and_the_ratios_are_printed_and_kept(
    harness: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = harness / "page.md"
    page.write_text("<!-- peers: begin -->\n<!-- peers: end -->\n")
    kept = harness / "kept.json"
    options = [
        "--seconds",
        "1.5",
        "--repetitions",
        "2",
        "--json",
        str(kept),
        "--docs",
        str(page),
        "--home",
        str(harness),
    ]
    assert main([str(harness), "--engines", " ".join(SAYS), *options]) == 0
    printed = capsys.readouterr().out
    row = "| **sidestep-always** | 6.0 / 12.0 | 4,000 | 4.00 x | 0.200 | 0.20 x | 77 | 200 of 200, 17, 2.5 |"
    assert row in printed
    assert row in page.read_text()
    assert "| 4 x | 7 x | 4.0 x | yes |" in printed
    assert json.loads(kept.read_text())["ratios"]["steps_always"] == 4.0


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"other": {"failed": "no server"}}, "could not be measured: no server"),
        ({}, "other.json cannot be read"),
        ({"other": ["no", "object"]}, "could not be measured"),
    ],
)
def test_an_engine_without_figures_is_told_of(harness: Path, says: dict[str, Any], why: str) -> None:
    (harness / "says.json").write_text(json.dumps(says))
    with pytest.raises(Failed, match=why):
        run(harness, harness / "home", ["other"], 1.5, 2)


def test_figures_of_an_earlier_run_are_not_taken_for_new(harness: Path) -> None:
    run(harness, harness / "home", ["other"], 1.5, 2)
    (harness / "says.json").write_text("{}")
    os.utime(harness / "home/run/results/other.json", (1, 1))
    with pytest.raises(Failed, match="from an earlier run"):
        run(harness, harness / "home", ["other"], 1.5, 2)


def test_a_folder_without_a_harness_and_one_that_fails_are_told_of(
    harness: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(harness / "nowhere")]) == 3
    assert "holds no bench.py" in capsys.readouterr().err
    (harness / "bench.py").write_text("raise SystemExit(7)")
    assert main([str(harness)]) == 3
    assert "ended with 7" in capsys.readouterr().err
