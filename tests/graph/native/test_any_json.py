"""Whatever JSON is submitted in the place of a step is accepted or refused, soon, and nothing else."""

import json
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidDefinition
from core.graph.model import Workflow
from core.graph.reading import check, parse_stored, read_workflow
from tests.graph.building import flow, task

LONGEST = 5.0
"""Seconds of CPU that the largest document may take; most of them take milliseconds."""

STRINGS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        (
            "a",
            "b",
            "c",
            "flow",
            "$.",
            "$.a.b",
            "$..a",
            "$.a\\.b",
            "{%",
            "{%%}",
            "{% %}",
            "{% a.b %}",
            "{% $result %}",
            "{% ((( %}",
            "{% /(a+)+b/ %}",
            "callback",
            "poll",
            "inline",
            "reference",
            "eq",
        )
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 200), st.floats(), STRINGS)
NAMES = st.sampled_from(
    (
        "id",
        "next",
        "default",
        "items",
        "each",
        "maxConcurrency",
        "toleratedFailures",
        "count",
        "percent",
        "results",
        "workflowId",
        "version",
        "input",
        "output",
        "timeoutSeconds",
        "signal",
        "callback",
        "seconds",
        "until",
        "await",
        "heartbeatSeconds",
        "timeout",
        "deadline",
        "compensate",
        "retryBudget",
        "retries",
        "maxAttempts",
        "catch",
        "errors",
        "resultPath",
        "choices",
        "condition",
        "variable",
        "operator",
        "value",
        "and",
        "branches",
        "result",
        "hedge",
        "fallbackProvider",
    )
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=12,
)
TYPES = st.sampled_from(("TASK", "CHOICE", "PARALLEL", "MAP", "WORKFLOW", "PASS", "WAIT", "FAIL"))
USUAL: dict[str, dict[str, Any]] = {
    "TASK": {"provider": "GCP", "functionId": "f"},
    "CHOICE": {"choices": [{"condition": "{% true %}", "next": "b"}]},
    "PARALLEL": {"branches": ["b"]},
    "MAP": {"items": "lines", "each": "b"},
    "WORKFLOW": {"workflowId": "child"},
    "WAIT": {"signal": "go"},
}


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """A step of some type with a few members of any kind beside, or instead of, the usual ones."""
    kind = draw(TYPES)
    return {
        "id": "a",
        "type": kind,
        **USUAL.get(kind, {}),
        **draw(st.dictionaries(NAMES, JSON, max_size=4)),
    }


def around(step: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps that `step` may name, where its text does."""
    text = json.dumps(step)
    return [task(name) for name in ("b", "c") if f'"{name}"' in text]


@given(nearly_right(), st.dictionaries(NAMES, JSON, max_size=1))
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
def test_any_step_is_read_or_refused(step: dict[str, Any], members: dict[str, Any]) -> None:
    document = flow(step, *around(step), **members)
    expected = tuple(one for one in check(document) if one.severity == "error")
    try:
        workflow = read_workflow(document)
    except InvalidDefinition as refused:
        found = refused.problems
    else:
        found = ()
        assert isinstance(workflow, Workflow)
        assert parse_stored(workflow.source) == workflow
    assert found == expected


def seconds_for(document: Any) -> float:
    before = time.process_time()
    check(document)
    return time.process_time() - before


def test_as_many_expressions_as_fit_are_read_soon() -> None:
    for text in ("{% a %}", "{% (((((((((( %}", "$.a", "{% a", "{%" + "[" * 40 + "%}"):
        inputs = [text] * (240_000 // (len(text) + 3))
        assert seconds_for(flow(task("a", input=inputs))) < LONGEST


def test_as_many_different_expressions_as_fit_are_read_soon() -> None:
    for part, close in (
        ("a+", ""),
        ("1+" * 450, ""),
        ("(" * 100, ")" * 100),
        ("function($x){" * 20, "}" * 20),
    ):
        size = len(part) + len(close) + 12
        inputs = ["{%" + part + str(at) + close + "%}" for at in range(200_000 // size)]
        assert seconds_for(flow(task("a", input=inputs))) < LONGEST


def test_one_expression_as_long_as_a_definition_is_read_soon() -> None:
    for part, close in (
        ("(", ""),
        ("[", ""),
        ("a.", "a"),
        ("-", "1"),
        ("{", ""),
        ("/a", ""),
        ("`", ""),
        ("a[", ""),
    ):
        text = part * (200_000 // len(part)) + close
        assert seconds_for(flow(task("a", output="{%" + text + "%}"))) < LONGEST


def test_as_many_compensations_as_fit_are_read_soon() -> None:
    steps = [task(f"s{at}", compensate=f"s{at + 1}") for at in range(2_000)]
    assert seconds_for(flow(*steps, task("s2000"))) < LONGEST
