"""Signals, callbacks and child executions are answered by the mocks of the step that waits for them."""

import pytest

from core.errors import InvalidMocks, TrialStopped
from tests.engine.trial.trying import details, flow, task, tried


def signal(**more: object) -> dict[str, object]:
    return {"id": "approval", "type": "WAIT", "signal": "approved", **more}


def callback(**more: object) -> dict[str, object]:
    return {"id": "approval", "type": "WAIT", "callback": True, **more}


def child(**more: object) -> dict[str, object]:
    return {"id": "child", "type": "WORKFLOW", "workflowId": "other", **more}


async def test_a_signal_brings_its_payload() -> None:
    view = await tried(flow(signal()), {"approval": [{"output": {"by": "ada"}}]})
    assert (view.status, view.context) == ("COMPLETED", {"by": "ada"})


@pytest.mark.parametrize("wait", [signal, callback])
async def test_what_does_not_come_in_time_fails_the_wait(wait: type) -> None:
    view = await tried(flow(wait(timeoutSeconds=3_600)), {"approval": [{"timeout": True}]})
    assert (view.status, view.error) == ("FAILED", "Sidestep.Timeout")


@pytest.mark.parametrize("step", [signal(), callback(), child()])
async def test_what_never_comes_ends_the_trial(step: dict[str, object]) -> None:
    with pytest.raises(TrialStopped) as stopped:
        await tried(flow(step), {str(step["id"]): [{"timeout": True}]})
    assert stopped.value.code == "waits-for-ever"
    assert f"'{step['id']}'" in str(stopped.value)


@pytest.mark.parametrize("step", [signal(timeoutSeconds=9), callback(), child()])
async def test_a_step_that_waits_without_an_answer_is_named(step: dict[str, object]) -> None:
    with pytest.raises(InvalidMocks) as refused:
        await tried(flow(step))
    assert [(one.pointer, one.code) for one in refused.value.problems] == [
        (f"/mocks/{step['id']}", "no-mock")
    ]


async def test_a_signal_cannot_fail() -> None:
    with pytest.raises(InvalidMocks) as refused:
        await tried(flow(signal()), {"approval": [{"error": "E"}]})
    assert [(one.pointer, one.code) for one in refused.value.problems] == [("/mocks/approval/0", "pointless")]


async def test_a_callback_brings_an_output_or_an_error() -> None:
    well = await tried(flow(callback()), {"approval": [{"output": [1]}]})
    assert (well.status, well.context) == ("COMPLETED", {"approval": [1]})
    badly = await tried(flow(callback()), {"approval": [{"error": "Refused", "cause": "no"}]})
    assert (badly.status, badly.error, badly.cause) == ("FAILED", "Refused", "no")


async def test_each_round_of_a_loop_has_its_own_signal() -> None:
    choice = {
        "id": "enough",
        "type": "CHOICE",
        "choices": [{"variable": "n", "operator": "gte", "value": 2, "next": "done"}],
        "default": "approval",
    }
    document = flow(signal(next="enough"), choice, {"id": "done", "type": "SUCCEED"})
    view = await tried(document, {"approval": [{"output": {"n": 1}}, {"output": {"n": 2}}]})
    assert view.steps_entered == ["approval", "enough", "approval", "enough", "done"]


async def test_a_child_ends_as_its_mock_says() -> None:
    well = await tried(flow(child()), {"child": [{"output": {"sum": 3}}]}, {"a": 1})
    assert (well.status, well.context["a"]) == ("COMPLETED", 1)
    assert details(well, "CHILD_ENDED")[0]["output"] == {"sum": 3}
    badly = await tried(flow(child()), {"child": [{"error": "Broken", "cause": "why"}]})
    assert (badly.status, badly.error, badly.cause) == ("FAILED", "Broken", "why")


async def test_a_child_that_takes_too_long_is_given_up() -> None:
    view = await tried(flow(child(timeoutSeconds=60)), {"child": [{"timeout": True}]})
    assert (view.status, view.error) == ("FAILED", "Sidestep.Timeout")


@pytest.mark.parametrize("how", ["callback", "poll"])
async def test_the_answer_of_a_call_that_is_answered_later_is_its_result(how: str) -> None:
    document = flow(task("print", **{"await": how, "provider": "GCP"}))
    view = await tried(document, {"print": [{"output": {"pages": 2}}]})
    assert (view.status, view.context) == ("COMPLETED", {"pages": 2})


async def test_what_completed_is_undone_when_a_later_step_fails() -> None:
    document = flow(
        task("charge", compensate="refund", next="ship"),
        task("ship"),
        task("refund"),
    )
    mocks = {
        "charge": [{"output": {"paid": 1}}],
        "ship": [{"error": "Lost"}],
        "refund": [{"output": {"back": 1}}],
    }
    view = await tried(document, mocks)
    assert (view.status, view.error) == ("FAILED", "Lost")
    assert view.steps_entered == ["charge", "ship", "refund"]
