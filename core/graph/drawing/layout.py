"""Where everything in a picture stands: each group is laid out by itself, from the inside out, and is then
one box among those of its parent. The label of an edge is a box as well, so that nothing lies on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from core.graph.drawing.layers import GAP_X, Layered, Way, arrange
from core.graph.drawing.parts import Drawing, Edge, Group

PADDING: Final = 16.0
HEADROOM: Final = 26.0
"""What a group's own title takes, above what stands in it."""

ASIDE: Final = 48.0
"""Between the flow and what stands beside it."""

Size = tuple[float, float]


class Point(NamedTuple):
    """In units of the picture, from its upper left corner."""

    x: float
    y: float


class Box(NamedTuple):
    """An upright rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    def moved(self, by: Point) -> "Box":
        """The same box elsewhere."""
        return Box(self.x + by.x, self.y + by.y, self.width, self.height)


@dataclass(slots=True)
class Placed:
    """Boxes of nodes and groups by their ids; of labels, and the points of edges, by the edge's number.

    An edge goes from its first point to its last, between which the points come in pairs: upright within a
    layer, slanting from layer to layer.
    """

    width: float = 0.0
    height: float = 0.0
    nodes: dict[str, Box] = field(default_factory=dict)
    groups: dict[str, Box] = field(default_factory=dict)
    labels: dict[int, Box] = field(default_factory=dict)
    routes: dict[int, list[Point]] = field(default_factory=dict)


Thing = tuple[str, str]
"""A node or a group in its container: ("node" or "group", its id)."""


@dataclass(slots=True)
class _Container:
    """One group's inside, or the picture's."""

    things: list[Thing] = field(default_factory=list)
    edges: list[tuple[int, Thing, Thing]] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    layered: Layered = field(default_factory=lambda: Layered([], []))
    labels: dict[int, int] = field(default_factory=dict)
    """The item that an edge's label is."""
    ways: dict[int, list[int]] = field(default_factory=dict)
    """The ways that an edge consists of."""


def place(drawing: Drawing, nodes: Mapping[str, Size], labels: Mapping[int, Size]) -> Placed:
    """Places for nodes of these sizes, and for the labels of edges, by the edge's number."""
    containers = _containers(drawing)
    boxes: dict[Thing, Size] = {("node", name): size for name, size in nodes.items()}
    for group in reversed(drawing.groups):
        inner = _lay(containers[group.id], boxes, labels)
        boxes["group", group.id] = (inner.width + 2 * PADDING, inner.height + 2 * PADDING + headroom(group))
    _lay(containers[None], boxes, labels)
    return _put_together(drawing, containers)


def headroom(group: Group) -> float:
    """The height of a group's own title; where it has a head, that says whose it is."""
    return 0.0 if group.head is not None else HEADROOM


def _containers(drawing: Drawing) -> dict[str | None, _Container]:
    containers: dict[str | None, _Container] = {None: _Container()}
    groups = {group.id: group for group in drawing.groups}
    home: dict[Thing, str | None] = {}
    for node in drawing.nodes:
        home["node", node.id] = node.group
    for group in drawing.groups:
        containers[group.id] = _Container()
        home["group", group.id] = group.parent
        if group.head is not None:
            # The head comes first, so that the rest hangs below it.
            containers[group.id].things.append(("node", group.head))
    heads = {group.head for group in drawing.groups}
    for node in drawing.nodes:
        container = containers[node.group]
        if node.id not in heads:
            if node.kind == "end":
                container.last.append(len(container.things))
            container.things.append(("node", node.id))
    aside: set[Thing] = {("group", group.id) for group in drawing.groups if _is_aside(group)}
    for group in drawing.groups:
        if not _is_aside(group):
            containers[group.parent].things.append(("group", group.id))
    for number, edge in enumerate(drawing.edges):
        if edge.kind != "compensate":
            where, source, target = _common(edge, home, groups)
            if aside.isdisjoint((source, target)):
                containers[where].edges.append((number, source, target))
    return containers


def _is_aside(group: Group) -> bool:
    """Compensation is no part of the flow: it stands beside it."""
    return group.kind == "compensation"


def _common(
    edge: Edge, home: Mapping[Thing, str | None], groups: Mapping[str, Group]
) -> tuple[str | None, Thing, Thing]:
    """The innermost container of both ends, and what holds each end in it."""

    def chain(thing: Thing) -> list[tuple[str | None, Thing]]:
        found = [(home[thing], thing)]
        while found[-1][0] is not None:
            outer: Thing = ("group", found[-1][0])
            found.append((home[outer], outer))
        return found

    def leaves(name: str, kind: str) -> list[tuple[str | None, Thing]]:
        # What leads out of a head, or into it, leads out of its whole group.
        whole = chain(("node", name))
        group = whole[0][0]
        is_head = group is not None and groups[group].head == name
        return whole[1:] if is_head and kind != "branch" else whole

    sources = leaves(edge.source, edge.kind)
    # A branch that begins with a step that opens scopes leads to that step's group.
    targets = dict(leaves(edge.target, "next"))
    for where, source in sources:
        if where in targets:
            return where, source, targets[where]
    raise AssertionError("every chain ends outside")  # pragma: no cover - None is in every chain


def _lay(container: _Container, boxes: Mapping[Thing, Size], labels: Mapping[int, Size]) -> Layered:
    """Lay one container out; a labelled edge, or one from a thing to itself, goes by way of its label."""
    numbers = {thing: number for number, thing in enumerate(container.things)}
    sizes = [boxes[thing] for thing in container.things]
    pairs: list[tuple[int, int]] = []
    for number, source, target in container.edges:
        size = labels.get(number)
        ends = [numbers[source], numbers[target]]
        if size is not None or ends[0] == ends[1]:
            container.labels[number] = len(sizes)
            sizes.append(size or (GAP_X, 0.0))
            ends.insert(1, container.labels[number])
        container.ways[number] = list(range(len(pairs), len(pairs) + len(ends) - 1))
        pairs += pairwise(ends)
    container.layered = arrange(sizes, pairs, container.last)
    return container.layered


def _put_together(drawing: Drawing, containers: Mapping[str | None, _Container]) -> Placed:
    placed = Placed()
    origins: dict[str | None, Point] = {None: Point(PADDING, PADDING)}
    outermost = containers[None].layered
    placed.width = outermost.width + 2 * PADDING
    placed.height = outermost.height + 2 * PADDING
    rooms = {group.id: headroom(group) for group in drawing.groups}
    for group in drawing.groups:
        inner = containers[group.id].layered
        if _is_aside(group):
            width, height = inner.width + 2 * PADDING, inner.height + 2 * PADDING + rooms[group.id]
            box = Box(placed.width + ASIDE, PADDING, width, height)
            placed.groups[group.id] = box
            origins[group.id] = Point(box.x + PADDING, box.y + PADDING + rooms[group.id])
            placed.width = box.x + width + PADDING
            placed.height = max(placed.height, box.bottom + PADDING)
    for where in (None, *(group.id for group in drawing.groups)):
        container, origin = containers[where], origins[where]
        layered = container.layered
        for number, (kind, name) in enumerate(container.things):
            box = _box(layered, number).moved(origin)
            if kind == "node":
                placed.nodes[name] = box
            else:
                placed.groups[name] = box
                origins[name] = Point(box.x + PADDING, box.y + PADDING + rooms[name])
        for edge, item in container.labels.items():
            placed.labels[edge] = _box(layered, item).moved(origin)
    frames = {group.head: group.id for group in drawing.groups if group.head is not None}
    for where, container in containers.items():
        _route(drawing, container, origins[where], placed, frames)
    _route_freely(drawing, placed)
    return placed


def _box(layered: Layered, number: int) -> Box:
    item = layered.items[number]
    return Box(item.middle - item.width / 2, item.top, item.width, item.height)


def _route(
    drawing: Drawing, container: _Container, origin: Point, placed: Placed, frames: Mapping[str, str]
) -> None:
    layered = container.layered
    upper, lower = _ports(layered)
    for number, source, target in container.edges:
        edge = drawing.edges[number]
        points: list[Point] = []
        for way_number in container.ways[number]:
            way = layered.ways[way_number]
            points += _points(layered, way, lower[way_number], upper[way_number], origin)
        _reach(points, _end(edge.source, frames, placed, edge.kind), _drawn(source, placed), at=0)
        _reach(points, _end(edge.target, frames, placed), _drawn(target, placed), at=-1)
        # A point that is there twice would leave an arrow without a direction.
        placed.routes[number] = [point for point, _ in groupby(points)]


def _drawn(thing: Thing, placed: Placed) -> Box:
    kind, name = thing
    return placed.nodes[name] if kind == "node" else placed.groups[name]


def _end(name: str, frames: Mapping[str, str], placed: Placed, kind: str = "") -> Box:
    """What an edge touches: the node, or the whole group of a step that opens one."""
    if name in frames and kind != "branch":
        return placed.groups[frames[name]]
    return placed.nodes[name]


def _reach(points: list[Point], box: Box, frame: Box, *, at: int) -> None:
    """Draw an end that stands within `frame`, a branch's group, on to its own box.

    A branch's first step stands alone at its top, its end alone at its bottom: nothing lies between.
    """
    if box == frame:
        return
    if at == 0:
        points[:2] = [Point(box.middle, box.bottom), Point(box.middle, points[1].y)]
    else:
        points[-2:] = [Point(box.middle, points[-2].y), Point(box.middle, box.y)]


def _points(layered: Layered, way: Way, start: float, end: float, origin: Point) -> list[Point]:
    """One way's points, in the direction in which its edge leads."""
    items, bands = layered.items, layered.bands
    first, final = items[way.passes[0]], items[way.passes[-1]]
    points = [Point(start, first.top + first.height), Point(start, bands[first.layer][1])]
    for number in way.passes[1:-1]:
        bend = items[number]
        band = bands[bend.layer]
        points += [Point(bend.middle, band[0]), Point(bend.middle, band[1])]
    points += [Point(end, bands[final.layer][0]), Point(end, final.top)]
    if way.turned:
        points.reverse()
    return [Point(point.x + origin.x, point.y + origin.y) for point in points]


def _ports(layered: Layered) -> tuple[list[float], list[float]]:
    """For each way the x at which it reaches its lower item, and at which it leaves its upper one.

    Ways share an item's edge evenly, in the order of where they come from.
    """
    items, ways = layered.items, layered.ways
    arriving: dict[int, list[tuple[float, int]]] = {}
    leaving: dict[int, list[tuple[float, int]]] = {}
    for number, way in enumerate(ways):
        leaving.setdefault(way.passes[0], []).append((items[way.passes[1]].middle, number))
        arriving.setdefault(way.passes[-1], []).append((items[way.passes[-2]].middle, number))
    upper, lower = [0.0] * len(ways), [0.0] * len(ways)
    for found, ports in ((arriving, upper), (leaving, lower)):
        for item_number, near in found.items():
            item = items[item_number]
            near.sort()
            for place_in_row, (_, number) in enumerate(near, 1):
                share = place_in_row / (len(near) + 1)
                ports[number] = item.middle - item.width / 2 + item.width * share
    return upper, lower


def _route_freely(drawing: Drawing, placed: Placed) -> None:
    """Draw the rest from a side to the nearer of top and bottom: these edges lead out of any group into
    another, and order nothing.
    """
    for number, edge in enumerate(drawing.edges):
        if number in placed.routes:
            continue
        source, target = placed.nodes[edge.source], placed.nodes[edge.target]
        side = source.x + source.width if source.middle <= target.middle else source.x
        height = source.y + source.height / 2
        end = target.bottom if height > target.bottom else target.y
        placed.routes[number] = [Point(side, height), Point(target.middle, end)]
