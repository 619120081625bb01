"""What came of a run: a table by category, and every miss with its reason."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tests.conformance.running import Ran

OF_ALL: Final = 0.98
OF_A_CATEGORY: Final = 0.90
LARGE: Final = 20
"""Cases from which a category counts by itself; smaller ones count together."""

_SHOWN: Final = 160


class Score(NamedTuple):
    """How many cases of a group agree."""

    name: str
    agree: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1; 1 for none."""
        return self.agree / self.of if self.of else 1.0


def scores(ran: Sequence[Ran]) -> list[Score]:
    """By category, then the small ones together, then all. States entered count for nothing here."""
    groups: dict[str, list[Ran]] = {}
    for one in ran:
        groups.setdefault(one.case["category"], []).append(one)
    found = [_score(name, group) for name, group in sorted(groups.items())]
    small = [one for group in groups.values() if len(group) < LARGE for one in group]
    return [*found, _score("smaller ones together", small), _score("all", list(ran))]


def _score(name: str, group: Sequence[Ran]) -> Score:
    return Score(name, sum(agrees(one) for one in group), len(group))


def agrees(one: Ran) -> bool:
    """Whether status, output and error are as recorded."""
    return all(difference.field == "entered" for difference in one.differences)


def short_of(ran: Sequence[Ran]) -> list[str]:
    """A sentence for each threshold that is not reached."""
    told = []
    for score in scores(ran):
        if score.name != "all" and score.of < LARGE and score.name != "smaller ones together":
            continue
        least = OF_ALL if score.name == "all" else OF_A_CATEGORY
        if score.share < least:
            told.append(f"{score.name}: {score.agree} of {score.of} agree, and {least:.0%} are wanted")
    return told


def misses(ran: Sequence[Ran]) -> list[str]:
    """A line for each case that differs, with what differs."""
    lines = []
    for one in ran:
        for difference in one.differences:
            wanted, got = _brief(difference.expected), _brief(difference.actual)
            cause = f"  ({_brief(one.result.get('cause'))})" if one.result.get("cause") else ""
            lines.append(f"{one.case['id']}  {difference.field}: wanted {wanted}, got {got}{cause}")
    return lines


def table(ran: Sequence[Ran]) -> list[str]:
    """The scores as a Markdown table."""
    lines = ["| category | cases | agree | |", "|---|---:|---:|---:|"]
    lines += [f"| {one.name} | {one.of} | {one.agree} | {one.share:.1%} |" for one in scores(ran)]
    return lines


def page(ran: Sequence[Ran], reasons: Mapping[str, str]) -> str:
    """docs/conformance.md."""
    entered = [one for one in ran if "events" in one.case["expect"]]
    in_order = sum(all(d.field != "entered" for d in one.differences) for one in entered)
    lines = [
        "# Conformance with the Amazon States Language",
        "",
        "State machines that were run on AWS, with what their functions answered and what came of them, are",
        "run here through `POST /workflows/test`; status, output and error are compared. The cases are kept",
        "outside this repository: `make conformance CASES=DIR` runs those of a folder and writes this page.",
        "The cases of our own in `tests/conformance/cases.jsonl` run with every test run.",
        "",
        *table(ran),
        "",
        f"The states entered are recorded for {len(entered)} of them, and agree for {in_order}: in order, or",
        "in number where a Parallel or a Map leaves the order free.",
        "",
        "## Misses",
        "",
    ]
    missed = [one for one in ran if one.differences]
    if not missed:
        lines.append("None.")
    else:
        lines += ["| case | differs in | reason |", "|---|---|---|"]
    for one in missed:
        fields = ", ".join(difference.field for difference in one.differences)
        why = reasons.get(one.case["id"], "not looked into yet")
        lines.append(f"| `{_cell(one.case['id'])}` | {fields} | {_cell(why)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
