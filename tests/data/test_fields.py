import pytest

from core.data.evaluating import answer
from core.data.flow import Answer, Flow, Frame, Json, Request, Template
from core.data.timestamps import milliseconds, nanoseconds


def by_path(name: str, value: Json) -> Answer:
    flow = Flow(language="jsonpath", fields={name: Template("$.value")})
    return answer(Request(kind="enter", flow=flow, frame=Frame(data={"value": value})))


def by_expression(name: str, value: Json) -> Answer:
    flow = Flow(language="jsonata", fields={name: Template("{% $states.input %}")})
    return answer(Request(kind="enter", flow=flow, frame=Frame(data=value)))


GOOD = [
    ("Seconds", 0, 0),
    ("Seconds", 5.0, 5),
    ("TimeoutSeconds", 1, 1),
    ("HeartbeatSeconds", 99_999_999, 99_999_999),
    ("MaxConcurrency", 0, 0),
    ("ToleratedFailureCount", 3, 3),
    ("ToleratedFailurePercentage", 100, 100),
    ("ToleratedFailurePercentage", 1.5, 1.5),
    ("MaxItemsPerBatch", 10, 10),
    ("Items", [], []),
    ("Error", "E", "E"),
    ("Cause", "", ""),
    ("Timestamp", "1970-01-01T00:00:01Z", 1_000),
]

BAD = [
    ("Seconds", -1),
    ("Seconds", 1.5),
    ("Seconds", "1"),
    ("Seconds", None),
    ("Seconds", True),
    ("Seconds", 100_000_000),
    ("TimeoutSeconds", 0),
    ("TimeoutSeconds", "5"),
    ("HeartbeatSeconds", 0.5),
    ("MaxConcurrency", -1),
    ("MaxConcurrency", {}),
    ("ToleratedFailureCount", 1e300),
    ("ToleratedFailurePercentage", -0.1),
    ("ToleratedFailurePercentage", 100.1),
    ("ToleratedFailurePercentage", "NoNumber"),
    ("ToleratedFailurePercentage", False),
    ("Items", {}),
    ("Items", "list"),
    ("Error", 1),
    ("Cause", ["a"]),
    ("Timestamp", "2016-12-05 21:29:29Z"),
    ("Timestamp", "2016-12-05T21:29:29"),
    ("Timestamp", 1_480_973_369),
]


@pytest.mark.parametrize(("name", "value", "result"), GOOD)
def test_fields_that_are_what_they_must_be_are_given(name: str, value: Json, result: Json) -> None:
    for found in (by_path(f"{name}Path", value), by_expression(name, value)):
        assert found.fields == {name: result}
        assert type(found.fields[name]) is type(result)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_fields_that_are_not_fail_the_step_and_are_named(name: str, value: Json) -> None:
    for found, error in (
        (by_path(f"{name}Path", value), "States.Runtime"),
        (by_expression(name, value), "States.QueryEvaluationError"),
    ):
        assert found.error == error
        assert name in found.cause or "must point to array" in found.cause


def test_causes_read_as_those_of_aws() -> None:
    time = "cannot be parsed as an ISO-8601 extended offset date-time format string"
    assert [
        by_path("SecondsPath", -1).cause,
        by_path("SecondsPath", 1.5).cause,
        by_path("TimestampPath", "soon").cause,
        by_path("ToleratedFailureCountPath", {}).cause,
        by_expression("Timestamp", "soon").cause,
    ] == [
        "The SecondsPath parameter references a negative value: $.value == -1",
        "The SecondsPath parameter cannot be parsed as a long value: $.value == 1.5",
        f"The TimestampPath parameter {time}: $.value == soon",
        'The ToleratedFailureCountPath field refers to value "{}" which is not a valid integer: $.value',
        f"The Timestamp field {time}: soon",
    ]
    assert by_expression("Items", {"a": 1}).cause == (
        "The JSONata expression '$states.input' specified for the field 'Items' returned an unexpected "
        "result type. Expected 'array', but was 'object' for value: {\"a\":1}"
    )


def test_a_field_that_names_nothing_fails_the_step() -> None:
    flow = Flow(language="jsonpath", fields={"SecondsPath": Template("$.none")})
    found = answer(Request(kind="enter", flow=flow, frame=Frame(data={})))
    assert found.error == "States.Runtime"
    assert found.cause == "The SecondsPath parameter does not reference an input value: $.none"


def test_fields_by_path_see_the_selected_input_the_variables_and_functions() -> None:
    fields = {
        "ItemsPath": Template("$v"),
        "ErrorPath": Template("States.Format('{}!', $.e)"),
        "BatchInput": Template({"e.$": "$.e"}),
    }
    flow = Flow(language="jsonpath", input_path="$.in", arguments=Template({}), fields=fields)
    frame = Frame(data={"in": {"e": "E"}}, variables={"v": [1]})
    found = answer(Request(kind="enter", flow=flow, frame=frame))
    assert found.fields == {"Items": [1], "Error": "E!", "BatchInput": {"e": "E"}}


def test_literals_pass_as_they_are() -> None:
    flow = Flow(language="jsonata", fields={"Items": Template([1, "{% 2 %}"]), "MaxConcurrency": Template(3)})
    found = answer(Request(kind="enter", flow=flow, frame=Frame(data=None)))
    assert found.fields == {"Items": [1, 2], "MaxConcurrency": 3}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:30:00.5-00:30", 500),
        ("2016-03-05T21:29:29.243167252Z", 1_457_213_369_244),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_timestamps_are_read_to_the_millisecond_and_never_early(text: str, at: int) -> None:
    assert milliseconds(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2016-12-05",
        "2016-12-05 21:29:29Z",
        "2016-12-05T21:29:29",
        "2016-13-05T21:29:29Z",
        "2023-02-29T00:00:00Z",
        "2016-12-05T25:29:29Z",
        "2016-12-05T21:60:29Z",
        "2016-12-05T21:29:60Z",
        "05-12-2016T21:29:29Z",
        "2016-12-05T21:29:29+19:00",
        "2016-12-05T21:29:29+0100",
        "2016-12-05T21:29:29.1234567890Z",
        "0000-01-01T00:00:00Z",
        "٢٠١٦-12-05T21:29:29Z",
        "2016-12-05T21:29:29Z\n",
    ],
)
def test_other_text_is_no_timestamp(text: str) -> None:
    assert nanoseconds(text) is None
    assert milliseconds(text) is None
