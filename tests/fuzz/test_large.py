"""Inputs that are large where something could be quadratic, or deep where something could recurse."""

import time
from typing import Any, Final

import pytest

from core.data.evaluating import Unbounded, answer
from core.data.flow import Flow, Frame, Request, Template
from core.graph.reading import check

SOON: Final = 5.0
"""Seconds of CPU: ten times what the slowest takes."""

LAMBDA: Final = "arn:aws:lambda:us-east-1:111111111111:function:f"


def machine(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": {"End": True, **state}}, **more}


def path(text: str) -> dict[str, Any]:
    return machine({"Type": "Pass", "Parameters": {"x.$": text}})


def jsonata(text: str) -> dict[str, Any]:
    return machine({"Type": "Pass", "Output": "{% " + text + " %}"}, QueryLanguage="JSONata")


def states(count: int, following: str) -> dict[str, Any]:
    chain = {f"s{n}": {"Type": "Pass", "Next": f"{following}{n + 1}"} for n in range(count)}
    return {"StartAt": "s0", "States": {**chain, f"s{count}": {"Type": "Succeed"}}}


def nots(count: int) -> dict[str, Any]:
    asked: dict[str, Any] = {"Variable": "$.a", "IsNull": True}
    for _ in range(count):
        asked = {"Not": asked}
    return asked


DOCUMENTS: Final = {
    "keys of a path": path("$" + ".a" * 60_000),
    "indexes of a path": path("$" + "[0]" * 60_000),
    "parts of a filter": path("$[?(" + "@.a && " * 20_000 + "@.a)]"),
    "parentheses of a filter": path("$[?(" + "(" * 60_000 + "@.a" + ")" * 60_000 + ")]"),
    "negations of a filter": path("$[?" + "!" * 60_000 + "@.a]"),
    "descents of a path": path("$" + "..*" * 40_000),
    "quotes of a path": path("$['" + "\\'" * 60_000 + "']"),
    "nested calls": path("States.Array(" * 15_000 + "1" + ")" * 15_000),
    "arguments of a call": path("States.Array(" + ",".join(["1"] * 60_000) + ")"),
    "escapes of a call": path("States.Format('" + "\\'" * 60_000 + "')"),
    "parentheses": jsonata("(" * 15_000 + "1" + ")" * 15_000),
    "sums": jsonata("1+" * 15_000 + "1"),
    "brackets that are not closed": jsonata("[" * 30_000),
    "groups of a regular expression": jsonata("/" + "(a+)+" * 5_000 + "/"),
    "filters": jsonata("a" + "[1]" * 10_000),
    "conditions": jsonata("1?" * 10_000 + "1"),
    "minuses": jsonata("-" * 30_000 + "1"),
    "functions": jsonata("function(){" * 2_900 + "1" + "}" * 2_900),
    "a function's signature": jsonata("function($x)<" + "a<" * 9_000 + ">{1}"),
    "terms of an order": jsonata("a^(" + "<b," * 7_000 + "<b)"),
    "states": states(5_500, "s"),
    "names that lead nowhere": states(5_500, "t"),
    "negations": machine({"Type": "Choice", "Choices": [{**nots(55), "Next": "A"}]}),
    "stars": machine({"Type": "Choice", "Choices": [{"Variable": "$.a", "StringMatches": "*" * 60_000}]}),
    "errors": machine({"Type": "Task", "Resource": LAMBDA, "Retry": [{"ErrorEquals": ["E"]}] * 5_000}),
    "a resource": machine({"Type": "Task", "Resource": "arn:aws:states:" + "-" * 60_000}),
    "unknown fields": machine({"Type": "Pass", **{f"Nxt{n}": 1 for n in range(15_000)}}),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_large_definition_is_taken_or_refused_soon(name: str) -> None:
    begun = time.process_time()
    check(DOCUMENTS[name])
    assert time.process_time() - begun < SOON


CALLS: Final = (
    "States.ArrayContains($.l, $.o)",
    "States.ArrayUnique($.l)",
    "States.ArrayPartition($.l, 1)",
    "States.ArrayGetItem($.l, 19999)",
    "States.Array($.l, $.l, $.l)",
    "States.Hash($.l, 'SHA-512')",
    "States.JsonMerge($.o, $.o, false)",
    "States.JsonToString($.o)",
    "States.StringSplit($.s, ',')",
    "States.Format('{}{}{}', $.s, $.s, $.s)",
    "$.l",
    "$.l[0]",
)


@pytest.mark.parametrize("call", CALLS)
def test_many_calls_on_much_data_are_answered_soon_or_left_to_another_process(call: str) -> None:
    data = {"l": list(range(20_000)), "o": {str(n): n for n in range(8_000)}, "s": "a," * 20_000}
    flow = Flow(language="jsonpath", arguments=Template({f"x{n}.$": call for n in range(4_000)}))
    begun = time.process_time()
    try:
        answered = answer(Request(kind="enter", flow=flow, frame=Frame(data=data)))
    except Unbounded:
        answered = None
    assert time.process_time() - begun < SOON
    assert answered is None or answered.error or len(dict(answered.value)) == 4_000
