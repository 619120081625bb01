"""The front end for the native JSON: `{id, startAt, steps: [...]}`. docs/reference/workflow-json.md."""

from typing import Final

from core.graph.draft import COMPENSATION, Draft, Node, Reference
from core.graph.fields import MAX_TEXT, Fields
from core.graph.findings import Findings, shown
from core.graph.model import Json, Step, WorkflowStep
from core.graph.native_policies import read_budget
from core.graph.native_steps import read_step

MAX_SECONDS: Final = 31_536_000
"""A year: the longest an execution may take and a WAIT may last (as in AWS Step Functions)."""

MAX_NAME: Final = 256


def recognises(document: dict[str, Json]) -> bool:
    """Every object that no other front end claims is read as native JSON."""
    return isinstance(document, dict)


def read_native(document: dict[str, Json], findings: Findings) -> Draft:
    """Read all of `document`, noting every problem that a single step shows."""
    fields = Fields(findings, document, (), "The workflow")
    identity = fields.identifier("id", required='Give the workflow an id, such as "id": "my-flow".')
    name = fields.text("name", limit=MAX_NAME, empty=True)
    for remark in ("description", "comment"):
        fields.text(remark, limit=findings.limits.definition_bytes, empty=True)
    start_at = fields.identifier("startAt", required=_start_mend(document))
    timeout = fields.number("timeoutSeconds", 0.001, MAX_SECONDS, "seconds")
    budget = read_budget(fields)
    entries = fields.items("steps", findings.limits.steps, required="Add a list of steps, at least one.")
    fields.close()

    steps: dict[str, Step] = {}
    nodes: dict[str, Node] = {}
    anonymous: list[Reference] = []
    incomplete = False
    for at, entry in enumerate(entries):
        place = ("steps", at)
        read = read_step(findings, entry, place)
        if read is None or read.step_id is None:
            anonymous.extend(read.references if read else ())
            incomplete = True
            continue
        node = nodes.get(read.step_id)
        if node is None:
            node = nodes[read.step_id] = Node(read.step_id, place)
            if read.step is not None:
                steps[read.step_id] = read.step
        else:
            findings.error(
                (*place, "id"),
                "duplicate-step",
                f"There is another step {shown(read.step_id)}, at {_spoken(node.place)}.",
                "Give each step its own id.",
            )
        node.references.extend(read.references)
        node.ends = node.ends or read.ends
    _check_steps(identity, start_at, steps, nodes, findings)
    return Draft(
        id=identity or "",
        name=name,
        start_at=start_at,
        start_place=("startAt",),
        timeout_ms=None if timeout is None else max(1, round(timeout * 1000)),
        steps=steps,
        nodes=nodes,
        anonymous=tuple(anonymous),
        incomplete=incomplete,
        retry_budget=budget,
    )


def _check_steps(
    identity: str | None,
    start_at: str | None,
    steps: dict[str, Step],
    nodes: dict[str, Node],
    findings: Findings,
) -> None:
    """Note what a step shows only beside the others, or beside the workflow's id."""
    for name, step in steps.items():
        place = nodes[name].place
        if isinstance(step, WorkflowStep) and step.workflow_id == identity:
            findings.hint(
                (*place, "workflowId"),
                "calls-itself",
                f"Step {shown(name)} runs this workflow again, within itself.",
                "Lead past it at some point: executions nest only so deep.",
            )
    main = _reached(nodes, [] if start_at is None else [start_at])
    undoing = [
        reference.target
        for node in nodes.values()
        for reference in node.references
        if reference.kind == COMPENSATION
    ]
    for name in _reached(nodes, undoing):
        if name not in main and getattr(steps.get(name), "compensate", None) is not None:
            findings.error(
                (*nodes[name].place, "compensate"),
                "compensated-compensation",
                f"Step {shown(name)} belongs to a compensation, and names a step that would undo it in turn.",
                "Remove 'compensate': what undoes is not undone.",
            )


def _reached(nodes: dict[str, Node], waiting: list[str]) -> dict[str, None]:
    """The steps that a way leads to, compensations aside, from any of `waiting`."""
    reached: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in reached:
            reached[name] = None
            waiting.extend(one.target for one in nodes[name].references if one.kind != COMPENSATION)
    return reached


def _start_mend(document: dict[str, Json]) -> str:
    match document.get("steps"):
        case [{"id": str(first)}, *_] if 0 < len(first) <= MAX_TEXT:
            return f'Name the first step: "startAt": {shown(first)}.'
        case _:
            return "Name the first step in 'startAt'."


def _spoken(place: tuple[str | int, ...]) -> str:
    return "/" + "/".join(map(str, place))
