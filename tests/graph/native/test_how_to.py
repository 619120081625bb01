"""What the how-to pages show can be submitted: whole workflows, and single steps in the midst of one."""

import json
import re
from pathlib import Path

import pytest

from core.graph.reading import read_workflow

ROOT = Path(__file__).parents[3]
PAGES = ("sagas", "human-approval", "long-jobs", "fan-out", "sub-workflows")
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```json\n(.*?)```", (ROOT / f"docs/how-to/{page}.md").read_text(), re.DOTALL)
]
WORKFLOWS = [block for _, block in BLOCKS if '"steps"' in block]
STEPS = [block for _, block in BLOCKS if '"type"' in block and '"steps"' not in block]


@pytest.mark.parametrize("block", WORKFLOWS)
def test_a_workflow_that_is_shown_can_be_submitted(block: str) -> None:
    assert read_workflow(json.loads(block)).steps


@pytest.mark.parametrize("block", STEPS)
def test_a_step_that_is_shown_can_be_submitted_among_others(block: str) -> None:
    step = json.loads(block)
    named = [step.get(way) for way in ("next", "each", "compensate")]
    named += [catcher["next"] for catcher in step.get("catch", [])]
    others = [{"id": name, "type": "PASS"} for name in dict.fromkeys(named) if name is not None]
    assert read_workflow({"id": "flow", "startAt": step["id"], "steps": [step, *others]}).steps


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    here = ROOT / "docs/how-to"
    for link in re.findall(r"\]\(([^)h][^)]*)\)", (here / f"{page}.md").read_text()):
        path, _, heading = link.partition("#")
        target = (here / path).resolve()
        assert target.is_file(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert heading in anchors, link


def test_every_page_shows_something() -> None:
    assert {page for page, _ in BLOCKS} == set(PAGES)
