"""Every definition that we show can be submitted as it is."""

import json
from pathlib import Path

import pytest

from core.graph.reading import check

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_problem_and_no_hint(path: Path) -> None:
    assert check(json.loads(path.read_text(encoding="utf-8"))) == ()


def test_the_examples_show_every_way_to_wait_and_to_undo() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    for shown in ('"MAP"', '"WORKFLOW"', '"signal"', '"await": "poll"', '"compensate"', '"condition"'):
        assert shown in text
