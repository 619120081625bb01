"""Every mistake in a machine is one problem, with a pointer to it, a code, a sentence and a mend."""

from typing import Any

import pytest

from core.graph.limits import Limits
from core.graph.reading import check, read_workflow
from tests.graph.building import check_one_problem, errors
from tests.graph.states_language.machines import (
    choice,
    item_map,
    jsonata,
    last,
    machine,
    one,
    rule,
    state,
    task,
)
from tests.graph.states_language.mistakes_of_flow import CHOICES, OTHERS
from tests.graph.states_language.mistakes_of_machines import LANGUAGES, MACHINES, STATES
from tests.graph.states_language.mistakes_of_tasks import POLICIES, TASKS

CASES = [*MACHINES, *STATES, *LANGUAGES, *TASKS, *POLICIES, *CHOICES, *OTHERS]


@pytest.mark.parametrize(
    ("document", "pointer", "code", "mend"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_mistake_is_one_problem_with_place_code_and_mend(
    document: Any, pointer: str, code: str, mend: str
) -> None:
    check_one_problem(document, pointer, code, mend)
    assert mend


def test_all_mistakes_are_told_at_once_in_the_order_of_the_document() -> None:
    document = machine(
        A=task(Resource="arn:aws:states:::sns:publish", Retry=[{"ErrorEquals": []}]),
        B=state("Choice", Choices=[rule(NumericEquals="1", Next="X")]),
        C=last("Map", ItemProcessor=machine(A=last("Wait"))),
    )
    assert [problem.pointer for problem in errors(document)] == [
        "/States/A/Resource",
        "/States/A/Retry/0/ErrorEquals",
        "/States/B",
        "/States/B/Choices/0/NumericEquals",
        "/States/B/Choices/0/Next",
        "/States/C",
        "/States/C/ItemProcessor/States/A",
        "/States/C/ItemProcessor/States/A",
    ]


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        (one(task(Fallbacks=[{"provider": "GCP"}])), ["timeout-undeclared"]),
        (one(task(Fallbacks=[{"provider": "GCP"}], TimeoutSeconds=5)), []),
        (one(task(Fallbacks=[{"provider": "GCP"}], TimeoutSecondsPath="$.t")), []),
        (one(task()), []),
    ],
)
def test_a_fallback_that_a_black_hole_holds_up_for_long_is_worth_a_hint(
    document: Any, codes: list[str]
) -> None:
    found = check(document)
    assert [(one.code, one.severity) for one in found] == [(code, "hint") for code in codes]
    assert [one.pointer for one in found] == ["/States/S/TimeoutSeconds"] * len(codes)


def test_an_endless_loop_beside_an_end_is_worth_a_hint() -> None:
    document = choice(rule(), Default="L")
    document["States"]["L"] = state("Wait", Seconds=1, Next="L")
    read_workflow(document)
    (hint,) = check(document)
    assert (hint.pointer, hint.code, hint.severity) == ("/States/L", "no-way-to-an-end", "hint")


def test_a_branch_without_an_end_is_an_error_though_the_machine_has_one() -> None:
    branch = machine(A=state("Pass", Next="B"), B=state("Pass", Next="A"))
    check_one_problem(
        one(last("Parallel", Branches=[branch])),
        "/States/S/Branches/0/States/A",
        "no-way-to-an-end",
        "Lead out",
    )


def test_states_of_all_scopes_count() -> None:
    document = one(last("Parallel", Branches=[machine(A=last("Pass")), machine(B=last("Pass"))]))
    assert len(read_workflow(document, limits=Limits(steps=3)).steps) == 3
    (problem,) = errors(document, limits=Limits(steps=2))
    assert (problem.pointer, problem.code) == ("/States/S/Branches/1/States", "too-many")


def test_parallels_and_maps_nest_as_deep_as_natively() -> None:
    document = machine(P0=last("Pass"))
    for depth in range(1, 5):
        document = machine(
            **{f"P{depth}": item_map(ItemProcessor=document)}
            if depth % 2
            else {f"P{depth}": last("Parallel", Branches=[document])}
        )
    read_workflow(document)
    document = machine(P5=last("Parallel", Branches=[document]))
    (problem,) = errors(document)
    assert problem.code == "nested-too-deep"
    assert problem.pointer.endswith("/States/P1")
    assert "PARALLELs or MAPs" in problem.mend


def test_rules_nest_as_deep_as_they_can_be_asked() -> None:
    def nested(depth: int) -> Any:
        inner: Any = {"Variable": "$.x", "IsNull": True}
        for _ in range(depth):
            inner = {"Not": inner}
        return choice({**inner, "Next": "T"})

    read_workflow(nested(32))
    (problem,) = errors(nested(33))
    assert (problem.pointer, problem.code) == (
        "/States/S/Choices/0" + "/Not" * 33,
        "condition-too-deep",
    )


def test_a_machine_of_an_unknown_provider_is_read_where_any_is_allowed() -> None:
    document = one(task(Fallbacks=[{"provider": "ELSEWHERE"}]))
    assert read_workflow(document, providers=None).steps.keys() == {"S"}


def test_expressions_cost_no_more_than_a_bound_in_one_machine() -> None:
    states = {f"S{at}": last("Pass", Output="{% [" + f"{at}+1," * 900 + "1] %}") for at in range(30)}
    found = errors(jsonata({"StartAt": "S0", "States": states}))
    assert [problem.code for problem in found].count("too-many-expressions") == 1
