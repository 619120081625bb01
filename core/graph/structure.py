"""Checking a draft as a graph: names that lead nowhere, scopes, ways to an end.

A scope is what runs one after another: the main line from the first step, and for each PARALLEL what its
branches reach along the flow (`next`, choices, `default`, `catch`). Every step belongs to exactly one
scope, so that a running step always knows which join waits for it. Branches of one PARALLEL may share steps.

All walks are iterative and visit each step and each reference once.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from core.graph.draft import BRANCH, FLOW, Draft, Reference
from core.graph.findings import Findings, shown

NAMED: Final = 5
"""Steps that one sentence names before it says 'and N more'."""

MAIN: Final = ""
"""The main line's owner; no step has an empty id."""


class Edge(NamedTuple):
    """A reference, and the step that it means: None where none is known."""

    reference: Reference
    target: str | None


Edges = Mapping[str, list[Edge]]


def check_structure(draft: Draft, findings: Findings) -> None:
    """Note every problem of the graph."""
    if not draft.nodes:
        return
    start = _start(draft, findings)
    edges = _resolve(draft, findings)
    owners = _scopes(draft, edges, start or next(iter(draft.nodes)), findings)
    if not draft.incomplete:
        for node in draft.nodes.values():
            if node.id not in owners:
                findings.error(
                    node.place,
                    "unreachable-step",
                    f"No way leads from the start to step {shown(node.id)}.",
                    "Lead to it with 'next', a choice, a branch or a catch, or remove it.",
                )
    _report_traps(draft, edges, findings)


def _start(draft: Draft, findings: Findings) -> str | None:
    if draft.start_at is None or draft.start_at in draft.nodes:
        return draft.start_at
    suggestion = findings.closest(draft.start_at, draft.nodes)
    findings.error(
        draft.start_place,
        "unknown-step",
        f"The start, {shown(draft.start_at)}, is no step of this workflow.",
        f"Did you mean '{suggestion}'?" if suggestion else "Name one of the steps.",
    )
    return suggestion


def _resolve(draft: Draft, findings: Findings) -> Edges:
    """Each step's references with the steps that they mean, reporting unknown names.

    A misspelt name counts as the step that it suggests: one mistake is not reported as three.
    """
    suggestions: dict[str, str | None] = {}

    def step(reference: Reference) -> str | None:
        target = reference.target
        if target in draft.nodes:
            return target
        if target not in suggestions:
            suggestions[target] = findings.closest(target, draft.nodes)
        suggestion = suggestions[target]
        findings.error(
            reference.place,
            "unknown-step",
            f"There is no step {shown(target)}.",
            f"Did you mean '{suggestion}'?" if suggestion else "Name a step of this workflow, or add it.",
        )
        return suggestion

    for reference in draft.anonymous:
        step(reference)
    return {
        node.id: [Edge(reference, step(reference)) for reference in node.references]
        for node in draft.nodes.values()
    }


def _scopes(draft: Draft, edges: Edges, root: str, findings: Findings) -> dict[str, str]:
    """The owner of every step that can be reached: `MAIN`, or the id of a PARALLEL.

    Scopes are walked from the outside in, each to its end before the next one, so that a step which two
    scopes reach belongs to the outer one, and the reference from the inner one is the problem.
    """
    owners: dict[str, str] = {root: MAIN}

    def enter(edge: Edge, owner: str, ready: list[str]) -> None:
        if edge.target is None:
            return
        if edge.target not in owners:
            owners[edge.target] = owner
            ready.append(edge.target)
        elif owners[edge.target] != owner:
            findings.error(
                edge.reference.place,
                "branch-leaves-parallel",
                f"A branch of {shown(owner)} leads to step {shown(edge.target)}, which belongs to "
                f"{_scope_name(owners[edge.target])}.",
                f"End the branch before it; what comes after the join is the 'next' of {shown(owner)}.",
            )

    waiting: deque[tuple[str, list[str], int]] = deque([(MAIN, [root], 0)])
    while waiting:
        owner, ready, depth = waiting.popleft()
        parallels = []
        while ready:
            here = ready.pop()
            for edge in edges[here]:
                if edge.reference.kind == FLOW:
                    enter(edge, owner, ready)
            if any(edge.reference.kind == BRANCH for edge in edges[here]):
                parallels.append(here)
        for parallel in sorted(parallels, key=lambda one: draft.nodes[one].place):
            inside: list[str] = []
            for edge in edges[parallel]:
                if edge.reference.kind == BRANCH:
                    enter(edge, parallel, inside)
            waiting.append((parallel, inside, depth + 1))
            if depth == findings.limits.parallels:
                findings.error(
                    draft.nodes[parallel].place,
                    "nested-too-deep",
                    f"{shown(parallel)} stands in {depth} other PARALLELs, one more than may be.",
                    "Start fewer PARALLELs within branches of others.",
                )
    return owners


def _scope_name(owner: str) -> str:
    return "the main line" if owner == MAIN else f"the branches of {shown(owner)}"


def _report_traps(draft: Draft, edges: Edges, findings: Findings) -> None:
    """Report the steps from which no end of their scope can be reached, once for each knot of them."""
    sources: dict[str, list[str]] = {name: [] for name in draft.nodes}
    free = []
    for name, node in draft.nodes.items():
        flow = [edge.target for edge in edges[name] if edge.reference.kind == FLOW]
        if node.ends or None in flow:
            free.append(name)
        for target in flow:
            if target is not None:
                sources[target].append(name)
    trapped = dict.fromkeys(draft.nodes)
    for name in free:
        del trapped[name]
    while free:
        for source in sources[free.pop()]:
            if source in trapped:
                del trapped[source]
                free.append(source)
    while trapped:
        knot = _take_knot(next(iter(trapped)), trapped, edges, sources)
        knot.sort(key=lambda name: draft.nodes[name].place)
        findings.error(
            draft.nodes[knot[0]].place,
            "no-way-to-an-end",
            f"From {_spoken(knot)} no end can be reached.",
            "Lead out of the loop to a step without 'next', a SUCCEED or a FAIL.",
        )


def _take_knot(
    first: str, trapped: dict[str, None], edges: Edges, sources: Mapping[str, list[str]]
) -> list[str]:
    """Take out of `trapped` all that hangs together with `first` along the flow."""
    del trapped[first]
    knot = [first]
    for here in knot:
        onward = (edge.target for edge in edges[here] if edge.reference.kind == FLOW)
        for other in (*onward, *sources[here]):
            if other in trapped:
                del trapped[other]
                knot.append(other)
    return knot


def _spoken(names: list[str]) -> str:
    named = ", ".join(shown(name) for name in names[:NAMED])
    more = len(names) - NAMED
    return f"{named} and {more} more" if more > 0 else named
