"""A definition that many executions bring along is read once, and what is kept of them is bounded."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.engine.read_once import APIECE, Kept, ReadOnce
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


def test_what_was_wanted_once_goes_first_when_there_are_too_many_bytes() -> None:
    reader = ReadOnce(capacity=20 * APIECE)
    used, unused = reader.read(definition("used")), reader.read(definition("unused"))
    assert reader.read(definition("used")) is used
    for number in range(1_000):
        reader.read(definition(f"more-{number}"))
    assert reader.read(definition("used")) is used
    assert reader.read(definition("unused")) is not unused


def test_of_those_in_use_the_one_used_longest_ago_goes() -> None:
    reader = ReadOnce(capacity=20 * APIECE)
    first = reader.read(definition("first"))
    assert reader.read(definition("first")) is first
    for number in range(30):
        again = reader.read(definition(f"more-{number}"))
        assert reader.read(definition(f"more-{number}")) is again
    assert reader.read(definition("first")) is not first


def test_what_is_kept_is_bounded_by_entries_and_by_bytes() -> None:
    workflow = ReadOnce().read(definition("any"))
    small, large = Kept(100 * APIECE), Kept(100 * APIECE)
    for number in range(1_000):
        for _ in range(2):
            small.put(f"{number}", workflow, 1)
            small.get(f"{number}")
        large.put(f"{number}", workflow, 10 * APIECE)
        if number % 2:
            large.get(f"{number}")
    assert 50 < len(small) <= 100
    assert 5 < len(large) <= 10


def test_a_text_is_known_once_it_was_learnt_and_no_other_is() -> None:
    reader = ReadOnce()
    workflow = reader.read(definition("one"))
    assert reader.known(b"one") is None
    reader.learn(b"one", workflow)
    assert reader.known(b"one") is workflow
    assert reader.known(b"one ") is None


def test_threads_that_read_the_same_get_the_same() -> None:
    reader = ReadOnce()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: reader.read(definition("one")), range(64)))
    assert reader.read(definition("one")) in found
    assert {workflow.digest for workflow in found} == {found[0].digest}
