"""Rows under a head, aligned by spaces: the same on a terminal and in a pipe."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from cli import telling
from cli.output import on_line

GAP = "  "


def table(head: Sequence[str], rows: Iterable[Sequence[Text | str]]) -> list[Text]:
    """One line for the head and one for each row; the last column is not padded."""
    cells = [[cell if isinstance(cell, Text) else Text(on_line(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(row[column].cell_len for row in cells)]) for column, name in enumerate(head)]
    return [_line([Text(name, "dim") for name in head], widths), *(_line(row, widths) for row in cells)]


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        line.append_text(cell)
        if column < len(cells) - 1:
            line.append(" " * (width - cell.cell_len) + GAP)
    return line


def executions(rows: Iterable[Mapping[str, Any]]) -> list[Text]:
    """A listing of executions."""
    return table(
        ("EXECUTION", "WORKFLOW", "STATUS", "FAILED OVER", "STARTED", "STEP"),
        [
            (
                str(row.get("executionId")),
                str(row.get("workflowId")),
                status(row.get("status")),
                Text("yes", "yellow") if row.get("failedOver") else "no",
                str(row.get("startedAt")),
                str(row.get("currentStepId") or ""),
            )
            for row in rows
        ],
    )


def status(value: object) -> Text:
    """A status in its colour."""
    return Text(on_line(str(value)), telling.STYLES.get(str(value), ""))


def workflows(rows: Iterable[Mapping[str, Any]]) -> list[Text]:
    """A listing of registered workflows."""
    return table(
        ("WORKFLOW", "VERSION", "REGISTERED", "DIGEST"),
        [
            (
                str(row.get("workflowId")),
                str(row.get("version")),
                str(row.get("createdAt") or ""),
                str(row.get("digest") or "")[:12],
            )
            for row in rows
        ],
    )


def clouds(providers: Mapping[str, Mapping[str, Any]]) -> list[Text]:
    """The providers of localcloud, and what ails them."""
    return table(
        ("PROVIDER", "PORT", "OUTAGES", "FUNCTIONS"),
        [
            (
                name,
                str(cloud.get("port")),
                _outages(cloud.get("outages") or ()),
                ", ".join(map(str, cloud.get("functions") or ())),
            )
            for name, cloud in providers.items()
        ],
    )


def _outages(rules: Iterable[Mapping[str, Any]]) -> Text:
    told = [str(rule.get("id")) + ("" if rule.get("on") else " (resting)") for rule in rules]
    return Text(on_line(", ".join(told)), "red") if told else Text("none", "green")


def runs(entries: Iterable[Mapping[str, Any]]) -> list[Text]:
    """The ledger: every execution that really ran."""
    return table(
        ("NUMBER", "STARTED", "PROVIDER", "FUNCTION", "STATE", "REPLIED", "ATTEMPT", "IDEMPOTENCY KEY"),
        [
            (
                str(run.get("sequence")),
                telling.clock_of_ms(run.get("startedAt")),
                str(run.get("provider")),
                str(run.get("function")),
                str(run.get("state")),
                "open" if run.get("replied") is None else "yes" if run["replied"] else "no",
                str(run.get("attempt") or ""),
                str(run.get("idempotencyKey") or ""),
            )
            for run in entries
        ],
    )


def ledger_summary(summary: Mapping[str, Any]) -> list[Text]:
    """The ledger's counts, and what ran more than once."""
    lines = table(
        ("PROVIDER", "FUNCTION", "EXECUTIONS"),
        [
            (provider, function, str(counts.get("executions", 0)))
            for provider, tally in (summary.get("providers") or {}).items()
            for function, counts in (tally.get("functions") or {}).items()
        ],
    )
    twice = summary.get("runTwice") or {}
    lines.append(
        Text(f"{summary.get('executions', 0)} executions of {summary.get('keys', 0)} idempotency keys")
    )
    lines.append(Text(f"{twice.get('keys', 0)} keys ran more than once"))
    lines += [
        Text(on_line(f"  {one.get('idempotencyKey')}  {one.get('executions')} times"))
        for one in twice.get("listed") or ()
    ]
    return lines
