import time

import pytest

from core.data.evaluating import answer
from core.data.flow import Answer, Flow, Frame, Json, Request, Rule, Template
from core.data.state_choices import comparisons, matches

STAMP = "2012-10-09T19:00:55Z"


def chosen(rule: Json, data: Json) -> Answer:
    flow = Flow(language="jsonpath")
    rules = (Rule(test=Template({**rule, "Next": "yes"}), next="yes"),)
    frame = Frame(data=data, variables={"v": 1}, context={"n": 2})
    return answer(Request(kind="choose", flow=flow, frame=frame, rules=rules, otherwise="no"))


def holds(rule: Json, data: Json) -> bool:
    found = chosen(rule, data)
    assert not found.error, found.cause
    return found.next == "yes"


ORDERED = {
    "Numeric": (1, 1.5, 2),
    "String": ("a", "a ", "b"),
    "Timestamp": ("2012-10-09T20:00:55+01:01", STAMP, "2012-10-09T19:00:55.000000001Z"),
}


@pytest.mark.parametrize("kind", ORDERED)
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("Equals", (False, True, False)),
        ("LessThan", (True, False, False)),
        ("LessThanEquals", (True, True, False)),
        ("GreaterThan", (False, False, True)),
        ("GreaterThanEquals", (False, True, True)),
    ],
)
def test_values_of_a_kind_are_ordered(kind: str, order: str, expected: tuple[bool, ...]) -> None:
    middle = ORDERED[kind][1]
    for value, outcome in zip(ORDERED[kind], expected, strict=True):
        assert holds({"Variable": "$.a", f"{kind}{order}": middle}, {"a": value}) is outcome
        rule = {"Variable": "$.a", f"{kind}{order}Path": "$.b"}
        assert holds(rule, {"a": value, "b": middle}) is outcome


@pytest.mark.parametrize("name", sorted(comparisons()))
@pytest.mark.parametrize("value", [None, [], {}, "x", "", STAMP, 0, 1.5, True, False])
def test_a_value_of_another_kind_makes_a_comparison_false(name: str, value: Json) -> None:
    own = {
        "Boolean": isinstance(value, bool),
        "Numeric": type(value) in (int, float),
        "String": isinstance(value, str),
        "Timestamp": value == STAMP,
    }
    kind, order, is_path = comparisons()[name]
    if not own[kind]:
        other = {"Boolean": True, "Numeric": 0, "String": "x", "Timestamp": STAMP}[kind]
        wanted = "$.b" if is_path else other
        assert not holds({"Variable": "$.a", name: wanted}, {"a": value, "b": other})
        if is_path:
            assert not holds({"Variable": "$.b", name: "$.a"}, {"a": value, "b": other})
    assert order in ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals", "Matches")


def test_one_is_one_point_nought_and_true_is_not_one() -> None:
    assert holds({"Variable": "$.a", "NumericEquals": 1.0}, {"a": 1})
    assert not holds({"Variable": "$.a", "NumericEquals": 1}, {"a": True})
    assert not holds({"Variable": "$.a", "BooleanEquals": False}, {"a": 0})
    assert holds({"Variable": "$.a", "BooleanEqualsPath": "$.b"}, {"a": False, "b": False})


@pytest.mark.parametrize(
    ("name", "true_of"),
    [
        ("IsNull", [None]),
        ("IsBoolean", [True, False]),
        ("IsNumeric", [0, 1.5]),
        ("IsString", ["", "x", STAMP, "2012-10-09"]),
        ("IsTimestamp", [STAMP]),
        ("IsPresent", [None, True, False, 0, 1.5, "", "x", STAMP, "2012-10-09", [], {}]),
    ],
)
def test_kinds_are_asked_for_either_way(name: str, true_of: list[Json]) -> None:
    values: list[Json] = [None, True, False, 0, 1.5, "", "x", STAMP, "2012-10-09", [], {}]
    for value in values:
        expected = any(value is one or (type(value) is type(one) and value == one) for one in true_of)
        assert holds({"Variable": "$.a", name: True}, {"a": value}) is expected, value
        assert holds({"Variable": "$.a", name: False}, {"a": value}) is not expected, value


def test_only_presence_may_be_asked_of_what_is_missing() -> None:
    assert holds({"Variable": "$.a", "IsPresent": False}, {})
    assert not holds({"Variable": "$none", "IsPresent": True}, {})
    for rule in (
        {"Variable": "$.a", "IsNull": True},
        {"Variable": "$.a", "StringEquals": "x"},
        {"Variable": "$", "StringEqualsPath": "$.a"},
        {"Not": {"Variable": "$.a", "NumericEquals": 1}},
        {"Variable": "$none", "NumericEquals": 1},
    ):
        found = chosen(rule, {})
        assert found.error == "States.Runtime"
        assert "Invalid path '$" in found.cause


def test_and_and_or_stop_as_soon_as_they_can() -> None:
    missing = {"Variable": "$.a", "NumericEquals": 1}
    there = {"Variable": "$.a", "IsPresent": True}
    assert not holds({"And": [there, missing]}, {})
    assert holds({"Or": [{"Not": there}, missing]}, {})
    assert chosen({"Or": [there, missing]}, {}).error == "States.Runtime"


def test_variables_and_the_context_are_asked_too() -> None:
    assert holds(
        {"And": [{"Variable": "$v", "NumericEquals": 1}, {"Variable": "$$.n", "NumericEquals": 2}]}, None
    )


@pytest.mark.parametrize(
    ("pattern", "text", "outcome"),
    [
        ("*.log", "a.log", True),
        ("*.log", "a.log.zip", False),
        ("foo*.*", "foo23.log", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ab*", "xabyabz", True),
        ("*ab*ab*", "xabz", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"a\\*", "a\\b", True),
        ("*", "", True),
        ("", "", True),
        ("abc", "abc", True),
    ],
)
def test_strings_are_matched_by_wildcards(pattern: str, text: str, outcome: bool) -> None:
    assert matches(pattern, text) is outcome
    assert holds({"Variable": "$.a", "StringMatches": pattern}, {"a": text}) is outcome


def test_wildcards_take_no_more_than_a_moment() -> None:
    started = time.monotonic()
    assert not matches("*a" * 5_000 + "b", "a" * 200_000)
    assert time.monotonic() - started < 2


def test_the_first_rule_that_holds_decides_with_its_own_assignments() -> None:
    rules = tuple(
        Rule(
            test=Template({"Variable": "$.n", "NumericGreaterThan": least}),
            next=f"over{least}",
            assign=Template({"least": least, "was.$": "$.n"}),
        )
        for least in (20, 10)
    )
    flow = Flow(language="jsonpath", assign=Template({"least": None}), input_path="$.in", output_path="$.n")

    def ask(number: int) -> Answer:
        frame = Frame(data={"in": {"n": number}})
        return answer(Request(kind="choose", flow=flow, frame=frame, rules=rules, otherwise="low"))

    assert ask(30) == Answer(value=30, next="over20", assigned={"least": 20, "was": 30})
    assert ask(15) == Answer(value=15, next="over10", assigned={"least": 10, "was": 15})
    assert ask(5) == Answer(value=5, next="low", assigned={"least": None})


def test_no_rule_and_no_default_is_no_way() -> None:
    rules = (Rule(test=Template({"Variable": "$", "IsNull": True}), next="a"),)
    request = Request(kind="choose", flow=Flow(language="jsonpath"), frame=Frame(data=1), rules=rules)
    assert answer(request) == Answer()


def test_rules_nest_only_so_deep() -> None:
    rule: Json = {"Variable": "$", "IsNull": True}
    for _ in range(100):
        rule = {"Not": rule}
    assert chosen(rule, 1).error == "States.Runtime"
