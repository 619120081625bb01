"""The table, as Markdown and as JSON, and its place in the docs."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from outages.cases import Case
from outages.figures import Figures
from outages.kept import Finished
from outages.promises import broken

SIDESTEP: Final = "Sidestep"
FIVE: Final = "five in a row"
BEGIN_MARK: Final = "<!-- outages: begin -->"
END_MARK: Final = "<!-- outages: end -->"

_HEAD: Final = (
    "case",
    "strategy",
    "executions",
    "completed",
    "failed (own)",
    "parked",
    "lost",
    "ran twice",
    "`atMostOnce` twice",
    "added ms, median / p99",
    "added ms, breaker open",
    "opened after ms",
    "stuck",
    "calls a step",
    "sidesteps for bugs",
    "openings",
    "moves",
    "flaps",
)
_SORTS: Final = {"outage": "Outages", "healthy day": "Healthy days", "replay": "Replays"}


@dataclass(frozen=True, slots=True)
class Row:
    """A case as it was played: on the wire, and in virtual time with every strategy. None: it was not."""

    case: Case
    wire: Finished | None
    simulated: Finished | None

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were broken on the wire and, in words that say so, in virtual time."""
        found: list[str] = []
        baseline = self.simulated.figures.get(FIVE) if self.simulated else None
        stuck = None if baseline is None else baseline.stuck
        if self.wire is not None:
            found += self.wire.problems
            for figures in self.wire.figures.values():
                found += broken(self.case, figures, stuck)
        if self.simulated is not None:
            found += [f"in virtual time: {why}" for why in self.simulated.problems]
        if self.simulated is not None and SIDESTEP in self.simulated.figures:
            ours = self.simulated.figures[SIDESTEP]
            found += [f"in virtual time: {why}" for why in broken(self.case, ours, stuck)]
        return tuple(found)

    def lines(self) -> Iterator[tuple[str, Figures]]:
        """The figures with the name of their strategy, the wire first."""
        if self.wire is not None:
            for figures in self.wire.figures.values():
                yield f"**{SIDESTEP}**, wire", figures
        if self.simulated is not None:
            for name, figures in self.simulated.figures.items():
                yield f"{name}, simulated", figures


def markdown(rows: Sequence[Row], options: Mapping[str, Any]) -> str:
    """A table for each sort of case, and what was broken."""
    parts = [f"{_machine()}; {options['rate']:g} executions a second, {options['seconds']:g} s a case."]
    for sort, title in _SORTS.items():
        chosen = [row for row in rows if row.case.sort == sort]
        if not chosen:
            continue
        parts.append(f"### {title}")
        lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
        for row in chosen:
            name = f"`{row.case.name}`: {row.case.title}"
            for strategy, figures in row.lines():
                lines.append(_line((name, strategy, *_cells(figures))))
                name = ""
        parts.append("\n".join(lines))
    said = [f"- `{row.case.name}`: {why}" for row in rows for why in row.broken]
    parts.append("### Broken promises\n\n" + ("\n".join(said) if said else "None."))
    return "\n\n".join(parts)


def document(rows: Sequence[Row], options: Mapping[str, Any]) -> dict[str, Any]:
    """All of it."""
    return {
        "ok": not any(row.broken for row in rows),
        "machine": _machine(),
        "options": dict(options),
        "cases": [
            {
                "case": row.case.name,
                "title": row.case.title,
                "sort": row.case.sort,
                "promises": sorted(promise.name for promise in row.case.promises),
                "settings": dict(row.case.settings),
                "broken": list(row.broken),
                "wire": None if row.wire is None else asdict(row.wire),
                "simulated": None if row.simulated is None else asdict(row.simulated),
            }
            for row in rows
        ],
    }


def into_docs(file: Path, text: str) -> None:
    """Put the text between the marks of a page. Raises ValueError where it has none."""
    page = file.read_text("utf-8")
    before, begin, rest = page.partition(BEGIN_MARK)
    _, end, after = rest.partition(END_MARK)
    if not begin or not end:
        raise ValueError(f"{file} has no marks {BEGIN_MARK} and {END_MARK}")
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def _cells(one: Figures) -> tuple[str, ...]:
    return (
        str(one.submitted),
        str(one.completed),
        f"{one.failed} ({one.failed_own})" if one.failed else "0",
        str(one.parked),
        str(len(one.lost)),
        str(one.twice),
        str(len(one.once_twice)),
        f"{_ms(one.added_median)} / {_ms(one.added_p99)}",
        _ms(one.open_added),
        _ms(one.to_open),
        str(one.stuck),
        f"{one.amplification:.2f}",
        str(one.bug_sidesteps),
        _count(one.openings),
        str(one.moves),
        _count(one.flaps),
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
