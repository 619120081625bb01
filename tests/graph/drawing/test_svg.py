"""SVG: well-formed whatever steps are called, nothing lies on anything else, and bounded."""

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.graph.drawing import svg as drawn
from core.graph.drawing.layers import GAP_X, MAX_BENDS, arrange
from core.graph.drawing.layout import Box
from core.graph.drawing.outline import outline
from core.graph.drawing.svg import svg
from core.graph.model import ParallelStep, PassStep, Workflow
from core.graph.reading import read_workflow
from tests.graph.drawing import samples
from tests.graph.drawing.hostile import HOSTILE
from tests.graph.drawing.test_mermaid import named
from tests.strategies import workflows

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "title", "style", "defs", "marker", "path", "rect", "g", "text", "circle"}


def parsed(text: str) -> ET.Element:
    """The document's root. It declares no entities, so that reading it is safe by construction."""
    assert "<!" not in text
    assert "<?" not in text
    root = ET.fromstring(text)  # noqa: S314 - see above
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ALLOWED
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    return root


def steps(root: ET.Element) -> dict[str, Box]:
    found = {}
    for group in root.iter(f"{SVG}g"):
        if "data-step" in group.attrib:
            found[group.attrib["data-step"]] = area(group.find(f"{SVG}rect"))
    return found


def area(rect: ET.Element | None) -> Box:
    assert rect is not None
    return Box(*(float(rect.attrib[name]) for name in ("x", "y", "width", "height")))


def frames(root: ET.Element) -> list[Box]:
    return [area(rect) for rect in root.iter(f"{SVG}rect") if rect.attrib["class"].startswith("group")]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.bottom
        and other.y < one.bottom
    )


def within(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x
        and inner.x + inner.width <= outer.x + outer.width
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom
    )


def check_places(text: str) -> dict[str, Box]:
    """Steps and labels lie apart and in the picture; frames lie in one another or apart."""
    root = parsed(text)
    found = steps(root)
    labels = [
        area(group.find(f"{SVG}rect")) for group in root.iter(f"{SVG}g") if "data-step" not in group.attrib
    ]
    whole = Box(0, 0, float(root.attrib["width"]), float(root.attrib["height"]))
    boxes = [*found.values(), *labels]
    for box in [*boxes, *frames(root)]:
        assert within(box, whole)
    for one, other in combinations(boxes, 2):
        assert not overlap(one, other)
    for one, other in combinations(frames(root), 2):
        assert within(one, other) or within(other, one) or not overlap(one, other)
    for box in boxes:
        for frame in frames(root):
            assert within(box, frame) or not overlap(box, frame)
    return found


@pytest.mark.parametrize("name", ["saga", "shared"])
def test_the_picture_is_the_one_that_was_looked_at(name: str) -> None:
    assert svg(outline(getattr(samples, name)())) == (GOLDEN / f"{name}.svg").read_text()


def test_it_has_a_title_and_colours_for_light_and_dark() -> None:
    root = parsed(svg(outline(samples.saga())))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "An order, and what undoes it"
    style = root.find(f"{SVG}style")
    assert style is not None
    assert style.text is not None
    assert "prefers-color-scheme:dark" in style.text
    assert drawn.LIGHT.keys() == drawn.DARK.keys()


@pytest.mark.parametrize("name", ["saga", "shared"])
def test_nothing_lies_on_anything_else(name: str) -> None:
    workflow = getattr(samples, name)()
    assert check_places(svg(outline(workflow))).keys() == workflow.steps.keys()


def test_branches_lie_in_frames_of_their_own() -> None:
    root = parsed(svg(outline(samples.saga())))
    found = steps(root)
    around = {
        name: {frame for frame in frames(root) if within(found[name], frame)}
        for name in ("prepare", "reserve", "rate", "good", "bill")
    }
    assert not around["bill"]
    assert around["prepare"] < around["reserve"]
    assert around["prepare"] < around["rate"] == around["good"] != around["reserve"]


def test_a_catch_is_dashed_and_compensation_is_dotted() -> None:
    root = parsed(svg(outline(samples.saga())))
    kinds = [path.attrib["class"] for path in root.iter(f"{SVG}path")]
    assert kinds.count("edge catch") == 2
    assert kinds.count("edge compensate") == 2
    assert ".catch{stroke-dasharray:6 4}.compensate{stroke-dasharray:2 4}" in drawn.SHAPES


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    assert len(check_places(svg(outline(named(name))))) == 3


@given(st.text(st.characters(), min_size=1, max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_name_can_be_drawn(name: str) -> None:
    parsed(svg(outline(named(name))))


@given(workflows())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_workflow_is_drawn_with_each_step_once_and_nothing_on_anything(document: dict[str, Any]) -> None:
    workflow = read_workflow(document)
    text = svg(outline(workflow))
    assert check_places(text).keys() == workflow.steps.keys()
    assert text == svg(outline(workflow))


@pytest.mark.parametrize("build", [samples.line, samples.tangle, samples.wide])
def test_the_largest_that_is_drawn_stays_bounded(build: Any) -> None:
    workflow: Workflow = build(drawn.MAX_STEPS - 1)
    text = svg(outline(workflow))
    assert len(steps(parsed(text))) == len(workflow.steps)
    assert len(text) < 5_000_000


def test_one_step_more_is_refused_in_a_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"2001 steps is too large for a picture; 2000"):
        svg(outline(samples.line(drawn.MAX_STEPS + 1)))


def test_scopes_may_be_nested_deeply() -> None:
    depth = 300
    scopes = [ParallelStep(id=f"p{n}", branches=(f"p{n + 1}",)) for n in range(depth)]
    text = svg(outline(samples.workflow("p0", [*scopes, PassStep(id=f"p{depth}")])))
    assert len(steps(parsed(text))) == depth + 1


@given(st.data(), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_layers_keep_boxes_apart_and_edges_lead_downwards_or_are_turned(
    data: st.DataObject, count: int
) -> None:
    sizes = data.draw(st.lists(st.tuples(st.floats(1, 90), st.floats(1, 60)), min_size=count, max_size=count))
    ends = st.integers(0, count - 1)
    edges = [pair for pair in data.draw(st.lists(st.tuples(ends, ends), max_size=30)) if pair[0] != pair[1]]
    layered = arrange(sizes, edges)
    items = layered.items
    for one, other in combinations(items, 2):
        if one.layer == other.layer:
            least = (one.width + other.width) / 2 + GAP_X
            assert abs(one.middle - other.middle) >= least - 1e-6
    for (source, target), way in zip(edges, layered.ways, strict=True):
        assert (source, target) == (
            (way.passes[-1], way.passes[0]) if way.turned else (way.passes[0], way.passes[-1])
        )
        layers = [items[number].layer for number in way.passes]
        assert layers == list(range(layers[0], layers[-1] + 1))


def test_bends_are_bounded_however_far_edges_reach() -> None:
    count = 1_500
    edges = [(n, n + 1) for n in range(count - 1)] + [(n, count - 1) for n in range(count - 1)]
    layered = arrange([(10.0, 10.0)] * count, edges)
    assert len(layered.items) - count <= MAX_BENDS
