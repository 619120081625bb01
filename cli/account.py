"""One execution as `sidestep show` prints it: head, steps attempt by attempt, output or error."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from shlex import quote
from textwrap import wrap
from typing import Any, Final, NamedTuple

from rich.text import Text

from cli import reasons, telling
from cli.output import on_line

ARROW: Final = "  ->  "
BESIDE: Final = "  with  "
"""Before a hedge: it does not follow the call before it, both are under way."""
MAX_JSON_LINES: Final = 40
SHOWN_MS: Final = 50
"""A step without attempts (a wait, a parallel) tells how long it took from here on."""


def account(view: Mapping[str, Any], *, width: int | None = None, payloads: bool = True) -> list[Text]:
    """The lines for a view. Attempts of a step share a line where `width` allows (None: always)."""
    lines = [*head(view), Text(), *steps(view, width)]
    error = view.get("error")
    if error:
        lines += [Text(), _error(error)]
    if payloads and view.get("output") is not None:
        lines += [Text(), Text("output", "bold"), *_json(view["output"])]
    elif payloads and view.get("context"):
        lines += [Text(), Text("context", "bold"), *_json(view["context"])]
    return lines


def head(view: Mapping[str, Any]) -> list[Text]:
    """Two lines: which execution, and how it stands."""
    status = str(view.get("status"))
    first = Text.assemble(
        (on_line(str(view.get("executionId"))), "bold"), "  ", on_line(str(view.get("workflowId")))
    )
    second = Text.assemble((on_line(status), f"bold {telling.STYLES.get(status, '')}".strip()))
    took = _between(view.get("startedAt"), view.get("updatedAt"))
    if took is not None:
        second.append(f" {'in' if status == 'COMPLETED' else 'after'} {telling.duration(took)}")
    if view.get("failedOver"):
        second.append(", failed over", "yellow")
    second.append(f"  started {on_line(str(view.get('startedAt')))}", "dim")
    return [first, second, *_family(view)]


def _family(view: Mapping[str, Any]) -> list[Text]:
    """What it is part of, and how far what it did is undone."""
    lines = []
    parent = view.get("parent")
    if parent:
        whose = on_line(f"{parent.get('executionId')}, step {parent.get('visit')}")
        lines.append(Text(f"child of {whose}", "dim"))
    undoing = view.get("compensating")
    if undoing:
        because = undoing.get("because") or {}
        why = on_line(str(because.get("error") or because.get("status")))
        left, given_up = undoing.get("left"), undoing.get("givenUp")
        undone = undoing.get("undone")
        said = f"undone because of {why}: {undone} step{'' if undone == 1 else 's'}"
        said += f", {left} to go" if left else ""
        said += f", {given_up} given up" if given_up else ""
        lines.append(Text(said, "yellow"))
    return lines


def steps(view: Mapping[str, Any], width: int | None = None) -> list[Text]:
    """Every visit with its attempts; steps that were never reached as well."""
    visits: Sequence[Mapping[str, Any]] = view.get("steps") or ()
    names = [on_line(str(visit.get("visit") or visit.get("stepId"))) for visit in visits]
    column = min(40, max(map(len, names), default=0))
    parked = sum(visit.get("status") == "PARKED" for visit in visits)
    lines: list[Text] = []
    for visit, name in zip(visits, names, strict=True):
        status = str(visit.get("status"))
        lead = Text.assemble(
            "  ", f"{name:<{column}}", "  ", (f"{on_line(status):<9}", telling.STYLES.get(status, ""))
        )
        attempts = visit.get("attempts") or ()
        told = zip(attempts, reasons.remarks(attempts), strict=True)
        calls = [Call(telling.attempt(call), remarks, _is_hedge(call)) for call, remarks in told]
        if _stays(visit):
            calls[-1].remarks.append("its own error: no failover")
        took = _between(visit.get("startedAt"), visit.get("endedAt"))
        if not calls and took is not None and took >= SHOWN_MS:
            lead.append(f"  {telling.duration(took)}")
        lines += _with_attempts(lead, calls, width)
        below = _remarks(visit)
        if visit.get("status") == "PARKED":
            below.append(_settling(view.get("executionId"), visit.get("visit") if parked > 1 else None))
        lines += [Text(" " * (column + 4)).append_text(remark) for remark in below]
    return lines


class Call(NamedTuple):
    """What an attempt did, what its reasons say of breakers, and whether it went out beside another one."""

    told: Text
    remarks: list[str]
    beside: bool


def _is_hedge(call: Mapping[str, Any]) -> bool:
    return call.get("role") == telling.HEDGE


def _stays(visit: Mapping[str, Any]) -> bool:
    """True where the newest attempt failed by the function's own error, for which no fallback is called."""
    attempts: Sequence[Mapping[str, Any]] = visit.get("attempts") or []
    own = bool(attempts) and attempts[-1].get("signal") == "function-error"
    return own and bool(visit.get("fallbacks")) and "functionError" not in (visit.get("failoverOn") or ())


def _settling(execution_id: object, path: object) -> Text:
    """The command that settles a parked step; `path` names it where there are several."""
    step = f" --step {quote(on_line(str(path)))}" if path else ""
    command = f"sidestep resolve {quote(on_line(str(execution_id)))}{step} --as VERDICT"
    return Text(f"settle it: {command} (completed, failed, retry or failover)", "magenta")


def _with_attempts(lead: Text, calls: list[Call], width: int | None) -> list[Text]:
    """All on one line where that has room for them, else one a line, its remarks below it where need be."""
    if not calls:
        return [lead]
    whole = lead.copy().append("  ")
    for number, call in enumerate(calls):
        whole.append((BESIDE if call.beside else ARROW) if number else "").append_text(_told(call))
    if width is None or whole.cell_len <= width:
        return [whole]
    margin = " " * (lead.cell_len + 2)
    lines = []
    for number, call in enumerate(calls):
        join = ("with ", "cyan") if call.beside else ("-> ", "bold yellow")
        before = Text(margin).append(*join) if number else lead.copy().append("  ")
        line = before.copy().append_text(_told(call))
        if line.cell_len <= width:
            lines.append(line)
            continue
        lines.append(before.append_text(call.told))
        inner = margin + "   "
        room = max(24, width - len(inner))
        lines += [Text(inner).append(part, "dim") for said in call.remarks for part in wrap(said, room)]
    return lines


def _told(call: Call) -> Text:
    told = call.told.copy()
    for remark in call.remarks:
        told.append(f"; {remark}", "dim")
    return told


def _remarks(visit: Mapping[str, Any]) -> list[Text]:
    """What the attempts do not say: who settled it, why it failed, that it was caught, what it waits for."""
    remarks = []
    if visit.get("childExecutionId"):
        remarks.append(Text(f"child {on_line(str(visit['childExecutionId']))}", "dim"))
    if visit.get("undoes"):
        remarks.append(Text(f"undoes {on_line(str(visit['undoes']))}", "dim"))
    settled = visit.get("resolved")
    if isinstance(settled, Mapping):
        who = settled.get("actor") or "a person"
        why = f" ({settled['reason']})" if settled.get("reason") else ""
        said = f"settled by {who}: {settled.get('verdict')}{why}"
        remarks.append(Text(telling.shorten(on_line(said), 300), "cyan"))
    if visit.get("error"):
        caught = " (caught)" if visit.get("caught") else ""
        cause = visit.get("cause")
        said = f"{visit['error']}: {cause}" if cause else str(visit["error"])
        remarks.append(Text(telling.shorten(on_line(said), 300) + caught, "red"))
    elif visit.get("status") == "CANCELLED" and visit.get("cause"):
        remarks.append(Text(telling.shorten(on_line(str(visit["cause"])), 300), "yellow"))
    if visit.get("status") == "PARKED":
        why = telling.shorten(on_line(str(visit.get("parkedBecause"))), 300)
        remarks.append(Text(f"needs a person: {why}", "magenta"))
    if visit.get("status") == "RUNNING" and visit.get("waitsFor"):
        until = f" until {telling.clock(visit['wakeAt'])} UTC" if visit.get("wakeAt") else ""
        remarks.append(Text(f"waits for a {on_line(str(visit['waitsFor']))}{until}", "cyan"))
    elif visit.get("status") == "RUNNING" and visit.get("wakeAt"):
        remarks.append(Text(f"goes on at {telling.clock(visit['wakeAt'])} UTC", "cyan"))
    return remarks


def _error(error: Mapping[str, Any]) -> Text:
    where = f" in step {on_line(str(error['stepId']))}" if error.get("stepId") else ""
    cause = f": {telling.shorten(on_line(str(error['cause'])), 2_000)}" if error.get("cause") else ""
    return Text.assemble(("error", "bold red"), f"{where}  {on_line(str(error.get('error')))}{cause}")


def _json(value: Any) -> list[Text]:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    lines = text.split("\n")
    shown = lines if len(lines) <= MAX_JSON_LINES else [*lines[:MAX_JSON_LINES], "... (--json has all of it)"]
    return [Text("  " + line) for line in shown]


def _between(start: object, end: object) -> float | None:
    try:
        span = datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))
    except (ValueError, TypeError):
        return None
    return max(0.0, span.total_seconds() * 1000)
