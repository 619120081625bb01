"""Draw the legality table: writes docs/explanation/states.md, or with --check says whether it is current."""

import sys
from collections.abc import Mapping
from pathlib import Path

from core.machine.transitions import EXECUTION, STEP

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "states.md"

HEAD = """# Statuses, and what may follow what

Drawn from `core/machine/transitions.py` by `python scripts/draw_states.py`; a test draws it again and
compares.
An event that the table does not allow is refused, and the state stays as it was.
"""


def diagram(table: Mapping[str, Mapping[str, str]], first: str) -> str:
    """One table as a Mermaid state diagram; events that keep the status share one arrow."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for status, row in table.items():
        by_next: dict[str, list[str]] = {}
        for event, following in row.items():
            by_next.setdefault(following, []).append(event)
        lines += [
            f"    {status} --> {following}: {'<br/>'.join(events)}" for following, events in by_next.items()
        ]
        if not row:
            lines.append(f"    {status} --> [*]")
    return "\n".join([*lines, "```"])


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            "## An execution",
            "",
            diagram(EXECUTION, "NEW"),
            "",
            "`PAUSED`: a person wants nothing new to start. `PARKED`: the engine needs a person, because",
            "something may have run and must not run twice, or could not be undone. What ended other than",
            "well can be redriven, unless what it did was undone.",
            "",
            "## A visit of a step",
            "",
            diagram(STEP, "PENDING"),
            "",
            "`SKIPPED` is how a step is shown that an ended execution never reached. A redrive enters again",
            "a visit that failed or was cancelled, under its own path and in its next round.",
            "",
        ]
    )


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
