"""A picture as a Mermaid flowchart.

Every text is written so that neither Mermaid nor Markdown nor HTML finds anything in it: what is no letter,
digit or space becomes a numeric entity (`#60;`), which Mermaid puts into the finished picture as text. Ids
are our own, never a caller's.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from core.graph.drawing.labels import plain
from core.graph.drawing.parts import Drawing, Edge, Group, Node, NodeKind

STYLES: Final = (
    # Strokes only: they are seen on a light page and on a dark one, and text keeps the page's colour.
    ("task", "stroke:#3b82f6,stroke-width:2px"),
    ("choice", "stroke:#d97706,stroke-width:2px"),
    ("wait", "stroke:#0d9488,stroke-width:2px"),
    ("opener", "stroke:#8b5cf6,stroke-width:2px"),
    ("success", "stroke:#16a34a,stroke-width:2px"),
    ("failure", "stroke:#dc2626,stroke-width:2px"),
)

_INNER: Final = frozenset(".,-_/")
"""Punctuation that stays as it is between two letters or digits, where it cannot begin any markup."""


def mermaid(drawing: Drawing) -> str:
    """The flowchart, ending in a line feed. Linear in the picture.

    Mermaid itself refuses large ones unless it is told otherwise: from 500 edges (`maxEdges`) or 50,000
    characters (`maxTextSize`) on.
    """
    return "\n".join(_lines(drawing)) + "\n"


def escaped(text: str) -> str:
    """`text` for a quoted label."""
    written = []
    for at, char in enumerate(text):
        inner = char in _INNER and text[at - 1 : at].isalnum() and text[at + 1 : at + 2].isalnum()
        written.append(char if char.isalnum() or char == " " or inner else f"#{ord(char)};")
    return "".join(written)


def _lines(drawing: Drawing) -> Iterator[str]:
    yield "flowchart TD"
    if title := escaped(plain(drawing.title)).strip():
        yield f"  accTitle: {title}"
    nodes: dict[str | None, list[Node]] = {}
    for node in drawing.nodes:
        nodes.setdefault(node.group, []).append(node)
    groups: dict[str | None, list[Group]] = {}
    for group in drawing.groups:
        groups.setdefault(group.parent, []).append(group)
    yield from _scope(nodes, groups)
    yield from _edges(drawing)
    yield from _classes(drawing)


def _scope(nodes: dict[str | None, list[Node]], groups: dict[str | None, list[Group]]) -> Iterator[str]:
    """The nodes and groups from the outside in. Iterative: groups may be nested deeply."""
    open_groups: list[tuple[str | None, Iterator[Group]]] = [(None, iter(groups.get(None, ())))]
    for node in nodes.get(None, ()):
        yield "  " + _node(node)
    while open_groups:
        group = next(open_groups[-1][1], None)
        margin = "  " * len(open_groups)
        if group is None:
            open_groups.pop()
            if open_groups:
                yield "  " * len(open_groups) + "end"
            continue
        # Where a group has a head, that says whose it is.
        title = " " if group.head is not None else escaped(plain(group.title))
        yield f'{margin}subgraph {group.id}["{title}"]'
        for node in nodes.get(group.id, ()):
            yield f"{margin}  {_node(node)}"
        open_groups.append((group.id, iter(groups.get(group.id, ()))))


def _node(node: Node) -> str:
    if node.step is None:
        # `end` alone is a word of Mermaid's.
        return f'{_mark(node.id)}(("{node.kind}"))'
    label = "<br/>".join(escaped(plain(line)) for line in (node.title, node.kind, *node.notes))
    before, after = _shape(node.kind)
    return f'{node.id}{before}"{label}"{after}'


def _shape(kind: NodeKind) -> tuple[str, str]:
    match kind:
        case "CHOICE":
            return "{{", "}}"
        case "PARALLEL" | "MAP" | "WORKFLOW":
            return "[[", "]]"
        case "WAIT" | "SUCCEED" | "FAIL":
            return "([", "])"
        case "TASK" | "PASS" | "start" | "end":
            return "[", "]"
        case _:
            assert_never(kind)


def _edges(drawing: Drawing) -> Iterator[str]:
    heads = {group.head: group.id for group in drawing.groups if group.head is not None}
    ends = {node.group: node.id for node in drawing.nodes if node.kind == "end"}
    compensating = []
    for number, edge in enumerate(drawing.edges):
        source = edge.source
        group = heads.get(source)
        if group is not None and edge.kind in {"next", "end"}:
            # What was opened goes on from where it ended; a body that only fails has no such place.
            source = ends.get(group, source)
        label = f'|"{escaped(plain(edge.label))}"|' if edge.label else ""
        yield f"  {_mark(source)} {_arrow(edge)}{label} {_mark(edge.target)}"
        if edge.kind == "compensate":
            compensating.append(str(number))
    if compensating:
        yield f"  linkStyle {','.join(compensating)} stroke-dasharray:2 4"


def _arrow(edge: Edge) -> str:
    return "-.->" if edge.kind in {"catch", "compensate"} else "-->"


def _mark(name: str) -> str:
    return f"{name.replace('-', '_')}_mark" if name.startswith(("start", "end")) else name


def _classes(drawing: Drawing) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for node in drawing.nodes:
        if (name := _class(node.kind)) is not None:
            members.setdefault(name, []).append(node.id)
    for name, style in STYLES:
        if name in members:
            yield f"  classDef {name} {style}"
            yield f"  class {','.join(members[name])} {name}"


def _class(kind: NodeKind) -> str | None:
    match kind:
        case "TASK" | "WORKFLOW":
            return "task"
        case "CHOICE":
            return "choice"
        case "WAIT":
            return "wait"
        case "PARALLEL" | "MAP":
            return "opener"
        case "SUCCEED":
            return "success"
        case "FAIL":
            return "failure"
        case "PASS" | "start" | "end":
            return None
        case _:
            assert_never(kind)
