"""JSONata as Sidestep evaluates it: JSON in, JSON out, and a sentence where there is none."""

import json
import sys
import threading
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.data.jsonata import (
    MAX_CAUSE,
    JsonataFailed,
    check_jsonata,
    evaluate_jsonata,
)
from core.data.jsonata_plain import MAX_EXPRESSION, UNDECIDED, plain_walk
from core.data.paths import MISSING

SEEN: dict[str, Any] = {
    "states": {
        "input": {
            "n": 3,
            "none": None,
            "flag": False,
            "text": "t",
            "list": [None, 1, [2]],
            "one": [7],
            "empty": [],
            "object": {},
            "deep": {"a": {"b": 2.5}},
            "rows": [{"k": 1}, {"k": 2}, {}],
            "a name": 1,
        },
        "context": {"Execution": {"Id": "e"}},
    },
    "items": [1, 2],
}


def value(expression: str, root: Any = MISSING, **options: Any) -> Any:
    return evaluate_jsonata(expression, root, SEEN, now_ms=0, entropy=0, **options)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$states.input.n + 1", 4),
        ("10 / 2", 5),
        ("10 / 4", 2.5),
        ("1e2", 100),
        ("1e21", 1e21),
        ("$states.input.none", None),
        ("$states.input.list", [None, 1, [2]]),
        ("$states.input.list[0]", None),
        ("$states.input.one", [7]),
        ("$states.input.one.($ * 2)", 14),
        ("$states.input.empty", []),
        ("$states.input.object", {}),
        ("$states.input.rows.k", [1, 2]),
        ("$states.input.rows[k = 2].k", 2),
        ('{"a": $states.input.none, "b": [$states.input.none]}', {"a": None, "b": [None]}),
        ("$exists($states.input.none)", True),
        ("$exists($states.input.gone)", False),
        ("$type($states.input.none)", "null"),
        ("$states.input.none = null", True),
        ("$filter($states.input.list, function($v) { $v = null })", None),
        ("$map([1..3], function($v) { $v * 2 })", [2, 4, 6]),
        ("[1..3]", [1, 2, 3]),
        ("$x := 5", 5),
        ("($x := 5; $x + 1)", 6),
        ("$string($states.input.list)", "[null,1,[2]]"),
        (r'"\ud83d\ude00"', "😀"),
        ("$contains('hello$world', /^hello\\$/)", True),
        ("$contains('hello$world', /^hello\\ /)", False),
        ("$exists($status) ? 'completed' : 'running'", "running"),
        ("$not($states.input.flag)", True),
        ("$states.input ~> |$|{'n': 4}| ~> $lookup('n')", 4),
        ("$count($items)", 2),
        ("$merge([{'a': 1}, {'b': 2}])", {"a": 1, "b": 2}),
        ("$toMillis('1970-01-01T00:00:01.000Z')", 1000),
        ("'text'", "text"),
    ],
)
def test_an_expression_gives(expression: str, expected: object) -> None:
    found = value(expression)
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)


@pytest.mark.parametrize(
    "expression", ["$nobody", "$states.gone.away", "$", "$$", "name", "name.other", "[][0]"]
)
def test_what_is_not_there_is_missing(expression: str) -> None:
    assert value(expression) is MISSING


def test_the_root_is_what_bare_names_refer_to() -> None:
    root = {"order": {"id": 7}, "none": None}
    assert value("order.id", root) == 7
    assert value("$.order.id", root) == 7
    assert value("$$.order.id", root) == 7
    assert value("none", root) is None
    assert value("$", root) == root


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("(1", "Expected"),
        ("1 +", "end of expression"),
        ("[1, 2, )", "at character 8"),
        ("1 /*", "too early"),
        ("'\\", "too early"),
        ("'a", "terminat"),
        ("/a{2,1}/", "min repeat"),
        ("$nobody(1)", "non-function"),
        ("1 / 0", "out of range"),
        ("1 % 0", "out of range"),
        ("1 + 'a'", "operator"),
        ("'a' < 1", "same data type"),
        ("$error('told')", "told"),
        ("$assert(false, 'told')", "told"),
        ("function($x) { 1 }", "function"),
        ("[$sum]", "function"),
        ("/a/", "function"),
        (r'"\ud800"', "surrogate"),
        ("$power(10, 400)", "evaluated"),
        ("($f := function($n) { $f($n + 1) + 1 }; $f(1))", "recurses"),
        ("(" * 2000 + "1" + ")" * 2000, "nests"),
        ("[1..10000001]", "D2014"),
        ("x" * (MAX_EXPRESSION + 1), str(MAX_EXPRESSION)),
        ("$error($join($map([1..5000], function() { 'long ' })))", "long"),
    ],
)
def test_an_expression_without_a_json_value_fails_in_a_sentence(expression: str, part: str) -> None:
    with pytest.raises(JsonataFailed) as failed:
        value(expression)
    assert part in str(failed.value)
    assert len(str(failed.value)) <= MAX_CAUSE


def test_a_result_may_have_so_many_bytes_and_no_more() -> None:
    assert value("[1..10]", limit=200) == list(range(1, 11))
    for expression in (
        "[1..10000]",
        "$pad('', 201)",
        "{'a': [1..200]}",
        "[$states.input, $states.input]",
        "$uppercase($pad('', 199, '\u00e9'))",
    ):
        with pytest.raises(JsonataFailed, match="200 bytes"):
            value(expression, limit=200)


def test_a_small_value_inside_that_is_huge_outside_is_refused_before_it_is_made() -> None:
    doubling = "; ".join(["$a := [1]", *["$a := [[$a], [$a]]"] * 60, "$a"])
    with pytest.raises(JsonataFailed, match=r"bytes|levels"):
        value(f"({doubling})")


def test_a_result_nests_so_deep_and_no_deeper() -> None:
    with pytest.raises(JsonataFailed, match="64 levels"):
        value("$reduce([1..70], function($x, $y) { [[$x]] })")


def test_what_is_given_is_not_changed() -> None:
    before = deepcopy(SEEN)
    value("$states.input.empty{'k': $}")
    value("$states.input ~> |$|{'n': 4}, 'flag'|")
    value("$append($states.input.list, 5)")
    assert before == SEEN


def test_evaluating_leaves_the_recursion_limit_as_it_is() -> None:
    before = sys.getrecursionlimit()
    value("1 + 1")
    assert sys.getrecursionlimit() == before
    assert before < 10_000


def test_naming_a_function_otherwise_is_not_seen_by_other_evaluations() -> None:
    assert value("($mine := $sum; $mine([1]))") == 1
    with pytest.raises(JsonataFailed) as failed:
        value("$sum('a')")
    assert "mine" not in str(failed.value)


def test_threads_evaluate_side_by_side() -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(50):
            found = value(f"$sum($map([1..20], function($v) {{ $v * {number} }}))")
            if found != 210 * number:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "expression",
    ["1", "$states.input.n", "a.b", "$nobody(1)", "$map([1], function($x) { $x })", "/a/", "$x := 1"],
)
def test_what_parses_is_not_refused(expression: str) -> None:
    assert check_jsonata(expression) is None


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("", "empty"),
        ("(1", "Expected"),
        ("/a{2,1}/", "min repeat"),
        ("$eval('1')", "$eval"),
        ("[1, {'a': $eval(?)}]", "$eval"),
        ("'1' ~> $eval()", "$eval"),
        ("(" * 2000, "nested"),
        ("x" * (MAX_EXPRESSION + 1), "characters"),
    ],
)
def test_what_can_never_be_evaluated_is_refused_beforehand(expression: str, part: str) -> None:
    assert part in (check_jsonata(expression) or "")


def test_words_in_a_string_are_no_calls() -> None:
    assert check_jsonata("'$eval(1)'") is None


@pytest.mark.parametrize(
    "expression",
    [
        "$states.input.n",
        " $states.input.deep.a.b ",
        "$states.input",
        "$states.input.none",
        "$states.input.none.x",
        "$states.input.text.x",
        "$states.input.list",
        "$states.input.one",
        "$states.input.gone",
        "$states.input.`a name`",
        "$items",
        "$",
        "$$",
        "$.a",
        "a.b",
        "1",
        "-1.5",
        "-0",
        "12.0",
        "0.1",
        '"text"',
        "'text'",
        "''",
        "true",
        "false",
        "null",
    ],
)
@pytest.mark.parametrize("root", [MISSING, {"a": {"b": [1]}}, {"a": 5}])
def test_a_plain_walk_is_what_the_interpreter_gives(expression: str, root: object) -> None:
    plain = plain_walk(expression, root, SEEN)
    assert plain is not UNDECIDED
    assert json.dumps(plain, default=str) == json.dumps(value(expression, root), default=str)


@pytest.mark.parametrize(
    "expression",
    [
        "$states.input.rows.k",
        "$items.a",
        "$nobody",
        "$sum",
        "$states.input.n + 1",
        "a[0]",
        "a..b",
        "a.",
        ".a",
        "$.",
        "$states.and",
        "or",
        "a.true",
        r"'\n'",
        "1e5",
        "01",
        "*",
        "",
        "`a",
        "$a:=1",
        "x" * (MAX_EXPRESSION + 1),
    ],
)
def test_all_else_is_left_to_the_interpreter(expression: str) -> None:
    assert plain_walk(expression, MISSING, SEEN) is UNDECIDED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
walks = st.builds(".".join, st.lists(st.sampled_from(["a", "b", "c", "`a`"]), min_size=1, max_size=4))


@given(walks, json_values, st.sampled_from(["", "$.", "$$.", "$v."]))
def test_any_plain_walk_agrees_with_the_interpreter(walk: str, data: Any, start: str) -> None:
    expression, bindings = start + walk, {"v": data}
    plain = plain_walk(expression, data, bindings)
    if plain is not UNDECIDED:
        assert plain == evaluate_jsonata(expression, data, bindings, now_ms=0, entropy=0)


pieces = st.sampled_from(
    (
        *(
            "$",
            "$$",
            "$x",
            "a",
            "b.c",
            "$x.a",
            "1",
            "0",
            "1.5",
            "'a'",
            '"b"',
            "true",
            "null",
            "/a/",
            "/(/",
            "`",
        ),
        *("(", ")", "[", "]", "{", "}", ",", ";", ":", ":=", ".", "..", "*", "**", "%", "^", "&", "|", "@$i"),
        *("#$i", "+", "-", "/", "<", ">", "=", "!=", "?", "?:", "??", "~>", "and", "or", "in", "λ", "\\"),
        *("function($x){", "<s:s>", "$sum", "$map", "$eval", "$uuid()"),
    )
)
texts = (
    st.text(max_size=40)
    | st.lists(pieces, max_size=12).map("".join)
    | st.lists(pieces, max_size=12).map(" ".join)
)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts, json_values)
@example("/", {})
@example("/*", {})
@example("a[", {})
@example("'\\", {})
@example("\ud800", {})
@example("{a:1}.%", {})
def test_any_text_is_evaluated_or_refused_and_nothing_else(expression: str, data: Any) -> None:
    refused = check_jsonata(expression)
    try:
        found = evaluate_jsonata(expression, data, {"x": data}, now_ms=0, entropy=0)
    except JsonataFailed:
        pass
    else:
        assert refused is None or "$eval" in refused
        assert found is MISSING or json.loads(json.dumps(found)) == found
    plain_walk(expression, data, {"x": data})


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"/^\d+$/", "12", True),
        (r"/^\d+$/", "12\\n", False),
        (r"/^\d+$/", "\u0661", False),
        (r"/^[\d-]+$/", "1-2", True),
        (r"/^\w$/", "é", False),
        (r"/^[\w]$/", "é", False),
        (r"/^\W\D$/", "é-", True),
        (r"/a$/m", "a\\nb", True),
        (r"/A/i", "a", True),
        (r"/(?<one>a)\k<one>/", "aa", True),
        (r"/(?<!a)b/", "ab", False),
        (r"/[\[&&~~||]/", "[", True),
        (r"/\$$/", "a$", True),
        (r"/[$]/", "$", True),
        (r"/^https?:\/\//", "http://", True),
    ],
)
def test_a_regular_expression_means_what_it_does_in_javascript(pattern: str, text: str, found: bool) -> None:
    assert value(f'$contains("{text}", {pattern})') is found
