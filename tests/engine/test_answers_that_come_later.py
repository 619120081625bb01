"""Calls that are accepted and answered later, signals, and what a crash in between changes: nothing."""

import asyncio

import pytest

from core.engine.callbacks import Word
from core.engine.site import shared_site
from core.errors import CallbackNotFound, ExecutionEnded, NotPossible
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from tests.engine.answering import (
    LOCATION,
    REFUSED,
    Tokens,
    accepts_poll,
    completed,
    ended,
    kinds,
    one_task,
    output,
    paused,
    released,
    released_without_messages,
    words,
)
from tests.engine.harness import Cloud, CrashPlan, World, audit, line


async def test_a_callback_gives_the_step_its_result_and_no_worker_holds_it_meanwhile() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}))
    await world.run(lambda: released(world, mine))
    assert function.calls[0].callback_url == f"http://sidestep.test/callbacks/{function.token}"
    assert function.token == world.site.token(mine, "ask")
    assert (await words(world).call_back(function.token, Word(status="success", output={"yes": 1}))).fresh
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"yes": 1}
    assert await kinds(world, mine) == [
        "WORKFLOW_CREATED",
        "WORKFLOW_STARTED",
        "STEP_STARTED",
        "ATTEMPT_STARTED",
        "ATTEMPT_ACCEPTED",
        "CALLBACK_RECEIVED",
        "STEP_COMPLETED",
        "WORKFLOW_COMPLETED",
    ]


async def test_a_callback_that_fails_is_the_functions_own_error_so_retries_and_catch_take_it() -> None:
    function = Tokens()
    world = World(function)
    document = one_task(**{"await": "callback"}, retries=1, catch=[{"errors": ["Denied"], "next": "no"}])
    document["steps"].append({"id": "no", "type": "PASS", "result": {"denied": True}})
    mine = await world.submit(document)
    callbacks = words(world)
    denied = Word(status="failure", error="Denied", cause="by ada")
    await world.run(lambda: released(world, mine))
    await callbacks.call_back(function.token, denied)
    await world.run(lambda: len(function.calls) == 2)
    await world.run(lambda: released(world, mine))
    assert function.calls[0].idempotency_key != function.calls[1].idempotency_key
    await callbacks.call_back(function.token, denied)
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"denied": True, "error": {"error": "Denied", "cause": "by ada"}}


async def test_an_accepted_call_without_an_answer_fails_by_timeout_and_tells_against_no_provider() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}, timeout=60_000))
    await world.run(lambda: ended(world, mine))
    view = await world.executions.view(mine)
    assert view.error is not None
    assert view.error.error == "Sidestep.Timeout"
    assert len(function.calls) == 1
    assert world.board.view().of(function.calls[0].target).state == "CLOSED"


async def test_an_accepted_call_that_falls_silent_goes_on_at_the_fallback_with_the_same_key() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(line("ask", **{"await": "callback"}, timeout=60_000, heartbeatSeconds=10))
    callbacks = words(world)
    await world.run(lambda: released(world, mine))
    await callbacks.call_back(function.token, Word(status="heartbeat"))
    await world.run(lambda: len(function.calls) == 2)
    first, second = function.calls
    assert (first.target.provider, second.target.provider) == ("AWS", "GCP")
    assert first.idempotency_key == second.idempotency_key
    assert first.callback_token == second.callback_token
    hops = [one for one in await world.journal(mine) if isinstance(one, ev.FailedOver)]
    assert hops[0].evidence is not None
    assert hops[0].evidence.error == "Sidestep.HeartbeatTimeout"
    # The first function answers after all: the token is the visit's, and the first word counts.
    await callbacks.call_back(function.token, Word(status="success", output={"by": "the first"}))
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"by": "the first"}
    with pytest.raises(ExecutionEnded):
        await callbacks.call_back(function.token, Word(status="success", output={"by": "the second"}))


async def test_heartbeats_keep_an_accepted_call_alive() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}, heartbeatSeconds=10, timeout=3_600_000))
    callbacks = words(world)
    await world.run(lambda: released(world, mine))
    for _ in range(5):
        world.clock.advance(8)
        await callbacks.call_back(function.token, Word(status="heartbeat"))
        await world.run(lambda: released_without_messages(world, mine))
    assert await world.status(mine) == "RUNNING"
    world.clock.advance(11)
    await world.run(lambda: ended(world, mine))
    view = await world.executions.view(mine)
    assert view.error is not None
    assert view.error.error == "Sidestep.HeartbeatTimeout"


async def test_a_function_that_does_not_accept_fails_over_as_always() -> None:
    function = Tokens()
    world = World(function)
    world.clouds["AWS"].answer = lambda _: REFUSED
    mine = await world.submit(line("ask", **{"await": "callback"}))
    await world.run(lambda: released(world, mine))
    assert [call.target.provider for call in function.calls] == ["GCP"]
    await words(world).call_back(function.token, Word(status="success"))
    await world.run(lambda: ended(world, mine))
    assert await world.status(mine) == "COMPLETED"


async def test_a_callback_before_the_answer_counts_and_the_answer_is_dropped() -> None:
    function = Tokens()
    world = World(function)
    gate = asyncio.Event()
    world.clouds["HTTP"].gate = gate
    mine = await world.submit(one_task(**{"await": "callback"}))
    await world.run(lambda: bool(function.calls))
    # That worker was killed with its call open, and the word comes before its successor looks.
    await words(world).call_back(function.token, Word(status="success", output={"early": True}))
    gate.set()
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"early": True}
    assert (await kinds(world, mine)).count("STEP_COMPLETED") == 1


async def test_two_callbacks_at_once_settle_it_once() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}))
    await world.run(lambda: released(world, mine))
    one, other = words(world), words(world)
    await asyncio.gather(
        one.call_back(function.token, Word(status="success", output={"by": "one"})),
        other.call_back(function.token, Word(status="success", output={"by": "other"})),
    )
    await world.run(lambda: ended(world, mine))
    assert (await output(world, mine))["by"] in {"one", "other"}
    found = await kinds(world, mine)
    assert (found.count("CALLBACK_RECEIVED"), found.count("REQUEST_IGNORED")) == (1, 1)


async def test_the_same_callback_again_changes_nothing_even_after_the_end() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}))
    await world.run(lambda: released(world, mine))
    said = Word(status="success", output={})
    taken = [await words(world).call_back(function.token, said, key="m1") for _ in range(2)]
    assert [one.fresh for one in taken] == [True, False]
    await world.run(lambda: ended(world, mine))
    assert not (await words(world).call_back(function.token, said, key="m1")).fresh


async def test_a_forged_or_foreign_token_is_not_found() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}))
    await world.run(lambda: released(world, mine))
    said = Word(status="success")
    text, _, signature = function.token.partition(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    other = await shared_site(world.store, "http://sidestep.test")
    forged = (
        "",
        ".",
        text,
        f"{text}.{flipped}",
        f"{text}={function.token}",
        other.token(mine, "ask"),
        world.site.token("00000000000000000000000000-0", "ask"),
        function.token + "x" * 5_000,
    )
    for token in forged:
        with pytest.raises(CallbackNotFound):
            await words(world).call_back(token, said)
    with pytest.raises(NotPossible):
        await words(world).call_back(world.site.token(mine, "nothing~1"), said)


async def test_a_callback_during_a_pause_completes_the_step_and_after_a_cancel_is_refused() -> None:
    function = Tokens()
    world = World(function)
    document = one_task(**{"await": "callback"}, next="then")
    document["steps"].append({"id": "then", "type": "TASK", "provider": "AWS", "functionId": "then"})
    mine = await world.submit(document)
    await world.run(lambda: released(world, mine))
    await world.executions.pause(mine)
    await world.run(lambda: paused(world, mine))
    await words(world).call_back(function.token, Word(status="success", output={"a": 1}))
    await world.run(lambda: paused(world, mine))
    assert "STEP_COMPLETED" in await kinds(world, mine)
    await world.executions.cancel(mine)
    await world.run(lambda: ended(world, mine))
    with pytest.raises(ExecutionEnded):
        await words(world).call_back(function.token, Word(status="success"))


async def test_a_pause_is_not_the_functions_time() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}, timeout=60_000))
    await world.run(lambda: released(world, mine))
    await world.executions.pause(mine)
    await world.run(lambda: paused(world, mine))
    world.clock.advance(3_600)
    await world.executions.resume(mine)
    await world.run(lambda: released_without_messages(world, mine))
    assert await world.status(mine) == "RUNNING"
    await world.run(lambda: ended(world, mine))
    assert await world.status(mine) == "FAILED"


async def test_a_parked_step_is_settled_by_its_callback() -> None:
    function = Tokens()
    world = World(function)
    mine = await world.submit(one_task(**{"await": "callback"}, effects="atMostOnce", timeout=30_000))
    await world.run(lambda: ended(world, mine))
    assert await world.status(mine) == "PARKED"
    await words(world).call_back(function.token, Word(status="success", output={"late": True}))
    await world.run(lambda: completed(world, mine))
    assert await output(world, mine) == {"late": True}


async def test_a_long_job_is_asked_for_its_result_until_it_has_one() -> None:
    world = World(accepts_poll)
    cloud = world.clouds["HTTP"]
    answers = [
        Outcome(executed=Executed.YES, ok=True, accepted=True),
        REFUSED,
        Outcome(executed=Executed.YES, ok=True, accepted=True, retry_after_ms=30_000),
        succeeded({"done": True}),
    ]
    asked: list[int] = []

    def on_poll(location: str) -> Outcome:
        assert location == LOCATION
        asked.append(world.clock.now_ms())
        return answers.pop(0)

    cloud.on_poll = on_poll
    began = world.clock.now_ms()
    mine = await world.submit(one_task(**{"await": "poll"}))
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"done": True}
    assert [(one - began) // 1000 for one in asked] == [1, 3, 7, 37]
    assert (await kinds(world, mine)).count("ATTEMPT_POLLED") == 3
    assert len(world.ledger) == 1


async def test_a_plain_answer_to_a_polled_step_is_its_result_at_once() -> None:
    world = World()
    mine = await world.submit(one_task(**{"await": "poll"}))
    await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"did": "ask"}
    assert not world.clouds["HTTP"].polled


async def test_what_the_function_says_ends_a_poll_and_what_the_provider_does_ends_it_only_in_time() -> None:
    world = World(accepts_poll)
    failed = Outcome(
        executed=Executed.YES, scope=Scope.FUNCTION, signal="function-error", error="JobFailed", cause="no"
    )
    world.clouds["HTTP"].on_poll = lambda _: failed
    mine = await world.submit(one_task(**{"await": "poll"}))
    await world.run(lambda: ended(world, mine))
    view = await world.executions.view(mine)
    assert view.error is not None
    assert view.error.error == "JobFailed"
    world.clouds["HTTP"].on_poll = lambda _: REFUSED
    other = await world.submit(one_task(**{"await": "poll"}, timeout=120_000))
    await world.run(lambda: ended(world, other))
    view = await world.executions.view(other)
    assert view.error is not None
    assert view.error.error == "Sidestep.Timeout"


@pytest.mark.parametrize("crash_at", range(0, 44, 1))
@pytest.mark.parametrize("mode", ["callback", "poll"])
async def test_a_crash_anywhere_leads_to_the_same_result(mode: str, crash_at: int) -> None:
    function = Tokens()
    world = World(function if mode == "callback" else accepts_poll)
    polls = [Outcome(executed=Executed.YES, ok=True, accepted=True)] * 2

    def on_poll(_: str) -> Outcome:
        return polls.pop() if polls else succeeded({"done": 1})

    cloud: Cloud = world.clouds["HTTP"]
    cloud.on_poll = on_poll
    mine = await world.submit(one_task(**{"await": mode}, timeout=600_000))
    plan = CrashPlan(crash_at)

    async def dead_or_waits() -> bool:
        return plan.dead.is_set() or (mode == "callback" and await released(world, mine))

    async def dead_or_done() -> bool:
        return plan.dead.is_set() or await ended(world, mine)

    engine = world.engine(plan)
    if mode == "callback":
        await world.run(dead_or_waits, engine)
        if function.calls:
            await words(world).call_back(function.token, Word(status="success", output={"done": 1}))
        await world.run(dead_or_done, world.engine(plan))
        while not await ended(world, mine):
            if not function.calls:
                await world.run(lambda: bool(function.calls))
                await words(world).call_back(function.token, Word(status="success", output={"done": 1}))
            await world.run(lambda: ended(world, mine))
    else:
        await world.run(dead_or_done, engine)
        await world.run(lambda: ended(world, mine))
    assert await output(world, mine) == {"done": 1}
    audit(await world.journal(mine), world.ledger, set())
