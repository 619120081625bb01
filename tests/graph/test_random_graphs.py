from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidDefinition, Problem
from core.graph.canonical import canonical
from core.graph.model import Workflow
from core.graph.reading import check, parse_stored, read_workflow
from tests.strategies import workflows

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(("a", "b", "TASK")),
)
NAMES = st.sampled_from(
    (
        "id",
        "name",
        "startAt",
        "steps",
        "type",
        "next",
        "default",
        "choices",
        "branches",
        "catch",
        "errors",
        "resultPath",
        "provider",
        "functionId",
        "fallbackProvider",
        "fallbacks",
        "region",
        "effects",
        "onAmbiguous",
        "failoverOn",
        "hedge",
        "retries",
        "maxAttempts",
        "timeout",
        "deadline",
        "seconds",
        "until",
        "result",
        "error",
        "cause",
        "variable",
        "operator",
        "value",
        "and",
        "or",
        "not",
        "timeoutSeconds",
        "StartAt",
    )
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NAMES, st.text(max_size=4)), inner, max_size=6),
    ),
    max_leaves=30,
)


def read_or_refuse(document: Any) -> Workflow | tuple[Problem, ...]:
    try:
        return read_workflow(document)
    except InvalidDefinition as refused:
        return refused.problems


@given(workflows())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_random_valid_graphs_are_accepted_and_read_back_the_same(document: dict[str, Any]) -> None:
    workflow = read_workflow(document)
    assert parse_stored(workflow.source) == workflow
    assert set(workflow.steps) == {step["id"] for step in document["steps"]}
    assert all(problem.severity == "hint" for problem in check(document))


@given(JSON)
@settings(max_examples=400)
def test_any_json_is_read_or_refused(document: Any) -> None:
    read = read_or_refuse(document)
    assert isinstance(read, Workflow) or {problem.severity for problem in read} == {"error"}


@given(workflows(max_depth=1), st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_a_definition_with_one_value_replaced_is_read_or_refused(
    document: dict[str, Any], data: st.DataObject
) -> None:
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            continue
        holder[key] = data.draw(JSON)
        break
    read = read_or_refuse(document)
    if isinstance(read, Workflow):
        assert parse_stored(read.source) == read
    else:
        assert read == tuple(problem for problem in check(document) if problem.severity == "error")


@given(workflows(max_depth=1), st.randoms(use_true_random=False))
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_the_digest_does_not_depend_on_the_order_of_members(document: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            random.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert canonical(shuffled(document)) == canonical(document)
    assert read_workflow(shuffled(document)).digest == read_workflow(document).digest
