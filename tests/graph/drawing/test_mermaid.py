"""Mermaid: a small grammar that every flowchart keeps to, whatever its steps are called."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.graph.drawing.mermaid import escaped, mermaid
from core.graph.drawing.outline import outline
from core.graph.model import (
    Catcher,
    ChoiceRule,
    ChoiceStep,
    Comparison,
    FailStep,
    ParallelStep,
    PassStep,
    Workflow,
)
from core.graph.reading import read_workflow
from tests.graph.drawing import samples
from tests.graph.drawing.hostile import HOSTILE
from tests.strategies import workflows

GOLDEN = Path(__file__).parent / "golden"

ID = r"[a-z][a-z0-9_]*"
# Letters, digits, spaces, entities, line breaks of ours, and some punctuation within a word.
TEXT = r"(?:[^\W_]| |#\d+;|<br/>|(?<=[^\W_])[.,\-_/](?=[^\W_]))*"
LABEL = f'"{TEXT}"'
NODE = re.compile(
    rf"({ID})(?:\[{LABEL}\]|\[\[{LABEL}\]\]|\(\[{LABEL}\]\)|\(\({LABEL}\)\)|\{{\{{{LABEL}\}}\}})"
)
EDGE = re.compile(rf"({ID}) (?:-->|-\.->)(?:\|{LABEL}\|)? ({ID})")
SUBGRAPH = re.compile(rf"subgraph ({ID})\[{LABEL}\]")
OTHER = re.compile(
    rf"accTitle: {TEXT}|classDef [a-z]+ stroke:#[0-9a-f]{{6}},stroke-width:2px"
    rf"|class {ID}(?:,{ID})* [a-z]+|linkStyle \d+(?:,\d+)* stroke-dasharray:2 4"
)
RESERVED = {"end", "graph", "subgraph", "flowchart", "style", "class", "click", "default"}


def parsed(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The ids of nodes, and the edges, of a flowchart that keeps to the grammar."""
    first, *lines = text.split("\n")
    assert first == "flowchart TD"
    assert lines.pop() == ""
    nodes: list[str] = []
    edges: list[tuple[str, str]] = []
    depth = 0
    for line in lines:
        told = line.strip(" ")
        if found := NODE.fullmatch(told):
            nodes.append(found[1])
        elif found := EDGE.fullmatch(told):
            edges.append((found[1], found[2]))
        elif SUBGRAPH.fullmatch(told):
            depth += 1
        elif told == "end":
            depth -= 1
            assert depth >= 0
        else:
            assert OTHER.fullmatch(told), told
    assert depth == 0
    assert len(set(nodes)) == len(nodes)
    assert RESERVED.isdisjoint(nodes)
    assert {end for edge in edges for end in edge} <= set(nodes)
    return nodes, edges


def named(name: str) -> Workflow:
    """A workflow that says `name` wherever a definition can."""
    return samples.workflow(
        name,
        (
            ChoiceStep(
                id=name,
                choices=(ChoiceRule(Comparison((name,), "eq", name), f"2{name}"),),
                default=f"3{name}",
            ),
            samples.task(f"2{name}", catch=(Catcher(errors=(name,), next=f"3{name}"),)),
            FailStep(id=f"3{name}", error=name, cause=name),
        ),
        name=name,
    )


@pytest.mark.parametrize("name", ["saga", "shared"])
def test_the_flowchart_is_the_one_that_was_looked_at(name: str) -> None:
    assert mermaid(outline(getattr(samples, name)())) == (GOLDEN / f"{name}.mmd").read_text()


def test_what_a_parallel_leads_to_begins_where_its_branches_have_ended() -> None:
    _, edges = parsed(mermaid(outline(samples.saga())))
    lines, bill = "n10", "n13"
    assert [source for source, target in edges if target == lines] == ["end_g1_mark"]
    assert [source for source, target in edges if target == bill] == ["end_g2_mark"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    nodes, edges = parsed(mermaid(outline(named(name))))
    assert (len(nodes), len(edges)) == (5, 5)


@given(st.text())
@example("a.b-c_d,e/f")
@settings(max_examples=300)
def test_any_text_is_escaped(text: str) -> None:
    assert re.fullmatch(TEXT, escaped(text))


def test_words_stay_readable() -> None:
    assert escaped("order.total my-func a_b") == "order.total my-func a_b"
    assert escaped("-a. <b>") == "#45;a#46; #60;b#62;"


@given(workflows())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_workflow_is_a_flowchart_with_each_step_once(document: dict[str, Any]) -> None:
    workflow = read_workflow(document)
    nodes, _ = parsed(mermaid(outline(workflow)))
    assert sum(node.startswith("n") for node in nodes) == len(workflow.steps)


def test_ten_thousand_steps_are_written_at_once() -> None:
    nodes, edges = parsed(mermaid(outline(samples.line(10_000))))
    assert (len(nodes), len(edges)) == (10_002, 10_001)


def test_scopes_may_be_nested_deeper_than_the_stack() -> None:
    depth = 2_000
    steps = [ParallelStep(id=f"p{n}", branches=(f"p{n + 1}",)) for n in range(depth)]
    nodes, _ = parsed(mermaid(outline(samples.workflow("p0", [*steps, PassStep(id=f"p{depth}")]))))
    assert sum(node.startswith("n") for node in nodes) == depth + 1
