"""Finished cases in a folder: one JSON file for each case and way, so that a run can be resumed.

A file says with which options its case was played; with other options it is played again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from outages.figures import Figures

WIRE: Final = "wire"
SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True)
class Finished:
    """A case played in one way: the figures by strategy, and what broke besides its promises."""

    case: str
    way: str
    figures: dict[str, Figures]
    problems: tuple[str, ...]
    took: float


class Kept:
    """The folder. `options` are what the figures depend on."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder = folder
        self._options = options
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, case: str, way: str) -> Finished | None:
        """The case as it was played before with these options, None where it was not."""
        file = self._file(case, way)
        if not file.exists():
            return None
        try:
            found = json.loads(file.read_text("utf-8"))
        except ValueError:
            return None
        if found.get("options") != self._options:
            return None
        try:
            figures = {name: msgspec.convert(one, Figures) for name, one in found["figures"].items()}
            return Finished(case, way, figures, tuple(found["problems"]), float(found["took"]))
        except (KeyError, msgspec.ValidationError):  # an older version wrote it
            return None

    def keep(self, finished: Finished) -> None:
        """Write it; a reader sees all of it or nothing."""
        file = self._file(finished.case, finished.way)
        written = file.with_suffix(".new")
        document = {"options": self._options, **asdict(finished)}
        written.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        written.replace(file)

    def _file(self, case: str, way: str) -> Path:
        return self.folder / f"{case}.{way}.json"
