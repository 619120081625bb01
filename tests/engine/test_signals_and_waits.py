"""Signals, WAITs for callbacks, and what people see of what is waited for."""

import asyncio

import pytest

from core.engine.callbacks import Word
from core.engine.site import shared_site
from core.errors import ExecutionEnded, ExecutionNotFound, NotPossible
from core.failover.outcome import Executed, Outcome
from core.machine.answerable import MAX_SIGNALS
from tests.engine.answering import (
    LOCATION,
    Tokens,
    accepts_poll,
    ended,
    kinds,
    let_go,
    one_task,
    one_wait,
    output,
    paused,
    released,
    released_without_messages,
    words,
)
from tests.engine.harness import World


async def test_a_signal_gives_a_wait_its_output_and_one_that_came_before_is_kept() -> None:
    world = World()
    early = await world.submit(one_wait(signal="go"))
    callbacks = words(world)
    taken = await callbacks.signal(early, "go", {"n": 1}, key="s1")
    assert taken.fresh
    assert not (await callbacks.signal(early, "go", {"n": 1}, key="s1")).fresh
    await world.run(lambda: ended(world, early))
    assert await output(world, early) == {"n": 1}
    late = await world.submit(one_wait(signal="go"))
    await world.run(lambda: let_go(world, late))
    await callbacks.signal(late, "stop", {})
    await callbacks.signal(late, "go", 7)
    await world.run(lambda: ended(world, late))
    assert await output(world, late) == {"ask": 7}
    with pytest.raises(ExecutionEnded):
        await callbacks.signal(late, "go")
    with pytest.raises(ExecutionNotFound):
        await callbacks.signal("00000000000000000000000000-0", "go")


async def test_a_signal_that_does_not_come_fails_the_wait_where_it_can_be_caught() -> None:
    world = World()
    document = one_wait(
        signal="go", timeoutSeconds=60, catch=[{"errors": ["Sidestep.Timeout"], "next": "no"}]
    )
    document["steps"].append({"id": "no", "type": "PASS", "result": {"gave": "up"}})
    mine = await world.submit(document)
    await world.run(lambda: ended(world, mine))
    assert (await output(world, mine))["gave"] == "up"


async def test_of_several_waits_each_takes_one_signal_oldest_first() -> None:
    world = World()
    document = {
        "id": "w",
        "startAt": "all",
        "steps": [
            {"id": "all", "type": "PARALLEL", "branches": ["a", "b"]},
            {"id": "a", "type": "WAIT", "signal": "go"},
            {"id": "b", "type": "WAIT", "signal": "go"},
        ],
    }
    mine = await world.submit(document)
    await world.run(lambda: let_go(world, mine))
    for number in (1, 2):
        await words(world).signal(mine, "go", number)
    await world.run(lambda: ended(world, mine))
    assert (await output(world, mine))["all"] == [{"a": 1}, {"b": 2}]


async def test_a_signal_during_a_pause_is_kept_until_it_is_over() -> None:
    world = World()
    mine = await world.submit(one_wait(signal="go"))
    await world.run(lambda: let_go(world, mine))
    await world.executions.pause(mine)
    await world.run(lambda: paused(world, mine))
    await words(world).signal(mine, "go", {"n": 1})
    await world.run(lambda: paused(world, mine))
    await world.executions.resume(mine)
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"n": 1}


async def test_signals_are_kept_up_to_a_bound_and_beyond_it_ignored_by_name() -> None:
    world = World()
    mine = await world.submit(one_wait(signal="go"))
    callbacks = words(world)
    for number in range(MAX_SIGNALS + 3):
        await callbacks.signal(mine, "other", number)
    await callbacks.signal(mine, "go")
    await world.run(lambda: let_go(world, mine))
    found = await kinds(world, mine)
    assert (found.count("SIGNAL_RECEIVED"), found.count("REQUEST_IGNORED")) == (MAX_SIGNALS, 4)


async def test_signals_that_nobody_asked_for_do_not_keep_out_the_one_that_is_waited_for() -> None:
    world = World()
    mine = await world.submit(one_wait(signal="go"))
    await world.run(lambda: let_go(world, mine))
    callbacks = words(world)
    for number in range(MAX_SIGNALS + 3):
        await callbacks.signal(mine, "other", number)
    await callbacks.signal(mine, "go")
    await world.run(lambda: ended(world, mine))
    found = await kinds(world, mine)
    assert (found.count("SIGNAL_RECEIVED"), found.count("REQUEST_IGNORED")) == (MAX_SIGNALS + 1, 3)
    assert found[-1] == "WORKFLOW_COMPLETED"


async def test_a_wait_for_a_callback_takes_one_by_its_url() -> None:
    world = World()
    mine = await world.submit(one_wait(callback=True, timeoutSeconds=600))
    await world.run(lambda: released(world, mine))
    callbacks = words(world)
    (wait,) = await callbacks.waits(mine)
    assert (wait.kind, wait.step_id, wait.visit) == ("callback", "ask", "ask")
    assert wait.until is not None
    token = (wait.callback_url or "").rpartition("/")[2]
    with pytest.raises(NotPossible):
        await callbacks.call_back(token, Word(status="heartbeat"))
    await callbacks.call_back(token, Word(status="failure", error="Denied"))
    await world.run(lambda: ended(world, mine))
    view = await world.executions.view(mine)
    assert view.error is not None
    assert (view.error.error, view.error.step_id) == ("Denied", "ask")


async def test_waits_tell_of_signals_polls_timers_and_accepted_calls() -> None:
    function = Tokens()
    world = World(function)
    world.clouds["HTTP"].answer = accepts_poll
    world.clouds["HTTP"].on_poll = lambda _: Outcome(executed=Executed.YES, ok=True, accepted=True)
    document = {
        "id": "w",
        "startAt": "all",
        "steps": [
            {"id": "all", "type": "PARALLEL", "branches": ["a", "b", "c", "d"]},
            {"id": "a", "type": "WAIT", "signal": "go"},
            {"id": "b", "type": "WAIT", "seconds": 500},
            {"id": "c", "type": "TASK", "provider": "HTTP", "functionId": "job", "await": "poll"},
            {"id": "d", "type": "TASK", "provider": "AWS", "functionId": "ask", "await": "callback"},
        ],
    }
    mine = await world.submit(document)
    await world.run(lambda: released(world, mine))
    waits = await words(world).waits(mine)
    assert [(one.step_id, one.kind) for one in waits] == [
        ("a", "signal"),
        ("b", "timer"),
        ("c", "poll"),
        ("d", "callback"),
    ]
    assert waits[0].name == "go"
    assert waits[2].next_poll_at is not None
    assert waits[3].callback_url == function.calls[0].callback_url
    history = await world.executions.history(mine, 0, 1_000)
    assert function.token not in repr(history)


async def test_all_that_share_a_store_share_its_secret() -> None:
    world = World()
    await world.open()
    one, other = await asyncio.gather(*(shared_site(world.store, "http://x/") for _ in range(2)))
    assert one.secret == other.secret
    assert len(one.secret) >= 32
    assert one.secret.hex() not in repr(one)
    assert (await shared_site(world.store, "http://x", b"mine")).secret == b"mine"


async def test_people_see_that_a_call_was_accepted_what_it_waits_for_and_how_it_ended() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}, heartbeatSeconds=600))
    await world.run(lambda: released(world, mine))
    await words(world).call_back(function.token, Word(status="heartbeat"))
    await world.run(lambda: released_without_messages(world, mine))
    (step,) = (await world.executions.view(mine)).steps
    assert step.waits_for == "callback"
    (attempt,) = step.attempts
    assert (attempt.status, attempt.accepted_at is not None) == ("ACCEPTED", True)
    assert attempt.heartbeat_at is not None
    await words(world).call_back(function.token, Word(status="failure", error="Denied", cause="no"))
    await world.run(lambda: ended(world, mine))
    (step,) = (await world.executions.view(mine)).steps
    (attempt,) = step.attempts
    assert (step.waits_for, attempt.status, attempt.error) == (None, "FAILED", "Denied")


async def test_a_token_in_a_payload_and_the_query_of_a_location_are_not_shown() -> None:
    function = Tokens()
    world = World(function)
    machine = {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token", "a": [1]}},
                "End": True,
            }
        },
    }
    mine = await world.submit(machine)
    await world.run(lambda: released(world, mine))
    assert function.calls[0].payload == {"token": function.token, "a": [1]}
    history = await world.executions.history(mine, 0, 100)
    assert function.token not in repr(history)
    assert "[callback token]" in repr(history)
    await words(world).call_back(function.token, Word(status="success", output={"ok": True}))
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"ok": True}
    secret = f"{LOCATION}?code=a-key-of-the-platform"
    polled = World(lambda _: Outcome(executed=Executed.YES, ok=True, accepted=True, location=secret))
    job = await polled.submit(one_task(**{"await": "poll"}))
    await polled.run(lambda: ended(polled, job))
    assert polled.clouds["HTTP"].polled[0][1] == secret
    shown = repr(await polled.executions.history(job, 0, 100))
    assert "a-key-of-the-platform" not in shown
    assert f"{LOCATION}?..." in shown
