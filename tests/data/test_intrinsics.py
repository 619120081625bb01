from itertools import pairwise
from uuid import UUID

import pytest

from core.data.evaluating import answer
from core.data.flow import Answer, Flow, Frame, Json, Request, Template
from core.data.intrinsic_calls import MAX_NESTING, NotACall, compile_call


def asked(call: str, data: Json = None, *, entropy: int = 1, limit: int = 262_144) -> Answer:
    flow = Flow(language="jsonpath", arguments=Template({"made.$": call}))
    frame = Frame(data=data, variables={"v": [1, 2]}, context={"Name": "here"}, entropy=entropy)
    return answer(Request(kind="enter", flow=flow, frame=frame, limit=limit))


def made(call: str, data: Json = None) -> Json:
    found = asked(call, data)
    assert not found.error, found.cause
    return found.value["made"]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("States.Array()", []),
        ("States.Array('a', 1, 1.5, true, null, $v, $$.Name)", ["a", 1, 1.5, True, None, [1, 2], "here"]),
        ("States.ArrayPartition(States.Array(1, 2, 3), 2)", [[1, 2], [3]]),
        ("States.ArrayPartition(States.Array(), 2)", []),
        ("States.ArrayContains(States.Array(1, 2), 2.0)", True),
        ("States.ArrayContains(States.Array(1, 2), '2')", False),
        ("States.ArrayContains(States.Array(1), true)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(1, 10, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayRange(3, 1, 1)", []),
        ("States.ArrayGetItem(States.Array('a', 'b'), 1)", "b"),
        ("States.ArrayLength($v)", 2),
        ("States.ArrayUnique(States.Array(1, 2, 1, 1.0, '1', true))", [1, 2, "1", True]),
        ("States.Base64Encode('Data to encode')", "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Decode('RGVjb2RlZCBkYXRh')", "Decoded data"),
        ("States.Hash('a', 'MD5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("States.Hash('a', 'SHA-1')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("States.JsonToString(States.Array(1, 'a'))", '[1,"a"]'),
        ("States.StringToJson('{\"a\": [1, 2.5]}')", {"a": [1, 2.5]}),
        ("States.StringToJson(' ')", None),
        ("States.MathAdd(1, -3)", -2),
        ("States.StringSplit('a.b+c,,d', '.+,')", ["a", "b", "c", "d"]),
        ("States.StringSplit('abc', '')", ["abc"]),
        ("  States.MathAdd( 1 ,\n2 )  ", 3),
    ],
)
def test_functions_give_what_the_specification_says(call: str, result: Json) -> None:
    found = made(call)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (1.49, 1.5, 3),
        (1.5, 1.51, 4),
        (-1.5, -1.51, -3),
        (-0.5, 0, 0),
        (-0.5, 0.5, 1),
        (2.5, 0, 3),
        (-1.51, 0, -2),
    ],
)
def test_numbers_that_ought_to_be_whole_are_rounded_half_up(left: float, right: float, total: int) -> None:
    assert made("States.MathAdd($.l, $.r)", {"l": left, "r": right}) == total


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (123456789.5, "1.234567895E8"),
        (0.0001, "1.0E-4"),
        (1.5e-10, "1.5E-10"),
        (-2.5e20, "-2.5E20"),
        ("a'b", "a'b"),
        ({"a": 1, "b": [None, "x", 1.5]}, "{a=1, b=[null, x, 1.5]}"),
        ([], "[]"),
    ],
)
def test_format_writes_values_as_java_does(value: Json, text: str) -> None:
    assert made("States.Format('<{}>', $.value)", {"value": value}) == f"<{text}>"


def test_format_knows_escapes_in_literals() -> None:
    assert made(r"States.Format('it\'s \{{}\} \\ {}', 1, 'a\'b')") == r"it's {1} \ a'b"
    assert made("States.Format($.t, 1)", {"t": r"\{\} {}"}) == "{} 1"


def test_json_is_merged_at_the_top_only() -> None:
    data = {"a": {"x": {"y": 1}, "z": 1}, "b": {"x": {"w": 2}}}
    assert made("States.JsonMerge($.a, $.b, false)", data) == {"x": {"w": 2}, "z": 1}


def test_random_numbers_and_uuids_follow_from_the_request_and_differ_from_place_to_place() -> None:
    number = "States.MathRandom(0, 1000000)"
    call = f"States.Array(States.UUID(), States.UUID(), {number}, {number})"
    one = asked(call, entropy=5).value
    assert one == asked(call, entropy=5).value
    assert one != asked(call, entropy=6).value
    first, second, third, fourth = one["made"]
    assert UUID(first).version == 4
    assert first != second
    assert third != fourth


def test_a_seed_decides_a_random_number_and_the_end_is_left_out() -> None:
    assert made("States.MathRandom(1, 1000, 7)") == made("States.MathRandom(1, 1000, 7)")
    drawn = {asked("States.MathRandom(1, 4)", entropy=entropy).value["made"] for entropy in range(60)}
    assert drawn == {1, 2, 3}


@pytest.mark.parametrize(
    "call",
    [
        "States.ArrayPartition(States.Array(1), 0)",
        "States.ArrayPartition('a', 1)",
        "States.ArrayContains(1, 1)",
        "States.ArrayRange(1, 2, 0)",
        "States.ArrayRange(1, 1001, 1)",
        "States.ArrayRange(0, 1e300, 1)",
        "States.ArrayGetItem(States.Array(1), 1)",
        "States.ArrayGetItem(States.Array(1), -1)",
        "States.ArrayGetItem(States.Array(1, 2), true)",
        "States.Base64Encode(1)",
        "States.Base64Decode('*')",
        "States.Hash('a', 'SHA-3')",
        "States.JsonMerge(States.Array(), States.Array(), false)",
        "States.JsonMerge(States.StringToJson('{}'), States.StringToJson('{}'), true)",
        "States.StringToJson('{')",
        "States.StringToJson(1)",
        "States.StringSplit('a', 1)",
        "States.MathAdd('1', 1)",
        "States.MathAdd(2147483648, 1)",
        "States.MathRandom(2, 2)",
        "States.Format('{} {}', 1)",
        "States.Format('{}', 1, 2)",
        "States.Format('{', 1)",
        "States.Format(1)",
        "States.Hash(1, 1)",
    ],
)
def test_wrong_arguments_fail_as_an_intrinsic_failure(call: str) -> None:
    found = asked(call)
    assert found.error == "States.IntrinsicFailure"
    assert "The function 'States." in found.cause


def test_a_missing_argument_fails_with_the_path_that_names_it() -> None:
    call = "States.MathAdd(States.ArrayLength($.none), 1)"
    found = asked(call, {"a": 1})
    assert found.error == "States.Runtime"
    assert found.cause == (
        f"The function '{call}' had the following error: "
        "The JsonPath argument for the field '$.none' could not be found in the input '{\"a\":1}'"
    )


def test_long_text_is_not_encoded_or_hashed() -> None:
    data = {"long": "x" * 10_001}
    for call in ("States.Base64Encode($.long)", "States.Base64Decode($.long)", "States.Hash($.long, 'MD5')"):
        assert asked(call, data).error == "States.IntrinsicFailure"


def test_a_few_instructions_do_not_make_a_large_value() -> None:
    data = {"big": "x" * 200_000}
    wide = f"States.Format('{'{}' * 1_000}'{', $.big' * 1_000})"
    assert asked(wide, data).error == "States.DataLimitExceeded"
    assert asked(f"States.Array($.big{', $.big' * 1_000})", data).error == "States.DataLimitExceeded"
    quoted = "States.JsonToString(" * 9 + "$.big" + ")" * 9
    found = asked(quoted, {"big": '"' * 100_000})
    assert found.error == "States.DataLimitExceeded"
    assert "the limit is 1048576" in found.cause, "it was stopped only at the end"
    small = asked("States.Array($.big, $.big)", data, limit=300_000)
    assert small.error == "States.DataLimitExceeded"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "States.",
        "States.Nothing()",
        "States.UUID(1)",
        "States.MathAdd(1)",
        "States.Format()",
        "States.Array(1",
        "States.Array(1,)",
        "States.Array(1 2)",
        "States.Array('a)",
        r"States.Array('\x')",
        r"States.Array('\n')",
        r"States.StringToJson('{\"a\": 1}')",
        "States.Array(1e999)",
        "States.Array($.)",
        "States.Array(abc)",
        "States.Array() more",
        "States.Array(" * (MAX_NESTING + 1) + ")" * (MAX_NESTING + 1),
        f"States.Array('{'x' * 10_000}')",
    ],
)
def test_text_that_is_no_call_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NotACall, match=r"[.]$"):
        compile_call(text)


def test_paths_in_calls_may_hold_commas_and_parentheses() -> None:
    call = compile_call("States.Array($.a[?(@.x == 'a,)' && (@.y))].length(), $['b,)'])")
    sources = [getattr(argument, "source", None) for argument in call.arguments]
    assert sources == ["$.a[?(@.x == 'a,)' && (@.y))].length()", "$['b,)']"]


def test_partitions_lose_nothing() -> None:
    items = list(range(17))
    for size in range(1, 19):
        parts = made("States.ArrayPartition($.items, $.size)", {"items": items, "size": size})
        assert [item for part in parts for item in part] == items
        assert all(len(one) == size >= len(other) for one, other in pairwise(parts))
