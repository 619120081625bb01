"""Every name that a step's failure can bear stands in the reference, and none that it cannot."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"Sidestep\.[A-Z][A-Za-z]+")


def test_every_error_name_is_told() -> None:
    sources = [
        path
        for part in ("core", "adapters", "api")
        for path in (ROOT / part).rglob("*.py")
        if "testing" not in path.parts
    ]
    used = {name for path in sources for name in re.findall(rf'"({NAME.pattern})"', path.read_text("utf-8"))}
    page = (ROOT / "docs/reference/errors.md").read_text("utf-8")
    told = {
        name
        for row in page.splitlines()
        if row.startswith("| `Sidestep.")
        for name in NAME.findall(row.split("|")[1])
    }
    assert told == used
