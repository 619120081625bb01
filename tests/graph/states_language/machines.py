"""Small machines, valid but for what a test puts into them."""

from typing import Any

from core.graph.model import (
    ChoiceStep,
    FailStep,
    MapStep,
    ParallelStep,
    PassStep,
    SucceedStep,
    TaskStep,
    WaitStep,
    Workflow,
)
from core.graph.reading import parse_stored, read_workflow

Document = dict[str, Any]

CHARGE = "arn:aws:lambda:eu-west-1:111111111111:function:charge"
INVOKE = "arn:aws:states:::lambda:invoke"


def machine(**states: Any) -> Document:
    """A machine that starts with the first state."""
    return {"StartAt": next(iter(states)), "States": states}


def jsonata(document: Document) -> Document:
    return {"QueryLanguage": "JSONata", **document}


def state(kind: str, **members: Any) -> Document:
    return {"Type": kind, **members}


def last(kind: str, **members: Any) -> Document:
    return {"Type": kind, "End": True, **members}


def one(document: Document) -> Document:
    """A machine of one state, `S`."""
    return machine(S=document)


def task(**members: Any) -> Document:
    return last("Task", **{"Resource": CHARGE, **members})


def invoke(**members: Any) -> Document:
    return task(**{"Resource": INVOKE, "Parameters": {"FunctionName": "charge"}, **members})


def item_map(**members: Any) -> Document:
    return last("Map", **{"ItemProcessor": machine(I=last("Pass")), **members})


def choice(*rules: Any, **members: Any) -> Document:
    """A Choice `S`, and a state `T` for it to lead to."""
    return machine(S=state("Choice", Choices=list(rules), **{"Default": "T", **members}), T=state("Succeed"))


def rule(**members: Any) -> Document:
    return {"Variable": "$.x", "NumericEquals": 1, "Next": "T", **members}


def caught(**members: Any) -> Document:
    """A Task `S` that may go on with `T`."""
    return machine(S=task(Next="T", **{"End": False, **members}), T=state("Succeed"))


def read(document: Document) -> Workflow:
    """The workflow, which reads back from its source the same."""
    workflow = read_workflow(document)
    assert parse_stored(workflow.source) == workflow
    assert workflow.language == "states"
    return workflow


def read_task(document: Document) -> TaskStep:
    step = read(document).steps["S"]
    assert isinstance(step, TaskStep)
    return step


def read_pass(document: Document) -> PassStep:
    step = read(document).steps["S"]
    assert isinstance(step, PassStep)
    return step


def read_choice(document: Document) -> ChoiceStep:
    step = read(document).steps["S"]
    assert isinstance(step, ChoiceStep)
    return step


def read_wait(document: Document) -> WaitStep:
    step = read(document).steps["S"]
    assert isinstance(step, WaitStep)
    return step


def read_fail(document: Document) -> FailStep:
    step = read(document).steps["S"]
    assert isinstance(step, FailStep)
    return step


def read_succeed(document: Document) -> SucceedStep:
    step = read(document).steps["S"]
    assert isinstance(step, SucceedStep)
    return step


def read_map(document: Document) -> MapStep:
    step = read(document).steps["S"]
    assert isinstance(step, MapStep)
    return step


def read_parallel(document: Document) -> ParallelStep:
    step = read(document).steps["S"]
    assert isinstance(step, ParallelStep)
    return step
