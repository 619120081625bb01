"""The live screen: one lane a cloud, the orders' counts, and the newest sidesteps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli import telling
from cli.account import ARROW
from cli.demo.board import RECENT, Board, Cell, Finished, Lane
from cli.output import on_line

BARS: Final = "▁▂▃▄▅▆▇█"
HEADINGS: Final = {"AWS": "AWS", "GCP": "Google Cloud", "AZURE": "Azure"}
LEAST_CELLS: Final = 8
BESIDE_BARS: Final = 58
"""Columns of a lane's row that are no bars: its name, state and numbers, gaps and borders."""


def screen(board: Board, width: int) -> RenderableType:
    """The whole screen for a terminal of `width` columns."""
    return Group(
        _head(board), Text(), _lanes(board, width), *_counts(board), Text(), *_recent(board.recent, width)
    )


def _head(board: Board) -> RenderableType:
    out = bool(board.phase.out) and not board.draining
    title = "The last orders end" if board.draining else board.phase.title
    line = Table.grid(expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(
        Text.assemble((" Sidestep ", "bold reverse"), " ", (f" {title} ", f"bold white on {_tint(out)}")),
        Text(f"{min(board.elapsed, board.seconds):.0f} s of {board.seconds:.0f} s ", "dim"),
    )
    return line


def _tint(out: bool) -> str:
    return "red" if out else "dark_green"


def _lanes(board: Board, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for justify, columns in (("left", 12), ("left", 12), ("left", None), ("right", 11), ("right", 10)):
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=True, width=columns)
    cells = max(LEAST_CELLS, width - BESIDE_BARS)
    shown = {lane.name: list(lane.cells)[-cells:] for lane in board.lanes.values()}
    tallest = max((_height(cell) for lane in shown.values() for cell in lane), default=0.0)
    for lane in board.lanes.values():
        table.add_row(
            Text(HEADINGS[lane.name], "bold"),
            _state(lane),
            bars(shown[lane.name], cells, tallest),
            Text(f"{lane.rate():.0f} calls/s", "green" if lane.rate() >= 1 else "dim"),
            Text(f"{lane.failed} failed", "red" if lane.failed else "dim"),
        )
    return Panel(table, title="answered by each cloud", title_align="left", border_style="dim", width=width)


def _state(lane: Lane) -> Text:
    return Text(f"● {lane.state}", "green" if lane.state == "up" else "bold red")


def bars(cells: Sequence[Cell], width: int, tallest: float) -> Text:
    """A cell a sample, newest to the right: green for answers, red where calls only failed."""
    text = Text(" " * (width - len(cells)))
    for cell in cells:
        height = _height(cell)
        step = min(len(BARS) - 1, round(height / tallest * (len(BARS) - 1))) if tallest else 0
        if height:
            text.append(BARS[step], "green" if cell.answered else "red")
        else:
            text.append("·", "red" if cell.out else "dim")
    return text


def _height(cell: Cell) -> float:
    return (cell.answered or cell.failed) / cell.seconds


def _counts(board: Board) -> list[RenderableType]:
    orders = Table.grid(padding=(0, 3))
    failed = len(board.finished) - board.completed
    orders.add_row(
        Text(" orders", "dim"),
        Text(f"{board.submitted} sent"),
        Text(f"{board.completed} completed", "bold green"),
        Text(f"{board.failed_over} failed over", "yellow"),
        Text(f"{board.in_flight} in flight", "cyan"),
        Text(f"{failed} failed", "bold red" if failed else "dim"),
    )
    added, now = board.added(), board.added(board.phase.name) if board.phase.out else None
    times = Table.grid(padding=(0, 3))
    times.add_row(
        Text(" time  ", "dim"),
        Text(f"{milliseconds(board.healthy_median())} without a sidestep"),
        Text(f"{signed(added)} added by one", "yellow"),
        Text("" if now is None else f"{signed(now)} in this outage", "yellow"),
        Text("(medians)", "dim"),
    )
    return [orders, times]


def _recent(recent: Iterable[Finished], width: int) -> list[RenderableType]:
    lines = [sidestep(done) for done in recent]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(width, overflow="ellipsis")
    blank = [Text() for _ in range(RECENT - len(lines))]
    return [Text(" newest sidesteps", "dim"), *lines, *blank]


def sidestep(done: Finished) -> Text:
    """One order's first sidestep: `order-0012 charge-card  AWS timed out after 0.70 s  ->  GCP ok`."""
    visits = done.view.get("steps") or ()
    visit: Mapping[str, Any] = next((visit for visit in visits if visit.get("failedOver")), {})
    order = (done.view.get("input") or {}).get("orderId", "")
    line = Text(f" {on_line(str(order))} {on_line(str(visit.get('stepId', ''))):<14}", "dim")
    return line.append_text(Text(ARROW).join([telling.brief(call) for call in visit.get("attempts") or ()]))


def milliseconds(value: float | None) -> str:
    """`22 ms`, or a dash where nothing is known yet."""
    return "-" if value is None else f"{value:.0f} ms"


def signed(value: float | None) -> str:
    """`+13 ms`, or a dash where nothing is known yet."""
    return "-" if value is None else f"{round(value):+d} ms"
