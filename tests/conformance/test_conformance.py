"""State machines do here what they do on AWS: our own cases always, recorded ones where they are there."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.cases import OWN, VARIABLE, Case, body_of, mocks_of, read_cases, recorded
from tests.conformance.comparing import alike, differences
from tests.conformance.report import misses, page, scores, short_of
from tests.conformance.running import Ran, run, run_here, run_over_http

CASES = read_cases(OWN)


def case(**more: Any) -> Case:
    return {
        "id": "one",
        "category": "few",
        "definition": {},
        "input": {},
        "calls": [],
        "expect": {"status": "SUCCEEDED", "output": {"a": 1}, "events": [["PassStateEntered", "A"]]},
        "wildcards": [],
        "features": [],
        **more,
    }


@pytest.mark.parametrize("one", CASES, ids=[one["id"] for one in CASES])
async def test_a_case_of_our_own_agrees_in_everything(one: Case) -> None:
    assert misses(await run_here([one])) == []


async def test_a_server_answers_as_the_entry_behind_it() -> None:
    assert misses(await run_over_http(CASES)) == []


@pytest.mark.skipif(recorded() is None, reason=f"{VARIABLE} names no folder of recorded cases")
@pytest.mark.timeout(600)
async def test_recorded_cases_agree_as_often_as_is_promised() -> None:
    folder = recorded()
    assert folder is not None
    ran = await run_here(read_cases(folder))
    assert short_of(ran) == [], "\n".join(misses(ran))


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, None, True),
        (None, 0, False),
        ("a", "b", False),
        ('{"a": 1}', '{"a":1}', True),
        ('{"a": 1}', {"a": 1}, True),
        ("[1, 2]", "[2, 1]", False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ([1, [2]], [1, [2]], True),
        ([1], [1, 1], False),
        ("<id>", {"any": 1}, True),
        ({"<id>": 1}, {"x-7": 1}, True),
        ({"<id>": 1}, {"x-7": 2}, False),
        ("arn:<id>:end", "arn:x\ny:end", True),
        ("arn:<id>:end", "arn:x", False),
        ("1", 1, False),
    ],
)
def test_values_are_alike_but_for_wildcards(expected: Any, actual: Any, same: bool) -> None:
    assert alike(expected, actual, {"<id>"}) is same


@pytest.mark.parametrize(
    ("result", "fields"),
    [
        ({"status": "SUCCEEDED", "output": {"a": 1}, "entered": ["A"]}, []),
        ({"status": "SUCCEEDED", "output": {"a": 1}}, []),
        ({"status": "FAILED", "error": "E", "entered": ["A"]}, ["status", "output", "error"]),
        ({"status": "SUCCEEDED", "output": {"a": 1}, "entered": ["A", "B"]}, ["entered"]),
    ],
)
def test_each_field_that_differs_is_named(result: Mapping[str, Any], fields: list[str]) -> None:
    assert [found.field for found in differences(case(), result)] == fields


def test_the_order_of_states_is_free_in_a_map_and_their_number_is_not() -> None:
    events = [["PassStateEntered", name] for name in "ABA"]
    expect = {"status": "SUCCEEDED", "output": 1, "events": events}
    free = case(expect=expect, features=["Map"])
    done = {"status": "SUCCEEDED", "output": 1}
    assert differences(free, {**done, "entered": ["A", "A", "B"]}) == []
    assert differences(free, {**done, "entered": ["A", "B", "B"]}) != []
    assert differences(case(expect=expect), {**done, "entered": ["A", "A", "B"]}) != []


def test_calls_become_answers_of_their_states_in_order() -> None:
    calls = [
        {"state": "A", "output": {"x": 1}},
        {"state": "B", "error": "States.Timeout", "raised_by": "engine"},
        {"state": "A", "error": "Custom", "cause": {"why": 2}},
        {
            "state": "C",
            "error": "States.DataLimitExceeded",
            "raised_by": "engine",
            "input": {"FunctionName": "f"},
        },
    ]
    mocks = mocks_of(case(calls=calls))
    assert mocks["A"] == [{"output": {"x": 1}}, {"error": "Custom", "cause": {"why": 2}}]
    assert mocks["B"] == [{"timeout": True}]
    assert len(mocks["C"][0]["output"]["Payload"]) > 256 * 1024
    assert body_of(case(calls=calls))["mocks"] == mocks


def _ran(category: str, agree: int, miss: int) -> list[Ran]:
    one = case(category=category)
    difference = differences(one, {"status": "FAILED"})
    return [Ran(one, [], {})] * agree + [Ran(one, difference, {"cause": "why"})] * miss


def test_thresholds_hold_for_all_for_large_categories_and_for_small_ones_together() -> None:
    assert short_of(_ran("large", 300, 0) + _ran("small", 9, 1)) == []
    few = short_of(_ran("large", 300, 0) + _ran("small", 8, 2) + _ran("another", 5, 0))
    assert [line.split(":")[0] for line in few] == ["smaller ones together"]
    large = short_of(_ran("large", 300, 0) + _ran("other", 17, 3))
    assert [line.split(":")[0] for line in large] == ["other"]
    assert [line.split(":")[0] for line in short_of(_ran("large", 97, 3))] == ["all"]


def test_the_page_names_every_miss_with_its_reason() -> None:
    told = page(_ran("large", 3, 1), {"one": "a | reason"})
    assert "| large | 4 | 3 | 75.0% |" in told
    assert "a \\| reason" in told
    assert scores(_ran("large", 3, 1))[-1].share == 0.75


def test_a_definition_that_is_refused_is_a_miss_that_says_why() -> None:
    (ran,) = run([case(definition={"StartAt": "A", "States": {"A": {"Type": "Nothing"}}})])
    assert ran.result["status"] == "REFUSED"
    assert "Nothing" in str(ran.result["cause"])
