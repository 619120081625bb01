"""A definition that many executions bring along is read once, and what is kept of them is bounded."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.engine.read_once import ReadOnce
from core.errors import InvalidDefinition


def definition(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "startAt": "a", "steps": [{"id": "a", "type": "SUCCEED", **more}]}


def test_the_same_content_is_the_same_workflow_and_another_is_another() -> None:
    reader = ReadOnce()
    first = reader.read(definition("one"))
    assert reader.read(dict(reversed(definition("one").items()))) is first
    assert reader.read(definition("two")) is not first


@pytest.mark.parametrize("broken", [None, [], {}, definition("x", next="a"), {"id": float("nan")}])
def test_what_is_wrong_is_told_each_time(broken: object) -> None:
    reader = ReadOnce()
    for _ in range(2):
        with pytest.raises(InvalidDefinition):
            reader.read(broken)


def test_the_oldest_go_when_there_are_too_many_bytes() -> None:
    reader = ReadOnce(capacity=200)
    first = reader.read(definition("one"))
    reader.read(definition("two"))
    assert reader.read(definition("one")) is first
    for number in range(3):
        reader.read(definition(f"more-{number}"))
    assert reader.read(definition("one")) is not first


def test_threads_that_read_the_same_get_the_same() -> None:
    reader = ReadOnce()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: reader.read(definition("one")), range(64)))
    assert reader.read(definition("one")) in found
    assert {workflow.digest for workflow in found} == {found[0].digest}
