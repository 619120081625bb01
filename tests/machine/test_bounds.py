"""What templates make is bounded together, and not each for itself only: the journal has all of it."""

from typing import Any

import pytest

from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import decide
from core.machine.evolve import evolve
from core.machine.journal import Envelope, encode
from core.machine.run import Rules
from core.machine.state import State, blank
from core.machine.tasks import Send

RULES = Rules(data_limit=4_000, data_budget=10_000)


def native() -> dict[str, Any]:
    task = {"id": "do", "type": "TASK", "provider": "GCP", "functionId": "f", "input": {"all": "$.big"}}
    each = {"id": "each", "type": "MAP", "items": "items", "each": "do", "results": "reference"}
    return {"id": "w", "startAt": "each", "steps": [each, task]}


def states() -> dict[str, Any]:
    item = {
        "Do": {"Type": "Wait", "Seconds": 1, "Next": "End"},
        "End": {"Type": "Pass", "Result": 1, "End": True},
    }
    each = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"all.$": "$.big"},
        "ItemProcessor": {"StartAt": "Do", "States": item},
        "End": True,
    }
    return {"StartAt": "Each", "States": {"Each": each}}


@pytest.mark.parametrize("document", [native(), states()], ids=["native", "states"])
def test_a_map_cannot_fill_a_journal_with_what_it_gives_to_its_items(document: dict[str, Any]) -> None:
    workflow = read_workflow(document)
    state: State = blank("x", workflow)
    given = {"items": list(range(200)), "big": "x" * 2_000}
    state = evolve(
        state, ev.WorkflowCreated(workflow_id="w", digest="d", input=given, visit_budget=900, size=3_200)
    )
    written, now = 0, 1_000
    for _ in range(1_000):
        decision = decide(state, now, entropy=1, rules=RULES)
        state = decision.state
        assert snapshot.restore(snapshot.dump(state), workflow) == state
        if decision.events:
            told = Envelope(seq=1, at=1, epoch=1, actor="a", commit="c", events=decision.events)
            written += len(encode(told))
        if state.terminal:
            break
        for send in [one.started for one in decision.commands if isinstance(one, Send)]:
            done = ev.AttemptSucceeded(visit=send.visit, step_id="do", attempt=1, output={}, size=2)
            state = evolve(state, done)
        now = max(now, decision.wake_at or now)
    assert state.status == "FAILED"
    assert state.failure is not None
    assert "DataLimitExceeded" in state.failure.error
    assert "inputs" in state.failure.cause
    assert written < 300_000
