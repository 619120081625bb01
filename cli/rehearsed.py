"""What a rehearsal showed, as lines."""

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from cli import telling
from cli.drained import FAULTS
from cli.durations import told as lasting
from cli.output import on_line
from cli.tables import table

Json = Mapping[str, Any]

_ENDINGS: Final = (
    ("completed", "completed", ""),
    ("nowhere", "had nowhere else to go", "red"),
    ("failed", "failed", "red"),
    ("parked", "parked", "magenta"),
    ("cancelled", "ended otherwise", ""),
    ("underWay", "under way still", "yellow"),
)


def report(answer: Json) -> list[Text]:
    """The lines for what `Rehearsal.run` gives."""
    name = on_line(" ".join(part for part in (answer["provider"], answer["region"]) if part))
    early = f"  ended early: {on_line(str(answer['endedEarly']))}" if answer.get("endedEarly") else ""
    lines = [Text.assemble((f"{lasting(answer['seconds'])} without {name}", "bold"), (early, "yellow"))]
    steps, executions = answer["steps"], answer["executions"]
    if not steps["touched"]:
        return [*lines, Text(f"Nothing wanted to call {name} meanwhile, so this shows nothing.", "yellow")]
    lines += [_ended("executions", executions), _ended("steps", steps)]
    if steps["nowhere"]:
        told = f"  What had nowhere else to go was called at {name} all the same; in an outage it would fail."
        lines.append(Text(told, "yellow"))
    lines += [*_latency(answer["latency"]), *_failures(answer)]
    if answer.get("more"):
        lines.append(
            Text(f"There were more than the {answer['looked']} executions that were looked at.", "yellow")
        )
    verdict = (
        ("Nothing failed because of it.", "green") if answer["ok"] else (_blame(steps, name), "bold red")
    )
    return [*lines, Text(), Text.assemble(verdict)]


def _ended(what: str, counts: Json) -> Text:
    line = Text(f"  {what:<11} {counts['touched']} passed it over: ")
    told = [Text(f"{counts[key]} {word}", style) for key, word, style in _ENDINGS if counts[key]]
    return line.append_text(Text(", ").join(told))


def _latency(latency: Mapping[str, Json]) -> list[Text]:
    if not latency:
        return []
    rows = table(
        ("ANSWERED BY", "CALLS", "P50 BEFORE", "MEANWHILE", "AFTER", "P95 BEFORE", "MEANWHILE", "AFTER"),
        [
            (
                name,
                str(seen["meanwhile"]["calls"]),
                *(
                    telling.duration(seen[when][quantile]) or "-"
                    for quantile in ("p50Ms", "p95Ms")
                    for when in ("before", "meanwhile", "after")
                ),
            )
            for name, seen in latency.items()
        ],
    )
    return [Text("  ") + line for line in rows]


def _failures(answer: Json) -> list[Text]:
    lines = [
        Text.assemble("  attempts that failed at ", on_line(name), ": ", (_counts(signals), "yellow"))
        for name, signals in answer["signals"].items()
    ]
    if answer["errors"]:
        lines.append(Text.assemble("  steps failed with ", (_counts(answer["errors"]), "red")))
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return on_line(", ".join(f"{name} {count}" for name, count in ordered))


def _blame(steps: Json, name: str) -> str:
    told = [f"{steps[key]} {word}" for key, word, _ in _ENDINGS if steps[key] and key in FAULTS]
    count = steps["touched"]
    return f"Without {name}, of {count} step{'' if count == 1 else 's'} {', '.join(told)}."
