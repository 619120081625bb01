"""An adapter that ignores its time limit is given up, by one timer for all calls."""

import asyncio
import time
from collections.abc import Callable

from core.engine.attempts import Attempts
from core.engine.guard import Guard
from core.failover.outcome import Executed
from core.graph.model import Target
from core.machine.events import AttemptFailed, AttemptStarted
from core.machine.tasks import Send
from tests.engine.harness import World


async def give_up(guard: Guard, seconds: float, ended: Callable[[bool], None]) -> None:
    """A call that hangs for as long as it is let."""
    call = guard.enter(seconds)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended(guard.gave_up(call))
    finally:
        guard.leave(call)


async def test_each_call_is_given_up_at_its_own_time_whichever_began_first() -> None:
    guard = Guard(0.0)
    order: list[str] = []
    began = time.monotonic()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(give_up(guard, 0.2, lambda _: order.append("late")))
        group.create_task(give_up(guard, 0.05, lambda _: order.append("early")))
        group.create_task(give_up(guard, 0.1, lambda _: order.append("between")))
    assert order == ["early", "between", "late"]
    assert time.monotonic() - began >= 0.2


async def test_a_call_that_somebody_else_cancels_was_not_given_up() -> None:
    guard = Guard(0.0)
    said: list[bool] = []
    task = asyncio.create_task(give_up(guard, 60, said.append))
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert said == [False]


async def test_a_task_that_was_cancelled_as_well_as_given_up_stays_cancelled() -> None:
    guard = Guard(0.0)
    said: list[bool] = []
    task = asyncio.create_task(give_up(guard, -1, said.append))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.wait({task})
    assert said == [False]


async def test_a_call_that_is_over_is_left_alone() -> None:
    guard = Guard(0.0)
    guard.leave(guard.enter(0.01))
    said: list[bool] = []
    async with asyncio.timeout(10):
        # Its own time comes after that of the call that is over: the timer has fired for both by then.
        await give_up(guard, 0.05, said.append)
    assert said == [True]


async def test_a_limit_that_is_noticed_late_is_extended_once() -> None:
    guard = Guard(0.3)
    said: list[bool] = []
    task = asyncio.create_task(give_up(guard, 0.01, said.append))
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - the loop stands still, as in a stopped process
    noticed = time.monotonic()
    async with asyncio.timeout(10):
        await task
    assert said == [True]
    assert time.monotonic() - noticed >= 0.25


async def test_a_guard_goes_on_after_it_gave_a_call_up() -> None:
    guard = Guard(0.0)
    said: list[bool] = []
    for _ in range(2):
        async with asyncio.timeout(10):
            await asyncio.create_task(give_up(guard, 0.02, said.append))
    assert said == [True, True]


async def test_an_adapter_that_never_answers_is_an_ambiguous_attempt() -> None:
    world = World()
    world.clouds["AWS"].gate = asyncio.Event()
    attempts = Attempts(world.clouds, world.clock, world.board, grace=0.01)
    started = AttemptStarted(
        visit="a",
        step_id="a",
        attempt=1,
        round=1,
        target=Target("AWS", "f"),
        key="k",
        timeout_ms=20,
        not_after=world.clock.now_ms() + 1_000,
    )
    async with asyncio.timeout(10):
        fact = await attempts.send("e1", "", Send(started=started, payload={}, effects="idempotent"))
    assert isinstance(fact, AttemptFailed)
    assert (fact.outcome.executed, fact.outcome.error) == (Executed.MAYBE, "Sidestep.Timeout")
