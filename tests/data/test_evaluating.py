"""Whatever a definition says and whatever JSON there is, an answer comes, in bounded time, the same one."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.checking import check_find
from core.data.evaluating import Unbounded, answer
from core.data.failures import TooLarge
from core.data.flow import Answer, Flow, Frame, Json, Request, Rule, Template
from core.data.intrinsic_calls import ARGUMENTS
from core.data.jsonpath import NotAPath, compile_path
from core.data.jsonpath_nodes import evaluate
from core.data.paths import MISSING, assign, lookup
from core.data.sizes import Budget, check

NAMES = st.sampled_from(["a", "b", "c d", "x-y", "é"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**300, -(2**63), 2**64]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["2012-10-09T19:00:55Z", "{}", '{"a":1}', "\ud800", "YQ=="]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
STEPS = st.sampled_from(
    [
        ".a",
        ".b",
        "['c d']",
        ".x-y",
        "[0]",
        "[-1]",
        "[*]",
        ".*",
        "[0:2]",
        "[0,1]",
        "['a','b']",
        "..a",
        "..*",
        "[?(@.a)]",
        "[?(@.a > 1)]",
        "[?(@ == 'x' || @.b in ['y'])]",
        "[?(@ =~ /a.*/)]",
        ".length()",
        ".max()",
    ]
)
ROOTS = st.sampled_from(["$", "$$", "$v", "$none"])
PATHS = st.builds(lambda root, steps: root + "".join(steps), ROOTS, st.lists(STEPS, max_size=4))
LITERALS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.5f}"),
    st.sampled_from(["true", "null", "''", "'{}'", r"'\{ {} {}'", "'MD5'", "',;'", "'[1,2]'"]),
)
CALLS = st.recursive(
    st.one_of(PATHS, LITERALS),
    lambda inner: st.builds(
        lambda name, arguments: f"States.{name}({', '.join(arguments)})",
        st.sampled_from(sorted(ARGUMENTS)),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)
WILD = st.one_of(PATHS, CALLS, st.text(max_size=12), st.text("$.[]*?@'(),:States", max_size=20))
TEMPLATES = st.recursive(
    st.one_of(SCALARS, st.dictionaries(st.sampled_from(["p.$", "q.$", ".$"]), WILD, max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
OPERATORS = st.sampled_from(
    [
        "NumericEquals",
        "StringLessThanPath",
        "StringMatches",
        "TimestampGreaterThan",
        "IsPresent",
        "IsNull",
        "BooleanEqualsPath",
        "And",
        "Or",
        "Not",
        "Variable",
        "What",
    ]
)
RULES = st.recursive(
    st.one_of(SCALARS, PATHS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(OPERATORS, inner, max_size=3)),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "SecondsPath",
        "TimestampPath",
        "ItemsPath",
        "MaxConcurrencyPath",
        "ToleratedFailurePercentagePath",
        "ErrorPath",
        "TimeoutSecondsPath",
        "BatchInput",
        "Items",
        "Seconds",
        "Timestamp",
        "Cause",
    ]
)
FRAMES = st.builds(
    lambda data, value, context, entropy: Frame(
        data=data,
        result=value,
        variables={"v": value},
        context={"Map": {"Item": {"Value": context}}},
        error={"Error": "E", "Cause": "C"},
        entropy=entropy,
    ),
    VALUES,
    VALUES,
    VALUES,
    st.integers(0, 2**64 - 1),
)
PATH_FLOWS = st.builds(
    lambda paths, templates, fields: Flow(
        language="jsonpath",
        input_path=paths[0],
        output_path=paths[1],
        result_path=paths[2],
        arguments=templates[0],
        result_selector=templates[1],
        assign=templates[2],
        item=templates[3],
        fields=fields,
    ),
    st.tuples(*[st.one_of(st.just("$"), st.none(), WILD)] * 3),
    st.tuples(*[st.one_of(st.none(), TEMPLATES.map(Template))] * 4),
    st.dictionaries(FIELDS, st.one_of(WILD, VALUES).map(Template), max_size=2),
)
EXPRESSIONS = st.one_of(
    VALUES,
    st.lists(
        st.sampled_from(
            [
                "{% $states.input.a %}",
                "{% a.b %}",
                "{% 1 %}",
                "{% $v %}",
                "{%%}",
                "{% ( %}",
                "$.a",
                "$.a..b",
                "$",
                "{% $none %}",
                "{% `c d` %}",
                "{%",
                "{% $result %}",
            ]
        ),
        max_size=3,
    ),
)
EXPRESSION_FLOWS = st.builds(
    lambda language, templates, fields: Flow(
        language=language, arguments=templates[0], output=templates[1], assign=templates[2], fields=fields
    ),
    st.sampled_from(["jsonata", "native"]),
    st.tuples(*[st.one_of(st.none(), EXPRESSIONS.map(Template))] * 3),
    st.dictionaries(FIELDS, EXPRESSIONS.map(Template), max_size=2),
)
REQUESTS = st.builds(
    lambda kind, flow, frame, rules, otherwise, limit: Request(
        kind=kind,
        flow=flow,
        frame=frame,
        rules=tuple(Rule(test=Template(rule), next="n") for rule in rules),
        otherwise=otherwise,
        limit=limit,
    ),
    st.sampled_from(["enter", "leave", "caught", "choose", "item"]),
    st.one_of(PATH_FLOWS, EXPRESSION_FLOWS),
    FRAMES,
    st.lists(st.one_of(RULES, EXPRESSIONS), max_size=2),
    st.sampled_from([None, "o"]),
    st.sampled_from([64, 10_000]),
)


def ask(request: Request, *, bounded: bool) -> Answer | None:
    """The answer; None where it is not for this process."""
    try:
        return answer(request, bounded=bounded)
    except Unbounded:
        assert bounded
        return None


@settings(deadline=2_000, max_examples=400)
@given(REQUESTS)
def test_whatever_is_asked_there_is_an_answer_and_it_is_the_same_again(request: Request) -> None:
    first = ask(request, bounded=True)
    assert ask(request, bounded=True) == first
    full = ask(request, bounded=False)
    assert full is not None
    if first is not None:
        assert full == first
    if full.error:
        assert full.cause
        assert full == Answer(error=full.error, cause=full.cause)
        return
    if request.flow.language == "jsonpath":
        for value in full.assigned.values():
            check(value, request.limit)


@settings(deadline=2_000)
@given(WILD)
def test_what_the_checks_pass_is_read_when_it_is_evaluated(text: str) -> None:
    flow = Flow(language="jsonpath", arguments=Template({"x.$": text}))
    found = ask(Request(kind="enter", flow=flow, frame=Frame(data={})), bounded=False)
    assert found is not None
    assert ("cannot be read" in found.cause) is (check_find(text) is not None)


@given(st.lists(NAMES, min_size=1, max_size=4), VALUES, VALUES)
def test_a_plain_path_finds_what_stands_there(names: list[str], data: Json, value: Json) -> None:
    path = compile_path("$" + "".join(f"['{name}']" for name in names))
    assert evaluate(path, assign(data, names, value), bounded=True) == value
    assert (evaluate(path, data, bounded=True) is MISSING) is (lookup(data, names) is MISSING)


@settings(deadline=2_000)
@given(st.text("$.[]*?@'\"()\\,:abλ 01-=~/&|!<>", max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        path = compile_path(f"${text}")
    except NotAPath:
        return
    assert path.source == f"${text}"
    assert evaluate(path, {"a": [1, {"b": "x"}]}, bounded=False) is not None


@pytest.mark.parametrize("depth", [300, 5_000])
def test_data_of_any_depth_is_answered(depth: int) -> None:
    data: Json = 1
    for _ in range(depth):
        data = {"a": [data]}
    texts = ["States.Format('{}', $)", "States.JsonToString($)", "$..a", "States.ArrayUnique($..a)", "$.no"]
    for text in texts:
        flow = Flow(language="jsonpath", arguments=Template({"x.$": text, "y.$": "$"}))
        found = ask(Request(kind="enter", flow=flow, frame=Frame(data=data)), bounded=False)
        assert found is not None
        assert found.error in ("States.DataLimitExceeded", "States.Runtime")


@pytest.mark.parametrize(
    "text",
    [
        "States.ArrayUnique($.items)",
        "States.ArrayContains($.items, 'none')",
        "States.ArrayPartition($.items, 1)",
        "States.StringSplit($.text, 'abcdefghijklmnopqrstuvwxyz')",
        "States.StringSplit($.text, $.text)",
        "States.Format($.braces, 1)",
        "$.items[*][*][*]",
        "$" + "[*]" * 100,
    ],
)
def test_the_largest_data_takes_no_more_than_a_moment(text: str) -> None:
    data = {"items": [[index] for index in range(30_000)], "text": "xyz" * 80_000, "braces": "{}" * 100_000}
    flow = Flow(language="jsonpath", arguments=Template({"x.$": text}))
    started = time.monotonic()
    ask(Request(kind="enter", flow=flow, frame=Frame(data=data)), bounded=True)
    assert time.monotonic() - started < 3


def test_a_budget_counts_parts_before_they_are_put_together() -> None:
    budget = Budget(10)
    budget.take("abc")
    budget.take([1])
    with pytest.raises(TooLarge):
        budget.take("abc")
