"""What every field of a machine becomes in the one model."""

import pytest

from core.data.flow import Flow, Rule, Template
from core.graph.model import Catcher, RetryPolicy, Target
from tests.graph.states_language.machines import (
    CHARGE,
    INVOKE,
    caught,
    choice,
    invoke,
    jsonata,
    last,
    machine,
    one,
    read,
    read_choice,
    read_fail,
    read_pass,
    read_succeed,
    read_task,
    read_wait,
    rule,
    state,
    task,
)

YEAR_MS = 31_536_000_000


def test_a_machine_goes_by_its_digest_and_starts_where_it_says() -> None:
    workflow = read(
        {
            "Comment": "two states",
            "Version": "1.0",
            "TimeoutSeconds": 60,
            "QueryLanguage": "JSONPath",
            "StartAt": "B",
            "States": {"A": state("Succeed"), "B": state("Pass", Next="A")},
        }
    )
    assert workflow.id == f"asl-{workflow.digest[:16]}"
    assert (workflow.start_at, workflow.timeout_ms, workflow.name) == ("B", 60_000, None)
    assert set(workflow.steps) == {"A", "B"}


def test_an_execution_is_never_bounded_by_more_than_a_year() -> None:
    assert read({**one(last("Pass")), "TimeoutSeconds": 99_999_999}).timeout_ms == YEAR_MS


def test_a_pass_says_its_data_flow_in_jsonpath() -> None:
    step = read_pass(
        machine(
            S=state(
                "Pass",
                Comment="all of it",
                InputPath="$.in",
                Parameters={"a.$": "$.b", "c": [{"d.$": "States.UUID()"}]},
                Result={"no.$": "template", "at": None},
                ResultPath="$.out[0].x",
                OutputPath="$.out",
                Assign={"v.$": "$.x", "w": 1},
                Next="T",
            ),
            T=state("Succeed"),
        )
    )
    assert step.next == "T"
    assert step.flow == Flow(
        language="jsonpath",
        input_path="$.in",
        arguments=Template({"a.$": "$.b", "c": [{"d.$": "States.UUID()"}]}),
        result=Template({"no.$": "template", "at": None}),
        result_path="$.out[0].x",
        output_path="$.out",
        assign=Template({"v.$": "$.x", "w": 1}),
    )


def test_a_state_that_says_nothing_of_its_data_has_a_flow_in_its_language() -> None:
    assert read_pass(one(last("Pass"))).flow == Flow(language="jsonpath")
    assert read_pass(jsonata(one(last("Pass")))).flow == Flow(language="jsonata")
    assert read_pass(one(last("Pass", QueryLanguage="JSONata"))).flow == Flow(language="jsonata")


def test_null_paths_differ_from_absent_ones_and_a_null_result_is_a_value() -> None:
    step = read_pass(one(last("Pass", InputPath=None, OutputPath=None, ResultPath=None, Result=None)))
    assert step.flow == Flow(
        language="jsonpath", input_path=None, output_path=None, result_path=None, result=Template(None)
    )


def test_a_pass_in_jsonata_has_output_and_assign() -> None:
    step = read_pass(jsonata(one(last("Pass", Output=None, Assign={"v": "{% $states.input.x %}"}))))
    assert step.flow == Flow(
        language="jsonata", output=Template(None), assign=Template({"v": "{% $states.input.x %}"})
    )


def test_a_succeed_selects_its_output() -> None:
    assert read_succeed(one(state("Succeed", InputPath="$.a", OutputPath="$$.Execution.Id"))).flow == Flow(
        language="jsonpath", input_path="$.a", output_path="$$.Execution.Id"
    )
    assert read_succeed(jsonata(one(state("Succeed", Output="{% 1 %}")))).flow == Flow(
        language="jsonata", output=Template("{% 1 %}")
    )


def test_a_function_is_called_by_its_arn_in_its_region() -> None:
    step = read_task(one(task()))
    assert step.targets == (Target("AWS", CHARGE, "eu-west-1"),)
    assert (step.effects, step.awaits, step.lambda_envelope, step.dynamic_function) == (
        "idempotent",
        "answer",
        False,
        False,
    )
    qualified = f"{CHARGE}:live"
    assert read_task(one(task(Resource=qualified))).targets == (Target("AWS", qualified, "eu-west-1"),)


def test_without_a_timeout_a_call_may_take_as_long_as_a_function_can_run() -> None:
    step = read_task(one(task()))
    assert (step.timeout_ms, step.deadline_ms, step.heartbeat_ms) == (900_000, 901_000, None)


def test_a_timeout_and_a_heartbeat_bound_an_attempt() -> None:
    step = read_task(one(task(TimeoutSeconds=10, HeartbeatSeconds=3)))
    assert (step.timeout_ms, step.deadline_ms, step.heartbeat_ms) == (10_000, 11_000, 3_000)


def test_a_timeout_may_be_found_in_the_data() -> None:
    step = read_task(one(task(TimeoutSecondsPath="$.t", HeartbeatSecondsPath="$.h")))
    assert step.flow is not None
    assert step.flow.fields == {
        "TimeoutSecondsPath": Template("$.t"),
        "HeartbeatSecondsPath": Template("$.h"),
    }
    assert step.deadline_ms == YEAR_MS
    step = read_task(jsonata(one(task(TimeoutSeconds="{% 1 %}", HeartbeatSeconds=5))))
    assert step.flow is not None
    assert (step.flow.fields, step.heartbeat_ms) == ({"TimeoutSeconds": Template("{% 1 %}")}, 5_000)


def test_the_deadline_leaves_room_for_every_attempt() -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 2}
    step = read_task(
        one(task(TimeoutSeconds=10, Retry=[retry], Fallbacks=[{"provider": "GCP"}, {"provider": "AZURE"}]))
    )
    assert step.deadline_ms == (10_000 * 3 + 1_000) * 3 + 2_000 + 4_000
    endless = {**retry, "MaxAttempts": 99_999_999, "BackoffRate": 1.0}
    assert read_task(one(task(Retry=[endless]))).deadline_ms == YEAR_MS


def test_invoke_wraps_what_goes_in_and_out_of_a_function_named_in_its_parameters() -> None:
    step = read_task(one(invoke(Parameters={"FunctionName": "charge", "Payload.$": "$"})))
    assert step.targets == (Target("AWS", "charge"),)
    assert (step.lambda_envelope, step.dynamic_function, step.awaits) == (True, False, "answer")
    assert step.flow is not None
    assert step.flow.arguments == Template({"FunctionName": "charge", "Payload.$": "$"})
    step = read_task(
        jsonata(one(task(Resource=INVOKE, Arguments={"FunctionName": CHARGE, "Payload": {"a": "{% 1 %}"}})))
    )
    assert step.targets == (Target("AWS", CHARGE, "eu-west-1"),)


def test_a_qualifier_is_a_part_of_the_function() -> None:
    step = read_task(one(invoke(Parameters={"FunctionName": "charge", "Qualifier": "7", "LogType": "Tail"})))
    assert step.targets == (Target("AWS", "charge:7"),)
    step = read_task(one(invoke(Parameters={"FunctionName": CHARGE, "InvocationType": "RequestResponse"})))
    assert step.targets == (Target("AWS", CHARGE, "eu-west-1"),)


@pytest.mark.parametrize(
    "state_",
    [
        invoke(Parameters={"FunctionName.$": "$.f", "Payload": 1}),
        task(QueryLanguage="JSONata", Resource=INVOKE, Arguments={"FunctionName": "{% $f %}"}),
        task(QueryLanguage="JSONata", Resource=INVOKE, Arguments="{% $states.input %}"),
    ],
    ids=["path", "expression", "all of the arguments"],
)
def test_the_function_may_be_found_in_the_data(state_: dict[str, object]) -> None:
    step = read_task(one(state_))
    assert (step.targets, step.dynamic_function) == ((Target("AWS", "*"),), True)


def test_a_task_may_wait_for_its_token_to_come_back() -> None:
    step = read_task(one(invoke(Resource=f"{INVOKE}.waitForTaskToken", HeartbeatSeconds=60)))
    assert (step.awaits, step.timeout_ms, step.deadline_ms) == ("callback", YEAR_MS, YEAR_MS)
    assert (step.lambda_envelope, step.heartbeat_ms) == (True, 60_000)


def test_fallbacks_name_the_same_function_elsewhere_unless_they_name_another() -> None:
    step = read_task(
        one(
            task(
                Resource=f"{CHARGE}:live",
                Fallbacks=[
                    {"provider": "AWS", "region": "us-east-1"},
                    {"provider": "GCP", "functionId": "https://f.example", "region": "europe-west1"},
                ],
            )
        )
    )
    assert step.targets == (
        Target("AWS", f"{CHARGE}:live", "eu-west-1"),
        Target("AWS", "charge", "us-east-1"),
        Target("GCP", "https://f.example", "europe-west1"),
    )


def test_a_retrier_has_the_defaults_of_the_language() -> None:
    plain, full = read_task(
        one(
            task(
                Retry=[
                    {"ErrorEquals": ["A", "B"], "Comment": "by default"},
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 3,
                        "MaxAttempts": 0,
                        "BackoffRate": 1.5,
                        "MaxDelaySeconds": 60,
                        "JitterStrategy": "FULL",
                    },
                ]
            )
        )
    ).retries
    assert plain == RetryPolicy(
        errors=("A", "B"),
        max_attempts=3,
        interval_seconds=1,
        backoff_rate=2,
        max_delay_seconds=31_622_400,
        jitter="none",
    )
    assert full == RetryPolicy(
        errors=("States.ALL",),
        max_attempts=0,
        interval_seconds=3,
        backoff_rate=1.5,
        max_delay_seconds=60,
        jitter="full",
    )


def test_a_catcher_says_what_goes_on_and_where() -> None:
    first, second = read_task(
        caught(
            Catch=[
                {"ErrorEquals": ["A"], "Next": "T", "ResultPath": "$.e", "Assign": {"v.$": "$.Cause"}},
                {"ErrorEquals": ["States.ALL"], "Next": "T", "ResultPath": None, "Comment": "rest"},
            ]
        )
    ).catch
    assert first == Catcher(
        errors=("A",),
        next="T",
        flow=Flow(language="jsonpath", result_path="$.e", assign=Template({"v.$": "$.Cause"})),
    )
    assert second == Catcher(
        errors=("States.ALL",), next="T", flow=Flow(language="jsonpath", result_path=None)
    )
    (third,) = read_task(
        jsonata(
            caught(
                Catch=[
                    {
                        "ErrorEquals": ["States.Timeout"],
                        "Next": "T",
                        "Output": "{% $states.errorOutput %}",
                        "Assign": {"v": 1},
                    }
                ]
            )
        )
    ).catch
    assert third.flow == Flow(
        language="jsonata", output=Template("{% $states.errorOutput %}"), assign=Template({"v": 1})
    )


def test_a_task_selects_from_its_result() -> None:
    step = read_task(one(task(ResultSelector={"a.$": "$.b"}, ResultPath="$.r")))
    assert step.flow == Flow(language="jsonpath", result_selector=Template({"a.$": "$.b"}), result_path="$.r")


def test_a_rule_is_kept_as_written_without_what_is_no_test() -> None:
    present = {"Variable": "$.a", "IsPresent": True}
    other = {"Not": {"Variable": "$.b", "StringEquals": "x"}}
    test = {"And": [present, other]}
    remarked = {"And": [{**present, "Comment": "there"}, other]}
    step = read_choice(
        choice({**remarked, "Next": "T", "Assign": {"v.$": "$.x"}, "Comment": "both"}, Assign={"w": 1})
    )
    assert step.rules == (Rule(test=Template(test), next="T", assign=Template({"v.$": "$.x"})),)
    assert (step.default, step.flow) == ("T", Flow(language="jsonpath", assign=Template({"w": 1})))


def test_a_rule_in_jsonata_is_its_condition() -> None:
    step = read_choice(
        jsonata(
            choice(
                {"Condition": "{% $x > 1 %}", "Next": "T", "Output": {"o": 1}, "Assign": {"v": 2}},
                {"Condition": True, "Next": "T"},
                Output="{% 3 %}",
            )
        )
    )
    assert step.rules == (
        Rule(
            test=Template("{% $x > 1 %}"),
            next="T",
            output=Template({"o": 1}),
            assign=Template({"v": 2}),
        ),
        Rule(test=Template(True), next="T"),
    )
    assert step.flow == Flow(language="jsonata", output=Template("{% 3 %}"))


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("StringEquals", "a"),
        ("StringMatches", "a*"),
        ("StringLessThanPath", "$.y"),
        ("NumericGreaterThanEquals", 1.5),
        ("NumericEqualsPath", "$$.State.RetryCount"),
        ("TimestampLessThan", "2026-03-01T09:00:00Z"),
        ("TimestampEqualsPath", "$now"),
        ("BooleanEquals", False),
        ("BooleanEqualsPath", "$.y"),
        ("IsNull", True),
        ("IsNumeric", False),
        ("IsBoolean", True),
        ("IsTimestamp", True),
    ],
)
def test_every_kind_of_comparison_is_read(operator: str, value: object) -> None:
    step = read_choice(choice({"Variable": "$.x", operator: value, "Next": "T"}))
    assert step.rules[0].test == Template({"Variable": "$.x", operator: value})


def test_a_wait_has_one_of_four_ends() -> None:
    assert read_wait(one(last("Wait", Seconds=0))).seconds == 0
    assert read_wait(one(last("Wait", Timestamp="1970-01-01T00:00:01.5Z"))).until_ms == 1_500
    assert read_wait(one(last("Wait", Timestamp="1970-01-01T01:00:00+01:00"))).until_ms == 0
    for name in ("SecondsPath", "TimestampPath"):
        step = read_wait(one(last("Wait", **{name: "$.at"})))
        assert (step.seconds, step.until_ms) == (None, None)
        assert step.flow == Flow(language="jsonpath", fields={name: Template("$.at")})
    for name in ("Seconds", "Timestamp"):
        step = read_wait(jsonata(one(last("Wait", **{name: "{% $at %}"}))))
        assert step.flow == Flow(language="jsonata", fields={name: Template("{% $at %}")})


def test_a_fail_says_its_error_or_where_it_is() -> None:
    step = read_fail(one(state("Fail", Error="E", Cause="because")))
    assert (step.error, step.cause, step.flow) == ("E", "because", Flow(language="jsonpath"))
    step = read_fail(one(state("Fail", ErrorPath="$.e", CausePath="States.Format('{}', $.c)")))
    assert step.flow == Flow(
        language="jsonpath",
        fields={"ErrorPath": Template("$.e"), "CausePath": Template("States.Format('{}', $.c)")},
    )
    step = read_fail(jsonata(one(state("Fail", Error="{% $e %}", Cause="because"))))
    assert (step.cause, step.flow) == (
        "because",
        Flow(language="jsonata", fields={"Error": Template("{% $e %}")}),
    )


def test_a_fail_without_a_name_has_none() -> None:
    assert read_fail(one(state("Fail"))).error == ""


def test_names_are_looked_for_in_their_own_scope() -> None:
    inner = machine(A=state("Choice", Choices=[rule(Next="B")], Default="B"), B=last("Pass"))
    assert set(read(machine(S=last("Parallel", Branches=[inner]))).steps) == {"S", "A", "B"}


def test_a_loop_without_an_end_is_no_error_while_the_machine_has_one() -> None:
    looping = machine(S=state("Choice", Choices=[rule()], Default="L"), T=state("Succeed"))
    looping["States"]["L"] = state("Wait", Seconds=1, Next="L")
    assert set(read(looping).steps) == {"S", "T", "L"}
