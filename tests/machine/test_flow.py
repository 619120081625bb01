"""Data on its way through steps: evaluated once, kept in events, asked for elsewhere if it may take long."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.data.flow import Answer, Flow, Template
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import ParallelStep, RetryPolicy, TaskStep, Workflow
from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine.decide import Decision, Rules, decide
from core.machine.evolve import evolve, fold
from core.machine.state import State, blank
from core.machine.tasks import Send
from tests.machine.helpers import AWS, Machine

RAISED = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, error="Declined", cause="no money")
HARD = "{% $sum($states.input.items) %}"


class States:
    """A machine of the States Language, driven by hand; answers to what is wanted are given by `known`."""

    def __init__(self, states: dict[str, Any], input_: Any, **known: Any) -> None:
        workflow = read_workflow({"StartAt": next(iter(states)), "States": states})
        self.known = known
        self.now = 1_000
        self.events: list[ev.AnyEvent] = []
        self.asked: list[str] = []
        self.sent: list[Send] = []
        self.state = blank("x1", workflow)
        self.tell(ev.WorkflowCreated(workflow_id="w", digest="d", input=input_, visit_budget=100))
        self.decide()

    def tell(self, event: ev.AnyEvent) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)

    def decide(self, rules: Rules | None = None) -> None:
        answers: dict[tuple[str, str, int], Answer] = {}
        while True:
            made: Decision = decide(self.state, self.now, answers=answers, rules=rules or Rules())
            self.state = made.state
            self.events += made.events
            self.sent += [one for one in made.commands if isinstance(one, Send)]
            if not made.wanted:
                return
            for asked in made.wanted:
                self.asked.append(f"{asked[0]} {asked[1]}")
                answers[asked] = self.known[asked[1]]

    def answer(self, value: Any) -> None:
        path, visit = next((path, one) for path, one in self.state.visits.items() if one.open)
        number = visit.open[0].number
        if isinstance(value, Outcome):
            self.tell(ev.AttemptFailed(visit=path, step_id=visit.step_id, attempt=number, outcome=value))
        else:
            self.tell(ev.AttemptSucceeded(visit=path, step_id=visit.step_id, attempt=number, output=value))
        self.decide()

    def again(self) -> State:
        """What the journal alone says."""
        return fold(blank("x1", self.state.workflow), self.events)


def lambda_task(**said: Any) -> dict[str, Any]:
    resource = "arn:aws:lambda:eu-west-1:123456789012:function:charge"
    return {"Type": "Task", "Resource": resource, "End": True, **said}


def test_what_cannot_be_evaluated_here_is_wanted_and_the_answer_is_kept_in_the_event() -> None:
    step = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": HARD, "End": True}
    machine = States({"a": step}, {"items": [1, 2]}, leave=Answer(value=3))
    assert machine.asked == ["a leave"]
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == 3
    assert machine.again() == machine.state


def test_a_journal_is_folded_without_evaluating_anything() -> None:
    step = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": HARD, "End": True}
    machine = States({"a": step}, {"items": [1, 2]}, leave=Answer(value="as answered, whatever it is"))
    assert machine.again().context == "as answered, whatever it is"


def test_a_failed_evaluation_fails_the_state_with_its_error_and_can_be_caught() -> None:
    failed = Answer(error="States.QueryEvaluationError", cause="too long")
    arguments = {"QueryLanguage": "JSONata", "Arguments": {"sum": HARD}}
    machine = States({"a": lambda_task(**arguments)}, {}, enter=failed)
    assert machine.state.failure is not None
    assert machine.state.failure.error == "States.QueryEvaluationError"
    caught = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "b"}]}
    machine = States({"a": lambda_task(**arguments, **caught), "b": {"Type": "Succeed"}}, {}, enter=failed)
    assert machine.state.status == "COMPLETED"
    assert machine.state.context == {"Error": "States.QueryEvaluationError", "Cause": "too long"}


def test_a_cancel_waits_for_the_output_that_is_being_evaluated() -> None:
    step = lambda_task(QueryLanguage="JSONata", Output="{% $sum($states.result) %}")
    machine = States({"a": step}, {}, leave=Answer(value=6))
    machine.tell(ev.AttemptSucceeded(visit="a", step_id="a", attempt=1, output=[1, 2, 3]))
    machine.tell(ev.CancelRequested(message_id="m"))
    machine.decide()
    assert machine.state.status == "CANCELLED"
    assert machine.state.context == 6


def test_an_output_that_is_the_result_is_not_written_a_second_time() -> None:
    machine = States({"a": lambda_task()}, {"n": 1})
    machine.answer({"big": "x" * 100})
    completed = next(one for one in machine.events if isinstance(one, ev.StepCompleted))
    assert completed.whole
    assert machine.state.context == {"big": "x" * 100}
    assert machine.again() == machine.state


def test_variables_are_seen_in_inner_scopes_and_end_with_them() -> None:
    inner = {"StartAt": "in", "States": {"in": {"Type": "Pass", "Assign": {"own": 1}, "End": True}}}
    states = {
        "a": {"Type": "Pass", "Assign": {"seen": 7}, "Next": "fan"},
        "fan": {"Type": "Parallel", "Branches": [inner], "Next": "b"},
        "b": {"Type": "Pass", "Parameters": {"seen.$": "$seen"}, "End": True},
    }
    machine = States(states, {})
    assert machine.state.context == {"seen": 7}
    assert dict(machine.state.scopes[""].variables) == {"seen": 7}


@pytest.mark.parametrize(
    ("errors", "error", "caught"),
    [
        (["States.ALL"], "Declined", True),
        (["States.TaskFailed"], "Declined", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.Timeout"], "Sidestep.Timeout", True),
        (["States.ALL"], "Sidestep.DataLimitExceeded", False),
        (["States.DataLimitExceeded"], "Sidestep.DataLimitExceeded", True),
        (["States.Runtime"], "States.Runtime", False),
    ],
)
def test_errors_bear_the_languages_names_and_wildcards_take_what_they_take_there(
    errors: list[str], error: str, caught: bool
) -> None:
    step = lambda_task(Catch=[{"ErrorEquals": errors, "Next": "b"}])
    machine = States({"a": step, "b": {"Type": "Succeed"}}, {})
    machine.answer(replace(RAISED, error=error))
    assert (machine.state.status == "COMPLETED") is caught


def test_the_name_of_the_function_may_stand_in_the_input_and_the_answer_gets_the_envelope() -> None:
    step = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName.$": "$.which", "Payload": {"n": 1}},
        "Fallbacks": [{"provider": "GCP", "functionId": "charge-gcp"}],
        "End": True,
    }
    machine = States({"a": step}, {"which": "charge"})
    sent = machine.sent[0]
    assert (sent.started.target.function_id, sent.payload, sent.envelope) == ("charge", {"n": 1}, True)
    refused = Outcome(executed=Executed.NO, scope=Scope.PROVIDER, error="Sidestep.Unavailable")
    machine.answer(refused)
    assert machine.sent[1].started.target.provider == "GCP"
    assert machine.sent[1].started.target.function_id == "charge-gcp"


def test_an_evaluated_time_limit_bounds_the_attempt() -> None:
    step = lambda_task(TimeoutSecondsPath="$.limit")
    machine = States({"a": step}, {"limit": 7})
    assert machine.sent[0].started.timeout_ms == 7_000


def test_a_whole_parallel_is_retried_with_new_visits() -> None:
    policy = RetryPolicy(max_attempts=1, interval_seconds=0, jitter="none")
    fan = ParallelStep(id="fan", branches=("a", "b"), retries=(policy,))
    steps = (fan, TaskStep(id="a", targets=(AWS,)), TaskStep(id="b", targets=(AWS,)))
    machine = Machine(*steps)
    machine.answer(RAISED, "fan/0/a")
    machine.decide()
    assert [one.started.visit for one in machine.sent[2:]] == ["fan~2/0/a", "fan~2/1/b"]
    machine.answer({"a": 1}, "fan~2/0/a")
    machine.answer({"b": 2}, "fan~2/1/b")
    assert machine.state.status == "COMPLETED"
    assert machine.state.context["fan"] == [{"a": 1}, {"b": 2}]


def test_retry_budgets_bound_the_retries_of_a_step_and_of_all() -> None:
    policy = RetryPolicy(max_attempts=5, interval_seconds=0, jitter="none")
    for own, total, sent in ((2, None, 3), (None, 1, 2), (4, 3, 4)):
        step = TaskStep(id="a", targets=(AWS,), retries=(policy,), retry_budget=own)
        machine = Machine(step)
        workflow: Workflow = replace(machine.state.workflow, retry_budget=total)
        machine.state = replace(machine.state, workflow=workflow)
        while machine.state.in_flight:
            machine.answer(RAISED)
        assert len(machine.sent) == sent
        assert machine.state.failure is not None
        assert "the retry budget is used up" in machine.state.failure.cause


def test_an_input_over_the_limit_fails_the_step_before_it_is_sent() -> None:
    large = Machine(TaskStep(id="a", targets=(AWS,)), stopped=True)
    large.state = replace(large.state, data_bytes=300_000, scopes=large.state.scopes)
    scope = replace(large.state.scopes[""], data={"text": "x" * 300_000})
    large.state = replace(large.state, scopes=large.state.scopes.set("", scope))
    large.stopped = False
    large.decide()
    assert not large.sent
    assert large.state.failure is not None
    assert large.state.failure.error == "Sidestep.DataLimitExceeded"


def test_a_native_template_gives_what_is_sent_and_what_is_merged() -> None:
    flow = Flow(language="native", arguments=Template({"only": "$.n"}), output=Template({"kept": "$.got"}))
    machine = Machine(TaskStep(id="a", targets=(AWS,), flow=flow), input_={"n": 5, "more": "not sent"})
    assert machine.sent[0].payload == {"only": 5}
    machine.answer({"got": 6, "rest": "not merged"})
    assert machine.state.context == {"n": 5, "more": "not sent", "kept": 6}


def mapped(**said: Any) -> dict[str, Any]:
    inner = {"StartAt": "in", "States": {"in": {"Type": "Pass", "End": True}}}
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **inner}
    return {"Type": "Map", "ItemProcessor": config, "End": True, **said}


def test_a_reader_may_take_the_first_items_only_and_batches_share_an_input() -> None:
    reader = {"ReaderConfig": {"MaxItemsPath": "$.most"}}
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"of": "all"}}
    step = mapped(ItemsPath="$.rows", ItemReader=reader, ItemBatcher=batcher)
    machine = States({"m": step}, {"rows": [1, 2, 3, 4], "most": 3})
    assert machine.state.context == [
        {"BatchInput": {"of": "all"}, "Items": [1, 2]},
        {"BatchInput": {"of": "all"}, "Items": [3]},
    ]
    failed = States({"m": step}, {"rows": [1], "most": "three"})
    assert failed.state.failure is not None
    assert failed.state.failure.error == "States.Runtime"
