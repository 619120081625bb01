"""What a front end hands to the checks of the graph: steps, and every name by which one leads to another.

A draft may be incomplete where its findings hold errors; it is never shown to anybody then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from core.graph.findings import Place
from core.graph.model import Step

FLOW: Literal["flow"] = "flow"
BRANCH: Literal["branch"] = "branch"
COMPENSATION: Literal["compensation"] = "compensation"

Kind = Literal["flow", "branch", "compensation"]


class Words(NamedTuple):
    """How a language speaks of its steps in the problems of the graph."""

    step: str
    lead_to: str
    lead_out: str


NATIVE_WORDS: Final = Words(
    step="step",
    lead_to="Lead to it with 'next', a choice, a branch or a catch, or remove it.",
    lead_out="Lead out of the loop to a step without 'next', a SUCCEED or a FAIL.",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a step names another.

    `flow`: what comes next in the same scope. `branch`: the first step of a scope within this step, of a
    PARALLEL's branch or a MAP's walk. `compensation`: the first step of the scope that undoes this step.
    `home` is the part of the document in which the name is looked for, where a language has such parts.
    """

    target: str
    place: Place
    kind: Kind
    home: Place = ()


@dataclass(slots=True)
class Node:
    """A step as the graph sees it.

    `ends` says that the scope can end here; a step that could not be read is taken to. `id` is unique in
    the draft; `name` is what references call it, within its `home` (empty: the id).
    """

    id: str
    place: Place
    references: list[Reference] = field(default_factory=list)
    ends: bool = False
    name: str = ""
    home: Place = ()


@dataclass(slots=True)
class Draft:
    """A definition, read but not yet checked as a graph.

    `id` is None where the language knows none: the digest gives it one.
    `anonymous` holds the references of steps whose own id could not be read. `endless` says that a loop
    without an end is only worth a hint, as long as its scope has an end elsewhere.
    """

    id: str | None
    name: str | None
    start_at: str | None
    start_place: Place
    timeout_ms: int | None
    steps: Mapping[str, Step]
    nodes: Mapping[str, Node]
    anonymous: tuple[Reference, ...] = ()
    incomplete: bool = False
    language: Literal["native", "states"] = "native"
    retry_budget: int | None = None
    words: Words = NATIVE_WORDS
    start_home: Place = ()
    endless: bool = False
