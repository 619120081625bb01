"""What validation promises beyond the single problem: all at once, in order, bounded."""

import copy
import time
from typing import Any

import pytest

from core.graph.limits import Limits
from core.graph.reading import check, read_workflow
from tests.graph.building import end, errors, flow, rule, step, task


def test_a_definition_with_twelve_mistakes_shows_twelve_problems_in_its_order() -> None:
    document = {
        "id": 7,
        "startAt": "reserv",
        "timeoutSeconds": -1,
        "steps": [
            {"id": "reserve", "type": "TASK", "provider": "AWSS", "functionId": "reserve", "next": "check"},
            {
                "id": "check",
                "type": "CHOICE",
                "choices": [{"variable": "total", "operator": "gtt", "value": 1, "next": "chrage"}],
                "default": "done",
            },
            {
                "id": "charge",
                "type": "TASK",
                "provider": "AWS",
                "functionId": "charge",
                "fallbackProvider": "AWS",
                "effects": "atMostOnce",
                "onAmbiguous": "failover",
                "timeout": "3s",
                "retry": 2,
                "next": "done",
            },
            {"id": "done", "type": "SUCCEED", "next": "done"},
            {"id": "forgotten", "type": "WAIT", "seconds": 1, "next": "done"},
        ],
    }
    before = copy.deepcopy(document)
    assert [(problem.pointer, problem.code) for problem in errors(document)] == [
        ("/id", "wrong-type"),
        ("/startAt", "unknown-step"),
        ("/timeoutSeconds", "out-of-range"),
        ("/steps/0/provider", "unknown-provider"),
        ("/steps/1/choices/0/operator", "unknown-operator"),
        ("/steps/1/choices/0/next", "unknown-step"),
        ("/steps/2/fallbackProvider", "duplicate-target"),
        ("/steps/2/onAmbiguous", "contradiction"),
        ("/steps/2/timeout", "wrong-type"),
        ("/steps/2/retry", "unknown-field"),
        ("/steps/3/next", "next-not-allowed"),
        ("/steps/4", "unreachable-step"),
    ]
    assert document == before


HINTS = [
    (
        "fallback without effects",
        flow(task("a", fallbackProvider="GCP")),
        "/steps/0/effects",
        "effects-undeclared",
    ),
    (
        "retries of atMostOnce",
        flow(task("a", effects="atMostOnce", retries=1)),
        "/steps/0/retries",
        "retries-limited",
    ),
    (
        "no default",
        without_default := flow(step("CHOICE", choices=[rule()]), end()),
        "/steps/0/default",
        "no-default",
    ),
]


@pytest.mark.parametrize(
    ("document", "pointer", "code"), [pytest.param(*case[1:], id=case[0]) for case in HINTS]
)
def test_a_hint_refuses_nothing(document: Any, pointer: str, code: str) -> None:
    read_workflow(document)
    assert [(hint.pointer, hint.code, hint.severity) for hint in check(document)] == [(pointer, code, "hint")]


def test_a_step_that_declares_its_effects_gets_no_hint() -> None:
    assert check(flow(task("a", fallbackProvider="GCP", effects="idempotent"))) == ()


def test_hints_stand_among_the_errors_in_the_documents_order() -> None:
    document = flow(task("a", fallbackProvider="GCP", next="b"), task("b", timeout=0))
    assert [problem.pointer for problem in check(document)] == ["/steps/0/effects", "/steps/1/timeout"]
    assert [problem.pointer for problem in errors(document)] == ["/steps/1/timeout"]


def test_a_misspelt_name_makes_nothing_else_unreachable() -> None:
    document = flow(task("a", next="chrage"), task("charge", next="shp"), task("ship"))
    assert [problem.pointer for problem in errors(document)] == ["/steps/0/next", "/steps/1/next"]


def test_a_step_whose_id_cannot_be_read_makes_nothing_else_unreachable() -> None:
    document = flow(task("a", next="b"), task(7, next="c"), end("b"), end("c"))
    assert [problem.pointer for problem in errors(document)] == ["/steps/1/id"]
    document = flow(task("a"), task(7, next="aa"))
    assert [problem.pointer for problem in errors(document)] == ["/steps/1/id", "/steps/1/next"]


def test_only_known_providers_may_be_named() -> None:
    document = flow(task("a", provider="EDGE"))
    assert errors(document)[0].code == "unknown-provider"
    for providers in (("EDGE",), None):
        assert "a" in read_workflow(document, providers=providers).steps


def test_a_definition_over_a_limit_is_refused_with_that_one_problem() -> None:
    document = flow(task("a", description="x" * 300_000, next="nowhere"))
    assert [problem.code for problem in errors(document)] == ["definition-too-large"]
    assert [problem.code for problem in errors(flow(task("a", next=[[]])), limits=Limits(depth=3))] == [
        "too-deep"
    ]
    many = flow(*(task(f"s{n}", next=f"s{n + 1}") for n in range(5)), end("s5"))
    assert len(read_workflow(many, limits=Limits(steps=6)).steps) == 6
    assert [problem.code for problem in errors(many, limits=Limits(steps=5))] == ["too-many"]


def test_the_problems_that_are_listed_are_bounded() -> None:
    document = flow(*({} for _ in range(2_000)), startAt="")
    found = errors(document)
    assert len(found) == 1_001
    assert found[-1].code == "too-many-errors"
    assert found[-1].detail == "3001 more errors are not listed."


def test_hints_never_crowd_an_error_out() -> None:
    fine = [task(f"s{n}", fallbackProvider="GCP", next=f"s{n + 1}") for n in range(1_200)]
    document = flow(*fine, task("s1200", timeout=0))
    assert [problem.pointer for problem in errors(document)] == ["/steps/1200/timeout"]
    found = check(document)
    assert [problem.severity for problem in found].count("error") == 1
    assert len(found) == 1_002
    assert (found[-1].code, found[-1].detail) == ("too-many-hints", "200 more hints are not listed.")


def test_a_problem_quotes_no_control_character_and_no_endless_text() -> None:
    (problem,) = errors(flow(task("a", next="\x1b[2J" + "x" * 1_000)))[:1]
    assert problem.code == "too-long"
    (problem,) = errors(flow(task("a", next="\x1b[2J" + "x" * 100)))
    assert problem.detail == r"There is no step '\u001b[2J" + "x" * 73 + "...'."


def test_a_definition_that_is_nested_ten_thousand_deep_is_refused() -> None:
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    for document in (deep, flow(task("a", next=deep)), {"x": deep}):
        assert [problem.code for problem in errors(document)] == ["too-deep"]
        assert [problem.code for problem in check(document)] == ["too-deep"]


def test_a_document_that_contains_itself_is_refused() -> None:
    document: dict[str, Any] = {}
    document["self"] = document
    assert [problem.code for problem in errors(document)] == ["too-deep"]
    wide: list[Any] = []
    for _ in range(60):
        wide = [wide, wide]
    assert [problem.code for problem in errors({"wide": wide})] == ["definition-too-large"]


LARGE = Limits(definition_bytes=1 << 24)


def seconds(document: Any) -> float:
    started = time.process_time()
    check(document, limits=LARGE)
    return time.process_time() - started


def line(count: int) -> list[Any]:
    return [task(f"s{n}", next=f"s{n + 1}") for n in range(count - 1)] + [end(f"s{count - 1}")]


def nest(count: int) -> list[Any]:
    fans = [{"id": f"s{n}", "type": "PARALLEL", "branches": [f"s{n + 1}"]} for n in range(count - 1)]
    return [*fans, end(f"s{count - 1}")]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(flow(*line(10_000)), id="a line"),
        pytest.param(flow(*nest(10_000)), id="PARALLELs inside PARALLELs"),
        pytest.param(flow(*(task(f"s{n}", next=f"s{n}") for n in range(10_000))), id="loops"),
        pytest.param(
            flow(*(task("x" * 120 + str(n), next="y" * 120 + str(n)) for n in range(10_000))),
            id="unknown names",
        ),
        pytest.param({str(n): n for n in range(20_000)}, id="unknown fields"),
        pytest.param(flow(*({"id": f"s{n}", "type": "TSAK"} for n in range(10_000))), id="unknown types"),
        pytest.param(
            flow({"id": "s", "type": "PARALLEL", "branches": [f"s{n}" for n in range(999)]}, *line(9_999)),
            id="branches that run into each other",
        ),
    ],
)
def test_the_cost_of_validation_is_bounded(document: Any) -> None:
    # A quadratic walk over ten thousand steps takes minutes; the bound leaves room for a slow machine.
    assert seconds(document) < 5
