"""Mistakes in tasks, in what they call, and in retriers and catchers."""

from tests.graph.building import Case
from tests.graph.states_language.machines import (
    CHARGE,
    INVOKE,
    caught,
    invoke,
    jsonata,
    last,
    one,
    task,
)
from tests.graph.states_language.mistakes import FUNCTION, fallback, retried

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
