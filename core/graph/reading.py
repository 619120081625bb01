"""Reading a definition: any front end's document into the one model, or every problem that it has."""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from core.errors import InvalidDefinition, Problem
from core.graph import native
from core.graph.canonical import digest, encode, find_unfit
from core.graph.draft import Draft
from core.graph.fields import Fields
from core.graph.findings import Findings, pointer, shown
from core.graph.limits import UNLIMITED, Limits
from core.graph.model import PROVIDERS, Json, Workflow
from core.graph.states_language import machine
from core.graph.structure import check_structure


class FrontEnd(NamedTuple):
    """A language of definitions: how its documents are recognised, and how they are read.

    `read` notes what is wrong and returns None where there is nothing to check as a graph.
    """

    name: str
    recognises: Callable[[dict[str, Json]], bool]
    read: Callable[[dict[str, Json], Findings], Draft | None]


FRONT_ENDS: Final = (
    FrontEnd("Amazon States Language", machine.recognises, machine.read_states_language),
    FrontEnd("native", native.recognises, native.read_native),
)
"""In the order in which they are asked; the last one takes every object."""

NAMELESS: Final = "asl-"
"""The id of a workflow whose language knows no ids: this, and the first 16 digits of its digest."""


def read_workflow(
    document: object,
    *,
    providers: tuple[str, ...] | None = PROVIDERS,
    limits: Limits | None = None,
    source: bytes | None = None,
) -> Workflow:
    """The workflow that `document`, JSON already decoded, defines; `source` is its canonical form, where the
    caller has made it.

    `providers` are the names that may be used; None allows any. Raises InvalidDefinition with every error
    of the document, in its order, and nothing else. It does not change `document` and keeps no part of it
    that a caller could change afterwards, except the values inside a PASS's result and a comparison.
    """
    findings = Findings(limits or Limits(), providers)
    workflow = _read(document, findings, source)
    if workflow is None:
        problems = findings.in_order(document)
        raise InvalidDefinition(tuple(problem for problem in problems if problem.severity == "error"))
    return workflow


def check(
    document: object, *, providers: tuple[str, ...] | None = PROVIDERS, limits: Limits | None = None
) -> tuple[Problem, ...]:
    """Every error and every hint about `document`, in its order. Never raises."""
    findings = Findings(limits or Limits(), providers)
    _read(document, findings)
    return findings.in_order(document)


def parse_stored(source: bytes) -> Workflow:
    """The workflow whose canonical form is `source`, as `Workflow.source` gave it.

    It was accepted once, perhaps with other limits and providers, so only its fields are read again: no
    limits, no hints, no check of the graph. Raises InvalidDefinition where `source` is damaged.
    """
    try:
        document = msgspec.json.decode(source)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as damaged:
        raise InvalidDefinition(
            (Problem("", "not-json", f"The stored definition cannot be read: {damaged}."),)
        ) from damaged
    findings = Findings(UNLIMITED, None, quiet=True)
    draft = _front_end(document, findings)
    if draft is None or findings.errors:
        raise InvalidDefinition(findings.in_order(document))
    return _workflow(draft, source)


def under_id(workflow: Workflow, workflow_id: str) -> Workflow:
    """`workflow` by the id that a caller gives it, where its language knows none; else itself.

    Raises InvalidDefinition for what can be no id.
    """
    if workflow.language == "native" or workflow.id == workflow_id:
        return workflow
    findings = Findings(Limits(), None)
    Fields(findings, {"id": workflow_id}, (), "The machine").identifier("id", required="Give it an id.")
    if findings.errors:
        raise InvalidDefinition(findings.in_order({}))
    return msgspec.structs.replace(workflow, id=workflow_id)


def place_of(workflow: Workflow, step_id: str, index: int) -> str:
    """The JSON Pointer, into its document, of a step: the `index`th of the workflow's."""
    if workflow.language == "native":
        return f"/steps/{index}"
    place = machine.find_state(msgspec.json.decode(workflow.source), step_id)
    return "" if place is None else pointer(place)


def _read(document: object, findings: Findings, source: bytes | None = None) -> Workflow | None:
    """The workflow, or None where `findings` holds an error."""
    if source is None:
        unfit = find_unfit(document, findings.limits)
        if unfit is not None:
            findings.error(*unfit)
            return None
        source = encode(document)
    if len(source) > findings.limits.definition_bytes:
        findings.error(
            (),
            "definition-too-large",
            f"The definition has {len(source)} bytes in canonical form; "
            f"the limit is {findings.limits.definition_bytes}.",
            "Split the workflow.",
        )
        return None
    draft = _front_end(document, findings)
    if draft is None:
        return None
    check_structure(draft, findings)
    return None if findings.errors else _workflow(draft, source)


def _front_end(document: object, findings: Findings) -> Draft | None:
    if not isinstance(document, dict):
        findings.error(
            (),
            "not-an-object",
            f"A definition is a JSON object, not {shown(document)}.",
            'Send {"id": ..., "startAt": ..., "steps": [...]}.',
        )
        return None
    front_end = next(entry for entry in FRONT_ENDS if entry.recognises(document))
    return front_end.read(document, findings)


def _workflow(draft: Draft, source: bytes) -> Workflow:
    content = digest(source)
    return Workflow(
        id=f"{NAMELESS}{content[:16]}" if draft.id is None else draft.id,
        name=draft.name,
        start_at=draft.start_at or "",
        steps=draft.steps,
        digest=content,
        source=source,
        timeout_ms=draft.timeout_ms,
        language=draft.language,
        retry_budget=draft.retry_budget,
    )
