"""Every mistake in a machine is one problem, with a pointer to it, a code, a sentence and a mend."""

from typing import Any

import pytest

from core.graph.limits import Limits
from core.graph.reading import check, read_workflow
from tests.graph.building import Case, check_one_problem, errors, without
from tests.graph.states_language.machines import (
    CHARGE,
    INVOKE,
    caught,
    choice,
    invoke,
    item_map,
    jsonata,
    last,
    machine,
    one,
    rule,
    state,
    task,
)

PLAIN = one(last("Pass"))
FUNCTION = {"FunctionName": "charge"}


def retried(**members: Any) -> Any:
    return one(task(Retry=[{"ErrorEquals": ["E"], **members}]))


def config(**members: Any) -> Any:
    return item_map(ItemProcessor={"ProcessorConfig": members, **machine(I=last("Pass"))})


def fallback(*entries: Any) -> Any:
    return one(task(Fallbacks=list(entries)))


MACHINES: list[Case] = [
    ("an id", {**PLAIN, "id": "m"}, "/id", "unknown-field", "Remove it"),
    ("no start", without(PLAIN, "StartAt"), "/StartAt", "missing-field", "state to start with"),
    ("no states", without(PLAIN, "States"), "/States", "missing-field", '"States"'),
    ("states null", {**PLAIN, "States": None}, "/States", "wrong-type", "object"),
    ("a list of states", {**PLAIN, "States": []}, "/States", "wrong-type", "object"),
    ("no state at all", {**PLAIN, "States": {}}, "/States", "empty", "at least one state"),
    ("misspelt start", {**PLAIN, "StartAt": "s"}, "/StartAt", "unknown-state", "Did you mean 'S'?"),
    ("strange start", {**PLAIN, "StartAt": "Other"}, "/StartAt", "unknown-state", "one of the states"),
    ("version 2", {**PLAIN, "Version": "2.0"}, "/Version", "unknown-version", "1.0"),
    ("timeout 0", {**PLAIN, "TimeoutSeconds": 0}, "/TimeoutSeconds", "out-of-range", "1 to"),
    (
        "query language",
        {**PLAIN, "QueryLanguage": "Jsonata"},
        "/QueryLanguage",
        "unknown-query-language",
        "Did you mean 'JSONata'?",
    ),
    ("comment 1", {**PLAIN, "Comment": 1}, "/Comment", "wrong-type", "string"),
    ("a member of no meaning", {**PLAIN, "Startat": "S"}, "/Startat", "unknown-field", "'StartAt'"),
]

STATES: list[Case] = [
    ("a string as state", {**PLAIN, "States": {"S": "Pass"}}, "/States/S", "wrong-type", "object"),
    ("no type", one({"End": True}), "/States/S/Type", "missing-field", '"Type"'),
    ("lower case type", one(last("pass")), "/States/S/Type", "unknown-type", "Did you mean 'Pass'?"),
    ("strange type", one(last("Nonsense")), "/States/S/Type", "unknown-type", "Use one of Task"),
    ("misspelt field", one(last("Pass", Coment="x")), "/States/S/Coment", "unknown-field", "'Comment'"),
    ("another type's field", one(last("Pass", Branches=[])), "/States/S/Branches", "unknown-field", "Remove"),
    ("no next, no end", one(state("Pass")), "/States/S", "missing-next", '"End": true'),
    ("an end that is none", one(state("Pass", End=False)), "/States/S", "missing-next", "comes next"),
    ("an end in words", one(state("Pass", End="yes")), "/States/S/End", "wrong-type", "true or false"),
    (
        "next and end",
        machine(S=last("Pass", Next="T"), T=state("Succeed")),
        "/States/S/End",
        "next-and-end",
        "Keep one",
    ),
    ("next nowhere", one(state("Pass", Next="X")), "/States/S/Next", "unknown-state", "Name a state"),
    (
        "misspelt next",
        machine(S=state("Pass", Next="Shiping"), Shipping=state("Succeed")),
        "/States/S/Next",
        "unknown-state",
        "Did you mean 'Shipping'?",
    ),
    (
        "next in another scope",
        machine(S=state("Parallel", Branches=[machine(A=last("Pass"))], Next="A")),
        "/States/S/Next",
        "unknown-state",
        "same scope",
    ),
    (
        "out of a branch",
        machine(
            S=state("Parallel", Branches=[machine(A=state("Pass", Next="T"))], Next="T"), T=state("Succeed")
        ),
        "/States/S/Branches/0/States/A/Next",
        "unknown-state",
        "same scope",
    ),
    (
        "unreachable",
        machine(S=last("Pass"), T=state("Succeed")),
        "/States/T",
        "unreachable-state",
        "'Next', a rule",
    ),
    (
        "no end at all",
        machine(S=state("Pass", Next="T"), T=state("Pass", Next="S")),
        "/States/S",
        "no-way-to-an-end",
        '"End": true',
    ),
    (
        "the same name in two scopes",
        one(last("Parallel", Branches=[machine(S=last("Pass"))])),
        "/States/S/Branches/0/States/S",
        "duplicate-state",
        "its own name",
    ),
    ("a long name", machine(**{"x" * 81: last("Pass")}), f"/States/{'x' * 81}", "invalid-id", "another"),
    ("a tab in a name", machine(**{"a\tb": last("Pass")}), "/States/a\tb", "invalid-id", "printable"),
    (
        "next of a succeed",
        machine(S=state("Succeed", Next="T"), T=state("Succeed")),
        "/States/S/Next",
        "next-not-allowed",
        "Remove",
    ),
    ("end of a fail", one(last("Fail")), "/States/S/End", "next-not-allowed", "Remove it"),
    ("input path", one(last("Pass", InputPath="a.b")), "/States/S/InputPath", "invalid-path", "$.order"),
    (
        "result path with a wildcard",
        one(last("Pass", ResultPath="$.a[*]")),
        "/States/S/ResultPath",
        "invalid-path",
        "$.order",
    ),
    (
        "result path into the context",
        one(last("Pass", ResultPath="$$.a")),
        "/States/S/ResultPath",
        "invalid-path",
        "$.order",
    ),
    (
        "a member that is no path",
        one(last("Pass", Parameters={"a": [{"b.$": "x"}]})),
        "/States/S/Parameters/a/0/b.$",
        "invalid-path",
        "States.Format",
    ),
    (
        "a member that is no text",
        one(last("Pass", Parameters={"b.$": 1})),
        "/States/S/Parameters/b.$",
        "invalid-path",
        "$.order",
    ),
    (
        "a function that does not exist",
        one(last("Pass", Parameters={"b.$": "States.Nope()"})),
        "/States/S/Parameters/b.$",
        "invalid-path",
        "States.Format",
    ),
    (
        "a member twice",
        one(last("Pass", Parameters={"b.$": "$.b", "b": 1})),
        "/States/S/Parameters/b.$",
        "contradiction",
        "Keep one",
    ),
    (
        "a selector that is no object",
        one(task(ResultSelector=[])),
        "/States/S/ResultSelector",
        "wrong-type",
        "object",
    ),
    ("assign a list", one(last("Pass", Assign=[])), "/States/S/Assign", "wrong-type", "object"),
    (
        "assign to no name",
        one(last("Pass", Assign={"a-b.$": "$"})),
        "/States/S/Assign/a-b.$",
        "invalid-variable",
        "letters",
    ),
    (
        "assign to states",
        one(last("Pass", Assign={"states": 1})),
        "/States/S/Assign/states",
        "invalid-variable",
        "another name",
    ),
]

LANGUAGES: list[Case] = [
    (
        "parameters in jsonata",
        jsonata(one(last("Pass", Parameters={}))),
        "/States/S/Parameters",
        "wrong-query-language",
        "'Arguments'",
    ),
    (
        "a result in a state of jsonata",
        one(last("Pass", QueryLanguage="JSONata", Result=1)),
        "/States/S/Result",
        "wrong-query-language",
        "'Output'",
    ),
    (
        "output in jsonpath",
        one(last("Pass", Output=1)),
        "/States/S/Output",
        "wrong-query-language",
        '"QueryLanguage": "JSONata"',
    ),
    (
        "arguments in jsonpath",
        one(task(Arguments={})),
        "/States/S/Arguments",
        "wrong-query-language",
        "'Parameters'",
    ),
    (
        "jsonpath in a machine of jsonata",
        jsonata(one(last("Pass", QueryLanguage="JSONPath"))),
        "/States/S/QueryLanguage",
        "wrong-query-language",
        "Take JSONata out",
    ),
    (
        "seconds path in jsonata",
        jsonata(one(last("Wait", SecondsPath="$.s"))),
        "/States/S/SecondsPath",
        "wrong-query-language",
        "Remove it",
    ),
    (
        "a variable in a rule of jsonata",
        jsonata(choice({"Condition": True, "Variable": "$.x", "Next": "T"})),
        "/States/S/Choices/0/Variable",
        "wrong-query-language",
        "'Condition'",
    ),
    (
        "a condition in a rule of jsonpath",
        choice(rule(Condition="{% true %}")),
        "/States/S/Choices/0/Condition",
        "wrong-query-language",
        "comparison",
    ),
    (
        "an expression that nobody can read",
        jsonata(one(last("Pass", Output={"a": ["{% 1 + %}"]}))),
        "/States/S/Output/a/0",
        "invalid-expression",
        "Mend the expression",
    ),
    (
        "an expression without an end",
        jsonata(one(last("Pass", Output="{% 1"))),
        "/States/S/Output",
        "invalid-expression",
        "End it",
    ),
    (
        "an expression of nothing",
        jsonata(one(last("Pass", Output="{%  %}"))),
        "/States/S/Output",
        "invalid-expression",
        "JSONata expression there",
    ),
]

TASKS: list[Case] = [
    ("no resource", one(last("Task")), "/States/S/Resource", "missing-field", "ARN of a Lambda"),
    *(
        (what, one(task(Resource=arn)), "/States/S/Resource", "invalid-function", "12 digits")
        for what, arn in {
            "a short account": "arn:aws:lambda:eu-west-1:1:function:charge",
            "no function": "arn:aws:lambda:eu-west-1:111111111111:layer:charge",
        }.items()
    ),
    *(
        (what, one(task(Resource=arn)), "/States/S/Resource", "unsupported-resource", "from a function")
        for what, arn in {
            "another service": "arn:aws:states:::dynamodb:putItem",
            "an activity": "arn:aws:states:eu-west-1:111111111111:activity:a",
            "a job": "arn:aws:states:::batch:submitJob.sync",
            "the sdk": "arn:aws:states:::aws-sdk:lambda:listFunctions",
            "a machine": "arn:aws:states:::states:startExecution.sync:2",
            "a template's hole": "${ChargeFunctionArn}",
            "a name alone": "charge",
        }.items()
    ),
    (
        "credentials",
        one(task(Credentials={"RoleArn": "arn:aws:iam::1:role/r"})),
        "/States/S/Credentials",
        "unsupported-field",
        "this process",
    ),
    ("effects", one(task(Effects="pure")), "/States/S/Effects", "unknown-field", "Remove it"),
    (
        "invoke nothing",
        one(task(Resource=INVOKE)),
        "/States/S/Parameters",
        "missing-field",
        '"FunctionName"',
    ),
    (
        "invoke a list",
        one(invoke(Parameters=[])),
        "/States/S/Parameters",
        "wrong-type",
        '"FunctionName"',
    ),
    (
        "invoke no function",
        one(invoke(Parameters={"Payload": 1})),
        "/States/S/Parameters/FunctionName",
        "missing-field",
        "function to call",
    ),
    (
        "invoke no name",
        one(invoke(Parameters={"FunctionName": "a/b"})),
        "/States/S/Parameters/FunctionName",
        "invalid-function",
        "its ARN",
    ),
    (
        "invoke and go on",
        one(invoke(Parameters={**FUNCTION, "InvocationType": "Event"})),
        "/States/S/Parameters/InvocationType",
        "unsupported-invocation",
        "Remove it",
    ),
    (
        "a qualifier in the data",
        one(invoke(Parameters={**FUNCTION, "Qualifier.$": "$.q"})),
        "/States/S/Parameters/Qualifier.$",
        "unsupported-expression",
        "Write it out",
    ),
    (
        "two qualifiers",
        one(invoke(Parameters={"FunctionName": f"{CHARGE}:a", "Qualifier": "b"})),
        "/States/S/Parameters/Qualifier",
        "contradiction",
        "Keep one",
    ),
    (
        "a client context",
        one(invoke(Parameters={**FUNCTION, "ClientContext": "e30="})),
        "/States/S/Parameters/ClientContext",
        "unknown-field",
        "Remove it",
    ),
    (
        "an expression as a timeout of jsonpath",
        one(task(TimeoutSeconds="{% 1 %}")),
        "/States/S/TimeoutSeconds",
        "wrong-type",
        "whole number",
    ),
    (
        "two timeouts",
        one(task(TimeoutSeconds=1, TimeoutSecondsPath="$.t")),
        "/States/S/TimeoutSecondsPath",
        "contradiction",
        "Keep one",
    ),
    (
        "a heartbeat as long as the timeout",
        one(task(TimeoutSeconds=5, HeartbeatSeconds=5)),
        "/States/S/HeartbeatSeconds",
        "contradiction",
        "shorter",
    ),
    ("a fallback is no text", fallback("GCP"), "/States/S/Fallbacks/0", "wrong-type", "object"),
    (
        "a fallback without provider",
        fallback({"region": "us-east-1"}),
        "/States/S/Fallbacks/0/provider",
        "missing-field",
        "provider to call",
    ),
    (
        "a misspelt provider",
        fallback({"provider": "AZUR"}),
        "/States/S/Fallbacks/0/provider",
        "unknown-provider",
        "Did you mean 'AZURE'?",
    ),
    (
        "a fallback with more",
        fallback({"provider": "GCP", "timeout": 1}),
        "/States/S/Fallbacks/0/timeout",
        "unknown-field",
        "Remove it",
    ),
    (
        "the primary again",
        fallback({"provider": "AWS", "region": "eu-west-1"}),
        "/States/S/Fallbacks/0",
        "duplicate-target",
        "another provider",
    ),
    (
        "a fallback again",
        fallback({"provider": "GCP"}, {"provider": "GCP", "functionId": "charge"}),
        "/States/S/Fallbacks/1",
        "duplicate-target",
        "another provider",
    ),
    (
        "a fallback for nobody knows which function",
        one(invoke(Parameters={"FunctionName.$": "$.f"}, Fallbacks=[{"provider": "GCP"}])),
        "/States/S/Fallbacks/0/functionId",
        "missing-field",
        "call there",
    ),
]

POLICIES: list[Case] = [
    ("no errors", one(task(Retry=[{}])), "/States/S/Retry/0/ErrorEquals", "missing-field", "States.ALL"),
    ("an empty list", retried(ErrorEquals=[]), "/States/S/Retry/0/ErrorEquals", "empty", "at least one"),
    ("an error 1", retried(ErrorEquals=[1]), "/States/S/Retry/0/ErrorEquals/0", "wrong-type", "strings"),
    (
        "all beside others",
        retried(ErrorEquals=["States.ALL", "E"]),
        "/States/S/Retry/0/ErrorEquals",
        "states-all-alone",
        "alone",
    ),
    (
        "all before others",
        one(task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}])),
        "/States/S/Retry/0/ErrorEquals",
        "unreachable-handler",
        "to the end",
    ),
    ("interval 0", retried(IntervalSeconds=0), "/States/S/Retry/0/IntervalSeconds", "out-of-range", "1 to"),
    (
        "interval 1.5",
        retried(IntervalSeconds=1.5),
        "/States/S/Retry/0/IntervalSeconds",
        "wrong-type",
        "whole",
    ),
    ("attempts -1", retried(MaxAttempts=-1), "/States/S/Retry/0/MaxAttempts", "out-of-range", "0 to"),
    ("rate 0.5", retried(BackoffRate=0.5), "/States/S/Retry/0/BackoffRate", "out-of-range", "1 to"),
    (
        "delay too long",
        retried(MaxDelaySeconds=31_622_401),
        "/States/S/Retry/0/MaxDelaySeconds",
        "out-of-range",
        "1 to",
    ),
    (
        "jitter",
        retried(JitterStrategy="full"),
        "/States/S/Retry/0/JitterStrategy",
        "unknown-jitter",
        "Did you mean 'FULL'?",
    ),
    (
        "a retrier's unknown field",
        retried(MaxAttempt=1),
        "/States/S/Retry/0/MaxAttempt",
        "unknown-field",
        "'MaxAttempts'",
    ),
    ("retry of a pass", one(last("Pass", Retry=[])), "/States/S/Retry", "unknown-field", "Remove"),
    (
        "catch without next",
        one(task(Catch=[{"ErrorEquals": ["E"]}])),
        "/States/S/Catch/0/Next",
        "missing-field",
        "go on with",
    ),
    (
        "catch leads nowhere",
        one(task(Catch=[{"ErrorEquals": ["E"], "Next": "X"}])),
        "/States/S/Catch/0/Next",
        "unknown-state",
        "Name a state",
    ),
    (
        "a catcher's output in jsonpath",
        caught(Catch=[{"ErrorEquals": ["E"], "Next": "T", "Output": 1}]),
        "/States/S/Catch/0/Output",
        "wrong-query-language",
        "JSONata",
    ),
    (
        "a catcher's result path in jsonata",
        jsonata(caught(Catch=[{"ErrorEquals": ["E"], "Next": "T", "ResultPath": "$"}])),
        "/States/S/Catch/0/ResultPath",
        "wrong-query-language",
        "'Output'",
    ),
]

CHOICES: list[Case] = [
    (
        "no rules",
        machine(S=state("Choice", Choices=[], Default="T"), T=state("Succeed")),
        "/States/S/Choices",
        "empty",
        "at least one rule",
    ),
    ("a rule is a text", choice("x"), "/States/S/Choices/0", "wrong-type", "object"),
    (
        "a rule without next",
        choice(without(rule(), "Next")),
        "/States/S/Choices/0/Next",
        "missing-field",
        "go on with",
    ),
    ("a choice with next", choice(rule(), Next="T"), "/States/S/Next", "next-not-allowed", "'Default'"),
    ("a choice with end", choice(rule(), End=True), "/States/S/End", "next-not-allowed", "'Default'"),
    ("default nowhere", choice(rule(), Default="X"), "/States/S/Default", "unknown-state", "Name a state"),
    (
        "no variable",
        choice(without(rule(), "Variable")),
        "/States/S/Choices/0/Variable",
        "missing-field",
        '"Variable"',
    ),
    ("no comparison", choice({"Next": "T"}), "/States/S/Choices/0", "not-one-comparison", "one comparison"),
    (
        "two comparisons",
        choice(rule(IsNull=True)),
        "/States/S/Choices/0",
        "not-one-comparison",
        "one comparison",
    ),
    (
        "a misspelt comparison",
        choice({"Variable": "$.x", "NumericEqual": 1, "Next": "T"}),
        "/States/S/Choices/0/NumericEqual",
        "unknown-operator",
        "Did you mean 'NumericEquals'?",
    ),
    (
        "next within a rule",
        choice({"Not": rule(), "Next": "T"}),
        "/States/S/Choices/0/Not/Next",
        "unknown-field",
        "Remove it",
    ),
    ("and of nothing", choice({"And": [], "Next": "T"}), "/States/S/Choices/0/And", "empty", "at least one"),
    ("not a text", choice({"Not": "x", "Next": "T"}), "/States/S/Choices/0/Not", "wrong-type", "object"),
    (
        "a variable that is no path",
        choice(rule(Variable="x")),
        "/States/S/Choices/0/Variable",
        "invalid-path",
        "$.order",
    ),
    *(
        (
            f"{operator} {value}",
            choice({"Variable": "$.x", operator: value, "Next": "T"}),
            f"/States/S/Choices/0/{operator}",
            code,
            mend,
        )
        for operator, value, code, mend in (
            ("NumericEquals", "1", "wrong-value", "a number"),
            ("NumericEquals", True, "wrong-value", "a number"),
            ("StringMatches", 1, "wrong-value", "a string"),
            ("BooleanEquals", "true", "wrong-value", "true or false"),
            ("IsPresent", 1, "wrong-value", "true or false"),
            ("TimestampEquals", "yesterday", "wrong-value", "a timestamp"),
            ("StringEqualsPath", 1, "wrong-value", "a path"),
            ("StringEqualsPath", "x", "invalid-path", "$.order"),
        )
    ),
    (
        "no condition",
        jsonata(choice({"Next": "T"})),
        "/States/S/Choices/0/Condition",
        "missing-field",
        '"Condition"',
    ),
    (
        "a condition in words",
        jsonata(choice({"Condition": "x > 1", "Next": "T"})),
        "/States/S/Choices/0/Condition",
        "invalid-expression",
        "between {% and %}",
    ),
    (
        "a condition 1",
        jsonata(choice({"Condition": 1, "Next": "T"})),
        "/States/S/Choices/0/Condition",
        "wrong-type",
        "{% ... %}",
    ),
]

OTHERS: list[Case] = [
    ("a wait for nothing", one(last("Wait")), "/States/S", "wait-without-end", "exactly one"),
    (
        "a wait for two things",
        one(last("Wait", Seconds=1, SecondsPath="$.s")),
        "/States/S",
        "wait-without-end",
        "exactly one",
    ),
    ("a wait for null", one(last("Wait", Seconds=None)), "/States/S/Seconds", "wrong-type", "a value"),
    ("a wait of -1", one(last("Wait", Seconds=-1)), "/States/S/Seconds", "out-of-range", "0 to"),
    (
        "a wait until tomorrow",
        one(last("Wait", Timestamp="tomorrow")),
        "/States/S/Timestamp",
        "invalid-instant",
        "2026-03-01T09:00:00Z",
    ),
    (
        "a wait until the 30th of February",
        one(last("Wait", Timestamp="2026-02-30T00:00:00Z")),
        "/States/S/Timestamp",
        "invalid-instant",
        "2026-03-01T09:00:00Z",
    ),
    (
        "two errors",
        one(state("Fail", Error="E", ErrorPath="$.e")),
        "/States/S/ErrorPath",
        "contradiction",
        "Keep one",
    ),
    (
        "a cause by a path that is none",
        one(state("Fail", CausePath="because")),
        "/States/S/CausePath",
        "invalid-path",
        "States.Format",
    ),
    (
        "output of a fail",
        jsonata(one(state("Fail", Output=1))),
        "/States/S/Output",
        "unknown-field",
        "Remove",
    ),
    (
        "no branches",
        one(last("Parallel", Branches=[])),
        "/States/S/Branches",
        "empty",
        "at least one branch",
    ),
    (
        "a branch by name",
        one(last("Parallel", Branches=["A"])),
        "/States/S/Branches/0",
        "wrong-type",
        '{"StartAt"',
    ),
    (
        "a branch that starts nowhere",
        one(last("Parallel", Branches=[{**machine(A=last("Pass")), "StartAt": "S"}])),
        "/States/S/Branches/0/StartAt",
        "unknown-state",
        "same scope",
    ),
    (
        "a branch with a timeout",
        one(last("Parallel", Branches=[{**machine(A=last("Pass")), "TimeoutSeconds": 1}])),
        "/States/S/Branches/0/TimeoutSeconds",
        "unknown-field",
        "Remove it",
    ),
    (
        "an unreachable state in a branch",
        one(last("Parallel", Branches=[machine(A=last("Pass"), B=last("Pass"))])),
        "/States/S/Branches/0/States/B",
        "unreachable-state",
        "'Next'",
    ),
    ("a map of nothing", one(last("Map")), "/States/S/ItemProcessor", "missing-field", '"StartAt"'),
    (
        "two processors",
        one(item_map(Iterator=machine(J=last("Pass")))),
        "/States/S/Iterator",
        "contradiction",
        "older name",
    ),
    (
        "a strange mode",
        one(config(Mode="inline")),
        "/States/S/ItemProcessor/ProcessorConfig/Mode",
        "unknown-mode",
        "Did you mean 'INLINE'?",
    ),
    (
        "distributed how",
        one(config(Mode="DISTRIBUTED")),
        "/States/S/ItemProcessor/ProcessorConfig/ExecutionType",
        "missing-field",
        "STANDARD",
    ),
    (
        "items by a number",
        jsonata(one(item_map(Items=3))),
        "/States/S/Items",
        "wrong-type",
        "a list",
    ),
    (
        "two dresses",
        one(item_map(ItemSelector={}, Parameters={})),
        "/States/S/Parameters",
        "contradiction",
        "older name",
    ),
    (
        "concurrency -1",
        one(item_map(MaxConcurrency=-1)),
        "/States/S/MaxConcurrency",
        "out-of-range",
        "0 to",
    ),
    (
        "more than all",
        one(item_map(ToleratedFailurePercentage=101)),
        "/States/S/ToleratedFailurePercentage",
        "out-of-range",
        "0 to 100",
    ),
    (
        "batches without bounds",
        one(item_map(ItemBatcher={})),
        "/States/S/ItemBatcher/MaxItemsPerBatch",
        "missing-field",
        "Bound",
    ),
    (
        "items from a bucket",
        one(item_map(ItemReader={"Resource": "arn:aws:states:::s3:getObject"})),
        "/States/S/ItemReader/Resource",
        "unsupported-resource",
        "in the input",
    ),
    (
        "results to a bucket",
        one(item_map(ResultWriter={"Resource": "arn:aws:states:::s3:putObject"})),
        "/States/S/ResultWriter/Resource",
        "unsupported-resource",
        "in the output",
    ),
    (
        "items of a table",
        one(item_map(ItemReader={"ReaderConfig": {"InputType": "CSV"}})),
        "/States/S/ItemReader/ReaderConfig/InputType",
        "unsupported-input",
        "JSON",
    ),
    (
        "results as lines",
        one(item_map(ResultWriter={"WriterConfig": {"OutputType": "JSONL"}})),
        "/States/S/ResultWriter/WriterConfig/OutputType",
        "unsupported-output",
        "JSON",
    ),
    (
        "a strange shape",
        one(item_map(ResultWriter={"WriterConfig": {"Transformation": "FLAT"}})),
        "/States/S/ResultWriter/WriterConfig/Transformation",
        "unknown-transformation",
        "Did you mean 'FLATTEN'?",
    ),
    ("a label with a blank", one(item_map(Label="a b")), "/States/S/Label", "invalid-label", "letters"),
    (
        "output of a map of jsonpath",
        one(item_map(Output=1)),
        "/States/S/Output",
        "wrong-query-language",
        "JSONata",
    ),
]

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
