"""An inbox that filled while nobody was there is taken up in commits that every store can hold."""

from core.engine.settings import EngineSettings
from core.failover.outcome import Executed, Outcome
from core.ports.store import Message
from tests.engine.harness import World

ITEMS = 40
SAID = "x" * 2_000


async def test_results_that_came_while_no_worker_was_there_are_journaled_in_portions() -> None:
    budget = 20_000
    settings = EngineSettings(data_budget=budget, data_limit=4_000)
    world = World(lambda _: Outcome(executed=Executed.YES, ok=True, accepted=True), settings=settings)
    document = {
        "id": "fan",
        "startAt": "each",
        "steps": [
            {"id": "each", "type": "MAP", "items": "items", "each": "do", "results": "reference"},
            {"id": "do", "type": "TASK", "provider": "AWS", "functionId": "f", "await": "callback"},
        ],
    }
    execution_id = await world.submit(document, {"items": list(range(ITEMS))})
    await world.run(lambda: len(world.ledger) == ITEMS)
    for number in range(ITEMS):
        body = {"visit": f"each/{number}/do", "status": "success", "output": {"said": SAID}}
        await world.store.deliver(execution_id, Message(message_id=f"m{number}", kind="callback", body=body))
    await world.run(world.at_rest)
    batches = await world.store.history(execution_id, 0, 1_000_000)
    assert max(map(len, batches)) < 3 * budget
    # All of them together are more than the outputs of an execution may have.
    assert await world.status(execution_id) == "FAILED"
    assert await world.store.inbox(execution_id) == ()
