"""What is refused of the steps that start others, wait, or give templates: one problem each, with a mend."""

from typing import Any

import pytest

from core.errors import InvalidDefinition
from core.graph.reading import parse_stored, read_workflow
from tests.graph.building import Case, check_one_problem, choice, end, errors, flow, rule, step, task


def mapping(**members: Any) -> Any:
    return flow(step("MAP", **{"items": "lines", "each": "b", **members}), task("b"))


def waiting(**members: Any) -> Any:
    return flow(step("WAIT", **members))


def sending(**members: Any) -> Any:
    return flow(task("a", **members))


def child(**members: Any) -> Any:
    return flow(step("WORKFLOW", **members))


AWAIT = {"await": "callback"}

CASES: list[Case] = [
    (
        "a map without items",
        flow(step("MAP", each="b"), task("b")),
        "/steps/0/items",
        "missing-field",
        "order.lines",
    ),
    ("items null", mapping(items=None), "/steps/0/items", "wrong-type", "order.lines"),
    ("items a number", mapping(items=3), "/steps/0/items", "wrong-type", "order.lines"),
    ("items an object", mapping(items={"a": 1}), "/steps/0/items", "wrong-type", "order.lines"),
    ("items empty", mapping(items=""), "/steps/0/items", "empty", "Give"),
    ("items no path", mapping(items="a..b"), "/steps/0/items", "invalid-path", "'order.items.0.sku'"),
    ("items an unclosed expression", mapping(items="{% a"), "/steps/0/items", "invalid-expression", "'%}'"),
    ("an item no path", mapping(items=[1, "$.a..b"]), "/steps/0/items/1", "invalid-path", "'$.order"),
    ("a map without a walk", flow(step("MAP", items="x")), "/steps/0/each", "missing-field", "first step"),
    ("a walk unknown", mapping(each="bb"), "/steps/0/each", "unknown-step", "'b'"),
    (
        "concurrency negative",
        mapping(maxConcurrency=-1),
        "/steps/0/maxConcurrency",
        "out-of-range",
        "0 to 1000",
    ),
    ("concurrency broken", mapping(maxConcurrency=1.5), "/steps/0/maxConcurrency", "wrong-type", "whole"),
    (
        "tolerated negative",
        mapping(toleratedFailures=-1),
        "/steps/0/toleratedFailures",
        "out-of-range",
        "0 to",
    ),
    ("tolerated true", mapping(toleratedFailures=True), "/steps/0/toleratedFailures", "wrong-type", "whole"),
    (
        "tolerated text",
        mapping(toleratedFailures="3"),
        "/steps/0/toleratedFailures",
        "wrong-type",
        "count such as 3",
    ),
    (
        "tolerated nothing",
        mapping(toleratedFailures={}),
        "/steps/0/toleratedFailures",
        "empty",
        "one or both",
    ),
    (
        "tolerated too much",
        mapping(toleratedFailures={"percent": 100.5}),
        "/steps/0/toleratedFailures/percent",
        "out-of-range",
        "0 to 100 percent",
    ),
    (
        "tolerated misspelt",
        mapping(toleratedFailures={"count": 1, "percnt": 1}),
        "/steps/0/toleratedFailures/percnt",
        "unknown-field",
        "'percent'",
    ),
    (
        "tolerated both and none",
        mapping(toleratedFailures={"count": 3, "percent": 0}),
        "/steps/0/toleratedFailures",
        "contradiction",
        "Remove the bound that is 0",
    ),
    (
        "a walk's context that is none",
        mapping(input="{% $item %}"),
        "/steps/0/input",
        "wrong-type",
        "an object",
    ),
    ("results unknown", mapping(results="refrence"), "/steps/0/results", "unknown-results", "'reference'"),
    (
        "a walk into the main line",
        flow(step("MAP", items="x", each="b", next="b"), task("b")),
        "/steps/0/each",
        "branch-leaves-map",
        "'next' of 'a'",
    ),
    ("a child without a name", child(), "/steps/0/workflowId", "missing-field", "workflow to run"),
    (
        "a child with a control character",
        child(workflowId="a\n"),
        "/steps/0/workflowId",
        "invalid-id",
        "printable",
    ),
    ("version zero", child(workflowId="c", version=0), "/steps/0/version", "out-of-range", "1 to"),
    (
        "a child's time",
        child(workflowId="c", timeoutSeconds=0),
        "/steps/0/timeoutSeconds",
        "out-of-range",
        "0.001",
    ),
    ("a wait without end", waiting(), "/steps/0", "wait-without-end", "exactly one"),
    ("a wait for no callback", waiting(callback=False), "/steps/0", "wait-without-end", "exactly one"),
    (
        "a wait with two ends",
        waiting(signal="s", callback=True),
        "/steps/0",
        "wait-without-end",
        "exactly one",
    ),
    ("a callback that is text", waiting(callback="yes"), "/steps/0/callback", "wrong-type", "true or false"),
    ("a signal without a name", waiting(signal=""), "/steps/0/signal", "empty", "Give"),
    ("a signal of control", waiting(signal="a\x00"), "/steps/0/signal", "invalid-id", "printable"),
    (
        "a bound for what ends by itself",
        waiting(seconds=1, timeoutSeconds=2),
        "/steps/0/timeoutSeconds",
        "contradiction",
        "Remove",
    ),
    ("retries of a wait", waiting(signal="s", retries=1), "/steps/0/retries", "unknown-field", ""),
    ("await unknown", sending(**{"await": "calback"}), "/steps/0/await", "unknown-await", "'callback'"),
    ("a poll at AWS", sending(**{"await": "poll"}), "/steps/0/await", "contradiction", "Use a callback"),
    (
        "a poll at a fallback of AWS",
        sending(**{"await": "poll", "provider": "GCP", "fallbackProvider": "AWS", "effects": "pure"}),
        "/steps/0/await",
        "contradiction",
        "Use a callback",
    ),
    (
        "a hedge of what is awaited",
        sending(**AWAIT, hedge=True, effects="pure", fallbackProvider="GCP"),
        "/steps/0/hedge",
        "contradiction",
        "Remove 'hedge' or 'await'",
    ),
    (
        "heartbeats of an answer",
        sending(heartbeatSeconds=1),
        "/steps/0/heartbeatSeconds",
        "contradiction",
        '"await": "callback"',
    ),
    (
        "heartbeats of a poll",
        sending(**{"await": "poll", "provider": "HTTP", "heartbeatSeconds": 1}),
        "/steps/0/heartbeatSeconds",
        "contradiction",
        '"await": "callback"',
    ),
    (
        "heartbeats rarer than the timeout",
        sending(**AWAIT, timeout=1_000, heartbeatSeconds=2),
        "/steps/0/heartbeatSeconds",
        "contradiction",
        "shorter time",
    ),
    (
        "a heartbeat of no time",
        sending(**AWAIT, heartbeatSeconds=0),
        "/steps/0/heartbeatSeconds",
        "out-of-range",
        "0.001",
    ),
    (
        "a day and more for an answer",
        sending(timeout=86_400_001),
        "/steps/0/timeout",
        "out-of-range",
        "86400000",
    ),
    ("a budget below nothing", sending(retryBudget=-1), "/steps/0/retryBudget", "out-of-range", "0 to"),
    ("the workflow's budget", flow(task("a"), retryBudget="3"), "/retryBudget", "wrong-type", "whole number"),
    ("an expression of nothing", sending(input="{% %}"), "/steps/0/input", "invalid-expression", "JSONata"),
    ("an expression of less", sending(input="{%}"), "/steps/0/input", "invalid-expression", "'%}'"),
    (
        "an expression deep inside",
        sending(input={"a/b": [0, {"c": "{% x"}]}),
        "/steps/0/input/a~1b/1/c",
        "invalid-expression",
        "'%}'",
    ),
    ("an expression unbalanced", sending(input="{% (a %}"), "/steps/0/input", "invalid-expression", "Mend"),
    (
        "an expression of $eval",
        sending(input="{% $eval(a) %}"),
        "/steps/0/input",
        "invalid-expression",
        "Mend",
    ),
    (
        "an expression too long",
        sending(input="{%" + "a + " * 10_000 + "1 %}"),
        "/steps/0/input",
        "invalid-expression",
        "Mend",
    ),
    (
        "expressions too long together",
        sending(input=["{% 1 + '" + str(at) + "x" * 20_000 + "' %}" for at in range(8)]),
        "/steps/0/input/3",
        "too-many-expressions",
        "split the workflow",
    ),
    (
        "a condition unbalanced",
        choice({"condition": "{% x > %}", "next": "b"}),
        "/steps/0/choices/0/condition",
        "invalid-expression",
        "Mend",
    ),
    ("a path with an empty key", sending(output="$.a..b"), "/steps/0/output", "invalid-path", "'$.order"),
    ("a path of nothing", sending(output="$."), "/steps/0/output", "invalid-path", "'$.order"),
    (
        "a constant and a template",
        flow(step("PASS", result={"a": 1}, output={"b": 2})),
        "/steps/0/output",
        "contradiction",
        "into 'output'",
    ),
    (
        "two places for an error",
        flow(task("a", catch=[{"next": "b", "resultPath": "e", "output": {}}]), end()),
        "/steps/0/catch/0/output",
        "contradiction",
        "Remove 'resultPath'",
    ),
    (
        "a condition that is text",
        choice({"condition": "x > 1", "next": "b"}),
        "/steps/0/choices/0/condition",
        "invalid-expression",
        "{% order.total > 100 %}",
    ),
    (
        "a condition that is true",
        choice({"condition": True, "next": "b"}),
        "/steps/0/choices/0/condition",
        "wrong-type",
        "a string",
    ),
    (
        "a condition and a comparison",
        choice(rule(condition="{% x %}")),
        "/steps/0/choices/0",
        "mixed-condition",
        "one comparison",
    ),
    (
        "a step that undoes itself",
        sending(compensate="a"),
        "/steps/0/compensate",
        "contradiction",
        "another step",
    ),
    (
        "an undoing step that is not there",
        sending(compensate="nowhere"),
        "/steps/0/compensate",
        "unknown-step",
        "Name a step",
    ),
    (
        "a compensation in the flow",
        flow(task("a", compensate="b", next="b"), task("b")),
        "/steps/0/compensate",
        "compensation-leaves-scope",
        "steps of its own",
    ),
    (
        "a compensation that two steps share",
        flow(task("a", compensate="c", next="b"), task("b", compensate="c"), task("c")),
        "/steps/1/compensate",
        "compensation-leaves-scope",
        "steps of its own",
    ),
    (
        "a compensation of a compensation",
        flow(task("a", compensate="b"), task("b", compensate="c"), task("c")),
        "/steps/1/compensate",
        "compensated-compensation",
        "Remove 'compensate'",
    ),
    (
        "a compensation of what follows in a compensation",
        flow(task("a", compensate="b"), task("b", next="c"), task("c", compensate="d"), task("d")),
        "/steps/2/compensate",
        "compensated-compensation",
        "Remove 'compensate'",
    ),
    (
        "a wait that is to be undone",
        flow(step("WAIT", seconds=1, compensate="b", next="b"), end()),
        "/steps/0/compensate",
        "unknown-field",
        "",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_problem_is_named_with_its_place_and_its_mend(case: Case) -> None:
    _, document, pointer, code, mend = case
    check_one_problem(document, pointer, code, mend)


def test_all_that_is_wrong_is_said_at_once() -> None:
    document = flow(
        step("MAP", items="a..b", each="c", maxConcurrency=-1, next="b"),
        task("b", **{"await": "poll", "hedge": True, "input": ["{% x", "$.."]}),
        task("c"),
    )
    assert [(one.pointer, one.code) for one in errors(document)] == [
        ("/steps/0/items", "invalid-path"),
        ("/steps/0/maxConcurrency", "out-of-range"),
        ("/steps/1/await", "contradiction"),
        ("/steps/1/hedge", "contradiction"),
        ("/steps/1/input/0", "invalid-expression"),
        ("/steps/1/input/1", "invalid-path"),
    ]


def test_the_same_expression_counts_once() -> None:
    read_workflow(sending(input=["{% 1 + '" + "x" * 20_000 + "' %}"] * 8))


def test_what_is_stored_is_read_again_whatever_its_expressions() -> None:
    source = b'{"id":"flow","startAt":"a","steps":[{"id":"a","output":"{% (a %}","type":"PASS"}]}'
    assert parse_stored(source).steps


def test_a_function_of_ones_own_may_call_back_at_every_provider() -> None:
    for provider in ("AWS", "GCP", "AZURE", "HTTP"):
        read_workflow(sending(**AWAIT, provider=provider))
    for provider in ("GCP", "AZURE", "HTTP"):
        read_workflow(sending(**{"await": "poll"}, provider=provider))
    with pytest.raises(InvalidDefinition):
        read_workflow(sending(**{"await": "poll"}, provider="AWS"))
