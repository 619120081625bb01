"""An execution in hand wakes at its times, however they change while it waits."""

import asyncio

from core.machine import events as ev
from tests.engine.answering import words
from tests.engine.harness import World


async def completed(until: str, *steps: dict[str, object]) -> dict[str, int]:
    """When steps were completed (milliseconds), until one was. They run beside a call that lasts and a wait
    of 100 seconds; the signal `go` is given once the call was sent.
    """
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    began = world.clock.now_ms()
    mine = await world.submit(
        {
            "id": "w",
            "startAt": "all",
            "steps": [
                {"id": "all", "type": "PARALLEL", "branches": ["call", "asked", "pause"]},
                {"id": "call", "type": "TASK", "provider": "AWS", "functionId": "f"},
                {"id": "pause", "type": "WAIT", "seconds": 100},
                *steps,
            ],
        }
    )
    done: dict[str, int] = {}

    async def over() -> bool:
        if world.ledger and not done:
            done["signal"] = 0
            await words(world).signal(mine, "go", {})
        for event in await world.journal(mine):
            if isinstance(event, ev.StepCompleted):
                done.setdefault(event.step_id, world.clock.now_ms() - began)
        return until in done

    await world.run(over)
    gate.set()
    return done


async def test_a_time_that_nobody_waits_for_any_more_does_not_hide_the_next() -> None:
    done = await completed("pause", {"id": "asked", "type": "WAIT", "signal": "go", "timeoutSeconds": 20})
    assert done["asked"] < 20_000
    assert 100_000 <= done["pause"] <= 101_000
    assert "call" not in done


async def test_a_time_that_is_wanted_later_and_comes_sooner_is_kept() -> None:
    done = await completed(
        "short",
        {"id": "asked", "type": "WAIT", "signal": "go", "next": "short"},
        {"id": "short", "type": "WAIT", "seconds": 5},
    )
    assert 5_000 <= done["short"] - done["asked"] <= 6_000
