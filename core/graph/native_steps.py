"""Reading one native step, of whatever type."""

from typing import Final, NamedTuple

from core.graph.draft import Reference
from core.graph.fields import MAX_ID, MAX_TEXT, Fields, object_at
from core.graph.findings import Findings, Place, shown
from core.graph.model import ChoiceStep, FailStep, Json, PassStep, Step, SucceedStep
from core.graph.native_choices import read_choice
from core.graph.native_scopes import read_child, read_map, read_parallel
from core.graph.native_task import read_task
from core.graph.native_templates import read_output
from core.graph.native_waits import read_wait
from core.graph.native_ways import read_next, refuse_next

TYPES: Final = ("TASK", "CHOICE", "PARALLEL", "MAP", "WORKFLOW", "PASS", "WAIT", "SUCCEED", "FAIL")


class ReadStep(NamedTuple):
    """What one entry of `steps` says; `step` is None where it could not be read."""

    step_id: str | None
    step: Step | None
    references: list[Reference]
    ends: bool


def read_step(findings: Findings, entry: Json, place: Place) -> ReadStep | None:
    """Read one entry, noting its problems; None if it is no object."""
    fields = object_at(findings, entry, place, f"Step {place[-1]}")
    if fields is None:
        return None
    step_id = fields.identifier("id", required="Give the step an id.")
    if step_id is not None:
        fields.subject = f"Step {shown(step_id)}"
    kind = fields.one_of(
        "type", TYPES, "unknown-type", required='Say what the step is, such as "type": "TASK".'
    )
    for remark in ("description", "comment"):
        fields.text(remark, limit=findings.limits.definition_bytes, empty=True)
    references: list[Reference] = []
    if kind is None:
        # Judge the rest by the type that was probably meant, so that one pass shows every mistake.
        kind = findings.closest(str(fields.raw("type"))[:MAX_ID], TYPES)
    if kind is None:
        # What it is cannot be told, so its other fields cannot be judged; where it leads to can.
        read_next(fields, references)
        return ReadStep(step_id, None, references, ends=True)
    step = _step(fields, kind, step_id or "", references)
    fields.close()
    # A step whose `next` could not be read may lead anywhere, so also to an end.
    ends = not references if isinstance(step, ChoiceStep) else step.next is None
    return ReadStep(step_id, step, references, ends=ends)


def _step(fields: Fields, kind: str, name: str, references: list[Reference]) -> Step:
    match kind:
        case "TASK":
            return read_task(fields, name, references)
        case "CHOICE":
            return read_choice(fields, name, references)
        case "PARALLEL":
            return read_parallel(fields, name, references)
        case "MAP":
            return read_map(fields, name, references)
        case "WORKFLOW":
            return read_child(fields, name, references)
        case "PASS":
            return _pass(fields, name, references)
        case "WAIT":
            return read_wait(fields, name, references)
        case "SUCCEED":
            refuse_next(fields, references, "a SUCCEED ends its scope.", "Remove 'next', or use a PASS.")
            return SucceedStep(id=name)
        case _:
            return _fail(fields, name, references)


def _pass(fields: Fields, name: str, references: list[Reference]) -> PassStep:
    result = fields.members("result")
    flow = read_output(fields)
    if fields.has("result") and fields.has("output"):
        fields.wrong(
            "output",
            "contradiction",
            "'result' and 'output' both say what the step gives.",
            "Move the members of 'result' into 'output'.",
        )
    return PassStep(id=name, result=result or {}, flow=flow, next=read_next(fields, references))


def _fail(fields: Fields, name: str, references: list[Reference]) -> FailStep:
    error = fields.text("error", limit=MAX_ID)
    cause = fields.text("cause", limit=MAX_TEXT, empty=True)
    refuse_next(
        fields, references, "a FAIL ends its scope.", "Remove 'next', or catch the failure where it happens."
    )
    default = FailStep(id=name)
    return FailStep(id=name, error=error or default.error, cause=cause or default.cause)
