"""What a front end hands to the checks of the graph: steps, and every name by which one leads to another.

A draft may be incomplete where its findings hold errors; it is never shown to anybody then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.graph.findings import Place
from core.graph.model import Step

FLOW: Literal["flow"] = "flow"
BRANCH: Literal["branch"] = "branch"


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a step names another: along the flow, or as the first step of a branch."""

    target: str
    place: Place
    kind: Literal["flow", "branch"]


@dataclass(slots=True)
class Node:
    """A step as the graph sees it.

    `ends` says that the scope can end here; a step that could not be read is taken to.
    """

    id: str
    place: Place
    references: list[Reference] = field(default_factory=list)
    ends: bool = False


@dataclass(slots=True)
class Draft:
    """A definition, read but not yet checked as a graph.

    `anonymous` holds the references of steps whose own id could not be read.
    """

    id: str
    name: str | None
    start_at: str | None
    start_place: Place
    timeout_ms: int | None
    steps: Mapping[str, Step]
    nodes: Mapping[str, Node]
    anonymous: tuple[Reference, ...] = ()
    incomplete: bool = False
