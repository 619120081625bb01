"""The same machine in both languages has the same journal: the same events in order, of the same steps.

Written twice, step by step: what runs, waits, forks, repeats, fails and is caught. Where the examples' twins
differ, they are different machines, because the languages have different means:

- a saga is `compensate` in native JSON (COMPENSATION_STARTED, and the undoing visits below `~undo`), and a
  chain of catchers in the States Language, which has no compensation;
- an approval is a signal in native JSON (SIGNAL_RECEIVED), and a task with a token in the States Language
  (ATTEMPT_ACCEPTED, CALLBACK_RECEIVED), which knows no signals;
- a long job is polled within one visit in native JSON (ATTEMPT_POLLED), and by a loop of steps in the
  States Language;
- a fan-out is the same machine: it is held to be so here.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.data.evaluating import answer
from core.data.flow import Answer, Request
from core.engine.callbacks import Callbacks, Word
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from core.ports.evaluator import Evaluator
from core.ports.provider import Call
from tests.engine.harness import World

EXAMPLES = Path(__file__).parents[2] / "examples"
BROKEN = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="Broke", cause="no")
Shape = list[tuple[str, str]]


class Here(Evaluator):
    """Evaluates in this process: these expressions are harmless."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def evaluate(self, request: Request, *, key: str = "") -> Answer:  # noqa: ARG002  the port's
        return answer(request, bounded=False)


def task(name: str, following: str | None = None, **more: Any) -> dict[str, Any]:
    step = {"id": name, "type": "TASK", "provider": "AWS", "functionId": name, **more}
    return step if following is None else {**step, "next": following}


def state(name: str, following: str | None = None, **more: Any) -> dict[str, Any]:
    resource = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    return ends({"Type": "Task", "Resource": resource, "ResultPath": "$.done", **more}, following)


def ends(one: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    return {**one, "End": True} if following is None else {**one, "Next": following}


def native(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "w", "startAt": steps[0]["id"], "steps": list(steps)}


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a line with a choice": (
        native(
            task("a", "which"),
            {"id": "which", "type": "CHOICE", "default": "note",
             "choices": [{"variable": "n", "operator": "gt", "value": 1, "next": "b"}]},
            {"id": "note", "type": "PASS", "result": {"noted": True}},
            task("b", "end"),
            {"id": "end", "type": "SUCCEED"},
        ),
        machine(
            a=state("a", "which"),
            which={"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 1, "Next": "b"}],
                   "Default": "note"},
            note=ends({"Type": "Pass", "Result": {"noted": True}}),
            b=state("b", "end"),
            end={"Type": "Succeed"},
        ),
    ),
    "a failure that is tried again and caught": (
        native(
            task("bad", "never", retries={"errors": ["Broke"], "maxAttempts": 1},
                 catch=[{"errors": ["Broke"], "next": "rest"}]),
            task("never"),
            {"id": "rest", "type": "WAIT", "seconds": 5, "next": "note"},
            {"id": "note", "type": "PASS", "result": {"noted": True}},
        ),
        machine(
            bad=state("bad", "never", Retry=[{"ErrorEquals": ["Broke"], "MaxAttempts": 1}],
                      Catch=[{"ErrorEquals": ["Broke"], "Next": "rest", "ResultPath": "$.error"}]),
            never=state("never"),
            rest={"Type": "Wait", "Seconds": 5, "Next": "note"},
            note=ends({"Type": "Pass", "Result": {"noted": True}, "ResultPath": "$.noted"}),
        ),
    ),
    "branches, one of which fails them all": (
        native(
            {"id": "fork", "type": "PARALLEL", "branches": ["a", "wait"]},
            task("a"),
            {"id": "wait", "type": "WAIT", "seconds": 5, "next": "no"},
            {"id": "no", "type": "FAIL", "error": "No", "cause": "not this time"},
        ),
        machine(
            fork=ends({
                "Type": "Parallel",
                "Branches": [
                    machine(a=state("a")),
                    machine(wait={"Type": "Wait", "Seconds": 5, "Next": "no"},
                            no={"Type": "Fail", "Error": "No", "Cause": "not this time"}),
                ],
            }),
        ),
    ),
    "a list whose items are walked two at a time, and all again": (
        native(
            {"id": "all", "type": "MAP", "items": "list", "each": "bad", "maxConcurrency": 2,
             "retries": {"errors": ["Broke"], "maxAttempts": 1}},
            task("bad"),
        ),
        machine(
            all=ends({
                "Type": "Map", "ItemsPath": "$.list", "MaxConcurrency": 2,
                "ItemSelector": {"item.$": "$$.Map.Item.Value"},
                "Retry": [{"ErrorEquals": ["Broke"], "MaxAttempts": 1}],
                "ItemProcessor": machine(bad=state("bad")),
            }),
        ),
    ),
    "a call that is answered by whoever has its token": (
        native(task("ask", "a", **{"await": "callback"}, timeout=600_000), task("a")),
        machine(
            ask={"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                 "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}},
                 "TimeoutSeconds": 600, "ResultPath": "$.answer", "Next": "a"},
            a=state("a"),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
@pytest.mark.parametrize("n", [1, 2])
async def test_a_machine_has_one_journal_shape_in_both_languages(
    pair: tuple[dict[str, Any], dict[str, Any]], n: int
) -> None:
    shapes = [await shape(document, {"n": n, "list": [1, 2, 3]}) for document in pair]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 4


async def test_the_fan_out_of_the_examples_has_one_journal_shape_in_both_languages() -> None:
    one = json.loads((EXAMPLES / "fan-out.json").read_text())
    other = json.loads((EXAMPLES / "states-language" / "fan-out.json").read_text())
    one["steps"][0].update(items="{% [1..30] %}", maxConcurrency=40)
    found = await shape(one, {})
    named = {"PriceLines": "prices", "PriceLine": "price-line", "SumUp": "sum-up", "": ""}
    twin = [(kind, named[step]) for kind, step in await shape(other, {"lines": 30})]
    assert found == twin
    assert Counter(kind for kind, _ in found)["ITEM_STARTED"] == 30


async def shape(document: dict[str, Any], given: dict[str, Any]) -> Shape:
    """The events of a run to its end, each with its step."""
    world = World(_answers, evaluator=Here())
    await world.open()
    workflow = world.workflows.read(document, workflow_id="w")
    mine = (await world.executions.create(workflow, given)).execution_id
    callbacks = Callbacks(
        world.store, world.definitions, world.clock, world.site.public_url, secret=world.site.secret
    )

    async def waits() -> bool:
        asked = any(one.callback_url for one in await callbacks.waits(mine))
        return await world.at_rest() or (asked and (await world.store.get(mine)).hold == "timer")

    await world.run(waits)
    for wait in await callbacks.waits(mine):
        token = (wait.callback_url or "").rpartition("/")[2]
        await callbacks.call_back(token, Word(status="success", output={"yes": True}))
    await world.run(world.at_rest)
    return [(ev.kind(event), getattr(event, "step_id", None) or "") for event in await world.journal(mine)]


def _answers(call: Call) -> Outcome:
    if call.target.function_id.rpartition(":")[2] == "bad":
        return BROKEN
    return succeeded({"did": 1, "price": 3})
