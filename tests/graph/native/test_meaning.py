"""What the reference says of templates, maps, choices and compensation is what the engine does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.bootstrap import trying
from api.settings import Settings
from core.engine.trial.stage import TrialView
from core.engine.trial.trials import Trials
from core.graph.reading import read_workflow
from tests.graph.building import end, flow, step, task

BOOM = {"error": "Boom", "cause": "why"}


@pytest.fixture
async def trials() -> AsyncIterator[Trials]:
    async with trying(Settings()) as running:
        yield running


async def run(trials: Trials, document: Any, input_: Any = None, **answers: Any) -> TrialView:
    mocks = {name: answer if isinstance(answer, list) else [answer] for name, answer in answers.items()}
    return await trials.run(read_workflow(document), input_ or {}, mocks)


def mapping(**members: Any) -> Any:
    return step("MAP", **{"items": "lines", "each": "w", "next": "z", **members})


async def test_a_path_in_an_output_walks_the_result_and_an_expression_the_context(trials: Trials) -> None:
    output = {"a": "$.x", "b": "{% x %}", "c": "{% $result.x + x %}", "d": "{% $context.x %}", "e": "$x"}
    view = await run(trials, flow(task("a", output=output)), {"x": 1}, a={"output": {"x": 10}})
    assert view.output == {"x": 1, "a": 10, "b": 1, "c": 11, "d": 1, "e": "$x"}


async def test_an_output_that_is_no_object_stands_under_the_id(trials: Trials) -> None:
    view = await run(trials, flow(task("a", output="{% $result.x * 2 %}")), a={"output": {"x": 21}})
    assert view.output == {"a": 42}


async def test_an_expression_knows_the_execution(trials: Trials) -> None:
    view = await run(trials, flow(step("PASS", output={"of": "{% $execution.workflowId %}"})))
    assert view.output == {"of": "flow"}


@pytest.mark.parametrize("wrong", ["$.nothing", "{% nothing %}", "{% 1 + 'a' %}"])
async def test_a_template_without_a_value_fails_the_step_where_it_can_be_caught(
    trials: Trials, wrong: str
) -> None:
    catch = [{"errors": ["Sidestep.ExpressionFailed"], "next": "b", "output": {"was": "{% $error.error %}"}}]
    view = await run(trials, flow(task("a", input={"x": wrong}, catch=catch), end()), a={"output": {}})
    assert view.output == {"was": "Sidestep.ExpressionFailed"}


async def test_a_walk_sees_its_item_and_gives_what_its_steps_added(trials: Trials) -> None:
    walk = step("PASS", output={"n": "{% item * factor + index %}", "m": "{% $item %}"}) | {"id": "w"}
    view = await run(trials, flow(mapping(), walk, end("z")), {"lines": [5, 6], "factor": 10})
    assert view.output == {"lines": [5, 6], "factor": 10, "a": [{"n": 50, "m": 5}, {"n": 61, "m": 6}]}


async def test_a_walk_with_an_input_sees_nothing_else_but_the_item(trials: Trials) -> None:
    walk = step("PASS", output={"seen": "{% $context %}", "at": "{% $index %}"}) | {"id": "w"}
    document = flow(mapping(input={"sku": "{% $item.sku %}"}, next=None), walk)
    view = await run(trials, document, {"lines": [{"sku": "x"}]})
    assert view.output == {"lines": [{"sku": "x"}], "a": [{"seen": {"sku": "x"}, "at": 0}]}


async def test_the_first_failed_item_fails_a_map_with_its_own_error(trials: Trials) -> None:
    view = await run(trials, flow(mapping(), task("w"), end("z")), {"lines": [1]}, w=BOOM)
    assert (view.status, view.error) == ("FAILED", "Boom")


async def test_a_tolerated_item_stands_in_the_list_with_its_error(trials: Trials) -> None:
    document = flow(mapping(toleratedFailures=1, maxConcurrency=1, next=None), task("w"))
    view = await run(trials, document, {"lines": [1, 2]}, w=[BOOM, {"output": {"ok": True}}])
    assert view.output == {"lines": [1, 2], "a": [BOOM, {"ok": True}]}


@pytest.mark.parametrize(
    "tolerated", [1, {"percent": 40}, {"count": 2, "percent": 40}, {"count": 1, "percent": 90}]
)
async def test_one_more_than_tolerated_fails_a_map(trials: Trials, tolerated: Any) -> None:
    document = flow(mapping(toleratedFailures=tolerated, maxConcurrency=1), task("w"), end("z"))
    view = await run(trials, document, {"lines": [1, 2, 3, 4]}, w=BOOM)
    assert (view.status, view.error) == ("FAILED", "Sidestep.TooManyItemsFailed")


async def test_results_by_reference_are_counted_and_can_be_read_elsewhere(trials: Trials) -> None:
    document = flow(mapping(results="reference", next=None), task("w"))
    view = await run(trials, document, {"lines": [1, 2]}, w={"output": {"big": "x"}})
    assert isinstance(view.output, dict)
    given = view.output["a"]
    assert {name: given[name] for name in ("items", "succeeded", "failed")} == {
        "items": 2,
        "succeeded": 2,
        "failed": 0,
    }
    assert given["results"].startswith("/executions/")


@pytest.mark.parametrize("items", ["nowhere", "name", "$.name"])
async def test_items_that_are_no_list_fail_a_map(trials: Trials, items: str) -> None:
    view = await run(trials, flow(mapping(items=items), task("w"), end("z")), {"name": "x"}, w=BOOM)
    assert view.status == "FAILED"
    assert view.error in ("Sidestep.ItemsNotAList", "Sidestep.ExpressionFailed")


async def test_a_map_that_is_tried_again_walks_all_items_again(trials: Trials) -> None:
    document = flow(mapping(maxConcurrency=1, retries=1, next=None), task("w"))
    view = await run(
        trials,
        document,
        {"lines": [1, 2]},
        w=[{"output": {"n": 1}}, BOOM, {"output": {"n": 3}}, {"output": {"n": 4}}],
    )
    assert isinstance(view.output, dict)
    assert view.output["a"] == [{"n": 3}, {"n": 4}]


async def test_a_parallel_gives_what_its_output_says(trials: Trials) -> None:
    one = step("PASS", result={"n": 1}) | {"id": "b"}
    two = step("PASS", result={"n": 2}) | {"id": "c"}
    fan = step("PARALLEL", branches=["b", "c"], output={"sum": "{% $sum($result.n) %}"})
    view = await run(trials, flow(fan, one, two))
    assert view.output == {"sum": 3}


@pytest.mark.parametrize(("x", "way"), [(1, "one"), (7, "many"), (0, "none"), ("a", "text")])
async def test_comparisons_and_expressions_are_asked_in_order(trials: Trials, x: Any, way: str) -> None:
    choices = [
        {"variable": "x", "operator": "eq", "value": 1, "next": "one"},
        {"condition": "{% $type(x) = 'string' %}", "next": "text"},
        {"condition": "{% x > 0 %}", "next": "many"},
    ]
    ends = [step("PASS") | {"id": name} for name in ("one", "text", "many", "none")]
    view = await run(trials, flow(step("CHOICE", choices=choices, default="none"), *ends), {"x": x})
    assert view.steps_entered == ["a", way]


async def test_a_condition_that_is_neither_true_nor_false_fails_the_step(trials: Trials) -> None:
    document = flow(step("CHOICE", choices=[{"condition": "{% 1 %}", "next": "b"}], default="b"), end())
    view = await run(trials, document)
    assert (view.status, view.error) == ("FAILED", "Sidestep.ExpressionFailed")


async def test_what_undoes_sees_what_was_done_and_why_it_is_undone(trials: Trials) -> None:
    document = flow(
        task("a", compensate="u", next="f"),
        step("FAIL", error="Sold", cause="out") | {"id": "f"},
        step("PASS", output={"undone": "{% compensating %}", "had": "{% order %}"}) | {"id": "u"},
    )
    view = await run(trials, document, {"order": 7}, a={"output": {"booking": 1}})
    assert (view.status, view.error) == ("FAILED", "Sold")
    (undone,) = [one for one in view.history if one.type == "STEP_COMPLETED" and one.step_id == "u"]
    assert undone.details["output"] == {
        "undone": {"step": "a", "visit": "a", "output": {"booking": 1}, "error": "Sold", "cause": "out"},
        "had": 7,
    }


async def test_every_walk_of_a_map_is_undone_for_itself(trials: Trials) -> None:
    undo = step("PASS", output={"undid": "$.compensating.output.n"}) | {"id": "u"}
    document = flow(
        mapping(maxConcurrency=1, next="f"),
        task("w", compensate="u"),
        undo,
        step("FAIL", error="Sold") | {"id": "f"},
    )
    view = await run(trials, document, {"lines": [1, 2]}, w=[{"output": {"n": 1}}, {"output": {"n": 2}}])
    undone = [
        one.details["output"]["undid"]
        for one in view.history
        if one.type == "STEP_COMPLETED" and one.step_id == "u"
    ]
    assert undone == [2, 1]


async def test_what_cannot_be_undone_is_left_to_a_person(trials: Trials) -> None:
    document = flow(task("a", compensate="u", next="f"), task("u"), step("FAIL", error="Sold") | {"id": "f"})
    view = await run(trials, document, a={"output": {}}, u=BOOM)
    assert view.status == "PARKED"


async def test_a_retry_budget_bounds_all_retries_of_a_step(trials: Trials) -> None:
    document = flow(task("a", retries={"maxAttempts": 9, "intervalSeconds": 0}, retryBudget=2))
    view = await run(trials, document, a=BOOM)
    assert sum(event.type == "ATTEMPT_STARTED" for event in view.history) == 3


async def test_the_workflows_retry_budget_bounds_the_retries_of_all_steps(trials: Trials) -> None:
    walk = task("w", retries={"maxAttempts": 9, "intervalSeconds": 0}, catch=[{"next": "e"}])
    document = flow(mapping(maxConcurrency=1, next=None), walk, end("e"), retryBudget=3)
    view = await run(trials, document, {"lines": [1, 2]}, w=BOOM)
    assert view.status == "COMPLETED"
    assert sum(event.type == "ATTEMPT_STARTED" for event in view.history) == 5
