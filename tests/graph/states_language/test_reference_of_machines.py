"""The reference page is true: its examples are accepted, and it tells of every field and every code."""

import json
import re
from pathlib import Path

import pytest

from core.graph.reading import check, read_workflow
from core.graph.states_language.flows import ALLOWED
from core.graph.states_language.state import JSONATA_ONLY, JSONPATH_ONLY
from core.graph.states_language.states import TYPES
from tests.graph.test_reference import PAGE as NATIVE
from tests.graph.test_reference import ROOT, codes_in

PAGE = (ROOT / "docs/reference/states-language.md").read_text("utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
SOURCES = sorted(Path(ROOT / "core/graph/states_language").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_reference_can_run(example: str) -> None:
    document = json.loads(example)
    assert read_workflow(document).language == "states"
    assert check(document) == ()


def test_every_code_is_explained_in_the_reference() -> None:
    named = {code for path in SOURCES for code in codes_in(path.read_text("utf-8"))}
    named |= {"unknown-state", "unreachable-state"}
    assert len(named) > 30
    explained = set(re.findall(r"`([a-z-]+)`", PAGE + NATIVE))
    assert named - explained == set()


def test_every_field_is_told_of() -> None:
    told = set(re.findall(r"`([A-Za-z]+)`", PAGE))
    twins = {name for name in JSONPATH_ONLY if name.endswith("Path") and name.removesuffix("Path") in told}
    assert {*TYPES, *JSONPATH_ONLY, *JSONATA_ONLY} - twins <= told
    assert {field for fields in ALLOWED.values() for field in fields} <= told
