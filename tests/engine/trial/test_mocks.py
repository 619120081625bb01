"""Answers that cannot be used are all told at once, with where they stand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.trial.mocks import Error, Mocks, Output, Timeout, read_mocks
from core.errors import InvalidMocks
from core.graph.reading import read_workflow
from tests.engine.trial.trying import flow, task

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("E"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("charge", "output", "error", "cause", "timeout", "x")), inner, max_size=3
        )
    ),
    max_leaves=12,
)
WORKFLOW = read_workflow(flow(task("charge", next="wait"), {"id": "wait", "type": "WAIT", "seconds": 1}))


def problems(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidMocks) as refused:
        read_mocks(document, WORKFLOW)
    return [(one.pointer, one.code) for one in refused.value.problems]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], [("/mocks", "wrong-type")]),
        ({"charg": [{"output": 1}]}, [("/mocks/charg", "unknown-step")]),
        ({"wait": [{"output": 1}]}, [("/mocks/wait", "pointless")]),
        ({"charge": {"output": 1}}, [("/mocks/charge", "wrong-type")]),
        ({"charge": [{"output": 1}] * 10_001}, [("/mocks/charge", "too-many")]),
        ({"charge": [1]}, [("/mocks/charge/0", "wrong-type")]),
        ({"charge": [{}]}, [("/mocks/charge/0", "one-answer")]),
        ({"charge": [{"output": 1, "error": "E"}]}, [("/mocks/charge/0", "one-answer")]),
        ({"charge": [{"output": 1, "cause": "c"}]}, [("/mocks/charge/0/cause", "unknown-field")]),
        ({"charge": [{"error": ""}]}, [("/mocks/charge/0/error", "empty")]),
        ({"charge": [{"error": 5}]}, [("/mocks/charge/0/error", "wrong-type")]),
        ({"charge": [{"error": "E", "cause": "x" * 40_000}]}, [("/mocks/charge/0/cause", "too-long")]),
        ({"charge": [{"timeout": False}]}, [("/mocks/charge/0/timeout", "wrong-type")]),
        (
            {"charge": [{"timeout": 1}, {"output": 2}, 3]},
            [("/mocks/charge/0/timeout", "wrong-type"), ("/mocks/charge/2", "wrong-type")],
        ),
    ],
)
def test_what_cannot_be_used_is_told(document: Any, told: list[tuple[str, str]]) -> None:
    assert problems(document) == told


def test_a_step_that_was_mistyped_is_suggested() -> None:
    with pytest.raises(InvalidMocks) as refused:
        read_mocks({"chrge": [{"output": 1}]}, WORKFLOW)
    assert "'charge'" in refused.value.problems[0].mend


def test_null_is_an_output_and_no_mocks_are_none() -> None:
    assert read_mocks({"charge": [{"output": None}]}, WORKFLOW).take("charge") == Output(None)
    assert read_mocks(None, WORKFLOW).take("charge") is None
    assert read_mocks({"charge": []}, WORKFLOW).take("charge") is None


def test_each_step_has_its_own_turn() -> None:
    mocks = Mocks({"a": (Output(1), Error("E", "c")), "b": (Timeout(),)})
    assert [mocks.take(step) for step in "abaab"] == [
        Output(1),
        Timeout(),
        Error("E", "c"),
        Error("E", "c"),
        Timeout(),
    ]
    assert mocks.problems() == ()
    assert mocks.take("c") is None
    assert [one.pointer for one in mocks.problems()] == ["/mocks/c"]


@given(JSON)
def test_any_json_is_taken_or_refused_by_name(document: Any) -> None:
    for mocks in (document, {"charge": document}, {"charge": [document]}):
        refused = refusal(mocks)
        assert refused is None or refused.problems
        assert refused is None or all(one.pointer.startswith("/mocks") for one in refused.problems)


def refusal(mocks: Any) -> InvalidMocks | None:
    try:
        read_mocks(mocks, WORKFLOW)
    except InvalidMocks as refused:
        return refused
    return None
