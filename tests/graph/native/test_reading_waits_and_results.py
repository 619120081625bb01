"""Signals, callbacks, polls, templates of a TASK, and expressions in a CHOICE."""

from typing import Any

import pytest

from core.data.conditions import holds
from core.data.flow import Flow, Rule, Template
from core.data.rules import condition_of
from core.graph.model import Catcher, ChoiceStep, WaitStep
from core.graph.reading import parse_stored, read_workflow
from tests.graph.building import choice, end, flow, rule, step, task

DAY = 86_400_000


def read(document: Any) -> Any:
    """The first step of `document`; what was stored of it is read back the same."""
    workflow = read_workflow(document)
    assert parse_stored(workflow.source) == workflow
    return workflow.steps[workflow.start_at]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"signal": "approved"}, WaitStep(id="a", signal="approved")),
        ({"callback": True}, WaitStep(id="a", callback=True)),
        ({"callback": True, "timeoutSeconds": 0.5}, WaitStep(id="a", callback=True, timeout_ms=500)),
        ({"seconds": 1, "callback": False}, WaitStep(id="a", seconds=1.0)),
        (
            {"signal": "s", "output": {"by": "$.name"}},
            WaitStep(id="a", signal="s", flow=Flow(language="native", output=Template({"by": "$.name"}))),
        ),
    ],
)
def test_a_wait_ends_by_a_signal_or_a_callback_as_well(members: Any, expected: WaitStep) -> None:
    assert read(flow(step("WAIT", **members))) == expected


def test_a_wait_may_catch_that_nothing_came() -> None:
    document = flow(
        step(
            "WAIT",
            signal="s",
            timeoutSeconds=60,
            catch=[{"errors": ["Sidestep.Timeout"], "next": "b"}],
            next="b",
        ),
        end(),
    )
    assert read(document).catch == (Catcher(errors=("Sidestep.Timeout",), next="b"),)


@pytest.mark.parametrize(
    ("members", "awaits", "timeout", "deadline"),
    [
        ({"await": "callback"}, "callback", DAY, DAY + 1_000),
        ({"await": "poll", "provider": "GCP"}, "poll", DAY, DAY + 1_000),
        ({"await": "callback", "timeout": 7 * DAY}, "callback", 7 * DAY, 7 * DAY + 1_000),
        ({"await": "callback", "deadline": 60_000}, "callback", 60_000, 60_000),
        ({"await": None}, "answer", 30_000, 31_000),
        ({"await": "callback", "fallbackProvider": "HTTP"}, "callback", DAY, 2 * DAY + 1_000),
    ],
)
def test_a_task_whose_result_comes_later_has_a_day_for_it(
    members: Any, awaits: str, timeout: int, deadline: int
) -> None:
    read_step = read(flow(task("a", **members)))
    assert (read_step.awaits, read_step.timeout_ms, read_step.deadline_ms) == (awaits, timeout, deadline)


def test_heartbeats_are_seconds_between_signs_of_life() -> None:
    assert read(flow(task("a", **{"await": "callback", "heartbeatSeconds": 2.5}))).heartbeat_ms == 2_500


def test_a_task_says_what_it_sends_and_what_it_keeps() -> None:
    document = flow(task("a", input={"id": "$.order.id"}, output={"paid": "{% $result.ok %}"}, retryBudget=4))
    read_step = read(document)
    assert read_step.retry_budget == 4
    assert read_step.flow == Flow(
        language="native",
        arguments=Template({"id": "$.order.id"}),
        output=Template({"paid": "{% $result.ok %}"}),
    )


@pytest.mark.parametrize("value", ["plain", "$", "$x", "a {% b %}", "%}", 1, True, {}, [[None]]])
def test_what_is_no_expression_is_itself(value: Any) -> None:
    assert read(flow(task("a", input=value))).flow.arguments == Template(value)


def test_a_catcher_may_say_what_becomes_of_the_error() -> None:
    document = flow(task("a", catch=[{"next": "b", "output": {"why": "{% $error.cause %}"}}]), end())
    (catcher,) = read(document).catch
    assert catcher.flow == Flow(language="native", output=Template({"why": "{% $error.cause %}"}))


def test_expressions_and_comparisons_of_a_choice_keep_their_order() -> None:
    comparison = {"variable": "x", "operator": "eq", "value": 1}
    document = choice({**comparison, "next": "b"}, {"condition": "{% x > 1 %}", "next": "b"})
    assert read(document) == ChoiceStep(
        id="a",
        default="b",
        rules=(Rule(test=Template(comparison), next="b"), Rule(test=Template("{% x > 1 %}"), next="b")),
        flow=Flow(language="native"),
    )


def test_a_choice_of_comparisons_alone_stays_as_it_was() -> None:
    read_step = read(choice(rule()))
    assert (read_step.rules, read_step.flow, len(read_step.choices)) == ((), None, 1)


@pytest.mark.parametrize(
    "condition",
    [
        {"variable": "x", "operator": "eq", "value": None},
        {"variable": "x.0", "operator": "exists"},
        {"variable": "x", "operator": "exists", "value": False},
        {"not": {"variable": "a\\.b", "operator": "in", "value": [1]}},
        {
            "and": [
                {"variable": "x", "operator": "gt", "value": 1},
                {"or": [{"variable": "x", "operator": "matches", "value": "^a"}]},
            ]
        },
    ],
)
def test_a_comparison_beside_an_expression_means_what_it_means_alone(condition: Any) -> None:
    alone = choice({**condition, "next": "b"})
    beside = choice({**condition, "next": "b"}, {"condition": "{% true %}", "next": "b"})
    meant = read(alone).choices[0].condition
    found = condition_of(read(beside).rules[0].test.source)
    assert found == meant
    assert holds(found, {"x": [1]}) == holds(meant, {"x": [1]})
