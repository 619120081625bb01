import pytest
from msgspec import UNSET

from core.data.evaluating import answer
from core.data.flow import Answer, Flow, Frame, Json, Request, Template
from core.data.path_flows import put


def entered(data: Json, *, limit: int = 262_144, **says: Json) -> Answer:
    frame = Frame(data=data, variables={"v": {"w": 7}}, context={"State": {"Name": "S"}})
    return answer(Request(kind="enter", flow=Flow(language="jsonpath", **says), frame=frame, limit=limit))


def left(
    data: Json, *, result: Json = UNSET, payload: Json = UNSET, limit: int = 262_144, **says: Json
) -> Answer:
    frame = Frame(data=data, variables={"v": 7}, result=result)
    flow = Flow(language="jsonpath", **says)
    return answer(Request(kind="leave", flow=flow, frame=frame, payload=payload, limit=limit))


def test_a_step_that_says_nothing_passes_its_input_on_unchanged() -> None:
    assert entered({"a": 1}) == Answer()
    assert left({"a": 1}) == Answer()


def test_the_input_path_selects_and_null_selects_nothing() -> None:
    assert entered({"a": {"b": 1}}, input_path="$.a").value == {"b": 1}
    assert entered({"a": 1}, input_path=None).value == {}
    assert entered({}, input_path="$v.w").value == 7
    assert entered({}, input_path="$$.State.Name").value == "S"


def test_parameters_take_members_that_end_in_a_dollar_for_expressions_at_any_depth() -> None:
    template = Template(
        {
            "path.$": "$.n",
            "context.$": "$$.State.Name",
            "variable.$": "$v.w",
            "call.$": "States.MathAdd($.n, 1)",
            "literal": "$.n",
            "deep": [{"list.$": "$.all[*].x"}, "$.n", None],
        }
    )
    found = entered({"in": {"n": 1, "all": [{"x": 1}, {"x": 2}]}}, input_path="$.in", arguments=template)
    assert found.value == {
        "path": 1,
        "context": "S",
        "variable": 7,
        "call": 2,
        "literal": "$.n",
        "deep": [{"list": [1, 2]}, "$.n", None],
    }


def test_an_index_past_the_end_of_a_list_is_null_in_a_template_only() -> None:
    data = {"items": [1, 2], "none": None}
    template = {"past.$": "$.items[2]", "before.$": "$.items[-3]", "there.$": "$.items[1]"}
    assert entered(data, arguments=Template(template)).value == {"past": None, "before": None, "there": 2}
    for path in ("$.items[2].x", "$.none[0]", "$.other[0]", "$.items[0][0]", "States.Array($.items[2])"):
        assert entered(data, arguments=Template({"x.$": path})).error == "States.Runtime", path
    assert entered(data, input_path="$.items[2]").error == "States.Runtime"


def test_a_result_goes_through_selector_result_path_and_output_path() -> None:
    found = left(
        {"keep": 1},
        result={"Payload": {"x": 2}, "Meta": 3},
        result_selector=Template({"x.$": "$.Payload.x", "v.$": "$v"}),
        result_path="$.made.here",
        assign=Template({"seen.$": "$.x"}),
    )
    assert found.value == {"keep": 1, "made": {"here": {"x": 2, "v": 7}}}
    assert found.assigned == {"seen": 2}
    assert left({"keep": 1}, result=5, result_path="$.r", output_path="$.r").value == 5


def test_a_pass_gives_its_result_as_it_is_or_its_effective_input() -> None:
    literal = {"x.$": "$.not.evaluated"}
    assert left({"a": 1}, result=UNSET, payload={"p": 1}).value == {"p": 1}
    frame = Frame(data={"a": 1})
    flow = Flow(language="jsonpath", result=Template(literal), result_path="$.r")
    found = answer(Request(kind="leave", flow=flow, frame=frame, payload={"p": 1}))
    assert found.value == {"a": 1, "r": literal}


def test_null_paths_discard() -> None:
    assert left({"a": 1}, result={"b": 2}, result_path=None) == Answer()
    assert left({"a": 1}, result={"b": 2}, output_path=None).value == {}


def test_assignments_see_the_variables_as_they_were() -> None:
    found = left({}, result=1, assign=Template({"v": 8, "old.$": "$v"}), output_path="$v")
    assert found == Answer(value=7, assigned={"v": 8, "old": 7})


def test_a_caught_error_goes_where_the_catcher_says() -> None:
    error = {"Error": "Boom", "Cause": "it broke"}

    def caught(**says: Json) -> Answer:
        flow = Flow(language="jsonpath", **says)
        return answer(Request(kind="caught", flow=flow, frame=Frame(data={"a": 1}, error=error)))

    assert caught().value == error
    assert caught(result_path="$.e").value == {"a": 1, "e": error}
    assert caught(result_path=None, assign=Template({"e.$": "$.Error"})) == Answer(assigned={"e": "Boom"})


def test_an_item_is_made_from_the_maps_input_and_the_context() -> None:
    flow = Flow(
        language="jsonpath",
        input_path="$.in",
        item=Template({"all.$": "$.n", "one.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index"}),
    )
    frame = Frame(data={"in": {"n": 3}}, context={"Map": {"Item": {"Index": 4, "Value": "x"}}})
    assert answer(Request(kind="item", flow=flow, frame=frame)).value == {"all": 3, "one": "x", "at": 4}
    assert answer(Request(kind="item", flow=Flow(language="jsonpath"), frame=frame)).value == "x"


@pytest.mark.parametrize(
    ("says", "path"),
    [
        ({"input_path": "$.no"}, "$.no"),
        ({"arguments": Template({"x.$": "$.no.way"})}, "$.no.way"),
        ({"arguments": Template({"x.$": "$none"})}, "$none"),
        ({"arguments": Template({"x.$": "$$.no"})}, "$$.no"),
        ({"arguments": Template({"x.$": "no path"})}, "no path"),
        ({"arguments": Template({"x.$": 1})}, "x.$"),
        ({"arguments": Template({"x.$": "States.Nothing()"})}, "States.Nothing"),
        ({"fields": {"ItemsPath": Template("$.no")}}, "$.no"),
    ],
)
def test_a_path_that_leads_nowhere_fails_the_step_and_is_named(says: dict[str, Json], path: str) -> None:
    found = entered({"a": 1}, **says)
    assert found.error == "States.Runtime"
    assert path in found.cause


def test_missing_data_is_shown_in_the_cause_but_not_all_of_a_lot() -> None:
    found = entered({"a": "x" * 100_000}, arguments=Template({"value.$": "$.b"}))
    assert found.cause.startswith(
        "The JSONPath '$.b' specified for the field 'value.$' could not be found in the input"
    )
    assert len(found.cause) < 2_000


@pytest.mark.parametrize(
    ("data", "path", "result"),
    [
        ({}, "$.a", {"a": 9}),
        ({}, "$.a.b.c", {"a": {"b": {"c": 9}}}),
        ({"a": {"x": 1}}, "$.a.b", {"a": {"x": 1, "b": 9}}),
        ({"a": 1}, "$.a", {"a": 9}),
        ({"a": [1, 2]}, "$.a[1]", {"a": [1, 9]}),
        ([{"a": 1}], "$[0].b", [{"a": 1, "b": 9}]),
        ({"a": 1}, "$['b c']", {"a": 1, "b c": 9}),
        (5, "$", 9),
    ],
)
def test_results_are_put_at_reference_paths_without_changing_what_was_there(
    data: Json, path: str, result: Json
) -> None:
    before = repr(data)
    assert put(data, path, 9) == result
    assert repr(data) == before


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (5, "$.a"),
        ({"a": 1}, "$.a.b"),
        ({"a": None}, "$.a.b"),
        ({"a": []}, "$.a[0]"),
        ([], "$.a"),
        ({}, "$[0]"),
    ],
)
def test_a_result_path_that_cannot_go_through_fails_with_its_own_error(data: Json, path: str) -> None:
    assert left(data, result=9, result_path=path).error == "States.ResultPathMatchFailure"


def test_values_over_the_limit_fail_the_step() -> None:
    data = {"big": "x" * 600}
    assert entered(data, arguments=Template({"a.$": "$.big"}), limit=700).value == {"a": "x" * 600}
    twice = Template({"a.$": "$.big", "b.$": "$.big"})
    for found in (
        entered(data, arguments=twice, limit=700),
        left({}, result=data, result_path=None, assign=twice, limit=700),
        left({}, result={"big": "x" * 800}, limit=700),
        left(data, result="y" * 600, result_path="$.more", limit=700),
    ):
        assert found.error == "States.DataLimitExceeded"
        assert "700" in found.cause


def test_bytes_are_counted_not_characters() -> None:
    found = entered({"big": "é" * 400}, arguments=Template({"a.$": "$.big"}), limit=700)
    assert found.error == "States.DataLimitExceeded"


def test_data_that_grows_too_deep_fails_the_step() -> None:
    data: Json = {}
    found = Answer()
    for _ in range(200):
        found = left({"d": data}, result={"x": data}, result_path="$.e")
        if found.error:
            break
        data = found.value
    assert found.error == "States.DataLimitExceeded"
