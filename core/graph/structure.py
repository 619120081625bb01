"""Checking a draft as a graph: names that lead nowhere, scopes, ways to an end.

A scope is what runs one after another: the main line from the first step; for each PARALLEL or MAP what its
branches reach along the flow (`next`, choices, `default`, `catch`); and for each compensated step what its
compensating step reaches. Every step belongs to exactly one scope, so that a running step always knows which
join waits for it. Branches of one PARALLEL may share steps.

All walks are iterative and visit each step and each reference once.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from core.graph.draft import BRANCH, COMPENSATION, FLOW, Draft, Kind, Reference
from core.graph.findings import Findings, Place, shown
from core.graph.model import MapStep
from core.graph.repeats import hint_repeats

NAMED: Final = 5
"""Steps that one sentence names before it says 'and N more'."""


class Scope(NamedTuple):
    """A scope, by the step that opens it and how; the main line has none."""

    kind: Kind
    owner: str


MAIN: Final = Scope(FLOW, "")


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
    scopes = _scopes(draft, edges, start or next(iter(draft.nodes)), findings)
    if not draft.incomplete:
        unopened = {
            edge.reference.home
            for opener, leads in edges.items()
            if opener not in scopes
            for edge in leads
            if edge.reference.kind == BRANCH and edge.reference.home
        }
        for node in draft.nodes.values():
            # What stands within a step that is unreachable is no mistake of its own.
            if node.id not in scopes and node.home not in unopened:
                findings.error(
                    node.place,
                    f"unreachable-{draft.words.step}",
                    f"No way leads from the start to {draft.words.step} {shown(_name(draft, node.id))}.",
                    draft.words.lead_to,
                )
    _report_traps(draft, edges, findings)
    hint_repeats(draft, {step: scope.owner for step, scope in scopes.items()}, findings)


def _names(draft: Draft) -> dict[Place, dict[str, str]]:
    """The ids of the steps by the part of the document that they stand in, and by their names there."""
    names: dict[Place, dict[str, str]] = {}
    for node in draft.nodes.values():
        names.setdefault(node.home, {}).setdefault(node.name or node.id, node.id)
    return names


def _name(draft: Draft, step_id: str) -> str:
    return draft.nodes[step_id].name or step_id


def _start(draft: Draft, findings: Findings) -> str | None:
    if draft.start_at is None:
        return None
    known = _names(draft).get(draft.start_home, {})
    if draft.start_at in known:
        return known[draft.start_at]
    suggestion = findings.closest(draft.start_at, known)
    step = draft.words.step
    findings.error(
        draft.start_place,
        f"unknown-{step}",
        f"The start, {shown(draft.start_at)}, is no {step} of this workflow.",
        f"Did you mean '{suggestion}'?" if suggestion else f"Name one of the {step}s.",
    )
    return None if suggestion is None else known[suggestion]


def _resolve(draft: Draft, findings: Findings) -> Edges:
    """Each step's references with the steps that they mean, reporting unknown names.

    A misspelt name counts as the step that it suggests: one mistake is not reported as three.
    """
    names = _names(draft)
    suggestions: dict[tuple[Place, str], str | None] = {}

    def step(reference: Reference) -> str | None:
        target, home = reference.target, reference.home
        known = names.get(home, {})
        if target in known:
            return known[target]
        if (home, target) not in suggestions:
            suggestions[home, target] = findings.closest(target, known)
        suggestion = suggestions[home, target]
        word = draft.words.step
        elsewhere = target in draft.nodes
        findings.error(
            reference.place,
            f"unknown-{word}",
            f"There is no {word} {shown(target)} here; the one of that name belongs to another scope."
            if elsewhere
            else f"There is no {word} {shown(target)}.",
            f"Did you mean '{suggestion}'?"
            if suggestion
            else f"Name a {word} of the same scope."
            if elsewhere
            else f"Name a {word} of this workflow, or add it.",
        )
        if suggestion is None and reference.kind == BRANCH and home:
            # What a branch holds is no second mistake: it is taken to start with its first step.
            return next(iter(known.values()), None)
        return None if suggestion is None else known[suggestion]

    for reference in draft.anonymous:
        step(reference)
    return {
        node.id: [Edge(reference, step(reference)) for reference in node.references]
        for node in draft.nodes.values()
    }


def _scopes(draft: Draft, edges: Edges, root: str, findings: Findings) -> dict[str, Scope]:
    """The scope of every step that can be reached.

    Scopes are walked from the outside in, each to its end before the next one, so that a step which two
    scopes reach belongs to the outer one, and the reference from the inner one is the problem.
    """
    scopes: dict[str, Scope] = {root: MAIN}

    def enter(edge: Edge, scope: Scope, ready: list[str]) -> None:
        if edge.target is None:
            return
        if edge.target not in scopes:
            scopes[edge.target] = scope
            ready.append(edge.target)
        elif scopes[edge.target] != scope:
            belongs = f"leads to {draft.words.step} {shown(_name(draft, edge.target))}, which belongs to "
            belongs += f"{_spoken_scope(draft, scopes[edge.target])}."
            _refuse_leaving(draft, edge.reference, scope, belongs, findings)

    waiting: deque[tuple[Scope, list[str], int]] = deque([(MAIN, [root], 0)])
    while waiting:
        scope, ready, depth = waiting.popleft()
        openers: list[Scope] = []
        while ready:
            here = ready.pop()
            for edge in edges[here]:
                if edge.reference.kind == FLOW:
                    enter(edge, scope, ready)
            inner = dict.fromkeys(edge.reference.kind for edge in edges[here])
            openers.extend(Scope(kind, here) for kind in inner if kind != FLOW)
        for opener in sorted(openers, key=lambda one: (draft.nodes[one.owner].place, one.kind)):
            inside: list[str] = []
            for edge in edges[opener.owner]:
                if edge.reference.kind == opener.kind:
                    enter(edge, opener, inside)
            if opener.kind == COMPENSATION:
                # It runs on its own after the scope has failed, so it stands in nothing.
                waiting.append((opener, inside, 0))
                continue
            waiting.append((opener, inside, depth + 1))
            if depth == findings.limits.parallels:
                findings.error(
                    draft.nodes[opener.owner].place,
                    "nested-too-deep",
                    f"{shown(_name(draft, opener.owner))} stands in {depth} other {_openers(draft)}, "
                    "one more than may be.",
                    f"Start fewer {_openers(draft)} within branches of others.",
                )
    return scopes


def _refuse_leaving(
    draft: Draft, reference: Reference, scope: Scope, belongs: str, findings: Findings
) -> None:
    """Report a reference that leads out of `scope` to a step of another one."""
    owner = shown(_name(draft, scope.owner))
    if scope.kind == COMPENSATION:
        findings.error(
            reference.place,
            "compensation-leaves-scope",
            f"The compensation of {owner} {belongs}",
            "Give each compensation steps of its own.",
        )
        return
    inner, code = ("walk", "map") if _is_map(draft, scope) else ("branch", "parallel")
    findings.error(
        reference.place,
        f"branch-leaves-{code}",
        f"A {inner} of {owner} {belongs}",
        f"End the {inner} before it; what comes after the join is the 'next' of {owner}.",
    )


def _is_map(draft: Draft, scope: Scope) -> bool:
    return isinstance(draft.steps.get(scope.owner), MapStep)


def _openers(draft: Draft) -> str:
    maps = any(isinstance(step, MapStep) for step in draft.steps.values())
    return "PARALLELs or MAPs" if maps else "PARALLELs"


def _spoken_scope(draft: Draft, scope: Scope) -> str:
    if scope == MAIN:
        return "the main line"
    owner = shown(_name(draft, scope.owner))
    if scope.kind == COMPENSATION:
        return f"the compensation of {owner}"
    return f"the walks of {owner}" if _is_map(draft, scope) else f"the branches of {owner}"


def _report_traps(draft: Draft, edges: Edges, findings: Findings) -> None:
    """Report the steps from which no end of their scope can be reached, once for each knot of them."""
    sources: dict[str, list[str]] = {name: [] for name in draft.nodes}
    free = []
    ending: set[Place] = set()
    for name, node in draft.nodes.items():
        flow = [edge.target for edge in edges[name] if edge.reference.kind == FLOW]
        if node.ends or None in flow:
            free.append(name)
            ending.add(node.home)
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
        first = draft.nodes[knot[0]]
        note = findings.hint if draft.endless and first.home in ending else findings.error
        note(
            first.place,
            "no-way-to-an-end",
            f"From {_spoken([_name(draft, name) for name in knot])} no end can be reached.",
            draft.words.lead_out,
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
