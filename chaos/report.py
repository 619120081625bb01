"""The table of a run, as Markdown and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from chaos.audit import Found
from chaos.playing import Played
from chaos.rows import Kind

_HEAD: Final = (
    "row",
    "executions",
    "completed",
    "failed",
    "parked",
    "lost",
    "doubles explained",
    "unexplained",
    "`atMostOnce` doubles",
    "takeover, longest",
    "store away, longest",
    "then first 201",
    "then first step",
)


def markdown(rows: Sequence[Played]) -> str:
    """Two tables: what became of the executions, and what was done to each row."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    lines += [_line(_cells(one)) for one in rows]
    kinds = [kind for kind in Kind if any(one.found and one.found.faults.get(kind) for one in rows)]
    lines += ["", _line(["fault", *(one.row.name for one in rows)]), _line(["---"] * (len(rows) + 1))]
    for kind in kinds:
        counts = [one.found.faults.get(kind, 0) if one.found else 0 for one in rows]
        lines.append(_line([str(kind), *(str(count or "") for count in counts)]))
    return "\n".join(lines)


def document(rows: Sequence[Played]) -> dict[str, Any]:
    """All of it, with every takeover and pause."""
    return {
        "ok": not any(one.broken for one in rows),
        "machine": machine(),
        "rows": [
            {
                "row": one.row.name,
                "title": one.row.title,
                "promise": one.row.promise,
                "sizes": asdict(one.sizes),
                "seconds": round(one.seconds, 1),
                "clockJumps": one.clocks,
                "broken": list(one.broken),
                "audit": None if one.found is None else asdict(one.found),
            }
            for one in rows
        ],
    }


def machine() -> str:
    """Where it ran, in a line."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    )


def _cells(one: Played) -> list[str]:
    found = one.found
    if found is None:
        return [one.row.title, "no audit", *[""] * (len(_HEAD) - 2)]
    return [
        one.row.title,
        str(found.acknowledged),
        str(found.completed),
        str(found.failed),
        str(found.parked),
        str(len(found.lost)),
        str(found.explained),
        str(len(found.unexplained)),
        str(len(found.at_most_once)),
        _takeover(found),
        _longest([pause.away for pause in found.pauses]),
        _longest([pause.acknowledged for pause in found.pauses]),
        _longest([pause.step for pause in found.pauses]),
    ]


def _takeover(found: Found) -> str:
    """The longest of those in whose time the store was there, and of the others where that was longer."""
    calm = max((one.seconds for one in found.takeovers if not one.disturbed), default=0.0)
    stormy = max((one.seconds for one in found.takeovers if one.disturbed), default=0.0)
    told = [f"{calm:.2f} s"] if calm else []
    if stormy > calm:
        told.append(f"{stormy:.2f} s with the store away meanwhile")
    return "; ".join(told) or "-"


def _longest(seconds: Sequence[float | None]) -> str:
    known = [one for one in seconds if one is not None]
    return f"{max(known):.2f} s" if known else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
