"""The reference page is true: its examples are accepted, and it explains every code."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.graph.reading import check, read_workflow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/workflow-json.md").read_text()
EXAMPLES = [block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"steps"' in block]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_reference_can_run(example: str) -> None:
    document = json.loads(example)
    assert read_workflow(document).id == document["id"]


def test_the_first_example_shows_hints_and_no_errors() -> None:
    assert [hint.code for hint in check(json.loads(EXAMPLES[0]))] == []


CODE_ARGUMENT = {"error": 1, "hint": 1, "wrong": 1, "one_of": 2, "Unfit": 1, "Problem": 1}


def codes_in(source: str) -> Iterator[str]:
    """The codes that a module passes on as literals."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        at = CODE_ARGUMENT.get(name)
        if at is not None and at < len(call.args):
            code = call.args[at]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value


def test_every_code_is_explained_in_the_reference() -> None:
    named = {code for path in (ROOT / "core/graph").glob("*.py") for code in codes_in(path.read_text())}
    assert len(named) > 35
    assert named <= set(re.findall(r"`([a-z-]+)`", PAGE))
