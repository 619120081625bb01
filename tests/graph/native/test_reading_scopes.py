"""MAP, WORKFLOW, PARALLEL: what is read of a step that starts others."""

from typing import Any

import pytest

from core.data.flow import Flow, Template
from core.graph.model import Catcher, MapStep, ParallelStep, PassStep, RetryPolicy, WorkflowStep
from core.graph.reading import check, parse_stored, read_workflow
from tests.graph.building import end, flow, step, task

COUNTED = RetryPolicy(max_attempts=2, interval_seconds=0.05, max_delay_seconds=1.0)


def read(document: Any) -> Any:
    """The first step of `document`; what was stored of it is read back the same."""
    workflow = read_workflow(document)
    assert parse_stored(workflow.source) == workflow
    return workflow.steps[workflow.start_at]


def mapping(**members: Any) -> Any:
    return flow(step("MAP", **{"items": "order.lines", "each": "b", **members}), task("b"), end("c"))


def test_the_shortest_map_walks_all_items_at_a_path_and_tolerates_no_failure() -> None:
    document = flow(step("MAP", items="order.lines", each="b"), task("b"))
    assert read(document) == MapStep(id="a", first="b", items="order.lines")


def test_every_field_of_a_map_is_read() -> None:
    document = mapping(
        maxConcurrency=10,
        toleratedFailures={"count": 3, "percent": 10},
        results="reference",
        input={"line": "{% $item %}", "at": "$.index"},
        output={"counts": "{% $result %}"},
        retries=2,
        catch=[{"next": "c"}],
        compensate="d",
        next="c",
    )
    document["steps"].append(task("d"))
    assert read(document) == MapStep(
        id="a",
        first="b",
        items="order.lines",
        max_concurrency=10,
        tolerated_count=3,
        tolerated_percent=10.0,
        results="reference",
        flow=Flow(
            language="native",
            output=Template({"counts": "{% $result %}"}),
            item=Template({"line": "{% $item %}", "at": "$.index"}),
        ),
        retries=(COUNTED,),
        catch=(Catcher(errors=("*",), next="c"),),
        compensate="d",
        next="c",
    )


@pytest.mark.parametrize(
    "items", ["{% order.lines[price > 1] %}", "$.order.lines", [1, "$.a", "{% b %}"], []]
)
def test_items_may_be_a_template(items: Any) -> None:
    read_step = read(mapping(items=items, next="c"))
    assert (read_step.items, read_step.flow) == (
        None,
        Flow(language="native", fields={"Items": Template(items)}),
    )


@pytest.mark.parametrize(
    ("tolerated", "count", "percent"),
    [
        (0, 0, 0.0),
        (None, 0, 0.0),
        (3, 3, 0.0),
        ({"count": 3}, 3, 0.0),
        ({"percent": 0.5}, 0, 0.5),
        ({"count": 0, "percent": 0}, 0, 0.0),
    ],
)
def test_tolerated_failures_are_a_count_a_percentage_or_both(
    tolerated: Any, count: int, percent: float
) -> None:
    read_step = read(mapping(toleratedFailures=tolerated, next="c"))
    assert (read_step.tolerated_count, read_step.tolerated_percent) == (count, percent)


def test_every_field_of_a_workflow_step_is_read() -> None:
    document = flow(
        step(
            "WORKFLOW",
            workflowId="child",
            version=2,
            input={"order": "$.order"},
            output="{% $result.total %}",
            timeoutSeconds=1.5,
            retries=2,
            catch=[{"errors": ["Boom"], "next": "b"}],
            compensate="c",
            next="b",
        ),
        end(),
        task("c"),
    )
    assert read(document) == WorkflowStep(
        id="a",
        workflow_id="child",
        version=2,
        timeout_ms=1_500,
        flow=Flow(
            language="native",
            arguments=Template({"order": "$.order"}),
            output=Template("{% $result.total %}"),
        ),
        retries=(COUNTED,),
        catch=(Catcher(errors=("Boom",), next="b"),),
        compensate="c",
        next="b",
    )


def test_the_shortest_workflow_step_runs_the_newest_version_without_a_bound() -> None:
    assert read(flow(step("WORKFLOW", workflowId="child"))) == WorkflowStep(id="a", workflow_id="child")


def test_a_workflow_that_runs_itself_gets_a_hint_and_is_accepted() -> None:
    document = flow(step("WORKFLOW", workflowId="flow"))
    assert read_workflow(document).steps
    assert [(one.pointer, one.code) for one in check(document)] == [("/steps/0/workflowId", "calls-itself")]


def test_a_parallel_may_be_tried_again_undone_and_give_something_else() -> None:
    document = flow(
        step("PARALLEL", branches=["b"], retries=2, compensate="c", output={"all": "{% $result %}"}),
        task("b"),
        task("c"),
    )
    assert read(document) == ParallelStep(
        id="a",
        branches=("b",),
        retries=(COUNTED,),
        compensate="c",
        flow=Flow(language="native", output=Template({"all": "{% $result %}"})),
    )


def test_a_pass_may_give_what_a_template_says() -> None:
    output = {"total": "{% $sum(order.lines.price) %}", "who": "$.customer.name", "note": "as it is"}
    assert read(flow(step("PASS", output=output))) == PassStep(
        id="a", flow=Flow(language="native", output=Template(output))
    )


def test_expressions_in_the_result_of_a_pass_are_text() -> None:
    assert read(flow(step("PASS", result={"a": "{% b %}"}))) == PassStep(id="a", result={"a": "{% b %}"})


def test_the_workflow_bounds_the_retries_of_all_its_steps() -> None:
    assert read_workflow(flow(task("a"), retryBudget=7)).retry_budget == 7
    assert read_workflow(flow(task("a"))).retry_budget is None


def test_a_compensation_may_go_on_along_steps_of_its_own() -> None:
    document = flow(task("a", compensate="b"), task("b", next="c"), task("c"))
    assert set(read_workflow(document).steps) == {"a", "b", "c"}
