"""Small documents, valid but for what a test puts into them."""

import json
from typing import Any

import pytest

from core.errors import InvalidDefinition, Problem
from core.graph.reading import read_workflow

Document = dict[str, Any]


def task(name: Any, **members: Any) -> Document:
    return {"id": name, "type": "TASK", "provider": "AWS", "functionId": "f", **members}


def flow(*steps: Any, **members: Any) -> Document:
    first = steps[0].get("id", "a") if steps and isinstance(steps[0], dict) else "a"
    return {"id": "flow", "startAt": first, "steps": list(steps), **members}


def step(kind: str, **members: Any) -> Document:
    return {"id": "a", "type": kind, **members}


def end(name: str = "b") -> Document:
    return {"id": name, "type": "SUCCEED"}


def choice(*rules: Any, **members: Any) -> Document:
    return flow(step("CHOICE", choices=list(rules), **{"default": "b", **members}), end())


def rule(**members: Any) -> Document:
    return {"variable": "x", "operator": "eq", "value": 1, "next": "b", **members}


def condition(operator: str, value: Any) -> Document:
    return choice(rule(operator=operator, value=value))


def nested(depth: int) -> Document:
    inner: Document = {"variable": "x", "operator": "exists"}
    for _ in range(depth):
        inner = {"not": inner}
    return choice({**inner, "next": "b"})


def without(document: Document, name: str) -> Document:
    return {key: value for key, value in document.items() if key != name}


def errors(document: Any, **options: Any) -> list[Problem]:
    with pytest.raises(InvalidDefinition) as refused:
        read_workflow(document, **options)
    return list(refused.value.problems)


PLAIN = flow(task("a"))
FAN = step("PARALLEL", branches=["b", "c"])


Case = tuple[str, Any, str, str, str]
"""What it is about, the document, and the one problem: pointer, code, a part of the mend."""


def check_one_problem(document: Any, pointer: str, code: str, mend: str) -> None:
    found = errors(document)
    assert [(problem.pointer, problem.code) for problem in found] == [(pointer, code)]
    (problem,) = found
    assert mend in problem.mend
    assert problem.detail.endswith(".")
    assert resolves(document, pointer)
    json.dumps([problem.pointer, problem.detail, problem.mend], ensure_ascii=False).encode()


def resolves(document: Any, pointer: str) -> bool:
    """Whether all of the pointer but its last part stands in the document (a missing field has no last)."""
    here = document
    for part in pointer.split("/")[1:-1]:
        key = part.replace("~1", "/").replace("~0", "~")
        here = here[int(key)] if isinstance(here, list) else here[key]
    return isinstance(here, dict | list) or not pointer
