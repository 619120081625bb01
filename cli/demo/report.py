"""The demo in plain lines: one a second while it runs, and the summary at its end."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from cli.account import account
from cli.demo.audit import Summary
from cli.demo.board import Board
from cli.demo.doubles import Double
from cli.demo.screen import HEADINGS, milliseconds, signed
from cli.output import on_line

SHOWN_LOST = 10


def second(board: Board) -> str:
    """How it stands, on one line."""
    rates = "  ".join(
        f"{lane.name} {lane.rate():.0f}/s{'' if lane.state == 'up' else f' ({lane.state})'}"
        for lane in board.lanes.values()
    )
    return (
        f"{min(board.elapsed, board.seconds):4.0f} s  sent {board.submitted}  completed {board.completed}  "
        f"failed over {board.failed_over}  in flight {board.in_flight}  |  answered: {rates}"
    )


def summary(result: Summary, view: Mapping[str, Any] | None, *, width: int | None) -> list[Text]:
    """The end of the demo: what the ledgers and the journals say, and one order's story."""
    lines = [
        Text("What became of the orders", "bold"),
        _fact("submitted", str(result.submitted)),
        _fact("completed", str(result.completed), "green"),
        _fact("failed over", f"{result.failed_over}", "yellow"),
        *_outages(result),
        *_twice(result.run_twice),
    ]
    if result.unproven:
        lines.append(
            _fact("unproven", f"{len(result.unproven)} completed steps are in no ledger", "bold red")
        )
    ran = ", ".join(f"{name} {result.ran.get(short, 0)}" for short, name in HEADINGS.items())
    lines.append(_fact("ran, by ledger", ran))
    if view is not None:
        lines += [
            Text(),
            Text("One order, attempt by attempt", "bold"),
            *account(view, width=width, payloads=False),
        ]
    return [*lines, Text(), *_verdict(result)]


def _fact(name: str, value: str, style: str = "") -> Text:
    return Text.assemble("  ", (f"{name:<16}", "dim"), (value, style))


def _outages(result: Summary) -> list[Text]:
    """How long orders took, by what was out when they were sent."""
    times = [_fact("took, median", f"{milliseconds(result.healthy_ms):>8}  without a sidestep")]
    times += [
        _fact(
            "",
            f"{milliseconds(one.median_ms):>8}  in outage '{one.name}': {signed(one.added_ms)}, "
            f"{one.failed_over} orders failed over",
        )
        for one in result.outages
    ]
    return times


def _twice(doubles: Sequence[Double]) -> list[Text]:
    """How many keys ran more than once, grouped by what the journal says of them, with an example each."""
    if not doubles:
        return [_fact("run twice", "0 by the ledgers", "green")]
    unexplained = sum(not double.explained for double in doubles)
    how = f"{unexplained} without an explanation" if unexplained else "each explained by its journal:"
    lines = [
        _fact("run twice", f"{len(doubles)} by the ledgers, {how}", "bold red" if unexplained else "yellow")
    ]
    groups: defaultdict[tuple[bool, str], list[Double]] = defaultdict(list)
    for double in doubles:
        groups[double.explained, double.why].append(double)
    for (explained, why), members in sorted(groups.items(), key=lambda group: group[0]):
        example = members[0]
        lines.append(_fact("", f"{len(members):>8}  {on_line(why)}", "" if explained else "red"))
        lines.append(_fact("", f"          such as {example.step_id} of {example.execution_id}", "dim"))
    return lines


def _verdict(result: Summary) -> list[Text]:
    if result.good:
        return [Text(f"lost 0   completed {result.completed} of {result.submitted}", "bold green")]
    lines = [
        Text(f"lost {len(result.lost)}   completed {result.completed} of {result.submitted}", "bold red")
    ]
    if result.submitted > result.acknowledged:
        lines.append(
            Text(f"  {result.submitted - result.acknowledged} orders were never acknowledged", "red")
        )
    lines += [Text(f"  {on_line(name)}", "red") for name in result.lost[:SHOWN_LOST]]
    return lines
