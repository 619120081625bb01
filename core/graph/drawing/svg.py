"""A picture as SVG: one self-contained document without scripts, links or anything fetched.

Texts are escaped, bounded, and one line each; what was cut stands whole (up to a bound) in the tooltip. It
brings its own background, so that it can be read on any page, and is dark where the reader's system is.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from core.errors import InvalidInput
from core.graph.drawing.labels import plain
from core.graph.drawing.layout import PADDING, Box, Placed, Point, place
from core.graph.drawing.parts import Drawing, Edge, Group, Node

MAX_STEPS: Final = 2_000
"""More steps than this are no picture that a person can read, and are refused."""

LETTERS: Final = 34
"""Characters of a line in a box."""

TOOLTIP: Final = 1_000

LINE: Final = 16.0
MARK: Final = 16.0
MARGIN: Final = 12.0
LEAST: Final = 96.0
UPRIGHT: Final = 40.0
"""How far from a step what leads to it from the side turns to it."""

LIGHT: Final = {
    "back": "#fff", "text": "#1f2328", "dim": "#59636e", "line": "#6e7781", "box": "#f6f8fa",
    "group": "#8c959f",
    "task": "#0969da", "choice": "#9a6700", "wait": "#0f766e", "opener": "#8250df",
    "good": "#1a7f37",
    "bad": "#cf222e",
}  # fmt: skip
DARK: Final = {
    "back": "#0d1117", "text": "#e6edf3", "dim": "#9da7b3", "line": "#8b949e", "box": "#161b22",
    "group": "#6e7681", "task": "#58a6ff", "choice": "#d29922", "wait": "#2dd4bf", "opener": "#bc8cff",
    "good": "#3fb950", "bad": "#ff7b72",
}  # fmt: skip

SHAPES: Final = (
    "text{font:13px system-ui,sans-serif;text-anchor:middle}"
    ".kind,.note,.label,.groupname{font-size:11px}.kind{letter-spacing:.05em}.name{font-weight:600}"
    ".groupname{text-anchor:start}.box,.edge,.ring{stroke-width:1.5}.group,.edge,.ring{fill:none}"
    ".group.branch{stroke-dasharray:1 3}.catch{stroke-dasharray:6 4}.compensate{stroke-dasharray:2 4}"
)

COLOURS: Final = (
    ".back{fill:%(back)s}text{fill:%(text)s}.kind,.note,.label,.groupname{fill:%(dim)s}"
    ".box{fill:%(box)s;stroke:%(line)s}.group{stroke:%(group)s}.edge,.ring,.mark{stroke:%(line)s}"
    ".mark,.head{fill:%(line)s}.TASK,.WORKFLOW{stroke:%(task)s}.CHOICE{stroke:%(choice)s}"
    ".WAIT{stroke:%(wait)s}.PARALLEL,.MAP{stroke:%(opener)s}.SUCCEED{stroke:%(good)s}.FAIL{stroke:%(bad)s}"
    ".edge.catch{stroke:%(bad)s}.edge.compensate{stroke:%(opener)s}"
)
"""Colours as values, not as variables: some programs that draw SVG know no variables."""


def svg(drawing: Drawing) -> str:
    """The picture, an XML document that ends in a line feed.

    Raises InvalidInput for more than `MAX_STEPS` steps.
    """
    steps = sum(node.step is not None for node in drawing.nodes)
    if steps > MAX_STEPS:
        raise InvalidInput(
            f"A workflow of {steps} steps is too large for a picture; {MAX_STEPS} steps are drawn."
        )
    lines = {node.id: _lines(node) for node in drawing.nodes}
    sizes = {node.id: _size(node, lines[node.id]) for node in drawing.nodes}
    shown = {
        number: plain(edge.label, LETTERS)
        for number, edge in enumerate(drawing.edges)
        if edge.label and edge.kind != "compensate"
    }
    placed = place(drawing, sizes, {number: (_wide(text, 11) + 8, 16.0) for number, text in shown.items()})
    return "\n".join(_document(drawing, placed, lines, shown)) + "\n"


def _lines(node: Node) -> list[tuple[str, str]]:
    """The lines in a box, each with its class."""
    if node.step is None:
        return []
    notes = [("note", plain(note, LETTERS)) for note in node.notes]
    return [("kind", node.kind), ("name", plain(node.title, LETTERS)), *notes]


def _size(node: Node, lines: list[tuple[str, str]]) -> tuple[float, float]:
    if node.step is None:
        return MARK, MARK
    width = max(_wide(text, 13 if name == "name" else 11) for name, text in lines)
    return max(LEAST, width + 2 * MARGIN), len(lines) * LINE + MARGIN


def _wide(text: str, size: float) -> float:
    """About how wide a text is, rather too wide: fonts differ."""
    em = 0.0
    for char in text:
        if unicodedata.combining(char):
            continue
        if unicodedata.east_asian_width(char) in "WF":
            em += 1.15
        else:
            em += 0.78 if char.isupper() or char in "mwMW@%" else 0.6
    return em * size


def _document(
    drawing: Drawing, placed: Placed, lines: dict[str, list[tuple[str, str]]], shown: dict[int, str]
) -> Iterator[str]:
    width, height = _number(placed.width), _number(placed.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
    )
    yield f"<title>{escape(plain(drawing.title, TOOLTIP))}</title>"
    dark = f"@media (prefers-color-scheme:dark){{{COLOURS % DARK}}}"
    yield f"<style>{SHAPES}{COLOURS % LIGHT}{dark}</style>"
    yield (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    yield f'<rect class="back" width="{width}" height="{height}"/>'
    for group in drawing.groups:
        yield from _group(group, placed.groups[group.id])
    for number, edge in enumerate(drawing.edges):
        yield _edge(edge, placed.routes[number])
    for number, text in shown.items():
        yield _label(drawing.edges[number], placed.labels[number], text)
    for node in drawing.nodes:
        yield from _node(node, placed.nodes[node.id], lines[node.id])
    yield "</svg>"


def _group(group: Group, box: Box) -> Iterator[str]:
    yield f'<rect class="group {group.kind}" {_area(box)} rx="8"/>'
    if group.head is None:
        yield _text("groupname", box.x + PADDING, box.y + PADDING + 6, group.title)


def _edge(edge: Edge, points: list[Point]) -> str:
    return f'<path class="edge {edge.kind}" marker-end="url(#head)" d="{_path(points, edge)}"/>'


def _path(points: list[Point], edge: Edge) -> str:
    first, *rest = points
    written = [f"M{_at(first)}"]
    before = first
    for point in rest:
        if edge.kind == "compensate":
            # It leaves sideways and comes upright.
            middle = (before.x + point.x) / 2
            turn = point.y + (UPRIGHT if before.y > point.y else -UPRIGHT)
            bend = f"{_number(middle)} {_number(before.y)} {_number(point.x)} {_number(turn)} "
            written.append(f"C{bend}{_at(point)}")
        elif abs(point.x - before.x) < 0.1:  # noqa: PLR2004 - a tenth of a unit is not seen
            written.append(f"L{_at(point)}")
        else:
            middle = (before.y + point.y) / 2
            bend = f"{_number(before.x)} {_number(middle)} {_number(point.x)} {_number(middle)} "
            written.append(f"C{bend}{_at(point)}")
        before = point
    return "".join(written)


def _label(edge: Edge, box: Box, text: str) -> str:
    whole = f"<title>{escape(plain(edge.label, TOOLTIP))}</title>" if text != edge.label else ""
    return (
        f'<g><rect class="back" {_area(box)}/>{whole}'
        f"{_text('label', box.middle, box.y + box.height - 4, text)}</g>"
    )


def _node(node: Node, box: Box, lines: list[tuple[str, str]]) -> Iterator[str]:
    if node.step is None:
        radius = MARK / 2
        center = f'cx="{_number(box.middle)}" cy="{_number(box.y + radius)}"'
        if node.kind == "end":
            yield f'<circle class="ring" {center} r="{_number(radius - 1)}"/>'
            radius -= 3
        yield f'<circle class="mark" {center} r="{_number(radius - 1)}"/>'
        return
    yield f"<g data-step={quoteattr(plain(node.step, TOOLTIP))}>"
    whole = "\n".join(plain(line, TOOLTIP) for line in (node.step, *node.notes))
    yield f"<title>{escape(whole)}</title>"
    round_corners = {"WAIT": 18, "SUCCEED": 18, "FAIL": 18, "CHOICE": 0}.get(node.kind, 6)
    yield f'<rect class="box {node.kind}" {_area(box)} rx="{round_corners}"/>'
    for number, (name, text) in enumerate(lines):
        yield _text(name, box.middle, box.y + MARGIN / 2 + LINE * (number + 0.75), text)
    yield "</g>"


def _text(name: str, x: float, y: float, text: str) -> str:
    # A text that runs from right to left must not change where the line stands.
    return (
        f'<text class="{name}" x="{_number(x)}" y="{_number(y)}" unicode-bidi="isolate">{escape(text)}</text>'
    )


def _area(box: Box) -> str:
    return (
        f'x="{_number(box.x)}" y="{_number(box.y)}" '
        f'width="{_number(box.width)}" height="{_number(box.height)}"'
    )


def _at(point: Point) -> str:
    return f"{_number(point.x)} {_number(point.y)}"


def _number(value: float) -> str:
    """With one decimal: the same text on every machine, whatever the last bits of a mean are."""
    return f"{value:.1f}".removesuffix(".0")
