"""The executions that are killed: the examples as they stand in `examples/`, and what else has to survive.

What an example waits for is shortened where a person or a night would be waited for: a day for the approval,
a minute between two questions for the report. Nothing else of it is changed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

EXAMPLES: Final = Path(__file__).parents[1] / "examples"

Word = Literal["none", "signal", "callback"]
Document = dict[str, Any]

_UNANSWERED_SECONDS: Final = 3
_QUESTION_SECONDS: Final = 1
_LOOP_MS: Final = 3_000


@dataclass(frozen=True, slots=True)
class Machine:
    """One execution to kill.

    `word` is what a person says to it. `ordered`: each run enters the same steps in the same order. Each
    call takes `pace_ms` more where it is killed, because it would have ended before that. `parks`: one
    that is killed while it does what must not happen twice is parked. `children` are registered before.
    `patience` is how many seconds a run may take. With `calm` no call fails where nobody is killed. `results`
    is the visit whose results are read besides.
    """

    name: str
    document: Document
    input: Any
    status: str
    word: Word = "none"
    ordered: bool = True
    pace_ms: int = 80
    parks: bool = False
    children: Mapping[str, Document] = field(default_factory=dict)
    patience: float = 60.0
    calm: bool = True
    results: str | None = None


def machines(items: int, many: int, rounds: int) -> Iterator[Machine]:
    """All of them, with so many items in a fan-out and in the large MAP, and so many rounds of the loop."""
    yield from _sagas()
    yield from _fan_outs(items)
    yield from _approvals()
    yield from _long_jobs()
    yield from _loops(rounds)
    yield from _children()
    yield large_map(many)


def example(name: str) -> Document:
    """The example's definition, by its path below `examples/` without `.json`."""
    document: Document = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return document


def large_map(items: int) -> Machine:
    """A MAP of so many items, 100 side by side, its results by reference."""
    steps: list[Document] = [
        {"id": "lines", "type": "MAP", "items": f"{{% [1..{items}] %}}", "each": "price",
         "input": {"line": "{% $item %}"}, "maxConcurrency": 100, "results": "reference"},
        {"id": "price", "type": "TASK", "provider": "AWS", "functionId": "price-line",
         "fallbackProvider": "GCP", "effects": "pure", "retries": 2, "output": {"price": "$.price"}},
    ]  # fmt: skip
    return Machine(
        f"a MAP of {items:,} by reference",
        {"id": "large-map", "startAt": "lines", "steps": steps},
        {},
        "COMPLETED",
        ordered=False,
        patience=240.0,
        results="lines",
    )


def _sagas() -> Iterator[Machine]:
    order = {"orderId": "A-2", "amount": 5_000}
    yield Machine("a saga, native", example("saga"), order, "FAILED")
    yield Machine("a saga, states", example("states-language/saga"), order, "FAILED")
    once = _changed(example("saga"), "charge-card", effects="atMostOnce", retries=None)
    yield Machine("a saga that charges once at most", once, order, "FAILED", parks=True)


def _fan_outs(items: int) -> Iterator[Machine]:
    native = _changed(example("fan-out"), "prices", items=f"{{% [1..{items}] %}}")
    states = example("states-language/fan-out")
    for name, document, given in (("native", native, {}), ("states", states, {"lines": items})):
        yield Machine(f"a fan-out of {items:,}, {name}", document, given, "COMPLETED", ordered=False)


def _approvals() -> Iterator[Machine]:
    order = {"orderId": "A-1", "amount": 12}
    native, states = example("approval"), example("states-language/approval")
    yield Machine("an approval that comes, native", native, order, "COMPLETED", "signal")
    yield Machine("an approval that comes, states", states, order, "COMPLETED", "callback")
    hurried = _changed(native, "ask", timeoutSeconds=_UNANSWERED_SECONDS)
    states = example("states-language/approval")
    states["States"]["AskForApproval"]["TimeoutSeconds"] = _UNANSWERED_SECONDS
    yield Machine("an approval that does not come, native", hurried, order, "FAILED")
    yield Machine("an approval that does not come, states", states, order, "FAILED", calm=False)


def _long_jobs() -> Iterator[Machine]:
    states = example("states-language/long-job")
    states["States"]["Pause"]["Seconds"] = _QUESTION_SECONDS
    day = {"day": "2026-11-20"}
    # How often it is asked depends on when; so does how often a job is started where that is cut off.
    yield Machine("a long job, native", example("long-job"), day, "COMPLETED", ordered=False)
    yield Machine("a long job, states", states, day, "COMPLETED", ordered=False)


def _loops(rounds: int) -> Iterator[Machine]:
    price = {"id": "price", "type": "TASK", "provider": "AWS", "functionId": "price-line",
             "input": {"line": "$.round"},
             "output": {"round": "{% round + 1 %}", "total": "{% total + $result.price %}"},
             "next": "again"}  # fmt: skip
    again = {"id": "again", "type": "CHOICE",
             "choices": [{"variable": "round", "operator": "lt", "value": rounds, "next": "price"}],
             "default": "done"}  # fmt: skip
    native = {"id": "loop", "startAt": "price", "steps": [price, again, {"id": "done", "type": "SUCCEED"}]}
    states = {
        "StartAt": "Price",
        "States": {
            "Price": {
                "Type": "Task",
                "Resource": "arn:aws:lambda:us-east-1:000000000000:function:price-line",
                "Parameters": {"line.$": "$.round"},
                "ResultPath": "$.line",
                "Next": "Count",
            },
            "Count": {
                "Type": "Pass",
                "Parameters": {
                    "round.$": "States.MathAdd($.round, 1)",
                    "total.$": "States.MathAdd($.total, $.line.price)",
                },
                "Next": "Again",
            },
            "Again": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.round", "NumericLessThan": rounds, "Next": "Price"}],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
    start = {"round": 0, "total": 0}
    for name, document in (("native", native), ("states", states)):
        yield Machine(
            f"a loop of {rounds:,} rounds, {name}",
            document,
            start,
            "COMPLETED",
            pace_ms=_LOOP_MS // rounds,
            patience=180.0,
        )


def _children() -> Iterator[Machine]:
    native: Document = {
        "id": "child-native", "startAt": "reserve",
        "steps": [
            {"id": "reserve", "type": "TASK", "provider": "AWS", "functionId": "reserve-stock",
             "compensate": "release", "next": "give-up"},
            {"id": "give-up", "type": "FAIL", "error": "NoCarrier", "cause": "Nobody ships there."},
            {"id": "release", "type": "TASK", "provider": "AWS", "functionId": "release-stock"},
        ],
    }  # fmt: skip
    states: Document = {
        "StartAt": "Reserve",
        "States": {
            "Reserve": {
                "Type": "Task",
                "Resource": "arn:aws:lambda:us-east-1:000000000000:function:reserve-stock",
                "ResultPath": "$.reservation",
                "Next": "GiveUp",
            },
            "GiveUp": {"Type": "Fail", "Error": "NoCarrier", "Cause": "Nobody ships there."},
        },
    }
    for name, child in (("native", native), ("states", states)):
        parent: Document = {
            "id": f"parent-{name}", "startAt": "ship",
            "steps": [
                {"id": "ship", "type": "WORKFLOW", "workflowId": f"child-{name}",
                 "catch": [{"errors": ["NoCarrier"], "next": "charge"}], "next": "charge"},
                {"id": "charge", "type": "TASK", "provider": "GCP", "functionId": "charge-card"},
            ],
        }  # fmt: skip
        order = {"orderId": "A-3", "amount": 7}
        yield Machine(
            f"a child that fails and is caught, {name}",
            parent,
            order,
            "COMPLETED",
            children={f"child-{name}": child},
        )


def _changed(document: Document, step_id: str, **changes: Any) -> Document:
    """The native definition with some fields of one step changed; null is a field left out."""
    steps = [{**step, **changes} if step["id"] == step_id else step for step in document["steps"]]
    return {**document, "steps": steps}
