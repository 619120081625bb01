"""`/metrics` in Prometheus's text format (version 0.0.4). Every name starts with `sidestep_`."""

from collections.abc import Iterable, Mapping

import msgspec

from core.engine.board import ProviderReport
from core.machine.transitions import EXECUTION_STATUSES, TERMINAL

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


class Family(msgspec.Struct, frozen=True):
    """A metric with its samples."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[dict[str, str], float], ...]


Numbers = tuple[Family, ...]
"""What one process saw."""


def numbers(
    reports: Iterable[ProviderReport],
    sidesteps: Mapping[tuple[str, str], int],
    restarts: int,
    removed: Mapping[str, int],
    mended: int,
) -> Numbers:
    """What this process saw."""
    reports = tuple(reports)
    return (
        Family(
            "sidestep_provider_configured",
            "gauge",
            "Whether the provider is configured.",
            tuple(({"provider": report.name}, int(report.configured)) for report in reports),
        ),
        Family(
            "sidestep_attempts_sent_total",
            "counter",
            "Attempts that this process sent.",
            tuple(({"provider": report.name}, report.calls) for report in reports),
        ),
        Family(
            "sidestep_attempts_ended_total",
            "counter",
            "Attempts that ended, by what they showed.",
            tuple(
                ({"provider": report.name, "signal": signal}, count)
                for report in reports
                for signal, count in sorted(report.signals.items())
            ),
        ),
        Family(
            "sidestep_attempts_in_flight",
            "gauge",
            "Attempts that were sent and have not ended.",
            tuple(({"provider": report.name}, report.in_flight) for report in reports),
        ),
        Family(
            "sidestep_sidesteps_total",
            "counter",
            "Steps that went on at another target, by both providers.",
            tuple(({"from": left, "to": taken}, count) for (left, taken), count in sorted(sidesteps.items())),
        ),
        Family(
            "sidestep_engine_restarts_total",
            "counter",
            "How often the engine of this process died and was started again.",
            (({}, restarts),),
        ),
        Family(
            "sidestep_executions_removed_total",
            "counter",
            "Executions that retention removed in this process, by the status in which they had ended.",
            tuple(({"status": status}, removed.get(status, 0)) for status in sorted(TERMINAL)),
        ),
        Family(
            "sidestep_executions_mended_total",
            "counter",
            "Executions that nothing would have driven on, and that the reconciler of this process gave back "
            "to a worker.",
            (({}, mended),),
        ),
    )


def exposition(version: str, counts: Mapping[str, int] | None, seen: Mapping[int | None, Numbers]) -> str:
    """The page. `counts` are the store's executions by status, None while it does not answer; `seen` is what
    each process saw, by its place among those of one port, which is None where there is one process only.
    """
    statuses = {} if counts is None else dict.fromkeys(EXECUTION_STATUSES, 0) | dict(counts)
    pages = [
        Family("sidestep_build_info", "gauge", "The version that runs.", (({"version": version}, 1),)),
        Family("sidestep_store_up", "gauge", "Whether the store answers.", (({}, int(counts is not None)),)),
        Family("sidestep_processes", "gauge", "Processes that this page tells of.", (({}, len(seen)),)),
        Family(
            "sidestep_executions",
            "gauge",
            "Executions in the store, by status.",
            tuple(({"status": status}, count) for status, count in statuses.items()),
        ),
        *_merged(seen),
    ]
    return "".join(map(_text, pages))


def _merged(seen: Mapping[int | None, Numbers]) -> list[Family]:
    """Each family once, with the samples of every process."""
    merged: dict[str, Family] = {}
    for place, families in seen.items():
        own = {} if place is None else {"process": str(place)}
        for family in families:
            before = merged[family.name].samples if family.name in merged else ()
            samples = tuple(({**own, **labels}, value) for labels, value in family.samples)
            merged[family.name] = msgspec.structs.replace(family, samples=before + samples)
    return list(merged.values())


def _text(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{family.name}{{{inside}}} {value:.15g}" if inside else f"{family.name} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
