from typing import Any

import pytest
from msgspec import UNSET

from core.data.evaluating import Unbounded, answer
from core.data.flow import Answer, Flow, Frame, Json, Kind, Request, Rule, Template


def ask(kind: Kind, flow: Flow, *, data: Json = None, bounded: bool = False, **more: Json) -> Answer:
    rules = more.pop("rules", ())
    otherwise = more.pop("otherwise", None)
    limit = more.pop("limit", 262_144)
    frame = Frame(data=data, **{"variables": {"v": [1, 2]}, "entropy": 3, "now_ms": 0, **more})
    request = Request(kind=kind, flow=flow, frame=frame, rules=rules, otherwise=otherwise, limit=limit)
    return answer(request, bounded=bounded)


def templates(says: dict[str, Json]) -> dict[str, Any]:
    return {name: Template(source) for name, source in says.items()}


def jsonata(**says: Json) -> Flow:
    return Flow(language="jsonata", **templates(says))


def native(**says: Json) -> Flow:
    return Flow(language="native", **templates(says))


def test_strings_between_marks_are_evaluated_wherever_they_stand() -> None:
    flow = jsonata(arguments={"a": "{% $states.input.x + 1 %}", "b": [1, "{%$sum($v)%}", "$states.input.x"]})
    found = ask("enter", flow, data={"x": 1})
    assert found == Answer(value={"a": 2, "b": [1, 3, "$states.input.x"]})


def test_states_holds_what_there_is() -> None:
    flow = jsonata(output="{% [$states.input, $states.result, $states.context.State.Name] %}")
    found = ask("leave", flow, data=1, result=2, context={"State": {"Name": "S"}})
    assert found.value == [1, 2, "S"]
    error = {"Error": "E", "Cause": "C"}
    caught = ask("caught", jsonata(output={"e": "{% $states.errorOutput.Error %}"}), data=1, error=error)
    assert caught.value == {"e": "E"}


def test_without_an_output_the_result_goes_on_or_the_error_or_the_input() -> None:
    assert ask("leave", jsonata(), data=1, result=2).value == 2
    assert ask("leave", jsonata(), data=1).value is UNSET
    error = {"Error": "E", "Cause": "C"}
    assert ask("caught", jsonata(), data=1, error=error).value == error


def test_assignments_are_evaluated_from_what_was_before() -> None:
    flow = jsonata(assign={"v": "{% $states.result %}", "w": "{% $v %}"})
    assert ask("leave", flow, data=1, result=9).assigned == {"v": 9, "w": [1, 2]}


@pytest.mark.parametrize(
    ("output", "field", "why"),
    [
        ("{% $nothing %}", "'Output'", "returned nothing (undefined)"),
        ({"a": ["{% $states.input.no %}"]}, "'Output/a[0]'", "returned nothing (undefined)"),
        ({"a": "{% 1 + 'x' %}"}, "'Output/a'", "threw an error"),
        ({"a": "{% ( %}"}, "'Output/a'", "threw an error"),
    ],
)
def test_an_expression_without_a_value_fails_and_is_named_with_its_field(
    output: Json, field: str, why: str
) -> None:
    found = ask("leave", jsonata(output=output), data={})
    assert found.error == "States.QueryEvaluationError"
    assert field in found.cause
    assert why in found.cause


def test_only_walks_and_literals_are_evaluated_in_this_process() -> None:
    plain = jsonata(output=["{% $states.input.a.b %}", "{% 1 %}", "{% 'x' %}", "{% $v %}"])
    found = ask("leave", plain, data={"a": {"b": 5}}, bounded=True)
    assert found.value == [5, 1, "x", [1, 2]]
    with pytest.raises(Unbounded):
        ask("leave", jsonata(output=["{% 1 + 1 %}"]), bounded=True)


def test_time_and_chance_come_from_the_frame_and_differ_from_place_to_place() -> None:
    flow = jsonata(output=["{% $random() %}", "{% $random() %}", "{% $uuid() %}", "{% $millis() %}"])
    one = ask("leave", flow, now_ms=1_500).value
    assert one == ask("leave", flow, now_ms=1_500).value
    assert one[0] != one[1]
    assert one[3] == 1_500


def test_the_first_condition_that_is_true_decides() -> None:
    rules = (
        Rule(test=Template("{% $states.input > 10 %}"), next="big", output=Template("much")),
        Rule(
            test=Template("{% $states.input > 5 %}"),
            next="some",
            assign=Template({"n": "{% $states.input %}"}),
        ),
    )
    flow = jsonata(output="little", assign={"n": 0})
    assert ask("choose", flow, data=11, rules=rules, otherwise="o") == Answer(value="much", next="big")
    assert ask("choose", flow, data=6, rules=rules, otherwise="o") == Answer(next="some", assigned={"n": 6})
    found = ask("choose", flow, data=1, rules=rules, otherwise="o")
    assert found == Answer(value="little", next="o", assigned={"n": 0})
    assert ask("choose", flow, data=1, rules=rules) == Answer()
    failing = (Rule(test=Template("{% true %}"), next="a", output=Template({"v": "{% $none %}"})),)
    assert "'Choices[0]/Output/v'" in ask("choose", flow, rules=failing).cause


def test_a_condition_is_true_or_false() -> None:
    rules = (Rule(test=Template("{% 1 %}"), next="a"),)
    found = ask("choose", jsonata(), rules=rules)
    assert found.error == "States.QueryEvaluationError"
    assert "'Choices[0]/Condition'" in found.cause
    assert "Expected 'boolean', but was 'number' for value: 1" in found.cause


def test_items_are_selected_by_expressions() -> None:
    context = {"Map": {"Item": {"Index": 1, "Value": "x"}}}
    flow = jsonata(item={"i": "{% $states.context.Map.Item.Value %}", "all": "{% $states.input %}"})
    assert ask("item", flow, data=[1], context=context).value == {"i": "x", "all": [1]}
    assert ask("item", jsonata(), context=context).value == "x"


def test_native_strings_are_paths_expressions_or_themselves() -> None:
    flow = native(
        arguments={"p": "$.order.items.0", "e": "{% order.total * 2 %}", "s": "order.total", "$": "$"}
    )
    data = {"order": {"items": ["a"], "total": 4}}
    assert ask("enter", flow, data=data).value == {"p": "a", "e": 8, "s": "order.total", "$": data}


def test_in_a_native_output_paths_are_into_the_result() -> None:
    flow = native(output={"p": "$.n", "r": "{% $result.n + n %}", "c": "{% $context.n %}"})
    assert ask("leave", flow, data={"n": 1}, result={"n": 2}).value == {"p": 2, "r": 3, "c": 1}
    assert ask("leave", native(), data={}, result=5).value == 5


def test_native_expressions_see_the_execution_the_item_and_the_error() -> None:
    flow = native(output="{% [$execution.id, $item.x, $index, $error.error, $error.cause] %}")
    context = {"execution": {"id": "e1"}, "item": {"x": 1}, "index": 2}
    found = ask("caught", flow, data={}, context=context, error={"Error": "E", "Cause": "C"})
    assert found.value == ["e1", 1, 2, "E", "C"]


@pytest.mark.parametrize("source", ["$.no", "$.a..b", "{% no %}", "{% 1 + 'x' %}"])
def test_native_failures_bear_their_own_name(source: str) -> None:
    found = ask("enter", native(arguments={"x": source}), data={})
    assert found.error == "Sidestep.ExpressionFailed"
    assert source.strip("{% }") in found.cause


def test_native_rules_are_conditions_or_expressions() -> None:
    rules = (
        Rule(test=Template({"variable": "a.b", "operator": "gt", "value": 1}), next="condition"),
        Rule(test=Template("{% a.b = 1 %}"), next="expression"),
    )
    flow = native()
    nexts = [
        ask("choose", flow, data={"a": {"b": n}}, rules=rules, otherwise="other").next for n in (2, 1, 0)
    ]
    assert nexts == ["condition", "expression", "other"]


def test_large_values_fail_under_the_name_of_the_language() -> None:
    for flow, name in (
        (jsonata(output=["{% $states.input %}"] * 3), "States.DataLimitExceeded"),
        (native(output=["$"] * 3), "Sidestep.DataLimitExceeded"),
    ):
        assert ask("leave", flow, data="x" * 400, limit=1_000).error == name
    huge = ask("leave", jsonata(output="{% $join([1..400000].'abc') %}"))
    assert huge.error == "States.QueryEvaluationError"
