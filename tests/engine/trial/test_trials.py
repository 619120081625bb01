"""A trial is the real engine on supplied answers, and it always comes to an end."""

import asyncio
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from msgspec import UNSET

from core.engine.settings import EngineSettings
from core.engine.trial.trials import TrialSettings
from core.errors import InvalidMocks, TooManyTrials, TrialStopped
from core.graph.reading import read_workflow
from tests.engine.trial.trying import Here, details, flow, task, trials, tried


def at(view: Any, kind: str) -> list[float]:
    """Seconds after the first event at which events of this type happened."""
    times = [(event.type, datetime.fromisoformat(event.timestamp).timestamp()) for event in view.history]
    return [round(time - times[0][1], 3) for one, time in times if one == kind]


async def test_a_workflow_runs_on_its_answers() -> None:
    document = flow(task("charge", next="ship"), task("ship"))
    view = await tried(
        document, {"charge": [{"output": {"paid": 1}}], "ship": [{"output": {"parcel": 2}}]}, {"o": 0}
    )
    assert view.status == "COMPLETED"
    assert view.output == view.context == {"o": 0, "paid": 1, "parcel": 2}
    assert view.steps_entered == ["charge", "ship"]
    assert [event.seq for event in view.history] == list(range(1, len(view.history) + 1))


async def test_answers_are_used_in_order_and_the_last_one_is_repeated() -> None:
    turn = flow(
        task("ask", next="enough"),
        {
            "id": "enough",
            "type": "CHOICE",
            "choices": [{"variable": "n", "operator": "gt", "value": 2, "next": "done"}],
            "default": "ask",
        },
        {"id": "done", "type": "SUCCEED"},
    )
    view = await tried(turn, {"ask": [{"output": {"n": n}} for n in (0, 1, 3)]})
    assert view.steps_entered == ["ask", "enough"] * 3 + ["done"]
    runaway = await tried(turn, {"ask": [{"output": {"n": 0}}]}, engine=EngineSettings(visit_budget=50))
    assert (runaway.status, runaway.error) == ("FAILED", "Sidestep.VisitBudgetExceeded")


async def test_an_error_is_retried_and_then_caught_with_its_cause_as_text() -> None:
    document = flow(
        task("charge", retries=1, catch=[{"errors": ["CardDeclined"], "next": "tell"}]),
        {"id": "tell", "type": "PASS"},
    )
    view = await tried(document, {"charge": [{"error": "CardDeclined", "cause": {"left": 3}}]})
    assert view.status == "COMPLETED"
    assert view.context == {"error": {"error": "CardDeclined", "cause": '{"left":3}'}}
    assert len(details(view, "ATTEMPT_STARTED")) == 2


async def test_a_timeout_passes_by_the_moved_clock_and_its_fallback_answers() -> None:
    document = flow(task("charge", fallbackProvider="GCP", timeout=30_000))
    began = time.monotonic()
    view = await tried(document, {"charge": [{"timeout": True}, {"output": {"by": "gcp"}}]})
    assert view.context == {"by": "gcp"}
    assert at(view, "ATTEMPT_FAILED") == [30.0]
    assert [one["target"]["provider"] for one in details(view, "ATTEMPT_STARTED")] == ["AWS", "GCP"]
    assert time.monotonic() - began < 10


async def test_the_same_trial_draws_the_same_delays() -> None:
    document = flow(task("charge", retries=3))
    mocks = {"charge": [{"error": "Busy"}]}
    first, second = [at(await tried(document, mocks), "ATTEMPT_STARTED") for _ in range(2)]
    assert first == second
    assert len(set(first)) == 4


async def test_a_machine_whose_time_is_over_tells_no_error_as_at_aws() -> None:
    wait = {"Type": "Wait", "Seconds": 10, "End": True}
    view = await tried({"StartAt": "A", "TimeoutSeconds": 5, "States": {"A": wait}})
    assert (view.status, view.error, view.steps_entered) == ("TIMED_OUT", UNSET, ["A"])


async def test_who_takes_a_call_on_and_is_silent_misses_its_heartbeat() -> None:
    step = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 600,
        "HeartbeatSeconds": 60,
        "End": True,
    }
    machine = {"StartAt": "A", "States": {"A": step}}
    view = await tried(machine, {"A": [{"timeout": True}]})
    assert (view.status, view.error) == ("FAILED", "States.HeartbeatTimeout")
    assert at(view, "WORKFLOW_FAILED") == [60.0]
    well = await tried(machine, {"A": [{"output": {"approved": True}}]})
    assert well.output == {"approved": True}


async def test_an_error_that_nobody_catches_ends_it() -> None:
    view = await tried(flow(task("charge")), {"charge": [{"error": "Broken", "cause": "why"}]})
    assert (view.status, view.error, view.cause) == ("FAILED", "Broken", "why")


async def test_years_are_not_waited_for() -> None:
    wait = {"id": "wait", "type": "WAIT", "seconds": 31_536_000, "next": "until"}
    until = {"id": "until", "type": "WAIT", "until": "2099-01-01T00:00:00Z"}
    view = await tried(flow(wait, until))
    assert view.status == "COMPLETED"
    assert view.history[-1].timestamp.startswith("2099-01-01T00:00:00")
    assert at(view, "STEP_COMPLETED")[0] == 31_536_000.0


async def test_the_time_limit_of_a_workflow_counts_moved_time() -> None:
    view = await tried(flow({"id": "wait", "type": "WAIT", "seconds": 3_600}, timeoutSeconds=60))
    assert view.status == "TIMED_OUT"
    assert at(view, "WORKFLOW_TIMED_OUT") == [60.0]


async def test_steps_without_answers_are_named_together() -> None:
    document = flow(
        {"id": "fan", "type": "PARALLEL", "branches": ["a", "b", "c"]},
        task("a"),
        task("b"),
        task("c"),
    )
    with pytest.raises(InvalidMocks) as refused:
        await tried(document, {"b": [{"output": {}}]})
    assert {(one.pointer, one.code) for one in refused.value.problems} == {
        ("/mocks/a", "no-mock"),
        ("/mocks/c", "no-mock"),
    }


async def test_time_does_not_go_on_once_an_answer_is_missing() -> None:
    document = flow(
        {"id": "fan", "type": "PARALLEL", "branches": ["a", "wait"]},
        task("a"),
        {"id": "wait", "type": "WAIT", "seconds": 10, "next": "later"},
        task("later"),
    )
    with pytest.raises(InvalidMocks) as refused:
        await tried(document)
    assert [one.pointer for one in refused.value.problems] == ["/mocks/a"]


async def test_a_step_that_is_not_reached_needs_no_answer() -> None:
    document = flow({"id": "stop", "type": "FAIL", "error": "E"}, task("never"))
    assert (
        await tried(flow(task("never", next="stop"), document["steps"][0]), {"never": [{"output": 1}]})
    ).error == "E"


async def test_what_must_not_run_twice_and_may_have_run_is_parked() -> None:
    view = await tried(flow(task("charge", effects="atMostOnce")), {"charge": [{"timeout": True}]})
    assert view.status == "PARKED"
    assert view.steps_entered == ["charge"]


async def test_an_expression_takes_no_time_of_the_workflow() -> None:
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {
            "A": {"Type": "Wait", "Seconds": "{% $states.input.n * 2 %}", "Next": "B"},
            "B": {"Type": "Pass", "Output": "{% $states.input.n + 1 %}", "End": True},
        },
    }
    evaluator = Here()
    evaluator.gate = asyncio.Event()
    running = asyncio.create_task(tried(machine, None, {"n": 30}, evaluator=evaluator))
    await evaluator.asked.wait()
    evaluator.gate.set()
    view = await running
    assert view.output == 31
    assert at(view, "STEP_COMPLETED") == [60.0, 60.0]


async def test_the_input_of_a_machine_may_be_any_json() -> None:
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    inputs: tuple[Any, ...] = ([1, "a"], "text", 7, False, {})
    for given in inputs:
        assert (await tried(machine, None, given)).output == given


async def test_a_trial_that_does_not_end_is_ended() -> None:
    evaluator = Here()
    evaluator.gate = asyncio.Event()
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {"A": {"Type": "Pass", "Output": "{% $sum([1]) %}", "End": True}},
    }
    with pytest.raises(TrialStopped) as stopped:
        await tried(machine, evaluator=evaluator, settings=TrialSettings(seconds=0.2))
    assert stopped.value.code == "too-long"
    assert "0.2 s" in str(stopped.value)
    evaluator.gate.set()


async def test_no_more_run_at_once_than_there_may_be() -> None:
    evaluator = Here()
    evaluator.gate = asyncio.Event()
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {"A": {"Type": "Pass", "Output": "{% $sum([1]) %}", "End": True}},
    }
    runs = trials(TrialSettings(at_once=1, waiting=1), evaluator=evaluator)
    workflow = read_workflow(machine)
    under_way = [asyncio.create_task(runs.run(workflow, {}, None)) for _ in range(2)]
    await evaluator.asked.wait()
    with pytest.raises(TooManyTrials):
        await runs.run(workflow, {}, None)
    evaluator.gate.set()
    assert [(await one).output for one in under_way] == [1, 1]
    assert (await runs.run(workflow, {}, None)).output == 1
    runs.close()


async def test_closing_ends_what_runs_and_leaves_no_thread() -> None:
    evaluator = Here()
    evaluator.gate = asyncio.Event()
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {"A": {"Type": "Pass", "Output": "{% $sum([1]) %}", "End": True}},
    }
    runs = trials(evaluator=evaluator)
    running = asyncio.create_task(runs.run(read_workflow(machine), {}, None))
    await evaluator.asked.wait()
    runs.close()
    runs.close()
    with pytest.raises(TrialStopped) as stopped:
        await running
    assert stopped.value.code == "ended"
    with pytest.raises(TrialStopped):
        await runs.run(read_workflow(machine), {}, None)
    for thread in threading.enumerate():
        if thread.name.startswith("sidestep-trial"):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


async def test_a_caller_that_goes_away_ends_its_trial() -> None:
    evaluator = Here()
    evaluator.gate = asyncio.Event()
    machine = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {"A": {"Type": "Pass", "Output": "{% $sum([1]) %}", "End": True}},
    }
    runs = trials(TrialSettings(at_once=1, waiting=0), evaluator=evaluator)
    running = asyncio.create_task(runs.run(read_workflow(machine), {}, None))
    await evaluator.asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    evaluator.gate = None
    assert (await runs.run(read_workflow(machine), {}, None)).output == 1
    runs.close()


def mapped(**config: str) -> dict[str, Any]:
    function = "arn:aws:lambda:us-east-1:123456789012:function:f"
    inner = {"StartAt": "I", "States": {"I": {"Type": "Task", "Resource": function, "End": True}}}
    return {
        "StartAt": "M",
        "States": {
            "M": {
                "Type": "Map",
                "ItemProcessor": {**inner, "ProcessorConfig": config} if config else inner,
                "MaxConcurrency": 1,
                "Retry": [{"ErrorEquals": ["Once"], "MaxAttempts": 1}],
                "End": True,
            }
        },
    }


async def test_a_map_that_is_tried_again_is_entered_once() -> None:
    view = await tried(mapped(), {"I": [{"error": "Once"}, {"output": "x"}]}, [1])
    assert (view.output, view.steps_entered) == (["x"], ["M", "I", "I"])


async def test_the_walks_of_a_distributed_map_are_not_among_the_steps_entered() -> None:
    machine = mapped(Mode="DISTRIBUTED", ExecutionType="STANDARD")
    view = await tried(machine, {"I": [{"output": "x"}]}, [1, 2])
    assert (view.output, view.steps_entered) == (["x", "x"], ["M"])


async def test_an_invocation_is_answered_with_the_whole_response() -> None:
    machine = {
        "StartAt": "A",
        "States": {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "f", "Payload.$": "$"},
                "End": True,
            }
        },
    }
    answer = {"Payload": 5, "StatusCode": 200}
    assert (await tried(machine, {"A": [{"output": answer}]})).output == answer
