"""An execution in hand wakes at its times, however they change while it waits."""

import asyncio

from core.machine import events as ev
from tests.engine.answering import words
from tests.engine.harness import World


def document() -> dict[str, object]:
    """A call that lasts, beside a wait for a signal and a longer one for a time."""
    return {
        "id": "w",
        "startAt": "all",
        "steps": [
            {"id": "all", "type": "PARALLEL", "branches": ["call", "asked", "pause"]},
            {"id": "call", "type": "TASK", "provider": "AWS", "functionId": "f"},
            {"id": "asked", "type": "WAIT", "signal": "go", "timeoutSeconds": 20},
            {"id": "pause", "type": "WAIT", "seconds": 100},
        ],
    }


async def test_a_time_that_nobody_waits_for_any_more_does_not_hide_the_next() -> None:
    world = World()
    gate = world.clouds["AWS"].gate = asyncio.Event()
    began = world.clock.now_ms()
    mine = await world.submit(document())
    engine = world.engine()
    done: dict[str, int] = {}

    async def over() -> bool:
        if world.ledger and not done:
            done["signal"] = 0
            await words(world).signal(mine, "go", {})
        for event in await world.journal(mine):
            if isinstance(event, ev.StepCompleted):
                done.setdefault(event.step_id, world.clock.now_ms() - began)
        return "pause" in done

    await world.run(over, engine)
    assert done["asked"] < 20_000
    assert 100_000 <= done["pause"] <= 101_000, "it was not woken at its time"
    assert "call" not in done
    gate.set()
