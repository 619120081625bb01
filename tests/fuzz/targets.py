"""What is fuzzed: each target takes any bytes, and raises where a promise of the code is broken.

What a promise allows (a refusal with its documented error) is caught; everything else is a finding.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from core.data.decoding import loads
from core.data.evaluating import Unbounded, answer
from core.data.flow import Frame, Kind, Request
from core.data.jsonata import check_jsonata
from core.errors import InvalidDefinition, InvalidInput, JournalUnreadable
from core.graph.drawing.mermaid import mermaid
from core.graph.drawing.outline import outline
from core.graph.drawing.svg import svg
from core.graph.model import ChoiceStep, MapStep, Workflow
from core.graph.reading import check, parse_stored, read_workflow
from core.machine.journal import decode, encode

LIMIT: Final = 16_384
"""Bytes of JSON that an evaluated value may have here."""

DRAWN: Final = 200
"""Steps of a workflow that is drawn as well: a larger one would only take longer."""


def definition(data: bytes) -> None:
    """Any JSON as a definition, in either language: accepted or refused with problems, and then stored."""
    try:
        document = loads(data)
    except InvalidInput:
        return
    problems = check(document)
    errors = tuple(found for found in problems if found.severity == "error")
    try:
        workflow = read_workflow(document)
    except InvalidDefinition as refused:
        told = refused.problems
    else:
        assert not errors
        _stored_and_drawn(workflow)
        return
    assert told == errors
    assert errors


def _stored_and_drawn(workflow: Workflow) -> None:
    assert parse_stored(workflow.source) == workflow
    if len(workflow.steps) <= DRAWN:
        drawing = outline(workflow)
        assert sum(node.step is not None for node in drawing.nodes) == len(workflow.steps)
        mermaid(drawing)
        svg(drawing)


def decoding(data: bytes) -> None:
    """Any bytes as JSON: what is accepted means the same to another decoder."""
    try:
        value = loads(data)
    except InvalidInput:
        return
    assert json.loads(data) == value


def evaluation(data: bytes) -> None:
    """`[definition, data, result, item]`: what a step of an accepted definition makes of any data."""
    try:
        document = loads(data)
    except InvalidInput:
        return
    if not isinstance(document, list) or len(document) < 2:
        return
    try:
        workflow = read_workflow(document[0])
    except InvalidDefinition:
        return
    for request in requests(workflow, document[1], document[2:]):
        try:
            answered = answer(request)
        except Unbounded:
            continue
        assert isinstance(answered.error, str)
        json.dumps([None if answered.error else dict(answered.assigned), dict(answered.fields)])


def requests(workflow: Workflow, data: Any, others: list[Any]) -> Iterator[Request]:
    """Every question that the machine could ask about this data."""
    result = others[0] if others else None
    item = others[1] if len(others) > 1 else None
    context = {
        "Execution": {
            "Id": "x",
            "Input": data,
            "Name": "x",
            "RoleArn": "",
            "StartTime": "",
            "RedriveCount": 0,
        },
        "State": {"EnteredTime": "", "Name": "x", "RetryCount": 0},
        "StateMachine": {"Id": "x", "Name": "x"},
        "Map": {"Item": {"Index": 0, "Value": item}},
        "Task": {"Token": "x"},
    }
    variables = data if isinstance(data, dict) else {}
    plain = Frame(data=data, variables=variables, context=context, now_ms=1, entropy=2)
    done = Frame(data=data, variables=variables, context=context, result=result, now_ms=1, entropy=2)
    error = {"Error": "Boom", "Cause": "as asked"}
    failed = Frame(data=data, variables=variables, context=context, error=error, now_ms=1, entropy=2)
    for step in workflow.steps.values():
        for catcher in step.catch:
            if catcher.flow is not None:
                yield Request(kind="caught", flow=catcher.flow, frame=failed, limit=LIMIT)
        flow = step.flow
        if flow is None:
            continue
        kinds: tuple[Kind, ...] = ("enter", "leave")
        for kind in kinds:
            frame = plain if kind == "enter" else done
            yield Request(kind=kind, flow=flow, frame=frame, payload=data, limit=LIMIT)
        if isinstance(step, ChoiceStep):
            yield Request(
                kind="choose", flow=flow, frame=plain, rules=step.rules, otherwise=step.default, limit=LIMIT
            )
        if isinstance(step, MapStep):
            yield Request(kind="item", flow=flow, frame=plain, limit=LIMIT)


def expression(data: bytes) -> None:
    """Any text as a JSONata expression: it parses, or there is a sentence."""
    refused = check_jsonata(data.decode("utf-8", "replace"))
    assert refused is None or refused


def journal(data: bytes) -> None:
    """Any bytes as a journal: read, and written again the same, or unreadable."""
    try:
        envelope = decode(data)
    except JournalUnreadable:
        return
    assert decode(encode(envelope)).events == envelope.events


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "definition": definition,
    "decoding": decoding,
    "evaluation": evaluation,
    "expression": expression,
    "journal": journal,
}

JSON: Final = frozenset({"definition", "evaluation", "journal"})
"""Those whose inputs are changed as JSON as well, so that most are still JSON."""
