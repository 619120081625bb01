"""Whatever JSON comes as a machine is read or refused, in a bounded time."""

import copy
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidDefinition, Problem
from core.graph.model import Workflow
from core.graph.reading import check, parse_stored, read_workflow
from tests.graph.states_language.machines import (
    CHARGE,
    INVOKE,
    item_map,
    last,
    machine,
    rule,
    state,
    task,
)

RETRY = {"ErrorEquals": ["E"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2.0}
CATCH = {"ErrorEquals": ["States.ALL"], "Next": "Done", "ResultPath": "$.e", "Assign": {"v.$": "$.x"}}

JSONPATH = {
    **machine(
        First=state("Pass", Parameters={"a.$": "$.b"}, Result=[1], ResultPath="$.r", Next="Ask"),
        Ask=state(
            "Choice",
            Choices=[
                rule(Next="Fan"),
                {
                    "And": [
                        {"Variable": "$.a", "IsNull": True},
                        {"Not": {"Variable": "$.b", "IsNull": True}},
                    ],
                    "Next": "Wait",
                },
            ],
            Default="Wait",
        ),
        Fan=state(
            "Parallel",
            Branches=[
                machine(A=last("Wait", SecondsPath="$.s")),
                machine(B=task(Retry=[RETRY], Fallbacks=[{"provider": "GCP"}])),
            ],
            Catch=[CATCH],
            Next="Each",
        ),
        Each=state(
            "Map",
            ItemsPath="$.lines",
            MaxConcurrency=2,
            ItemBatcher={"MaxItemsPerBatch": 3},
            ItemProcessor={
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                **machine(I=task(Resource=INVOKE, Parameters={"FunctionName.$": "$.f"})),
            },
            Next="Done",
        ),
        Wait=state("Wait", Timestamp="2026-03-01T09:00:00Z", Next="Bad"),
        Bad=state("Fail", Error="E", CausePath="$.c"),
        Done=state("Succeed", OutputPath="$.out"),
    ),
    "TimeoutSeconds": 60,
}
JSONATA = {
    **machine(
        First=state("Pass", Output={"a": "{% $states.input.b %}"}, Assign={"v": "{% 1 %}"}, Next="Ask"),
        Ask=state(
            "Choice", Choices=[{"Condition": "{% $v = 1 %}", "Next": "Call", "Output": 1}], Default="Each"
        ),
        Call=state(
            "Task",
            Resource=CHARGE,
            Arguments={"x": "{% $v %}"},
            TimeoutSeconds="{% 5 %}",
            Catch=[{"ErrorEquals": ["E"], "Next": "Each", "Output": "{% $states.errorOutput %}"}],
            Next="Each",
        ),
        Each={**item_map(Items="{% [1, 2] %}", ItemSelector={"i": 1}), "Next": "Wait", "End": False},
        Wait=state("Wait", Seconds="{% 1 %}", Next="Bad"),
        Bad=state("Fail", Error="{% 'E' %}"),
    ),
    "QueryLanguage": "JSONata",
}

WORDS = [
    *("StartAt", "States", "Type", "Next", "End", "Comment", "Choices", "Default", "Variable", "Branches"),
    *("ItemProcessor", "Iterator", "Retry", "Catch", "ErrorEquals", "Parameters", "Arguments", "Output"),
    *("Assign", "ResultPath", "Items", "ItemsPath", "Seconds", "SecondsPath", "Resource", "Fallbacks"),
    *("provider", "ProcessorConfig", "Mode", "And", "Or", "Not", "IsNull", "QueryLanguage", "Condition"),
]
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("Task", "Pass", "Choice", "Wait", "Parallel", "Map", "Fail", "Succeed", "JSONata", "JSONPath"),
            *(
                "$",
                "$.a",
                "$$.x",
                "$v",
                "{% 1 %}",
                "{% ( %}",
                "States.UUID()",
                "First",
                "Done",
                CHARGE,
                INVOKE,
            ),
        ]
    ),
    st.text(max_size=6),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 10**9), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
NAMES = st.one_of(st.sampled_from([*WORDS, "a.$", "First", "Done"]), st.text(max_size=4))
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=30,
)


def read_or_refuse(document: Any) -> Workflow | tuple[Problem, ...]:
    try:
        return read_workflow(document)
    except InvalidDefinition as refused:
        return refused.problems


def test_the_machines_that_are_changed_below_are_good() -> None:
    assert set(read_workflow(JSONPATH).steps) >= {"First", "I", "A", "B"}
    assert set(read_workflow(JSONATA).steps) >= {"First", "Call", "I"}


@given(states=JSON, start=JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_as_states_is_read_or_refused(states: Any, start: Any) -> None:
    read = read_or_refuse({"StartAt": start, "States": states})
    assert isinstance(read, Workflow) or {problem.severity for problem in read} == {"error"}


@given(
    entry=st.dictionaries(NAMES, JSON, max_size=10), kind=st.sampled_from(["Task", "Map", "Choice", "Wait"])
)
@settings(max_examples=300, deadline=None)
def test_any_members_of_a_state_are_read_or_refused(entry: dict[str, Any], kind: str) -> None:
    read = read_or_refuse({"StartAt": "First", "States": {"First": {**entry, "Type": kind}}})
    assert isinstance(read, Workflow) or {problem.severity for problem in read} == {"error"}


@pytest.mark.parametrize("original", [JSONPATH, JSONATA], ids=["JSONPath", "JSONata"])
@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_machine_with_one_value_replaced_or_removed_is_read_or_refused(
    original: dict[str, Any], data: st.DataObject
) -> None:
    document = copy.deepcopy(original)
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(holder[key], dict | list) and holder[key] and data.draw(st.integers(0, 9)):
            holder = holder[key]
            continue
        if data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(JSON)
        break
    read = read_or_refuse(document)
    if isinstance(read, Workflow):
        assert parse_stored(read.source) == read
    else:
        assert read == tuple(problem for problem in check(document) if problem.severity == "error")
        assert all(problem.detail.endswith(".") for problem in read), read


def large(document: dict[str, Any]) -> float:
    """The seconds that reading takes."""
    begun = time.perf_counter()
    check(document)
    return time.perf_counter() - begun


HUGE: dict[str, Any] = {
    "many states": machine(**{f"S{at}": {"Type": "Wait"} for at in range(9_000)}),
    "names nowhere": machine(**{f"S{at}": state("Pass", Next=f"T{at}" * 5) for at in range(4_000)}),
    "unknown members": machine(S={f"Member{at}": 1 for at in range(12_000)}),
    "rules": machine(S=state("Choice", Choices=[{"Or": [{"And": []}] * 900}] * 15)),
    "retriers": machine(S=task(Retry=[{"ErrorEquals": ["E"] * 100, "MaxAttempts": 99_999_999}] * 100)),
    "branches": machine(S=last("Parallel", Branches=[machine(A=state("Map"))] * 900)),
    "paths": machine(S=last("Pass", Parameters={f"{at}.$": "$" + "[0]" * 900 for at in range(60)})),
    "calls": machine(S=last("Pass", Parameters={f"{at}.$": "States.Array(" * 900 for at in range(15)})),
    "filters": machine(S=last("Pass", Parameters={f"{at}.$": "$[?(" + "(" * 4_000 for at in range(40)})),
    "expressions": {
        "QueryLanguage": "JSONata",
        **machine(S=last("Pass", Output=["{% " + f"{at}" + "(" * 1_000 + " %}" for at in range(200)])),
    },
}


@pytest.mark.parametrize("document", HUGE.values(), ids=HUGE.keys())
def test_the_largest_machines_are_judged_in_seconds(document: dict[str, Any]) -> None:
    assert large(document) < 15
