"""What a picture holds: each step once, in its group, and every way that leads on."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings

from core.graph.drawing.labels import notes, plain
from core.graph.drawing.outline import openings, outline
from core.graph.drawing.parts import Drawing
from core.graph.model import Target
from core.graph.reading import read_workflow
from tests.graph.drawing import samples
from tests.strategies import workflows


def edges(drawing: Drawing) -> set[tuple[str, str, str, str]]:
    """Edges between steps' own ids; marks keep theirs."""
    names = {node.id: node.step or node.id for node in drawing.nodes}
    return {(names[edge.source], edge.kind, names[edge.target], edge.label) for edge in drawing.edges}


def homes(drawing: Drawing) -> dict[str, tuple[str, ...]]:
    """The titles of the groups around each step, from the outside in."""
    groups = {group.id: group for group in drawing.groups}
    found = {}
    for node in drawing.nodes:
        around: list[str] = []
        here = node.group
        while here is not None:
            around.insert(0, groups[here].title)
            here = groups[here].parent
        if node.step is not None:
            found[node.step] = tuple(around)
    return found


def test_each_step_stands_in_the_group_of_its_scope() -> None:
    assert homes(outline(samples.saga())) == {
        "size": (),
        "approve": (),
        "refused": (),
        "prepare": ("prepare",),
        "reserve": ("prepare", "branch 1"),
        "rate": ("prepare", "branch 2"),
        "rated": ("prepare", "branch 2"),
        "pause": ("prepare", "branch 2"),
        "good": ("prepare", "branch 2"),
        "lines": ("lines",),
        "pack": ("lines",),
        "label": ("lines",),
        "bill": (),
        "end": (),
        "release": ("compensation",),
        "tell": ("compensation",),
        "refund": ("compensation",),
    }


def test_every_way_that_leads_on_is_an_edge_with_its_reason() -> None:
    found = edges(outline(samples.saga()))
    assert ("size", "default", "prepare", "otherwise") in found
    assert ("approve", "catch", "refused", "Sidestep.Timeout") in found
    assert ("prepare", "catch", "refused", "any error") in found
    assert ("prepare", "branch", "rate", "") in found
    assert ("rated", "choice", "pause", 'state = "busy"') in found
    assert ("lines", "branch", "pack", "") in found
    assert ("reserve", "compensate", "release", "compensated by") in found
    assert ("bill", "compensate", "refund", "compensated by") in found
    assert ("end", "end", "end", "") in found
    assert not any(source == "refused" for source, *_ in found)


def test_branches_that_share_a_step_share_a_group_and_say_which_they_are() -> None:
    drawing = outline(samples.shared())
    assert homes(drawing)["joint"] == homes(drawing)["left"] == ("each", "both")
    found = edges(drawing)
    assert ("both", "branch", "left", "branch 1") in found
    assert ("right", "choice", "joint", "$x > 1 and $y") in found
    assert ("right", "choice", "right", "$.n = 1 and not ($.b is there)") in found


def test_a_function_that_an_arn_names_is_shown_by_its_name() -> None:
    arn = "arn:aws:lambda:eu-west-1:111111111111:function:charge:live"
    step = samples.task("pay", targets=(Target("AWS", arn, "eu-west-1"), Target("GCP", "charge")))
    assert notes(step) == ("AWS eu-west-1 charge:live", "else GCP charge")


def test_a_line_is_cut_and_holds_nothing_that_acts() -> None:
    assert plain("a\n\tb\u202e\x00c\ud800") == "a b\ufffd\ufffdc\ufffd"
    assert plain("x" * 1_000_000) == "x" * 59 + "\u2026"
    assert plain("\u05e9\u05dc\u05d5\u05dd") == "\u05e9\u05dc\u05d5\u05dd"


@given(workflows())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_step_of_any_workflow_is_drawn_once_with_its_ways(document: dict[str, Any]) -> None:
    workflow = read_workflow(document)
    drawing = outline(workflow)
    assert Counter(node.step for node in drawing.nodes if node.step is not None) == dict.fromkeys(
        workflow.steps, 1
    )
    groups = {group.id: group for group in drawing.groups}
    assert len(groups) == len(drawing.groups)
    for number, group in enumerate(drawing.groups):
        assert group.parent is None or group.parent in [before.id for before in drawing.groups[:number]]
    ids = {node.id for node in drawing.nodes}
    assert len(ids) == len(drawing.nodes)
    assert {end for edge in drawing.edges for end in (edge.source, edge.target)} <= ids
    leading = Counter(edge.source for edge in drawing.edges if edge.kind in {"next", "default", "branch"})
    for node in drawing.nodes:
        if node.step is None:
            continue
        step = workflow.steps[node.step]
        onward = step.next is not None or getattr(step, "default", None) is not None
        assert leading[node.id] == len(openings(step)) + onward
