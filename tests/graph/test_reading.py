import hashlib
from typing import Any

import pytest

from core.errors import InvalidDefinition
from core.graph.model import (
    AllOf,
    AnyOf,
    Catcher,
    ChoiceRule,
    ChoiceStep,
    Comparison,
    FailStep,
    Negation,
    ParallelStep,
    PassStep,
    RetryPolicy,
    SucceedStep,
    Target,
    TaskStep,
    WaitStep,
)
from core.graph.reading import parse_stored, read_workflow
from tests.graph.building import end, flow, step, task


def read(document: Any) -> Any:
    """The first step of `document`; what was stored of it is read back the same."""
    workflow = read_workflow(document)
    assert parse_stored(workflow.source) == workflow
    return workflow.steps[workflow.start_at]


def test_the_shortest_definition_is_one_task() -> None:
    document = {
        "id": "my-flow",
        "startAt": "step1",
        "steps": [{"id": "step1", "type": "TASK", "provider": "AWS", "functionId": "my-func"}],
    }
    workflow = read_workflow(document)
    assert (workflow.id, workflow.name, workflow.start_at, workflow.timeout_ms) == (
        "my-flow",
        None,
        "step1",
        None,
    )
    assert workflow.steps == {"step1": TaskStep(id="step1", targets=(Target("AWS", "my-func"),))}
    assert workflow.source == (
        b'{"id":"my-flow","startAt":"step1","steps":'
        b'[{"functionId":"my-func","id":"step1","provider":"AWS","type":"TASK"}]}'
    )
    assert workflow.digest == hashlib.sha256(workflow.source).hexdigest()


def test_a_clients_workflow_of_the_first_system_is_read_as_it_is() -> None:
    document = {
        "id": "order",
        "name": "Order processing",
        "startAt": "validate",
        "steps": [
            {
                "id": "validate",
                "type": "TASK",
                "functionId": "flakey-func",
                "provider": "AWS",
                "fallbackProvider": "GCP",
                "retries": 3,
                "timeout": 5000,
                "next": "route",
            },
            {
                "id": "route",
                "type": "CHOICE",
                "choices": [{"variable": "total", "operator": "gt", "value": 100, "next": "both"}],
                "default": "small",
            },
            {"id": "both", "type": "PARALLEL", "branches": ["charge", "ship"]},
            {"id": "charge", "type": "TASK", "functionId": "charge", "provider": "AZURE"},
            {"id": "ship", "type": "TASK", "functionId": "ship", "provider": "GCP"},
            {"id": "small", "type": "TASK", "functionId": "small", "provider": "AWS"},
        ],
    }
    workflow = read_workflow(document)
    assert workflow.name == "Order processing"
    assert workflow.steps["validate"] == TaskStep(
        id="validate",
        targets=(Target("AWS", "flakey-func"), Target("GCP", "flakey-func")),
        retries=(RetryPolicy(max_attempts=3, interval_seconds=0.05, max_delay_seconds=1.0),),
        timeout_ms=5_000,
        deadline_ms=(5_000 * 2 + 1_000) * 4 + 50 + 100 + 200,
        next="route",
    )
    assert workflow.steps["both"] == ParallelStep(id="both", branches=("charge", "ship"))


def test_every_field_of_a_task_is_read() -> None:
    document = flow(
        task(
            "a",
            region="eu-west-1",
            fallbackProvider="GCP",
            fallbacks=[
                {"provider": "AZURE", "functionId": "g", "region": "westeurope"},
                {"provider": "HTTP"},
            ],
            effects="pure",
            onAmbiguous="fail",
            failoverOn=["functionError"],
            hedge=True,
            retries=[{"errors": ["Boom"], "maxAttempts": 1, "intervalSeconds": 0.5, "jitter": False}],
            timeout=3_000,
            deadline=8_000,
            catch=[{"errors": ["Boom"], "next": "b", "resultPath": "caught.boom"}, {"next": "b"}],
            next="b",
            description="what it is for",
        ),
        end(),
        timeoutSeconds=1.5,
        description="what it is for",
        comment="who knows",
    )
    assert read_workflow(document).timeout_ms == 1_500
    assert read(document) == TaskStep(
        id="a",
        targets=(
            Target("AWS", "f", "eu-west-1"),
            Target("GCP", "f"),
            Target("AZURE", "g", "westeurope"),
            Target("HTTP", "f"),
        ),
        effects="pure",
        on_ambiguous="fail",
        failover_on_function_error=True,
        hedge=True,
        retries=(RetryPolicy(errors=("Boom",), max_attempts=1, interval_seconds=0.5, jitter="none"),),
        timeout_ms=3_000,
        deadline_ms=8_000,
        catch=(
            Catcher(errors=("Boom",), next="b", result_path="caught.boom"),
            Catcher(errors=("*",), next="b", result_path="error"),
        ),
        next="b",
    )


@pytest.mark.parametrize(
    ("members", "settled"),
    [
        ({}, "failover"),
        ({"effects": "pure"}, "failover"),
        ({"effects": "atMostOnce"}, "park"),
        ({"effects": "atMostOnce", "onAmbiguous": "fail"}, "fail"),
        ({"onAmbiguous": "park"}, "park"),
    ],
)
def test_an_ambiguous_outcome_is_settled_by_what_the_step_says_of_itself(members: Any, settled: str) -> None:
    assert read(flow(task("a", **members))).on_ambiguous == settled


@pytest.mark.parametrize(
    ("retries", "policies"),
    [
        (None, ()),
        (0, ()),
        ([], ()),
        (2, (RetryPolicy(max_attempts=2, interval_seconds=0.05, max_delay_seconds=1.0),)),
        (
            {"maxAttempts": 2},
            (RetryPolicy(max_attempts=2, backoff_rate=2, max_delay_seconds=60, jitter="full"),),
        ),
        ({"maxAttempts": 2, "jitter": "none"}, (RetryPolicy(max_attempts=2, jitter="none"),)),
        ({"maxAttempts": 2, "jitter": True}, (RetryPolicy(max_attempts=2, jitter="full"),)),
        (
            [
                {"errors": ["A", "B"], "maxAttempts": 1, "backoffRate": 1},
                {"maxAttempts": 3, "maxDelaySeconds": 5},
            ],
            (
                RetryPolicy(errors=("A", "B"), max_attempts=1, backoff_rate=1),
                RetryPolicy(max_attempts=3, max_delay_seconds=5),
            ),
        ),
    ],
)
def test_retries_are_a_count_a_policy_or_several(retries: Any, policies: Any) -> None:
    assert read(flow(task("a", retries=retries))).retries == policies


@pytest.mark.parametrize(
    ("members", "timeout", "deadline"),
    [
        ({}, 30_000, 31_000),
        ({"fallbackProvider": "GCP"}, 30_000, 61_000),
        ({"timeout": 500, "fallbacks": [{"provider": "GCP"}, {"provider": "HTTP"}]}, 500, 2_500),
        ({"timeout": 500, "deadline": 500}, 500, 500),
        ({"deadline": 8_000}, 8_000, 8_000),
        ({"deadline": 90_000}, 30_000, 90_000),
        ({"timeout": 1_000, "retries": 6}, 1_000, 2_000 * 7 + 50 + 100 + 200 + 400 + 800 + 1_000),
        (
            {"timeout": 1_000, "retries": {"maxAttempts": 2, "intervalSeconds": 40}},
            1_000,
            2_000 * 3 + 100_000,
        ),
        (
            {"timeout": 86_400_000, "retries": [{"maxAttempts": 100}] * 1},
            86_400_000,
            86_401_000 * 101 + (63 + 94 * 60) * 1_000,
        ),
        (
            {"timeout": 86_400_000, "retries": [{"errors": [str(n)], "maxAttempts": 100} for n in range(20)]},
            86_400_000,
            31_536_000_000,
        ),
    ],
)
def test_the_default_deadline_lets_every_attempt_take_its_time(
    members: Any, timeout: int, deadline: int
) -> None:
    step = read(flow(task("a", **members)))
    assert (step.timeout_ms, step.deadline_ms) == (timeout, deadline)


def test_conditions_are_read_with_their_nesting() -> None:
    rules = [
        {"variable": r"order.a\.b", "operator": "exists", "next": "b"},
        {
            "and": [
                {"variable": "x", "operator": "eq", "value": None},
                {"or": [{"not": {"variable": "y", "operator": "in", "value": [1]}}]},
            ],
            "next": "b",
        },
    ]
    assert read(flow(step("CHOICE", choices=rules, default="b"), end())) == ChoiceStep(
        id="a",
        choices=(
            ChoiceRule(Comparison(("order", "a.b"), "exists", value=True), "b"),
            ChoiceRule(
                AllOf((Comparison(("x",), "eq", None), AnyOf((Negation(Comparison(("y",), "in", [1])),)))),
                "b",
            ),
        ),
        default="b",
    )


@pytest.mark.parametrize(
    ("until", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:00:00.5+01:00", 500),
        ("2026-03-01T09:00:00.123456789-05:30", 1_772_375_400_123),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59-12:00", 253_402_343_999_000),
    ],
)
def test_an_instant_is_read_in_any_offset(until: str, milliseconds: int) -> None:
    assert read(flow(step("WAIT", until=until))) == WaitStep(id="a", until_ms=milliseconds)


@pytest.mark.parametrize(
    ("document", "result"),
    [
        (step("WAIT", seconds=0), WaitStep(id="a", seconds=0.0)),
        (step("WAIT", seconds=1.5), WaitStep(id="a", seconds=1.5)),
        (step("PASS"), PassStep(id="a")),
        (step("PASS", result={"x": [1]}), PassStep(id="a", result={"x": [1]})),
        (step("SUCCEED"), SucceedStep(id="a")),
        (step("FAIL"), FailStep(id="a", error="Sidestep.Failed", cause="")),
        (step("FAIL", error="Boom", cause="why"), FailStep(id="a", error="Boom", cause="why")),
    ],
)
def test_the_other_steps_are_read(document: Any, result: Any) -> None:
    assert read(flow(document)) == result


def test_null_stands_for_what_is_left_out() -> None:
    nulls = dict.fromkeys(("next", "region", "fallbackProvider", "fallbacks", "effects", "retries", "catch"))
    assert read(flow(task("a", **nulls), name=None, timeoutSeconds=None)) == read(flow(task("a")))


def test_ids_are_free_text() -> None:
    for name in ("ünï/cödé~ 1", "a.b", "%", "x" * 128):
        assert read(flow(task(name))).id == name


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            [
                {"id": "a", "type": "PARALLEL", "branches": ["b", "c"]},
                task("b", next="d"),
                task("c", next="d"),
                end("d"),
            ],
            id="branches of one PARALLEL share their end",
        ),
        pytest.param(
            [
                task("a", next="ask"),
                {
                    "id": "ask",
                    "type": "CHOICE",
                    "choices": [{"variable": "x", "operator": "exists", "next": "a"}],
                    "default": "d",
                },
                end("d"),
            ],
            id="a loop with a way out",
        ),
        pytest.param([task("a", next="a", catch=[{"next": "d"}]), end("d")], id="a loop until it fails"),
        pytest.param(
            [
                {"id": "a", "type": "PARALLEL", "branches": ["p"], "next": "a2"},
                {"id": "p", "type": "PARALLEL", "branches": ["x"], "next": "y"},
                end("x"),
                end("y"),
                {"id": "a2", "type": "PARALLEL", "branches": ["z"], "catch": [{"next": "a"}]},
                end("z"),
            ],
            id="PARALLELs inside, behind and back to one another",
        ),
    ],
)
def test_graphs_that_can_run_are_accepted(steps: Any) -> None:
    assert read(flow(*steps)).id == "a"


def test_a_stored_definition_is_read_whatever_the_limits_and_providers_are_now() -> None:
    workflow = read_workflow(
        flow(task("a", provider="EDGE", next="nowhere"), task("nowhere")), providers=None
    )
    assert parse_stored(workflow.source) == workflow


@pytest.mark.parametrize("source", [b"", b"{", b"[]", b"{}", b'{"id":"x"}', b"\xff", b"[" * 100_000])
def test_a_damaged_stored_definition_is_refused(source: bytes) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_stored(source)
    assert refused.value.problems
