"""Large answers that come at once do not become one commit that no store can hold."""

from typing import Any, cast

from core.engine.attempts import Attempts
from core.engine.driver import Driver
from core.engine.facts import Answer
from core.engine.settings import EngineSettings
from core.machine.events import AttemptSucceeded
from core.ports.store import Claim
from core.testing.clock import ManualClock

NOTHING = cast("Any", None)


def answer(number: int, size: int) -> Answer:
    fact = AttemptSucceeded(
        visit=f"v{number}", step_id="s", attempt=1, output=None, size=size, duration_ms=1.0
    )
    return Answer(fact, 0)


async def taken(sizes: list[int], budget: int) -> list[int]:
    """How many answers each turn takes."""
    claim = Claim("x", 1, 10.0)
    settings = EngineSettings(data_budget=budget)
    clock = ManualClock()
    attempts = Attempts({}, clock, NOTHING, settings)
    driver = Driver(
        claim, "owner", NOTHING, NOTHING, attempts, NOTHING, NOTHING, clock, settings, NOTHING, NOTHING
    )
    for number, size in enumerate(sizes):
        driver._mailbox.put_nowait(answer(number, size))
    counts = []
    while not driver._mailbox.empty():
        counts.append(len((await driver._await_news(None, ()))[0]))
    return counts


async def test_answers_are_taken_together_up_to_the_budget_and_the_one_that_passes_it() -> None:
    assert await taken([40, 40, 40, 40, 40], 100) == [3, 2]


async def test_small_answers_are_all_taken_at_once() -> None:
    assert await taken([1] * 50, 100) == [50]
