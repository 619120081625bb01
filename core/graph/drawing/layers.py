"""Finding places for boxes in layers, edges pointing downwards: a layered drawing after Sugiyama, Tagawa and
Toda (1981), in its simplest form.

Edges that close a circle are turned round (those that a depth-first walk finds), layers are longest paths,
an edge over several layers bends in a place of its own in each (`Bend`), the order within a layer comes from
barycentres, and the places along it from the mean of the neighbours, as near as order and gaps allow (least
squares under an order: pool adjacent violators).

Deterministic. Time is linear in boxes, edges and bends but for sorting, and bends are bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

MAX_BENDS: Final = 20_000
"""Where all edges together would need more, the later ones are drawn straight."""

SWEEPS: Final = 4
GAP_X: Final = 24.0
GAP_Y: Final = 34.0
BEND: Final = 6.0
"""The width that is kept free for an edge that passes a layer."""


@dataclass(slots=True)
class Item:
    """A box: its size, its layer and, at the end, its middle along the layer and its upper edge."""

    width: float
    height: float
    layer: int = 0
    middle: float = 0.0
    top: float = 0.0


@dataclass(slots=True)
class Way:
    """An edge as it is laid: `passes` are the items it goes through, ends included, downwards.

    `turned` says that it was turned round: the edge leads up.
    """

    passes: list[int]
    turned: bool


@dataclass(slots=True)
class Layered:
    """What came of it: `items` are the given ones and bends behind them; `ways` are the edges' own order.

    `bands` holds each layer's upper and lower edge.
    """

    items: list[Item]
    ways: list[Way]
    bands: list[tuple[float, float]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def arrange(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], last: Sequence[int] = ()
) -> Layered:
    """Places for boxes of these sizes (width, height). No edge may lead from a box to itself.

    The first box begins; those in `last` come below all others.
    """
    items = [Item(width, height) for width, height in sizes]
    turned = _turned(len(items), edges)
    down = [(b, a) if turn else (a, b) for (a, b), turn in zip(edges, turned, strict=True)]
    _set_layers(items, down, last)
    count = len(items)
    ways = []
    bends = 0
    for (upper, lower), turn in zip(down, turned, strict=True):
        needed = items[lower].layer - items[upper].layer - 1
        passes = [upper]
        if bends + needed <= MAX_BENDS:
            bends += needed
            for layer in range(items[upper].layer + 1, items[lower].layer):
                passes.append(len(items))
                items.append(Item(BEND, 0.0, layer))
        ways.append(Way([*passes, lower], turn))
    layered = Layered(items, ways)
    layers = _ordered(items, ways, count)
    _set_places(layered, layers)
    return layered


def _turned(count: int, edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Which edges lead back to a box that a depth-first walk has not left yet."""
    out: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for number, (source, target) in enumerate(edges):
        out[source].append((target, number))
    turned = [False] * len(edges)
    state = [0] * count  # 0 not met, 1 on the way, 2 left
    for root in range(count):
        if state[root]:
            continue
        state[root] = 1
        path = [(root, iter(out[root]))]
        while path:
            here, onward = path[-1]
            step = next(onward, None)
            if step is None:
                state[here] = 2
                path.pop()
                continue
            target, number = step
            if state[target] == 0:
                state[target] = 1
                path.append((target, iter(out[target])))
            elif state[target] == 1:
                turned[number] = True
    return turned


def _set_layers(items: list[Item], down: Sequence[tuple[int, int]], last: Sequence[int]) -> None:
    below: list[list[int]] = [[] for _ in items]
    missing = [0] * len(items)
    for upper, lower in down:
        below[upper].append(lower)
        missing[lower] += 1
    ready = [number for number, count in enumerate(missing) if count == 0]
    for here in ready:
        for lower in below[here]:
            items[lower].layer = max(items[lower].layer, items[here].layer + 1)
            missing[lower] -= 1
            if missing[lower] == 0:
                ready.append(lower)
    others = [item.layer for number, item in enumerate(items) if number not in last]
    for number in last:
        items[number].layer = max(items[number].layer, max(others, default=-1) + 1)


def _neighbours(count: int, ways: Sequence[Way]) -> tuple[list[list[int]], list[list[int]]]:
    """For each item those right above it and right below it."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for way in ways:
        for upper, lower in pairwise(way.passes):
            above[lower].append(upper)
            below[upper].append(lower)
    return above, below


def _ordered(items: list[Item], ways: Sequence[Way], given: int) -> list[list[int]]:
    """The layers, each in an order in which few edges cross."""
    layers: list[list[int]] = [[] for _ in range(max((item.layer for item in items), default=-1) + 1)]
    above, below = _neighbours(len(items), ways)
    met = [False] * len(items)
    for root in range(given):  # depth first, so that what belongs together begins side by side
        ready = [root]
        while ready:
            here = ready.pop()
            if met[here]:
                continue
            met[here] = True
            layers[items[here].layer].append(here)
            ready += reversed(below[here])
    position = [0.0] * len(items)

    def number(layer: list[int]) -> None:
        for place, item in enumerate(layer):
            position[item] = float(place)

    for layer in layers:
        number(layer)
    for sweep in range(SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {
                item: sum(position[other] for other in neighbours[item]) / len(neighbours[item])
                if neighbours[item]
                else position[item]
                for item in layer
            }
            layer.sort(key=wanted.__getitem__)
            number(layer)
    return layers


def _set_places(layered: Layered, layers: list[list[int]]) -> None:
    items = layered.items
    for layer in layers:
        right = 0.0
        for number in layer:
            items[number].middle = right + items[number].width / 2
            right += items[number].width + GAP_X
    above, below = _neighbours(len(items), layered.ways)
    for sweep in range(SWEEPS * 2):
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            wanted = []
            for number in layer:
                near = above[number] if downwards else below[number]
                if sweep >= SWEEPS * 2 - 2:
                    near = above[number] + below[number]
                mean = (
                    sum(items[other].middle for other in near) / len(near) if near else items[number].middle
                )
                wanted.append(mean)
            for number, middle in zip(layer, _spread(wanted, [items[n].width for n in layer]), strict=True):
                items[number].middle = middle
    left = min((item.middle - item.width / 2 for item in items), default=0.0)
    top = 0.0
    for layer in layers:
        height = max((items[number].height for number in layer), default=0.0)
        layered.bands.append((top, top + height))
        for number in layer:
            items[number].middle -= left
            items[number].top = top + (height - items[number].height) / 2
        top += height + GAP_Y
    layered.width = max((item.middle + item.width / 2 for item in items), default=0.0)
    layered.height = max(0.0, top - GAP_Y)


def _spread(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Middles in the given order, without overlaps, as near to the wanted ones as can be (least squares)."""
    offsets = []
    reach = 0.0
    for number, width in enumerate(widths):
        reach += width / 2 if number else 0.0
        offsets.append(reach)
        reach += width / 2 + GAP_X
    pools: list[tuple[float, int]] = []  # the mean of each run that moves as one, and how many it holds
    for value, offset in zip(wanted, offsets, strict=True):
        mean, count = value - offset, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean = (mean * count + other * others) / (count + others)
            count += others
        pools.append((mean, count))
    places = [mean for mean, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
