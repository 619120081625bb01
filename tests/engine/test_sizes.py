"""How large an output is: what the adapter says, unless something is put around it or it says too much."""

import json

import pytest

from core.engine.attempts import Attempts, lambda_envelope
from core.engine.settings import EngineSettings
from core.failover.outcome import Executed, Outcome
from core.graph.model import Target
from core.machine.events import AttemptFailed, AttemptStarted, AttemptSucceeded
from core.machine.tasks import Send
from core.ports.provider import Call
from tests.engine.harness import World

OUTPUT = {"did": "it"}
WRITTEN = len(json.dumps(OUTPUT, separators=(",", ":")))


async def sent(said: int, *, envelope: bool = False, limit: int = 1_000) -> AttemptSucceeded | AttemptFailed:
    """What becomes of an answer whose adapter said that it came in so many bytes."""

    def answers(_: Call) -> Outcome:
        return Outcome(executed=Executed.YES, ok=True, output=OUTPUT, size=said)

    world = World(answers)
    attempts = Attempts(world.clouds, world.clock, world.board, EngineSettings(data_limit=limit))
    started = AttemptStarted(
        visit="a",
        step_id="a",
        attempt=1,
        round=1,
        target=Target("AWS", "f"),
        key="k",
        timeout_ms=1_000,
        not_after=world.clock.now_ms() + 1_000,
    )
    fact = await attempts.send(
        "e1", "", Send(started=started, payload={}, effects="idempotent", envelope=envelope)
    )
    assert isinstance(fact, AttemptSucceeded | AttemptFailed)
    return fact


@pytest.mark.parametrize(("said", "size"), [(0, WRITTEN), (70, 70), (5_000, WRITTEN)])
async def test_the_adapters_word_counts_where_it_gives_one_within_the_limit(said: int, size: int) -> None:
    fact = await sent(said)
    assert isinstance(fact, AttemptSucceeded)
    assert fact.size == size


async def test_what_is_put_around_an_output_is_counted() -> None:
    fact = await sent(WRITTEN, envelope=True)
    assert isinstance(fact, AttemptSucceeded)
    assert fact.size == len(json.dumps(lambda_envelope(OUTPUT), separators=(",", ":")))


async def test_an_output_over_the_limit_fails_by_name_whatever_its_adapter_says() -> None:
    fact = await sent(5_000, limit=5)
    assert isinstance(fact, AttemptFailed)
    assert fact.outcome.error == "Sidestep.DataLimitExceeded"
