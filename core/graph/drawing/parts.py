"""What a picture of a workflow consists of: nodes, the edges between them, and groups of nodes.

Every step is one node; marks (`start`, `end`) are nodes without a step. Texts are as people read them: one
line each, bounded, without control characters.
"""

from typing import Literal

import msgspec

NodeKind = Literal[
    "TASK",
    "CHOICE",
    "PARALLEL",
    "MAP",
    "WORKFLOW",
    "PASS",
    "WAIT",
    "SUCCEED",
    "FAIL",
    "start",
    "end",
]

EdgeKind = Literal["start", "next", "choice", "default", "branch", "catch", "end", "compensate"]
"""`branch` leads from a PARALLEL or a MAP into what it opens, `end` from a step without a `next` to the mark
of its scope's end.
"""

GroupKind = Literal["parallel", "branch", "map", "compensation"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A step, or a mark. `id` is safe in any language (`n1`); `step` is the step's own id.

    A step that opens scopes stands in its own group, as its head.
    """

    id: str
    kind: NodeKind
    step: str | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    group: str | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """`source` and `target` are ids of nodes. An edge out of a PARALLEL or a MAP that is no `branch` or
    `catch` is where it goes on once all that it opened has ended.
    """

    source: str
    target: str
    kind: EdgeKind
    label: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Steps that belong together. `parent` is None on the outside; `head` is the node that opened it."""

    id: str
    kind: GroupKind
    title: str
    parent: str | None = None
    head: str | None = None


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A picture. A group stands after its parent, and each list is in an order that does not change."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...]
