"""Stacks that a sampling profiler saw, as a flame graph (SVG), and as what each of our parts took.

A line of the input is `outermost;...;innermost COUNT`, a frame `function (file:line)`, as py-spy writes
it in its raw format. Lines of one function are added up. The picture is the same for the same stacks, byte
for byte, and small: what took less than LEAST of all samples is left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

LEAST: Final = 0.002
WIDTH: Final = 1_200
ROW: Final = 17
_FONT: Final = 'font-family="monospace" font-size="11"'
_LETTER: Final = 6.6
"""How wide a letter is, about."""

_LINE = re.compile(r":\d+\)")
_FILE = re.compile(r"\(([^()]*)\)$")
_ROOT = "Runner.run (asyncio/runners.py)"
"""What lies outside of it (the command line, starting) is the same in all stacks, and tells nothing."""

LOOP: Final = "event loop: uvloop, sockets, timers"
OTHER: Final = "everything else"
PARTS: Final = (
    ("adapters/providers/", "calls: adapters and their HTTP client", "#e8743b"),
    ("adapters/stores/", "store: commands, replies, group commit", "#19a979"),
    ("api/", "API: requests, creations, answers", "#5899da"),
    ("core/engine/health/", "health: breakers, routing, numbers", "#bf399e"),
    ("core/engine/", "engine: drivers, waits, views", "#f2b134"),
    ("core/", "decisions, state, journal, templates", "#945ecf"),
)
"""Where files lie, what that part is called, and its colour; the first that fits."""

_GREY: Final = "#c4c9d0"

Stacks = list[tuple[tuple[str, ...], int]]


@dataclass(slots=True)
class Frame:
    """One function at one place of the stacks, with how many samples were in it or within."""

    name: str
    count: int = 0
    within: dict[str, "Frame"] = field(default_factory=dict)


def stacks(text: str) -> Stacks:
    """The stacks, from the event loop inwards; those of other threads are whole. Raises ValueError where a
    line is none.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        path, _, count = line.rpartition(" ")
        frames = [_LINE.sub(")", frame) for frame in path.split(";")]
        if _ROOT in frames:
            frames = frames[frames.index(_ROOT) + 1 :]
        found[tuple(frames)] += int(count)
    return sorted(found.items())


def shares(found: Stacks) -> list[tuple[str, float]]:
    """The share of each part, the largest first: a sample belongs to the innermost function of ours, so that
    what a library does counts for whoever called it.
    """
    counts: Counter[str] = Counter()
    for frames, count in found:
        counts[_part_of(frames)] += count
    whole = counts.total() or 1
    return sorted(
        ((name, count / whole) for name, count in counts.items()), key=lambda one: (-one[1], one[0])
    )


def _part_of(frames: Sequence[str]) -> str:
    if not frames:
        return LOOP
    for frame in reversed(frames):
        for prefix, name, _ in PARTS:
            if _file_of(frame).startswith(prefix):
                return name
    return OTHER


def _file_of(frame: str) -> str:
    found = _FILE.search(frame)
    return found[1] if found else ""


def tree(found: Stacks) -> Frame:
    """The stacks as one tree."""
    root = Frame("all")
    for frames, count in found:
        root.count += count
        at = root
        for name in frames:
            at = at.within.setdefault(name, Frame(name))
            at.count += count
    return root


def svg(found: Stacks, title: str) -> str:
    """The flame graph: callers above those whom they call, as wide as their share, in their part's colour."""
    root = tree(found)
    boxes = list(_boxes(root, 0.0, 0, root.count or 1))
    depth = max(row for _, _, row, _ in boxes)
    height = (depth + 1) * ROW + 64
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {_FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="6" y="16" font-size="13">{escape(title)}</text>',
        *_legend(),
    ]
    lines += [_drawn(frame, x, row, root.count or 1) for frame, x, row, _ in boxes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _boxes(frame: Frame, x: float, row: int, whole: int) -> Iterator[tuple[Frame, float, int, float]]:
    wide = frame.count / whole * WIDTH
    yield frame, x, row, wide
    for one in frame.within.values():
        if one.count / whole >= LEAST:
            yield from _boxes(one, x, row + 1, whole)
        x += one.count / whole * WIDTH


def _legend() -> Iterator[str]:
    x = 6.0
    for name, colour in [*((name, colour) for _, name, colour in PARTS), ("libraries, event loop", _GREY)]:
        short = name.partition(":")[0]
        yield f'<rect x="{x:.0f}" y="26" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 14:.0f}" y="35">{escape(short)}</text>'
        x += 14 + _LETTER * len(short) + 18


def _drawn(frame: Frame, x: float, row: int, whole: int) -> str:
    share = frame.count / whole
    wide = share * WIDTH
    file = _file_of(frame.name)
    colour = next((colour for prefix, _, colour in PARTS if file.startswith(prefix)), _GREY)
    y = 48 + row * ROW
    told = f"<title>{escape(frame.name)}: {share:.1%}</title>"
    label = frame.name.partition(" (")[0][: max(0, int((wide - 4) / _LETTER))]
    text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(label)}</text>' if len(label) > 2 else ""
    box = f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{ROW - 1}" fill="{colour}" rx="1"/>'
    return f"<g>{told}{box}{text}</g>"
